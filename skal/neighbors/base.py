"""The base of the indexes: checks of rows and of numbers of neighbours."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils.validation import check_is_fitted, validate_data

from ..utils.checks import check_integer
from ..utils.random import draw_seed

Floats = NDArray[np.float32]
Answer = tuple[NDArray[np.float64], NDArray[np.intp]]

MOST_INT32 = 2**31 - 1


class NeighborIndex(BaseEstimator):
    """Base class of the indexes: a query changes nothing, and several threads may query at the same time."""

    n_features_in_: int
    random_state: Any

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Build the index.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The pool. Other types than float32 are cast.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted index.

        Raises
        ------
        ValueError
            For NaN or infinity, numbers that float32 cannot hold, no rows, or an array that is not 2-D.
        """
        pool: NDArray[Any] = validate_data(self, X, dtype="numeric")
        self._build(pool, draw_seed(self.random_state))
        self.n_samples_fit_ = len(pool)
        return self

    def kneighbors(self, X: ArrayLike, n_neighbors: int = 1) -> Answer:
        """Find the nearest rows of the pool.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Queries, compared in float32.
        n_neighbors : int, default=1
            Between 1 and the number of rows of the pool.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), dtype float64
            Euclidean distances, ascending.
        indices : ndarray of shape (n_queries, n_neighbors), dtype intp
            Distinct positions in the pool; among equal distances, the lower position comes first.

        Raises
        ------
        NotFittedError
            If the index is not fitted.
        ValueError
            For NaN or infinity, another number of columns, or an `n_neighbors` out of range.
        """
        queries, k = self._check_queries(X), check_integer("n_neighbors", n_neighbors)
        if k > self.n_samples_fit_:
            raise ValueError(
                f"n_neighbors={k} was given; the pool has only {self.n_samples_fit_} rows, ask for fewer"
            )
        return self._search(queries, k)

    def _check_queries(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return as_float32(validate_data(self, X, dtype="numeric", reset=False))

    def _build(self, pool: NDArray[Any], seed: int) -> None:
        raise NotImplementedError

    def _search(self, queries: Floats, k: int) -> Answer:
        raise NotImplementedError


def positions_dtype(n_samples: int) -> type[np.integer]:
    """Return the type of positions in a pool: int32 if they fit into it."""
    return np.int32 if n_samples <= MOST_INT32 else np.int64


def as_float32(X: NDArray[Any]) -> Floats:
    """Return finite rows in float32, without a copy if they already are; ValueError if float32 cannot hold them."""
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(X, dtype=np.float32)
    if cast is not X and not np.isfinite(cast).all():
        raise ValueError(
            f"X reaches {np.abs(X).max():g}, which float32 cannot hold; scale it to less than 3e38"
        )
    return cast
