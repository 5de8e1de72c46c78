"""The base of the autoencoders: a module that is trained to reconstruct rows, epoch by epoch, with early stopping."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval
from skorch.callbacks import EarlyStopping
from torch import Tensor, nn

from ..training.estimator import module_builder, optimizer_params
from .coding import CodingEstimator, check_coder
from .losses import squared_error
from .scaled_net import ScaledNet

Losses = dict[str, Tensor]
RowLosses = Callable[..., Losses]  # of the module and the rows


class ReconstructionNet(ScaledNet):
    """A skorch net that trains a module with ``encode`` and ``decode`` to reconstruct rows.

    Parameters
    ----------
    module : callable
    row_losses : callable
        Maps the module and rows to the terms of the loss, each of shape (n_rows,).
    **params
        Parameters of `ScaledNet`.
    """

    row_losses: RowLosses

    def build_modules(self) -> None:
        """Build the module, and check that it encodes and decodes."""
        super().build_modules()
        check_coder(self)

    def losses(self, batch: Any) -> Losses:
        """Return the mean terms of the loss over a batch of rows of X."""
        with self.autocast():
            terms = self.row_losses(self.module_, self.prepare_rows(batch))
        return {name: term.to(self.dtype).mean() for name, term in terms.items()}


@dataclass(eq=False, repr=False, kw_only=True)
class Reconstructor(CodingEstimator):
    """Base of `AutoEncoder` and `VAE`: trained to reconstruct the rows.

    Parameters
    ----------
    max_epochs : int, default=40
        Passes over the rows; fewer if early stopping ends training.
    validation_fraction : float, default=None
        Share of the rows, in (0, 1), that is held out and decides when to stop: after `patience` epochs in a row whose
        held-out loss does not improve on the best one by more than a share of 1e-4. The weights are then those of the
        last epoch that did improve. None trains on all rows for `max_epochs`.
    patience : int, default=10
        Epochs without improvement before training stops; needs `validation_fraction`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left")],
    }

    lr: float = 1e-3
    max_epochs: int = 40
    validation_fraction: float | None = None
    patience: int = 10

    @abstractmethod
    def _row_losses(self) -> RowLosses:
        """Return the function that computes the terms of the loss; it must pickle."""

    def _make_net(self, input_shape: tuple[int, ...], **params: Any) -> ScaledNet:
        module = self._module_class(input_shape)
        stopping = EarlyStopping(monitor="valid_loss", patience=self.patience, load_best=True)
        return ReconstructionNet(
            module_builder(module, self._module_params(), input_shape=input_shape),
            row_losses=self._row_losses(),
            output_range=getattr(module, "output_range", None),
            compile_modules=self.compile,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            callbacks=[] if self.validation_fraction is None else [("early_stopping", stopping)],
            verbose=self.verbose,
            input_shape=input_shape,
            **optimizer_params(self.optimizer, self.optimizer_params),
            **params,
        )

    def _split(self, n_rows: int, rng: np.random.Generator) -> list[NDArray[np.intp] | None]:
        if self.validation_fraction is None:
            return [None]
        n_held_out = max(1, round(self.validation_fraction * n_rows))
        if n_rows - n_held_out < self._min_samples:
            raise ValueError(
                f"validation_fraction={self.validation_fraction:g} of {n_rows} rows leaves {n_rows - n_held_out} for "
                f"training, and at least {self._min_samples} are needed; give more rows, or validation_fraction=None"
            )
        order = rng.permutation(n_rows)
        return [np.sort(order[n_held_out:]), np.sort(order[:n_held_out])]


def reconstruction_loss(module: nn.Module, rows: Tensor) -> Losses:
    """Return the squared error of each row's reconstruction, summed over its numbers."""
    return {"loss": squared_error(rows, module(rows))}
