"""Principal components of the features of a whole pool, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.decomposition import PCA

from ..pool import as_pool, dense
from ..utils.progress import reported

Features = Callable[[Any], NDArray[Any]]
Floats = NDArray[np.float64]

_MOST_FEATURES = 8192  # whose covariance takes half a gigabyte
_SPARE, _MOST_PASSES, _TOLERANCE = 20, 30, 1e-7


def principal_components(
    X: Any, n_components: int, features: Features | None = None, *, seed: int = 0
) -> PCA:
    r"""Fit the principal components of all rows of a pool, a block at a time.

    The covariance of the features is summed up over blocks in float64, each centred by its own mean [1]_:

    .. math:: C_{A \cup B} = C_A + C_B + \frac{n_A n_B}{n_A + n_B} (\mu_B - \mu_A)(\mu_B - \mu_A)^\top

    Its eigenvectors are those that scikit-learn's ``PCA(svd_solver="full")`` finds, with the same signs. For more than
    8192 features, this matrix is not formed: an orthonormal basis is multiplied with the centred features and back,
    pass after pass, until the relative change of its variances is below 1e-7.

    Parameters
    ----------
    X : Pool, ndarray, sparse matrix, data frame or another container of shape (n_samples, ...)
    n_components : int
        At most the number of rows, and the number of features.
    features : callable, default=None
        Maps a block of rows to an array with an entry per row. By default the rows themselves.
    seed : int, default=0
        Draws the initial basis, for more than 8192 features.

    Returns
    -------
    pca : PCA
        A fitted PCA, for its `transform`. Its components have the number type of the features if these are floats, and
        at least float32.

    References
    ----------
    .. [1] Chan, Golub, LeVeque. Updating formulae and a pairwise algorithm for computing sample variances.
       COMPSTAT 1982.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.neighbors import principal_components
    >>> X = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> principal_components(X, 1).transform(X).round(6)
    array([[-5.],
           [ 0.],
           [ 5.]])
    """
    rows = _FeatureRows(X, features)
    n_samples, n_features = len(rows), rows.n_features
    n_components = min(n_components, n_samples, n_features)
    find = _by_covariance if n_features <= _MOST_FEATURES else _by_iteration
    mean, total, variances, vectors = find(rows, n_components, np.random.default_rng(seed))
    largest = np.abs(vectors).argmax(axis=1)[:, None]
    vectors *= np.where(np.take_along_axis(vectors, largest, axis=1) < 0, -1, 1)
    pca = PCA(n_components)
    pca.components_, pca.mean_ = vectors.astype(rows.dtype), mean.astype(rows.dtype)
    pca.n_components_, pca.n_samples_, pca.n_features_in_ = n_components, n_samples, n_features
    pca.explained_variance_ = variances
    # Where all rows are equal, no component has a share of the variance.
    pca.explained_variance_ratio_ = variances / total if total else np.full(n_components, np.nan)
    pca.singular_values_ = np.sqrt(variances * (n_samples - 1))
    n_left = min(n_samples, n_features) - n_components
    pca.noise_variance_ = max(total - variances.sum(), 0.0) / n_left if n_left else 0.0
    return pca


class _FeatureRows:
    """The flat features of a pool in float64, in blocks that are new arrays."""

    def __init__(self, X: Any, features: Features | None) -> None:
        self._pool, self._features = as_pool(X), dense if features is None else features
        one = self._of(self._pool.read(slice(0, 1)))
        self.n_features = one.shape[1]
        self.dtype = np.result_type(one.dtype if one.dtype.kind == "f" else np.float32, np.float32)

    def __len__(self) -> int:
        return len(self._pool)

    def __iter__(self) -> Iterator[Floats]:
        # A block of rows, its features, and both in float64.
        blocks = self._pool.blocks(row_bytes=self._pool.float_bytes + 16 * self.n_features)
        read = (np.array(self._of(block), dtype=np.float64) for block, _ in blocks)
        return reported(read, len(self), len)

    def _of(self, block: Any) -> NDArray[Any]:
        features = self._features(block)
        return features.reshape(len(features), -1)


def _by_covariance(rows: _FeatureRows, n_components: int, _: Any) -> tuple[Floats, float, Floats, Floats]:
    """The mean, the whole variance, and the largest variances with their directions: one pass."""
    n_seen, mean = 0, np.zeros(rows.n_features)
    squares = np.zeros((rows.n_features, rows.n_features))
    for block in rows:
        own_mean = block.mean(axis=0)
        block -= own_mean
        squares += block.T @ block
        apart, share = own_mean - mean, len(block) / (n_seen + len(block))
        squares += np.outer(apart, n_seen * share * apart)
        mean += share * apart
        n_seen += len(block)
    squares /= max(n_seen - 1, 1)
    total, last = float(squares.trace()), rows.n_features - 1
    variances, vectors = eigh(squares, subset_by_index=(last + 1 - n_components, last), overwrite_a=True)
    return mean, total, variances[::-1].clip(min=0), vectors.T[::-1].copy()


def _by_iteration(
    rows: _FeatureRows, n_components: int, rng: np.random.Generator
) -> tuple[Floats, float, Floats, Floats]:
    """The same for many features: subspace iteration, with as many passes as it takes."""
    n_basis = min(n_components + _SPARE, rows.n_features)
    basis = np.linalg.qr(rng.standard_normal((rows.n_features, n_basis)))[0]
    mean = sum(block.sum(axis=0) for block in rows) / len(rows)
    variances = np.zeros(n_components)
    for _ in range(_MOST_PASSES):
        products, total = np.zeros_like(basis), 0.0
        for block in rows:
            block -= mean
            total += float(np.vdot(block, block))
            products += block.T @ (block @ basis)
        products /= max(len(rows) - 1, 1)
        found, mixture = eigh(basis.T @ products)  # of Rayleigh and Ritz
        before, variances = variances, found[::-1][:n_components].clip(min=0)
        vectors = (basis @ mixture[:, ::-1][:, :n_components]).T
        if np.abs(variances - before).max() <= _TOLERANCE * variances[0]:
            break
        basis = np.linalg.qr(products)[0]
    return mean, total / max(len(rows) - 1, 1), variances, vectors
