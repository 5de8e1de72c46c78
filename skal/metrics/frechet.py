"""The Frechet distance between the features of real and of generated rows, and the statistics that it needs."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..pool import dense, row_blocks
from .judges import BLOCK_BYTES, as_rows, feature_function, name_of


class FeatureStatistics:
    """Mean and covariance of the features of rows, one block of rows at a time.

    If you give them to :func:`frechet_distance` as one side, the features of the real rows are not computed again for
    every set of generated rows.

    Parameters
    ----------
    features : callable, fitted transformer, fitted classifier or None, default=None
        Turns a block of rows into an array of shape (n_rows, n_features): a function, a transformer's `transform`, or
        a classifier's penultimate embedding (:func:`skal.access.embed`). None takes the rows themselves, flattened.

    Attributes
    ----------
    n_samples : int
        Number of rows seen.
    mean : ndarray of float64 of shape (n_features,)
    covariance : ndarray of float64 of shape (n_features, n_features)
        With ``n_samples - 1`` in the denominator, as in :func:`numpy.cov`.
    name : str
        Name of a distance between such statistics: "classifier Frechet distance" over a classifier's
        embedding, "torchvision Inception Frechet distance" over :class:`InceptionFeatures`, else "Frechet distance".

    Raises
    ------
    TypeError
        If `features` is none of these, or a classifier without an embedding.
    NotFittedError
        If the transformer or classifier is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.metrics import FeatureStatistics
    >>> X = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    >>> statistics = FeatureStatistics().update(X[:1]).update(X[1:])
    >>> statistics.mean
    array([2., 1.])
    >>> statistics.covariance
    array([[4., 0.],
           [0., 0.]])
    """

    def __init__(self, features: Any = None) -> None:
        feature_function(features)
        self.features = features
        self.name = name_of("Frechet distance", features)
        self.n_samples = 0
        self._mean: Any = 0.0
        self._scatter: Any = 0.0

    def update(self, X: Any) -> Self:
        """Add rows.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)

        Returns
        -------
        self : FeatureStatistics

        Raises
        ------
        ValueError
            If a feature is NaN or infinite, or there are not as many features as before. In this case nothing is added.
        """
        function, new = feature_function(self.features), FeatureStatistics()
        for block, _ in row_blocks(as_rows(X), max_bytes=BLOCK_BYTES):
            features = _as_matrix(function(block), block.shape[0])
            for part, _ in row_blocks(features, max_bytes=BLOCK_BYTES):
                rows = part.astype(np.float64)
                mean = rows.mean(axis=0)
                rows -= mean
                new._add(len(rows), mean, rows.T @ rows)
        return self._add(new.n_samples, new.mean, new._scatter)

    def merge(self, other: Self) -> Self:
        """Add the rows that other statistics have seen, such as those of another process.

        Parameters
        ----------
        other : FeatureStatistics
            Statistics of the same features; they are not changed.

        Returns
        -------
        self : FeatureStatistics

        Raises
        ------
        ValueError
            If the number or the name of the features differs. Other differences cannot be seen.
        """
        _check_same_features(self, other)
        return self._add(other.n_samples, other.mean, other._scatter)

    @property
    def mean(self) -> NDArray[np.float64]:
        self._check_rows(1)
        return self._mean

    @property
    def covariance(self) -> NDArray[np.float64]:
        self._check_rows(2)
        return self._scatter / (self.n_samples - 1)

    def _check_rows(self, at_least: int) -> None:
        if self.n_samples < at_least:
            raise ValueError(
                f"These statistics have seen {self.n_samples} rows and at least {at_least} are needed; call update "
                "with more."
            )

    def _add(self, n_samples: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> Self:
        """Chan, Golub and LeVeque's pairwise update, which does not cancel where means are large."""
        if self.n_samples and len(mean) != len(self._mean):
            raise ValueError(f"{len(mean)} features were given after {len(self._mean)}; give the same ones.")
        total, shift = self.n_samples + n_samples, mean - self._mean
        self._scatter = self._scatter + scatter
        self._scatter += np.outer(shift * (self.n_samples * n_samples / total), shift)
        self._mean = self._mean + shift * (n_samples / total)
        self.n_samples = total
        return self


