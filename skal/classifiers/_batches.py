"""Rows as tensors, and mini-batches sliced from them: a Dataset that fetches row by row costs more than a small net."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from numpy.typing import NDArray

# A batch as skorch wants it, a pair (X, y); here X carries the rows' weights along.
Batch = tuple[tuple[torch.Tensor, torch.Tensor | None], torch.Tensor]

# What training data may take of a GPU's free memory; the net needs the rest. Larger data stay on the host.
_DEVICE_SHARE = 0.5


def as_tensor(array: NDArray[Any]) -> torch.Tensor:
    """Return a tensor on the array's own memory, copied only where torch cannot read it as it lies."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = array.copy()
    with warnings.catch_warnings():
        # Nothing here writes to it: a read-only array, such as a memory map, is fine.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


class Rows:
    """Training rows as tensors: on the device where they fit, no wider than the network's numbers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    y : ndarray of int of shape (n_samples,)
        Positions of the classes.
    weight : ndarray of shape (n_samples,) or None
    dtype : torch.dtype
        What the network computes in. Narrower numbers, such as the bytes of images, stay narrow.
    device : torch.device
    """

    def __init__(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[Any] | None,
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.X = as_tensor(X)
        if self.X.element_size() >= dtype.itemsize:
            self.X = self.X.to(dtype)
        if _fits(self.X, device):
            self.X = self.X.to(device)
        # The small ones are on the device always, and the loss never waits for them.
        self.y = torch.as_tensor(y, dtype=torch.int64, device=device)
        self.weight = None if weight is None else torch.as_tensor(weight, dtype=dtype, device=device)

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: torch.Tensor | slice) -> Batch:
        there, here = index, index
        if isinstance(index, torch.Tensor):
            there, here = index.to(self.X.device), index.to(self.y.device)
        weight = None if self.weight is None else self.weight[here]
        return (self.X[there], weight), self.y[here]


class Batches:
    """Mini-batches of rows, in a new random order at each pass, or in their own order without a generator."""

    def __init__(self, rows: Rows, batch_size: int, generator: torch.Generator | None = None) -> None:
        self.rows = rows
        self.generator = generator
        n_rows = len(rows)
        self.bounds = [*range(0, n_rows, batch_size), n_rows]
        if n_rows % batch_size == 1 and 1 < batch_size < n_rows:
            del self.bounds[-2]  # BatchNorm cannot train on a single row: it joins the batch before

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[Batch]:
        if self.generator is None:
            for start, stop in pairwise(self.bounds):
                yield self.rows[start:stop]
            return
        order = torch.randperm(len(self.rows), generator=self.generator)
        order = order.to(self.rows.X.device)
        for start, stop in pairwise(self.bounds):
            yield self.rows[order[start:stop]]


def _fits(tensor: torch.Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return tensor.nbytes <= _DEVICE_SHARE * free
