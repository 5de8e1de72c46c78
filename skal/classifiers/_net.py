"""The skorch net that trains our classifiers' modules: cross entropy over weighted rows."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping

from ..training.net import TrainingNet


class Net(TrainingNet, NeuralNetClassifier):
    """A skorch net for :class:`~skal.classifiers.NetClassifier`, which validates for it.

    Parameters
    ----------
    module : callable
        Builds the module; takes no arguments.
    n_classes : int
    **params
        Parameters of `TrainingNet`.
    """

    def __init__(self, module: Callable[[], torch.nn.Module], *, n_classes: int, **params: Any) -> None:
        super().__init__(module, criterion=torch.nn.CrossEntropyLoss, **params)
        self.n_classes = n_classes

    def infer(self, x: Any, **params: Any) -> torch.Tensor:
        """Return the logits of a batch of rows, whatever numbers and shape these lie in."""
        x = self.prepare_rows(x[0] if isinstance(x, tuple | list) else x)
        with self.autocast():
            logits = self.module_(x, **params).to(self.dtype)
        if logits.shape != (len(x), self.n_classes):
            raise ValueError(
                f"the module returned shape {tuple(logits.shape)} for {len(x)} rows; it must return logits of "
                f"shape (n_rows, n_classes) = {(len(x), self.n_classes)}"
            )
        return logits

    def get_loss(
        self, y_pred: torch.Tensor, y_true: torch.Tensor, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Return the mean cross entropy, weighted where the rows have weights."""
        weight = X[1] if isinstance(X, tuple | list) else None
        if weight is None:
            return self.criterion_(y_pred, y_true)
        losses = torch.nn.functional.cross_entropy(y_pred, y_true, reduction="none")
        return (losses * weight).sum() / weight.sum()

    def step_losses(self, batch: Any, step: dict[str, Any]) -> tuple[dict[str, torch.Tensor], Any]:
        """Return the cross entropy and the batch's weight."""
        (X, weight), _ = batch
        return {"loss": step["loss"]}, len(X) if weight is None else weight.sum()


class BestEpoch(EarlyStopping):
    """Early stopping that gives all modules of a net the weights of their best epoch; skorch's own restores one."""

    def on_epoch_end(self, net: Any, **params: Any) -> None:
        """Keep the weights of a better epoch."""
        super().on_epoch_end(net, **params)
        if not self.misses_:
            self.best_model_weights_ = deepcopy(net.state_dict())

    def on_train_end(self, net: Any, **params: Any) -> None:
        """Return to the best epoch."""
        if self.misses_:
            net.load_state_dict(self.best_model_weights_)
