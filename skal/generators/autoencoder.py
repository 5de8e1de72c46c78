"""Autoencoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ..nets import AUTOENCODERS
from ..nets.shapes import architecture_for
from .reconstruction import Reconstructor, RowLosses, reconstruction_loss


@dataclass(eq=False, repr=False, kw_only=True)
class AutoEncoder(Reconstructor):
    """Autoencoder: short codes of rows, from which the rows can be reconstructed.

    The networks are those of ASAL [1]_, where the codes are the features in which synthesised images are matched with
    the pool. Rows may lie on any scale; the loss is the squared error, summed over the numbers of a row on
    the network's scale.

    Parameters
    ----------
    architecture : str or type, default="auto"
        A name in `skal.nets.AUTOENCODERS`: "dense" for plain rows; "mnist", "cifar" and "celeba" for images of about
        28x28, 32x32 and 64x64 pixels. Or a class ``module(input_shape)`` with ``encode(x)``, ``decode(z)``, `n_latent`,
        and `output_range` if its outputs are bounded. "auto" chooses by the shape of a row; images below 16x16 pixels
        get "dense".
    module_params : dict, default=None
        Further arguments of the architecture, such as ``{"channels": (1, 2, 4)}`` for the 64-d code of ASAL's
        two-class experiments, or ``{"n_latent": 8}`` for "dense".
    {optimizer, optimizer_params, lr, max_epochs}
    batch_size : int, default=100
        Rows of a step.
    {validation_fraction, patience, image_shape, dtype, amp, compile, device, checkpoint, checkpoint_every, callbacks,
    verbose, random_state}

    Attributes
    ----------
    history_ : dict of ndarray
        Means over each epoch: ``loss``, and ``valid_loss`` with held-out rows; and ``step``, the number of steps made
        at its end.
    {module_, net_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_}
    n_latent_ : int
        Length of a code.

    See Also
    --------
    VAE : Its codes follow a known distribution, so it can also generate rows.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020, supplement, Tables 4, 6 and 9.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.generators import AutoEncoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> encoder = AutoEncoder(module_params={"n_latent": 2}, random_state=0).fit(X)
    >>> codes = encoder.transform(X)
    >>> codes.shape, encoder.inverse_transform(codes).shape
    ((150, 2), (150, 4))
    """

    _architectures: ClassVar[dict[str, type[nn.Module]]] = AUTOENCODERS
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "architecture": [StrOptions({"auto", *AUTOENCODERS}), callable],
    }

    architecture: str | Callable[..., nn.Module] = field(default="auto", kw_only=False)
    batch_size: int = 100

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return minus the mean squared error of the reconstructions: higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        y : None
            Ignored.

        Returns
        -------
        score : float
            In the squared units of X, mean over rows and numbers.
        """
        check_is_fitted(self)
        decoder = self._forward(self._decoder())
        encoder = self._forward(self._encoder())

        def errors(rows: torch.Tensor) -> tuple[torch.Tensor]:
            (reconstructions,) = decoder(encoder(rows)[0])
            differences = rows.to(reconstructions).flatten(1) - reconstructions.flatten(1)
            return (differences.square().mean(1),)

        (means,) = self._run(X, errors)
        return -float(means.mean(dtype=np.float64))

    def _choose(self, input_shape: tuple[int, ...]) -> str:
        name = architecture_for(input_shape)
        return name if name in AUTOENCODERS else "dense"

    def _row_losses(self) -> RowLosses:
        return reconstruction_loss
