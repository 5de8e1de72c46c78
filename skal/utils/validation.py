"""Validation of pools: any container that scikit-learn takes, checked once and never copied."""

from __future__ import annotations

import zlib
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import get_tags
from sklearn.utils.validation import (
    _check_n_features,
    _num_samples,
    assert_all_finite,
    check_array,
    validate_data,
)


def is_sparse(X: Any) -> bool:
    """Whether `X` is a scipy sparse matrix or array."""
    return bool(sparse.issparse(X))  # untyped on purpose: scipy's guard narrows to a class without `data`


def is_frame(X: Any) -> bool:
    """Whether `X` is a pandas or polars data frame."""
    return hasattr(X, "columns") and hasattr(X, "shape") and not is_sparse(X)


def check_pool(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Validate the rows of a pool and keep their container.

    Data frames stay data frames (their columns may hold what only the classifier's own pipeline
    understands), N-D arrays stay N-D, memory maps stay on disk; lists become arrays, sparse
    matrices CSR.

    Parameters
    ----------
    estimator : estimator
        Gets or holds `n_features_in_` and `feature_names_in_`; its tags say whether NaN is allowed.
    X : array-like or sparse matrix of shape (n_samples, ...)
    reset : bool
        Whether to record the features (in `fit`) or to check them.

    Returns
    -------
    X : ndarray, sparse CSR matrix or data frame

    Raises
    ------
    ValueError
        For NaN, infinity, no rows, or another number of features than in `fit`.
    """
    allow_nan = get_tags(estimator).input_tags.allow_nan
    finite = "allow-nan" if allow_nan else True
    if is_frame(X):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        _check_n_features(estimator, X, reset=reset)
        if _num_samples(X) == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required."
            )
        for name in X.columns:
            column = np.asarray(X[name])
            if column.dtype.kind in "fc":
                assert_all_finite(column, allow_nan=allow_nan, input_name=f"X[{name!r}]")
        return X
    if getattr(X, "ndim", 2) <= 2:
        checked = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr" if get_tags(estimator).input_tags.sparse else False,
            ensure_all_finite=finite,
        )
        # check_array strips np.memmap to a plain view; the caller's own object is worth keeping.
        return X if isinstance(X, np.ndarray) and np.may_share_memory(checked, X) else checked
    X = check_array(X, allow_nd=True, ensure_all_finite=finite, estimator=estimator, input_name="X")
    # scikit-learn would count the channels of an image as its features.
    _check_n_features(estimator, np.broadcast_to(np.int8(0), (1, int(np.prod(X.shape[1:])))), reset=reset)
    return X


def check_n_queries(n_queries: Any) -> int:
    """A number of rows to query: an integer of at least 1."""
    if isinstance(n_queries, bool) or not isinstance(n_queries, Integral) or n_queries < 1:
        raise ValueError(f"n_queries={n_queries!r} was given; it must be an integer of at least 1.")
    return int(n_queries)


def check_rows(rows: Any, n_samples: int) -> NDArray[np.intp]:
    """Positions in a pool: a 1-D array of distinct integers in [0, n_samples)."""
    rows = np.atleast_1d(np.asarray(rows))
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise ValueError(
            f"rows of dtype {rows.dtype} and shape {rows.shape} were given; give a 1-D array of integer positions, as "
            "query returns them."
        )
    rows = rows.astype(np.intp)
    outside = rows[(rows < 0) | (rows >= n_samples)]
    if len(outside):
        raise ValueError(
            f"rows {outside[:5].tolist()} are out of range; positions in a pool of {n_samples} rows go from 0 to "
            f"{n_samples - 1}."
        )
    values, counts = np.unique(rows, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"rows {values[counts > 1][:5].tolist()} are given more than once; give each row once."
        )
    return rows


def same_pool(X: Any, pool: Any) -> bool:
    """Whether `X` has the content of `pool`, compared block by block and given up at the first difference.

    Images and their flat rows have the same content, and so have a data frame and its array.
    """
    if X is pool:
        return True
    if _num_samples(X) != _num_samples(pool) or is_sparse(X) != is_sparse(pool):
        return False
    if is_sparse(X):
        parts = ("indptr", "indices", "data")
        return X.shape == pool.shape and all(np.array_equal(getattr(X, p), getattr(pool, p)) for p in parts)
    if is_frame(X) and type(X) is type(pool):
        return bool(X.equals(pool))
    rows, pool_rows = (np.asarray(part).reshape(_num_samples(part), -1) for part in (X, pool))
    if rows.shape != pool_rows.shape:
        return False
    step = max(1, _BLOCK_BYTES * len(rows) // max(rows.nbytes, 1))
    floating = rows.dtype.kind == "f" and pool_rows.dtype.kind == "f"
    return all(
        np.array_equal(rows[start : start + step], pool_rows[start : start + step], equal_nan=floating)
        for start in range(0, len(rows), step)
    )


_BLOCK_BYTES = 1 << 22


class Fingerprint:
    """A digest of a pool's content, by which a strategy knows the pool that it prepared.

    Pools of up to `max_bytes` are read whole; of larger ones evenly spaced rows with that many
    bytes in all, so that a query on a large pool never scans it.

    Parameters
    ----------
    X : ndarray, sparse CSR matrix or data frame
    max_bytes : int

    Examples
    --------
    >>> import numpy as np
    >>> from skal.utils.validation import Fingerprint
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> fingerprint = Fingerprint(X)
    >>> fingerprint.matches(X.copy())
    True
    >>> X[1, 1] = 7
    >>> fingerprint.matches(X)
    False
    """

    def __init__(self, X: Any, max_bytes: int = 1 << 26) -> None:
        self.max_bytes = max_bytes
        self.digest = self._digest(X)

    def matches(self, X: Any) -> bool:
        """Whether `X` has the content of the pool."""
        if is_sparse(X) and X.format != "csr":
            return False
        return self.digest == self._digest(X)

    def _digest(self, X: Any) -> tuple[Any, ...]:
        if is_frame(X):
            return (type(X).__name__, X.shape, tuple(X.columns), self._frame_digest(X))
        if is_sparse(X):
            parts = (X.indptr, X.indices, X.data)
            return ("sparse", X.shape, *(self._array_digest(part) for part in parts))
        return ("array", X.shape, X.dtype.str, self._array_digest(X))

    def _frame_digest(self, X: Any) -> int:
        step = max(1, -(-8 * X.shape[0] * X.shape[1] // self.max_bytes))
        if hasattr(X, "hash_rows"):  # polars
            return self._array_digest(X.gather_every(step).hash_rows().to_numpy())
        from pandas.util import hash_pandas_object

        return self._array_digest(hash_pandas_object(X.iloc[::step], index=False).to_numpy())

    def _array_digest(self, X: NDArray[Any]) -> int:
        if X.dtype.hasobject:
            return zlib.crc32(repr(X.tolist()).encode())
        step = max(1, -(-X.nbytes // self.max_bytes))
        block = max(1, _BLOCK_BYTES * len(X) // max(X.nbytes, 1)) * step
        digest = 0
        for start in range(0, len(X), block):
            digest = zlib.crc32(_bytes(X[start : start + block : step]), digest)
        return zlib.crc32(_bytes(X[-1:]), digest)


def _bytes(X: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(X).reshape(-1).view(np.uint8).data
