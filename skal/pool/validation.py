"""Validation of a pool for an estimator: once, and before anything is trained."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.utils import get_tags
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_array

from ..exceptions import PoolWarning
from ..utils.warnings import callers_level
from .arrays import NUMBERS, ArrayPool
from .base import Pool
from .blocks import as_pool, is_number
from .frames import FramePool
from .items import ItemPool
from .sparse import SparsePool
from .torch_datasets import DatasetPool


def check_pool(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    known: Pool | None = None,
    tells_numbers: Callable[[], bool] | None = None,
) -> Pool:
    """Validate a pool, and keep its container.

    Data frames stay data frames (their columns may hold values that only the classifier's own pipeline understands),
    N-D arrays stay N-D, and memory maps and arrays of h5py or zarr stay on disk. Lists of numbers become arrays, and
    sparse matrices become CSR. Whether the rows are finite, or numbers at all, is left to those who read the rows.

    Parameters
    ----------
    estimator : estimator
        It gets `n_features_in_` and `feature_names_in_`, or already has them, if rows have features.
    X : Pool or container of n_rows rows
        See `as_pool`. A `Pool` is already validated; only its features are recorded or checked.
    reset : bool
        Whether to record the features (in `fit`) or to check them.
    known : Pool, default=None
        A validated pool, which is returned if `X` has the same rows. A pool that is nearly the same gets a `remark`.
    tells_numbers : callable, default=None
        Returns whether the same values count as different rows if they are bytes, integers or floats, as for networks.
        By default they count as the same.

    Returns
    -------
    pool : Pool

    Raises
    ------
    ValueError
        For no rows, a single column of numbers without a second dimension, or another number of features than in
        `fit`.
    TypeError
        For sparse rows that the estimator does not accept.

    Examples
    --------
    >>> from skal.pool import check_pool
    >>> from skal.strategies import RandomSampling
    >>> len(check_pool(RandomSampling(), [[0.0], [1.0]], reset=True))
    2
    """
    if known is not None and X is known.X:
        return known
    pool = as_pool(X)
    if pool is not X:
        pool = _checked(estimator, pool, X)
    check_features(estimator, pool, reset=reset)
    pool.remark = None
    if known is None:
        return pool
    if not known.same_as(pool):
        pool.remark = _nearly(known, pool)
    elif tells_numbers is None or not tells_numbers() or known.numbers == pool.numbers:
        return known
    else:
        own = known.numbers if isinstance(known.numbers, str) else "other numbers"
        pool.remark = f"0 rows differ from those of the pool of fit, whose {own} are other rows for a network"
    return pool


def _nearly(known: Pool, pool: Pool) -> str | None:
    """How a pool differs from a known one that it nearly is."""
    if len(known) != len(pool) or math.prod(known.row_shape) != math.prod(pool.row_shape):
        return None
    if isinstance(known, DatasetPool) or isinstance(pool, DatasetPool):  # to decode rows is expensive
        return None
    n_differ, n_much, n_rows = known.differences(pool)
    if n_much > n_rows / 2:
        return None
    others = "" if n_differ else ", and others do"
    return f"{n_differ} of {n_rows} rows of a sample differ from those of the pool of fit{others}"


def warn_of(pool: Pool) -> None:
    """Warn if an answered query has a pool with a `remark`; a refused pool needs no warning.

    Warns
    -----
    PoolWarning
        If the rows are nearly those of the pool of `fit`.
    """
    if pool.remark is not None:
        warnings.warn(
            f"{pool.remark}; the pool given here was taken for another one: all its rows are candidates, and the "
            "positions refer to it. To continue with the pool of fit, give that one, or none; to take this one in its "
            "place, fit again.",
            PoolWarning,
            stacklevel=callers_level(),
        )


def _checked(estimator: Any, pool: Pool, X: Any) -> Pool:
    """Check everything except the rows themselves."""
    if not len(pool):
        raise ValueError(
            f"Found a pool with 0 sample(s) while a minimum of 1 is required by {type(estimator).__name__}."
        )
    if np.ma.is_masked(pool.X):
        raise ValueError(
            "A masked array was given, and a classifier would read what is masked too; give X.filled(np.nan)."
        )
    first: Any = next(iter(pool.X)) if isinstance(pool, ItemPool) else None
    if is_number(first) and np.ndim(first) == 0:
        check_array(X, estimator=estimator)  # refuses a dimension, with scikit-learn's remedy
    if isinstance(pool, SparsePool) or (isinstance(pool, ArrayPool) and pool.X.dtype.kind in NUMBERS):
        checked = check_array(
            pool.X,
            accept_sparse="csr" if get_tags(estimator).input_tags.sparse else False,
            allow_nd=True,
            ensure_all_finite=False,
            estimator=estimator,
            input_name="X",
        )
        # check_array strips np.memmap to a plain view; the caller's own object is worth keeping.
        if isinstance(pool, SparsePool) or not np.may_share_memory(checked, pool.X):
            return as_pool(checked)
    return pool


def check_features(estimator: Any, pool: Pool, *, reset: bool) -> None:
    """Record or check the number of an estimator's features and their names, without looking at the rows.

    Parameters
    ----------
    estimator : estimator
    pool : Pool
        Texts and other objects have no features.
    reset : bool
        Whether to record the features (in `fit`) or to check them.

    Raises
    ------
    ValueError
        If they are to be checked and differ.
    """
    if pool.row_shape:
        _check_feature_names(estimator, pool.X, reset=reset)
        # scikit-learn would count the channels of an image as its features.
        _check_n_features(estimator, np.broadcast_to(np.int8(0), (1, math.prod(pool.row_shape))), reset=reset)
        return
    for name in ("feature_names_in_", "n_features_in_"):
        if hasattr(estimator, name):
            if not reset:
                raise ValueError(
                    f"{type(estimator).__name__} was fitted on rows with {estimator.n_features_in_} features, and "
                    f"{pool.obstacle}; give rows of the same kind."
                )
            delattr(estimator, name)


def check_readable(
    estimator: Any,
    pool: Pool,
    *,
    remedy: str = "",
    filling: str = "Fill it in first, as a SimpleImputer does.",
) -> None:
    """Refuse a pool whose rows an estimator cannot read as numbers.

    Parameters
    ----------
    estimator : estimator
        Its tags tell whether NaN and sparse rows are allowed.
    pool : Pool
    remedy : str, default=""
        What to do about rows that are not numbers.
    filling : str, default="Fill it in first, as a SimpleImputer does."
        What to do about NaN.

    Raises
    ------
    TypeError
        If the rows are not numbers, or if they are sparse and the estimator does not accept sparse rows.
    ValueError
        If the pool holds infinity, or NaN that the estimator does not accept, or numbers whose squares overflow.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skal.pool import as_pool, check_readable
    >>> check_readable(PCA(), as_pool(["a text"]), remedy="Use a TfidfVectorizer.")
    Traceback (most recent call last):
        ...
    TypeError: PCA reads rows as numbers, and its rows are texts. Use a TfidfVectorizer.
    """
    check_sparse(estimator, pool)
    if pool.obstacle is not None:
        raise TypeError(
            f"{type(estimator).__name__} reads rows as numbers, and {pool.obstacle}. {remedy}".strip()
        )
    allow_nan = get_tags(estimator).input_tags.allow_nan
    if pool.flaw is not None and not (allow_nan and pool.flaw == "NaN"):
        try:
            pool.assert_finite(allow_nan=allow_nan)
        except ValueError as error:  # scikit-learn would recommend another classifier
            what = filling if pool.flaw == "NaN" else "Replace it by a finite number first."
            name = type(estimator).__name__
            raise ValueError(
                f"{error}\n{name} does not accept {pool.flaw} in rows that it reads itself. {what}"
            ) from None
    if pool.flaw is None and pool.overflow is not None:
        raise ValueError(
            f"{type(estimator).__name__} measures distances in the pool, and {pool.overflow}. Scale the rows first: "
            "divide them by their largest number, or take logarithms."
        )


def check_sparse(estimator: Any, pool: Pool) -> None:
    """Refuse sparse rows that an estimator does not accept, by its tags."""
    if isinstance(pool, SparsePool) and not get_tags(estimator).input_tags.sparse:
        raise TypeError(
            f"Sparse data was passed, and {type(estimator).__name__} takes dense rows only. Use X.toarray(), or a "
            "TruncatedSVD before the learner."
        )


def check_texts(estimator: Any, pool: Pool) -> None:
    """Refuse a table where an estimator reads one text per row, by its tags, as a TfidfVectorizer does.

    It would take the names of the columns for the texts.
    """
    if isinstance(pool, FramePool):
        tags = get_tags(estimator).input_tags
        if tags.string and not tags.two_d_array:
            raise ValueError(
                f"{type(estimator).__name__} reads one text per row, and X is a table with the columns "
                f"{list(pool.X.columns)[:5]}. Pass the column of the texts, as in table['text'], or "
                "choose it with a ColumnTransformer."
            )


def assuming_finite(pool: Pool) -> AbstractContextManager[None]:
    """Let scikit-learn's estimators trust, in this thread, the rows of a pool that has been scanned."""
    return config_context(assume_finite=True) if pool.is_finite else nullcontext()
