"""Networks of skal and of skorch as torch modules that compute their logits."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from sklearn.exceptions import NotFittedError
from skorch import NeuralNet
from torch import Tensor, nn

from ..pool import as_pool
from ..training.estimator import BLOCK_ROWS, NetworkEstimator
from ..training.net import Scale, prepared, takes_integers
from ..training.recording import called, logits_in
from .conversions import log_proba, two_columns
from .differentiable import torch_module
from .wrappers import open_pipeline

# How the outputs of a raw net become logits. With NLLLoss skorch takes them for probabilities.
_LOGITS: dict[type[nn.Module], Callable[[Tensor], Tensor] | None] = {
    nn.CrossEntropyLoss: None,
    nn.NLLLoss: log_proba,
    nn.BCEWithLogitsLoss: two_columns,
    nn.BCELoss: log_proba,
}


class Network(nn.Module):
    """A copy of a network; its rows are cast to the parameters' dtype, reshaped to `row_shape`, and scaled.

    Parameters
    ----------
    module : torch.nn.Module
    logits : callable, default=None
        Turns the output of the network into logits.
    row_shape : tuple of int, default=None
        By default rows keep their shape.
    scale : pair, default=None
        See :class:`skal.training.net.TrainingNet`.
    keeps_booleans : bool, default=False
        Whether boolean arrays of a mapping, such as masks, stay boolean.
    """

    def __init__(
        self,
        module: nn.Module,
        logits: Callable[[Tensor], Tensor] | None = None,
        row_shape: tuple[int, ...] | None = None,
        scale: Scale = None,
        *,
        keeps_booleans: bool = False,
    ) -> None:
        super().__init__()
        # A compiled module cannot be copied; the one it wraps computes the same.
        self.module = copy.deepcopy(getattr(module, "_orig_mod", module))
        self.logits = logits
        self.row_shape = row_shape
        self.scale = scale
        self.keeps_integers = takes_integers(self.module)
        self.keeps_booleans = keeps_booleans

    def forward(self, rows: Any) -> Tensor:
        """Return the logits of the rows."""
        dtype, kept = weight_dtype(self.module), {}
        if self.keeps_booleans and isinstance(rows, dict):
            kept = {name: part for name, part in rows.items() if part.dtype == torch.bool}
        rows = prepared(rows, dtype, self.row_shape, self.scale, keeps_integers=self.keeps_integers)
        rows = {**rows, **kept} if kept else rows
        outputs = called(self.module, rows)
        outputs = logits_in(outputs)
        if isinstance(outputs, tuple):  # skorch's convention: the first is the prediction
            outputs = outputs[0]
        return outputs if self.logits is None else self.logits(outputs)


@torch_module.register
def _(estimator: NetworkEstimator) -> nn.Module:
    net = estimator.net_
    return Network(net.module_, row_shape=estimator.input_shape_, scale=net.scale)


@torch_module.register
def _(net: NeuralNet) -> nn.Module:
    if not net.initialized_:  # older skorch does not tell check_is_fitted
        raise NotFittedError(f"This {type(net).__name__} is not fitted yet; call fit first.")
    nonlinearity = net.predict_nonlinearity
    if callable(nonlinearity):
        return Network(net.module_, lambda outputs: log_proba(nonlinearity(outputs)), keeps_booleans=True)
    criterion = getattr(net, "criterion_", None)
    criterion = getattr(criterion, "_orig_mod", criterion)
    for kind, logits in _LOGITS.items():
        if isinstance(criterion, kind):
            return Network(net.module_, logits, keeps_booleans=True)
    raise TypeError(
        f"{type(net).__name__} with criterion {type(criterion).__name__} was given, whose outputs may mean "
        "anything. Use CrossEntropyLoss (logits), NLLLoss (probabilities), BCEWithLogitsLoss or BCELoss, or a "
        "predict_nonlinearity that turns the outputs into probabilities."
    )


def input_dtype(module: nn.Module) -> torch.dtype | None:
    """Return the dtype of the rows that a module takes, or None if rows are not to be converted.

    Examples
    --------
    >>> import torch
    >>> from skal.access.networks import input_dtype
    >>> input_dtype(torch.nn.Linear(2, 2))
    torch.float32
    """
    return None if takes_integers(module) else weight_dtype(module)


def weight_dtype(module: nn.Module) -> torch.dtype:
    """Return the number format of a module's weights."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def batch_rows(estimator: Any, X: Any) -> int:
    """Return how many rows of `X` a classifier's network takes at a time on its device.

    Parameters
    ----------
    estimator : classifier
    X : Pool, ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)

    Returns
    -------
    n_rows : int
        Fewer if rows are images.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.access import batch_rows
    >>> batch_rows(LogisticRegression(), np.zeros((3, 2)))
    1024
    """
    classifier = open_pipeline(estimator)[1]
    device = torch.device(getattr(getattr(classifier, "net_", classifier), "device", None) or "cpu")
    is_plain = len(getattr(classifier, "input_shape_", as_pool(X).row_shape)) == 1
    return BLOCK_ROWS.get(device.type, BLOCK_ROWS["cpu"])[is_plain]
