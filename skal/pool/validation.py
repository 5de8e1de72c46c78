"""Validation of a pool for the estimator that is given it: once, and before anything is trained."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.utils import get_tags
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_array, validate_data

from .arrays import ArrayPool
from .base import Pool
from .blocks import as_pool
from .frames import FramePool
from .sparse import SparsePool


def check_pool(estimator: Any, X: Any, *, reset: bool, known: Pool | None = None) -> Pool:
    """Validate the rows of a pool and keep their container.

    Data frames stay data frames (their columns may hold what only the classifier's own pipeline
    understands), N-D arrays stay N-D, memory maps stay on disk; lists become arrays, sparse
    matrices CSR. The rows are read at most once.

    Parameters
    ----------
    estimator : estimator
        Gets or holds `n_features_in_` and `feature_names_in_`; its tags say whether NaN is allowed.
    X : Pool, array-like, sparse matrix or data frame of shape (n_samples, ...)
        A pool is validated already; only its features are recorded or checked.
    reset : bool
        Whether to record the features (in `fit`) or to check them.
    known : Pool, default=None
        A validated pool, which is returned if `X` has the same rows.

    Returns
    -------
    pool : Pool

    Raises
    ------
    ValueError
        For NaN, infinity, no rows, or another number of features than in `fit`.

    Examples
    --------
    >>> from skal.pool import check_pool
    >>> from skal.strategies import RandomSampling
    >>> len(check_pool(RandomSampling(), [[0.0], [1.0]], reset=True))
    2
    """
    if isinstance(X, Pool):
        check_features(estimator, X, reset=reset)
        return X
    if known is not None and X is known.X:
        return known
    pool = as_pool(_check_container(estimator, X, reset=reset))
    if known is not None and known.same_as(pool):
        return known
    check_readable(estimator, pool)
    return pool


def _check_container(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check everything but the numbers themselves."""
    if FramePool.holds(X):
        check_features(estimator, FramePool(X), reset=reset)
        if X.shape[0] == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required."
            )
        return X
    if getattr(X, "ndim", 2) <= 2:
        checked = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr" if get_tags(estimator).input_tags.sparse else False,
            ensure_all_finite=False,
        )
        # check_array strips np.memmap to a plain view; the caller's own object is worth keeping.
        return X if isinstance(X, np.ndarray) and np.may_share_memory(checked, X) else checked
    X = check_array(X, allow_nd=True, ensure_all_finite=False, estimator=estimator, input_name="X")
    check_features(estimator, ArrayPool(X), reset=reset)
    return X


def check_features(estimator: Any, pool: Pool, *, reset: bool) -> None:
    """Record or check the number of an estimator's features and their names, without a look at the rows.

    Parameters
    ----------
    estimator : estimator
    pool : Pool
    reset : bool
        Whether to record the features or to check them.

    Raises
    ------
    ValueError
        If they are to be checked and differ.
    """
    _check_feature_names(estimator, pool.X, reset=reset)
    # scikit-learn would count the channels of an image as its features.
    _check_n_features(estimator, np.broadcast_to(np.int8(0), (1, int(np.prod(pool.row_shape)))), reset=reset)


def check_readable(estimator: Any, pool: Pool) -> None:
    """Refuse a pool that an estimator cannot read, by its tags.

    Parameters
    ----------
    estimator : estimator
    pool : Pool

    Raises
    ------
    TypeError
        If the rows are sparse and the estimator takes no sparse rows.
    ValueError
        If the pool holds infinity, or NaN that the estimator does not take.
    """
    tags = get_tags(estimator).input_tags
    if isinstance(pool, SparsePool) and not tags.sparse:
        raise TypeError(
            f"Sparse data was passed, and {type(estimator).__name__} takes dense rows only. Use X.toarray(), or a "
            "TruncatedSVD before the learner."
        )
    if not pool.is_finite and not (tags.allow_nan and pool.flaw == "NaN"):
        pool.assert_finite(allow_nan=tags.allow_nan, estimator=estimator)


def assuming_finite(pool: Pool) -> AbstractContextManager[None]:
    """Let scikit-learn's estimators trust the rows of a pool that was scanned, in this thread."""
    return config_context(assume_finite=True) if pool.is_finite else nullcontext()