@dataclass(frozen=True)
class FrechetDistance:
    """The result of :func:`frechet_distance`; ``float(result)`` is the distance.

    Parameters
    ----------
    distance : float
    name : str
        See :class:`FeatureStatistics`: distances over other features are other quantities.
    n_real, n_generated : int
        Number of rows on each side, on which the distance depends.
    n_features : int

    Examples
    --------
    >>> from skal.metrics import FrechetDistance
    >>> float(FrechetDistance(2.5, "Frechet distance", 100, 50, 8))
    2.5
    """

    distance: float
    name: str
    n_real: int
    n_generated: int
    n_features: int

    def __float__(self) -> float:
        return self.distance


def frechet_distance(real: Any, generated: Any, features: Any = None) -> FrechetDistance:
    r"""Squared Frechet distance between the normal distributions that fit real and generated features.

    .. math:: \|\mu_r - \mu_g\|^2 + \operatorname{Tr}(\Sigma_r + \Sigma_g - 2 (\Sigma_r \Sigma_g)^{1/2})

    It is the FID [1]_ if `features` is the Inception network of that paper. The trace of the root is the sum of the
    singular values of :math:`\Sigma_r^{1/2} \Sigma_g^{1/2}`, the roots of the eigenvalues of the symmetric
    :math:`\Sigma_r^{1/2} \Sigma_g \Sigma_r^{1/2}`, so that singular covariances, such as those of fewer rows than
    features, lose no accuracy and cause no imaginary part.

    With few rows the estimated distance is too large, and with fewer rows than features much too large. Compare only
    distances that were computed from equal numbers of rows. The result contains these numbers.

    Parameters
    ----------
    real, generated : array-like, sparse matrix or data frame of shape (n_samples, ...), or FeatureStatistics
        At least two rows, or the statistics of rows, which can be used more than once.
    features : callable, fitted transformer, fitted classifier or None, default=None
        As in :class:`FeatureStatistics`. Statistics bring their own, and the other side's rows go through them.

    Returns
    -------
    result : FrechetDistance
        With `distance` (0 if rounding makes it negative), `name`, `n_real`, `n_generated` and `n_features`.

    Raises
    ------
    ValueError
        If there are fewer than two rows on a side, a feature is NaN or infinite, the two sides have features of
        different numbers or names, or `features` are not those of the given statistics.
    TypeError
        If `features` is not a callable, a transformer or a classifier with an embedding.

    References
    ----------
    .. [1] Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS
       2017, Eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.metrics import frechet_distance
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> round(float(frechet_distance(X, X + [2, 0, 0])), 6)
    4.0
    """
    given = [side for side in (real, generated) if isinstance(side, FeatureStatistics)]
    for statistics in given:
        if features is not None and features != statistics.features:
            raise ValueError(
                f"features={features!r} was given with statistics of other features ({statistics.features!r}); leave "
                "features out, the statistics bring their own."
            )
    features = given[0].features if given else features
    real, generated = (
        side if isinstance(side, FeatureStatistics) else FeatureStatistics(features).update(side)
        for side in (real, generated)
    )
    _check_same_features(real, generated)
    shift, covariances = real.mean - generated.mean, (real.covariance, generated.covariance)
    one, other = map(_factor, covariances)
    trace_of_root = np.linalg.svd(one.T @ other, compute_uv=False).sum()
    squared = shift @ shift + sum(map(np.trace, covariances)) - 2 * trace_of_root
    return FrechetDistance(
        max(0.0, float(squared)), real.name, real.n_samples, generated.n_samples, len(shift)
    )


def _as_matrix(features: Any, n_rows: int) -> NDArray[Any]:
    matrix = dense(features)
    if matrix.ndim < 2 or len(matrix) != n_rows:
        raise ValueError(
            f"Features of shape {matrix.shape} came back for {n_rows} rows; there must be one row of features per row."
        )
    matrix = matrix.reshape(n_rows, -1)
    if matrix.dtype.kind not in "fiub":
        raise ValueError(f"The features are of dtype {matrix.dtype}; they must be real numbers.")
    if not np.isfinite(matrix).all():
        raise ValueError("The features contain NaN or infinity; give rows and features that are finite.")
    return matrix


def _check_same_features(one: FeatureStatistics, other: FeatureStatistics) -> None:
    described = [f"{len(s.mean)} features ({s.name})" for s in (one, other) if s.n_samples]
    if one.name != other.name or len(set(described)) > 1:
        raise ValueError(
            f"The statistics are of different features: {' and '.join(described)}; take the same for both."
        )


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """L with L @ L.T the covariance, of shape (n_features, rank)."""
    values, vectors = np.linalg.eigh(covariance)
    # Zeros that rounding has changed would be a hundred million times as large under the root.
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])
