"""The skorch net that trains our classifiers' modules: batches sliced from tensors, weighted rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochTimer, PrintLog
from skorch.exceptions import DeviceWarning

from ._batches import Batches, Rows


class Net(NeuralNetClassifier):
    """A skorch net for :class:`~skal.classifiers.NetClassifier`, which validates for it.

    Parameters
    ----------
    module : callable
        Builds the module; takes no arguments.
    input_shape : tuple of int
        Shape that the module wants a row in.
    n_classes : int
    dtype : torch.dtype
    amp : bool
        Whether to run the module under bfloat16 autocast.
    seed : int
        Seed of the order of the batches.
    **params
        Parameters of skorch's net.
    """

    def __init__(
        self,
        module: Callable[[], torch.nn.Module],
        *,
        input_shape: tuple[int, ...],
        n_classes: int,
        dtype: torch.dtype,
        amp: bool,
        seed: int,
        **params: Any,
    ) -> None:
        super().__init__(module, criterion=torch.nn.CrossEntropyLoss, train_split=None, **params)
        self.input_shape = input_shape
        self.n_classes = n_classes
        self.dtype = dtype
        self.amp = amp
        self.seed = seed

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())] if self.verbose else []

    def initialize_module(self) -> Net:
        """Build the module in its number format; convolutions run fastest channels-last."""
        super().initialize_module()
        self.module_.to(dtype=self.dtype)
        if len(self.input_shape) == 3:
            self.module_.to(memory_format=torch.channels_last)
        return self

    def get_split_datasets(self, X: Any, y: Any = None, **params: Any) -> tuple[Rows, Rows | None]:
        """Take the sets of rows as they come: ``X`` is [training] or [training, validation]."""
        training, *validation = X
        return training, validation[0] if validation else None

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Let rows pass as they are, and skorch wrap anything else."""
        return X if isinstance(X, Rows) else super().get_dataset(X, y)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Slice batches of rows, shuffled in training."""
        if not isinstance(dataset, Rows):
            return super().get_iterator(dataset, training=training)
        generator = torch.Generator().manual_seed(self.seed) if training else None
        return Batches(dataset, self.batch_size, generator)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable[..., Any], **params: Any
    ) -> None:
        """Run the batches and record the weighted mean loss; skorch would wait for the device at every batch."""
        if iterator is None:
            return
        total, weight = 0.0, 0.0
        for batch in iterator:
            (X, row_weight), _ = batch
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **params)
            self.history.record_batch(f"{prefix}_batch_size", len(X))
            self.notify("on_batch_end", batch=batch, training=training, **step)
            batch_weight = len(X) if row_weight is None else row_weight.sum()
            total += step["loss"].detach() * batch_weight
            weight += batch_weight
        loss = float(total / weight)
        if not math.isfinite(loss):
            raise ValueError(
                f"the {prefix} loss became {loss} in epoch {len(self.history)}: training diverged; "
                f"set a smaller lr (now {self.lr:g}) or scale X"
            )
        self.history.record(f"{prefix}_loss", loss)
        self.history.record(f"{prefix}_loss_best", loss <= min(self.history[:, f"{prefix}_loss"]))
        self.history.record(f"{prefix}_batch_count", len(iterator))

    def infer(self, x: Any, **params: Any) -> torch.Tensor:
        """Return the logits of a batch of rows, whatever numbers and shape these lie in."""
        x = x[0] if isinstance(x, tuple | list) else x
        x = x.to(self.device, self.dtype).reshape(-1, *self.input_shape)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        if not self.amp:
            logits = self.module_(x, **params)
        else:
            with torch.autocast(x.device.type, dtype=torch.bfloat16):
                logits = self.module_(x, **params)
            logits = logits.to(self.dtype)
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

    def __setstate__(self, state: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            # A net that was saved on a GPU and is loaded without one belongs on the CPU; nothing to warn of.
            warnings.simplefilter("ignore", DeviceWarning)
            super().__setstate__(state)
