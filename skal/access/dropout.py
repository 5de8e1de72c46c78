"""Monte-Carlo dropout: passes of a network with units dropped, and everything else as in prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from ..training.batches import as_tensors, map_parts
from ..training.estimator import NetworkEstimator
from .differentiable import as_torch
from .embeddings import check_n_features
from .wrappers import overrides, own_method

# AlphaDropout sets what it drops to the value of a saturated unit of a SELU network.
_SATURATED = -1.7580993408473766


def dropout_layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers of a module that drop something in training.

    Examples
    --------
    >>> from torch import nn
    >>> from skal.access.dropout import dropout_layers
    >>> dropout_layers(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2), nn.Dropout(0)))
    [Dropout(p=0.2, inplace=False)]
    """
    return [part for part in module.modules() if isinstance(part, _DropoutNd) and part.p > 0]


class DropoutPasses:
    """Several passes of the same rows through a module, each with its own dropout masks.

    All rows share the masks of a pass: each pass is one network, drawn from the posterior that dropout approximates
    [1]_. The answer for a row does not depend on the other rows. Only instances of torch's dropout classes drop
    anything. The parts before the first dropout compute the same in every pass, so they run once.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode. It is changed during the passes, and transformers in it lose their fast path permanently:
        give a copy that nothing else uses.
    n_passes : int
    seed : int
        Decides the masks. They depend neither on the device nor on how the rows are cut into blocks.

    References
    ----------
    .. [1] Gal and Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from skal.access.dropout import DropoutPasses
    >>> passes = DropoutPasses(nn.Sequential(nn.Dropout(0.5)), n_passes=3, seed=0)
    >>> passes(torch.ones(2, 4)).shape
    torch.Size([2, 3, 4])
    """

    def __init__(self, module: nn.Module, n_passes: int, seed: int) -> None:
        self.module = module
        self.seeds = np.random.SeedSequence(seed).generate_state(n_passes, np.uint64) >> np.uint64(1)
        self._generator = torch.Generator()
        for part in module.modules():
            # In evaluation mode transformers run one operation that knows no dropout, unless:
            if isinstance(part, nn.TransformerEncoderLayer):
                part.activation_relu_or_gelu = 0
            elif isinstance(part, nn.TransformerEncoder):
                part.use_nested_tensor = False

    @torch.no_grad()  # and no inference mode, whose tensors do not tell whether they were written to
    def __call__(self, rows: Tensor) -> Tensor:
        """Return the outputs of all passes, of shape (n_rows, n_passes, ...)."""
        # The outputs of the outermost parts that ran before any dropout, in the order of their calls.
        self._known: list[tuple[nn.Module, Tensor]] = []
        self._recording = True
        outputs = []
        with self._dropping():
            for seed in self.seeds:
                self._generator.manual_seed(int(seed))
                self._place = 0
                outputs.append(self.module(rows))
                if self._recording:
                    raise TypeError(
                        f"{type(self.module).__name__} runs none of its dropout layers; call them in forward."
                    )
                if len(outputs) == 1 and [value._version for _, value in self._known] != self._versions:
                    self._known = []  # a later part writes to what an earlier one has returned
        self._known = []
        return torch.stack(outputs, dim=1)

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """Let the parts of the module ask this object first, but not for ever: such a circle frees its weights late."""
        layers = set(dropout_layers(self.module))
        parts = [part for part in self.module.modules() if not isinstance(part, torch.jit.ScriptModule)]
        own = {part: vars(part)["forward"] for part in parts if "forward" in vars(part)}
        for part in parts:
            if part in layers:
                vars(part)["forward"] = partial(self._drop, part)
            elif part is not self.module:
                vars(part)["forward"] = partial(self._run, part, part.forward)
        try:
            yield
        finally:
            for part in parts:
                vars(part).pop("forward", None)
            for part, forward in own.items():
                vars(part)["forward"] = forward

    def _run(self, part: nn.Module, forward: Callable[..., Any], *inputs: Any, **params: Any) -> Any:
        if not self._recording:
            if self._place < len(self._known) and self._known[self._place][0] is part:
                self._place += 1
                return self._known[self._place - 1][1]
            return forward(*inputs, **params)
        start = len(self._known)
        output = forward(*inputs, **params)
        if self._recording and isinstance(output, Tensor) and not output.is_inference():
            self._known[start:] = [(part, output)]
        return output

    def _drop(self, layer: Any, x: Tensor) -> Tensor:
        if self._recording:
            self._recording = False
            self._versions = [value._version for _, value in self._known]
            self._place = len(self._known)
        if layer.p == 1:
            return torch.zeros_like(x)
        whole_channels = not isinstance(layer, nn.Dropout | nn.AlphaDropout)
        shape = (1, x.shape[1], *[1] * (x.ndim - 2)) if whole_channels else (1, *x.shape[1:])
        keep = (torch.rand(shape, generator=self._generator) >= layer.p).to(x)
        if isinstance(layer, nn.AlphaDropout | nn.FeatureAlphaDropout):
            scale = ((1 - layer.p) * (1 + layer.p * _SATURATED**2)) ** -0.5
            return scale * (x * keep + _SATURATED * (1 - keep) - layer.p * _SATURATED)
        return x * (keep / (1 - layer.p))


def dropout_passes(classifier: Any) -> Callable[..., NDArray[Any]] | None:
    """Return the function of rows, `n_passes` and `seed` that makes the passes; None without dropout layers.

    A subclass of a network that overrides `predict_proba` needs a method `dropout_proba`.
    """
    if own := own_method(classifier, "dropout_proba"):
        return own
    for kind in (NetworkEstimator, NeuralNet):
        if isinstance(classifier, kind) and overrides(classifier, kind, "predict_proba"):
            return None
    net = classifier if isinstance(classifier, NeuralNet) else getattr(classifier, "net_", None)
    if isinstance(net, NeuralNet) and net.initialized_:
        drops = bool(dropout_layers(net.module_))
    else:  # a network that is not built yet may have some
        drops = isinstance(classifier, NetworkEstimator | NeuralNet)
    copied = cache(partial(as_torch, classifier))  # once, for all blocks

    def passes(X: NDArray[Any], n_passes: int, seed: int) -> NDArray[Any]:
        check_n_features(classifier, X)
        module = copied()
        device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
        rows = map_parts(lambda part: part.to(device), as_tensors(X))
        logits = DropoutPasses(module, n_passes, seed)(rows)
        return logits.softmax(dim=2).numpy(force=True)

    return passes if drops else None
