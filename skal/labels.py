"""Partial labels: one entry a row, with a marker where the label is not known.

Integer labels mark an unlabelled row with :data:`UNLABELED` (-1), as scikit-learn's semi-supervised
estimators do. String and object labels mark it with ``None``, NaN or NA.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

UNLABELED = -1


def check_partial_labels(y: Any, n_samples: int | None = None) -> NDArray[Any]:
    """Validate partial labels and bring them to one of two forms.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels. Numbers mark an unlabelled row with -1, strings and objects with ``None``, NaN or NA.
    n_samples : int, default=None
        The number of rows that `y` must have.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        Numbers (-1 where unlabelled), or objects (``None`` where unlabelled). Integers and
        booleans in an object array, as pandas and polars give for columns with missing values,
        become integers.

    Raises
    ------
    ValueError
        If the length is wrong, a float label is NaN or infinite, or the labels are continuous.

    Examples
    --------
    >>> from skal.labels import check_partial_labels
    >>> check_partial_labels([0, -1, 1])
    array([ 0, -1,  1])
    >>> check_partial_labels(["cat", None, float("nan")])
    array(['cat', None, None], dtype=object)
    """
    if y is None:
        raise ValueError(
            "ActiveLearner requires y to be passed, but the target y is None. For a pool without any label pass "
            "np.full(len(X), UNLABELED)."
        )
    dtype = getattr(y, "dtype", None)
    # Nullable columns of pandas and polars would become floats on their way to numpy.
    if dtype is not None and not isinstance(dtype, np.dtype):
        y = np.array(y.to_list(), dtype=object)
    elif isinstance(y, (list, tuple)) and any(isinstance(label, str) or label is None for label in y):
        y = np.array(y, dtype=object)
    y = column_or_1d(y, warn=True)
    if n_samples is not None and len(y) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_samples} rows and y has {len(y)} "
            "labels. Give one label a row, with UNLABELED (-1, or None for strings) where it is not known."
        )
    if y.dtype.kind == "O":
        y = _from_objects(y)
    if y.dtype.kind == "f":
        # NaN in floats is refused: it is as often a mistake as a marker.
        check_array(y, ensure_2d=False, input_name="y")
    elif y.dtype.kind not in "iubOUST":
        raise ValueError(f"y has dtype {y.dtype}; labels are integers, strings or objects.")
    labeled = labeled_mask(y)
    if labeled.any():
        known = y[labeled]
        check_classification_targets(known if y.dtype.kind != "O" else known.astype(str))
    return y


def _from_objects(y: NDArray[Any]) -> NDArray[Any]:
    missing = np.fromiter((_is_missing(label) for label in y), bool, len(y))
    known = y[~missing]
    if len(known) and all(
        isinstance(label, (int, np.integer)) and not isinstance(label, bool) for label in known
    ):
        numbers = np.full(len(y), UNLABELED, dtype=np.int64)
        numbers[~missing] = known.astype(np.int64)
        return numbers
    y = y.copy()
    y[missing] = None
    return y


def _is_missing(label: Any) -> bool:
    """Whether an object label is None, NaN or NA: NaN differs from itself, NA has no truth value."""
    if label is None:
        return True
    try:
        return bool(label != label)
    except TypeError:
        return True


def labeled_mask(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have a label.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels as :func:`check_partial_labels` returns them.

    Returns
    -------
    labeled : ndarray of bool of shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> from skal.labels import labeled_mask
    >>> labeled_mask(np.array([0, -1, 1]))
    array([ True, False,  True])
    """
    if y.dtype.kind == "O":
        return np.array([label is not None for label in y], dtype=bool)
    if y.dtype.kind in "if":
        return np.asarray(y != UNLABELED)
    return np.ones(len(y), dtype=bool)


def check_new_labels(labels: Any, rows: int) -> NDArray[Any]:
    """Validate the labels that an annotator gave: as many as rows, and none of them unlabelled."""
    y = check_partial_labels(np.atleast_1d(labels) if np.isscalar(labels) else labels)
    if len(y) != rows:
        raise ValueError(f"{rows} rows and {len(y)} labels were given; give one label a row.")
    unlabeled = np.flatnonzero(~labeled_mask(y))
    if len(unlabeled):
        raise ValueError(
            f"The labels at positions {unlabeled[:5].tolist()} are unlabelled ({y[unlabeled[0]]!r}); leave those rows "
            "out of this call instead."
        )
    return y


def merge_labels(y: NDArray[Any], rows: NDArray[np.intp], labels: NDArray[Any]) -> NDArray[Any]:
    """A copy of the partial labels `y` with `labels` at `rows`."""
    check_same_kind(y, labels)
    if not _is_numeric(labels):
        merged = y.astype(object) if labeled_mask(y).any() else np.full(len(y), None)
    else:
        merged = y.astype(np.result_type(y, labels)) if _is_numeric(y) else np.full(len(y), UNLABELED)
    merged[rows] = labels
    return merged


def check_same_kind(y: NDArray[Any], labels: NDArray[Any]) -> None:
    """The labels so far and the new ones must both be numbers, or both strings or objects."""
    known = y[labeled_mask(y)]
    if len(known) and len(labels) and _is_numeric(known) != _is_numeric(labels):
        raise ValueError(
            f"The labels so far are like {known[0]!r} and the new ones like {labels[0]!r}; give all of them as numbers "
            "or all as strings."
        )


def _is_numeric(y: NDArray[Any]) -> bool:
    return y.dtype.kind in "biuf"
