"""Training steps as CUDA graphs: kernel launches dominate the time of small networks, and a graph launches once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Losses = dict[str, Tensor]

# Steps before the capture, in which the libraries choose their kernels and the optimizers make their state.
_WARMUP_STEPS = 3


class CUDAGraph:
    """A training step, captured once and then replayed.

    The first calls run the step directly, on their own stream as a capture requires, and count as steps. All inputs
    must have the same shape, and optimizers must be built with ``capturable=True``.

    Parameters
    ----------
    step : callable
        Maps a tensor on the GPU to named tensors, and changes weights in place.
    """

    def __init__(self, step: Callable[[Tensor], Losses]) -> None:
        self.step = step
        self.calls = 0

    def __call__(self, rows: Tensor) -> Losses:
        self.calls += 1
        if self.calls <= _WARMUP_STEPS:
            stream = torch.cuda.Stream(rows.device)
            stream.wait_stream(torch.cuda.current_stream(rows.device))
            with torch.cuda.stream(stream):
                losses = self.step(rows)
            torch.cuda.current_stream(rows.device).wait_stream(stream)
            return losses
        if self.calls == _WARMUP_STEPS + 1:
            self.rows = rows.clone()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.losses = self.step(self.rows)
        self.rows.copy_(rows)
        self.graph.replay()
        return {name: loss.clone() for name, loss in self.losses.items()}  # the next replay overwrites them
