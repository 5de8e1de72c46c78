"""Softmax regression trained by gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch

from ..nets import Linear
from .net_classifier import NetClassifier


class LinearClassifier(NetClassifier):
    """Softmax regression on the flattened row: a `NetClassifier` of one linear layer, :class:`skal.nets.Linear`.

    Its embeddings are the flattened rows.

    Parameters
    ----------
    optimizer, optimizer_params, batch_size, validation_fraction, patience, image_shape, dtype, amp, device, \
warm_start, callbacks, verbose, random_state
        As in :class:`NetClassifier`. An L2 penalty is ``optimizer_params={"weight_decay": ...}``.
    lr : float, default=1e-2
        Learning rate.
    max_epochs : int, default=100
        Passes over the rows.

    Attributes
    ----------
    classes_, net_, module_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_
        As in :class:`NetClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import LinearClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> LinearClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        name: constraint
        for name, constraint in NetClassifier._parameter_constraints.items()
        if name not in ("module", "module_params")
    }

    def __init__(
        self,
        *,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_params: dict[str, Any] | None = None,
        lr: float = 1e-2,
        max_epochs: int = 100,
        batch_size: int = 64,
        validation_fraction: float | None = None,
        patience: int = 10,
        image_shape: tuple[int, ...] | None = None,
        dtype: str = "auto",
        amp: bool = False,
        device: str | torch.device = "auto",
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            Linear,
            optimizer=optimizer,
            optimizer_params=optimizer_params,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            patience=patience,
            image_shape=image_shape,
            dtype=dtype,
            amp=amp,
            device=device,
            warm_start=warm_start,
            callbacks=callbacks,
            verbose=verbose,
            random_state=random_state,
        )
