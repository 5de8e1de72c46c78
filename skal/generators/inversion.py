"""GAN inversion: the latent codes of rows, for generators without an encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
    clone,
)
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..pool import blockwise, check_pool, check_readable
from ..training.batches import as_tensor
from ..utils.progress import counted
from ..utils.random import draw_seed, seed_random_states
from .base import check_latents
from .gan import GAN


@dataclass(eq=False, repr=False, kw_only=True)
class GANInversion(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    r"""Latent codes of rows by gradient descent: for each row, the latent whose generated row is closest to it.

    .. math:: z(x) = \arg\min_z \frac{\lVert G(z) - x \rVert^2}{n\,\sigma^2} + \lambda \frac{\lVert z \rVert^2}{d}

    for rows of n numbers, whose mean variance over the pool is :math:`\sigma^2`, and latents of length d. Adam searches
    the minimum from the nearest of `n_starts` latents, and the best point of the path is kept. A row's code does not
    depend on other rows. :class:`skal.strategies.ADBA` needs codes of the pool, and the WGAN of ASAL ([1]_, Section
    5.3) has no encoder.

    Parameters
    ----------
    generator : estimator, default=None
        Anything with `fit`, `n_latent_` and `torch_decoder`; ``GAN()`` by default. A clone of it is trained on the
        rows. A fitted generator in a ``FrozenEstimator`` is not trained again.
    n_steps : int, default=200
        Steps of Adam.
    learning_rate : float, default=0.1
        Step size; each coordinate of z moves by about ``n_steps * learning_rate`` at most.
    n_starts : int, default=32
        Latents from which each row takes the nearest as its start: zero and random ones, the same for all rows.
    penalty : float, default=0.0
        The weight :math:`\lambda` that pulls codes towards zero, where the generator's latents are most likely.
    batch_size : int, default=256
        Rows that are inverted together. Memory grows with it; the result is the same up to rounding.
    random_state : int, RandomState instance or None, default=None
        Seeds the generator and draws the starts.

    Attributes
    ----------
    generator_ : estimator
        The trained generator.
    starts_ : ndarray of shape (n_starts, n_latent)
        The latents from which each row takes its start.
    scale_ : float
        The mean variance :math:`\sigma^2`.
    n_features_in_ : int
        Numbers in a row: the product of its shape.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X has string names.

    See Also
    --------
    ALI, VAE : Have an encoder, which is many times faster.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.generators import GAN, GANInversion
    >>> X, _ = load_iris(return_X_y=True)
    >>> inversion = GANInversion(GAN(n_latent=8, n_iter=20), n_steps=20, random_state=0).fit(X)
    >>> codes = inversion.transform(X)
    >>> codes.shape, inversion.inverse_transform(codes).shape
    ((150, 8), (150, 4))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "generator": [HasMethods(["fit", "torch_decoder"]), None],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "n_starts": [Interval(Integral, 1, None, closed="left")],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    generator: Any = field(default=None, kw_only=False)
    n_steps: int = 200
    learning_rate: float = 0.1
    n_starts: int = 32
    penalty: float = 0.0
    batch_size: int = 256
    random_state: int | np.random.RandomState | None = None

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train the generator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows on any scale, such as images (n_samples, C, H, W).
        y : None
            Ignored.

        Returns
        -------
        self : GANInversion

        Raises
        ------
        ValueError
            If X has NaN or infinity, or a fitted generator makes rows of another size.
        """
        rows = _dense(self, X, reset=True)
        seed = draw_seed(self.random_state)
        self.generator_ = GAN() if self.generator is None else clone(self.generator)
        seed_random_states(self.generator_, seed)
        self.generator_.fit(rows, None)
        self._row_shape = rows.shape[1:]
        self.starts_ = np.random.default_rng(seed).standard_normal((self.n_starts, self.generator_.n_latent_))
        self.starts_[0] = 0
        (generated,) = self._decode(self.starts_[:1])
        if generated.size != self.n_features_in_:
            raise ValueError(
                f"the generator makes rows of shape {generated.shape}, and the rows of X have shape "
                f"{self._row_shape}; give a generator that was trained on rows like those of X"
            )
        mean = rows.mean(axis=0, dtype=np.float64)
        variance = blockwise(
            lambda block: np.square(block - mean).reshape(len(block), -1).mean(axis=1),
            rows,
            row_bytes=16 * self.n_features_in_,
        )
        self.scale_ = float(variance.mean()) or 1.0
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Find the latent codes of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows in either of the two shapes: flat, or that of `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_latent)
            In the number type of the generator.
        """
        check_is_fitted(self)
        rows = _dense(self, X, reset=False)
        decoder = self.generator_.torch_decoder()
        starts = _latents(self.starts_, decoder)
        with torch.no_grad():
            images = decoder(starts).flatten(1)
        return self._in_batches(lambda batch: self._invert(decoder, starts, images, batch), rows)

    def _invert(
        self, decoder: nn.Module, starts: Tensor, images: Tensor, batch: NDArray[Any]
    ) -> NDArray[Any]:
        targets = as_tensor(batch.reshape(len(batch), -1)).to(images)

        def error(rows: Tensor, z: Tensor) -> Tensor:
            """Return the objective of each row, shape (n_rows,)."""
            return (rows - targets).square().mean(dim=1) / self.scale_ + self.penalty * z.square().mean(dim=1)

        # One start at a time: all distances at once would be n_starts times as large.
        first = torch.stack([error(image, z[None]) for image, z in zip(images, starts, strict=True)])
        lowest, choice = first.min(dim=0)
        best = starts[choice]
        z = best.clone().requires_grad_(True)
        adam = torch.optim.Adam([z], lr=self.learning_rate)
        for step in counted(range(self.n_steps + 1), "steps of the inversion"):
            errors = error(decoder(z).flatten(1), z)
            better = errors < lowest
            lowest = torch.where(better, errors.detach(), lowest)
            best = torch.where(better[:, None], z.detach(), best)
            if step < self.n_steps:
                (z.grad,) = torch.autograd.grad(errors.sum(), z)
                adam.step()
        return best.numpy(force=True)

    def inverse_transform(self, Z: ArrayLike) -> NDArray[np.floating]:
        """Generate rows from latent codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_latent)

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            On the scale and in the shape of the rows that `fit` saw.

        Raises
        ------
        ValueError
            If the codes do not have the length of the generator's latents.
        """
        check_is_fitted(self)
        codes = check_latents(self, Z, self._n_features_out)
        return self._decode(codes).reshape(-1, *self._row_shape)

    def _decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        decoder = self.generator_.torch_decoder()
        with torch.no_grad():
            return self._in_batches(lambda batch: decoder(_latents(batch, decoder)).numpy(force=True), codes)

    def _in_batches(
        self, compute: Callable[[NDArray[Any]], NDArray[Any]], rows: NDArray[Any]
    ) -> NDArray[Any]:
        starts = range(0, len(rows), self.batch_size)
        return np.concatenate([compute(rows[start : start + self.batch_size]) for start in starts])

    @property
    def _n_features_out(self) -> int:
        return cast(int, self.generator_.n_latent_)


def _latents(codes: NDArray[Any], decoder: nn.Module) -> Tensor:
    """Return codes in the numbers and on the device of a decoder."""
    return as_tensor(codes).to(next(decoder.parameters(), torch.zeros((), dtype=torch.float64)))


def _dense(estimator: GANInversion, X: Any, *, reset: bool) -> NDArray[Any]:
    pool = check_pool(estimator, X, reset=reset)
    check_readable(estimator, pool)
    return pool.dense()
