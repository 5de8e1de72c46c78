"""The two forms of partial labels with markers in them, and the checks of what annotators say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reading import UNLABELED, has_booleans, has_nan, read_labels


def check_partial_labels(y: Any, n_samples: int | None = None) -> NDArray[Any]:
    """Validate partial labels and bring them to one of two forms.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels. Numbers mark an unlabelled row with -1, strings and objects with ``None``, NaN, NA or -1.
    n_samples : int, default=None
        The number of rows that `y` must have.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        Numbers (-1 where unlabelled), or objects (``None`` where unlabelled). Numbers and booleans in an object
        array, as pandas and polars give for columns with missing values, become numbers.

    Raises
    ------
    ValueError
        As :func:`read_labels` raises it.

    Examples
    --------
    >>> from skal.labels import check_partial_labels
    >>> check_partial_labels([0, -1, 1])
    array([ 0, -1,  1])
    >>> check_partial_labels(["cat", None, float("nan"), -1])
    array(['cat', None, None, None], dtype=object)
    """
    return read_labels(y, n_samples)[0]  # what is not known is -1 or None already


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


def check_new_labels(labels: Any, rows: int, *, unlabeled: Any = None) -> NDArray[Any]:
    """Validate the labels that an annotator gave: as many as rows, and none of them unlabelled."""
    labels = np.atleast_1d(labels) if np.isscalar(labels) else labels
    # Whatever marks the rows that nobody has labelled, NaN is no answer.
    y, known = read_labels(labels, unlabeled=np.nan if has_nan(labels) else unlabeled)
    if len(y) != rows:
        raise ValueError(f"{rows} rows and {len(y)} labels were given; give one label per row.")
    missing = np.flatnonzero(~known)
    if len(missing):
        label = y[missing[:1]].tolist()[0]
        is_marker = unlabeled is None and label == UNLABELED
        hint = " Where -1 is a class, unlabeled=... says what marks such a row." if is_marker else ""
        raise ValueError(
            f"The labels at positions {missing[:5].tolist()} are unlabelled ({label!r}); leave those rows out of this "
            f"call instead.{hint}"
        )
    return y


def check_same_kind(known: NDArray[Any], labels: NDArray[Any]) -> None:
    """The labels so far and the new ones must both be numbers, or both strings or objects."""
    if len(known) and len(labels) and is_numeric(known) != is_numeric(labels):
        raise ValueError(
            f"The labels so far are like {known[:1].tolist()[0]!r} and the new ones like "
            f"{labels[:1].tolist()[0]!r}; give all of them as numbers or all as strings."
        )


def check_booleans(known: NDArray[Any], labels: Any) -> None:
    """Booleans go with numbers where these are 0 and 1: elsewhere they are a mask, or say whether a guess was right."""
    if is_numeric(known) and has_booleans(labels) and not np.isin(known, [0, 1]).all():
        raise ValueError(
            f"The labels so far are {known[:5].tolist()} and the new ones booleans, which go with 0 and 1 alone; give "
            "numbers."
        )


def is_numeric(y: NDArray[Any]) -> bool:
    """Whether labels are numbers."""
    return y.dtype.kind in "biuf"
