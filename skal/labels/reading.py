"""Labels in the forms that people have: arrays, lists, tensors, and the columns of pandas and polars."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from ..utils.arrays import as_objects

UNLABELED = -1

_CONTAINERS = {list, tuple, set, frozenset, np.ndarray}
_ONE_EACH = (
    "Each row has exactly one label: y.argmax(axis=1) of a one-hot matrix; for several annotators their consensus, as "
    "majority and dawid_skene of skal.campaign find it; for several labels at once (multi-label), use one learner per "
    "label."
)
_PLAIN = {bool, int, float, str, bytes, type(None)}


def read_labels(
    y: Any, n_samples: int | None = None, *, unlabeled: Any = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Validate partial labels, and return which of them are known.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: numbers, or strings.
    n_samples : int, default=None
        The number of rows that `y` must have.
    unlabeled : int, float or str, default=None
        The value that marks an unlabelled row; NaN stands for any missing value. By default -1. Among objects,
        ``None``, NaN and NA always mark an unlabelled row.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        Numbers, or objects that are strings. Entries whose label is not known may hold anything.
    known : ndarray of bool of shape (n_samples,)

    Raises
    ------
    ValueError
        If the length is wrong, a float label is NaN or infinite, labels are of several kinds or none of these, or they
        are continuous.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.labels import read_labels
    >>> read_labels([7, -1, -99], unlabeled=-99)
    (array([  7,  -1, -99]), array([ True,  True, False]))
    >>> read_labels(np.array(["cat", None, -1, "dog"], dtype=object))[1]
    array([ True, False, False,  True])
    """
    if y is None:
        raise ValueError(
            "ActiveLearner requires y to be passed, but the target y is None. For a pool without any label pass "
            "np.full(len(X), UNLABELED)."
        )
    y = _as_array(y)
    _check_one_each(y)
    if not (type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "bi"):
        y = column_or_1d(y, warn=True)  # which takes a while on small pools
    if n_samples is not None and len(y) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_samples} rows and y has {len(y)} "
            "labels. Give one label per row, with UNLABELED (-1, or None for strings) where it is not known."
        )
    if y.dtype.kind in "OT":
        y, known = _from_objects(y.astype(object), unlabeled)
    else:
        known = ~_is_marked(y, unlabeled)
    if y.dtype.kind == "f":
        _check_floats(y, known)
    elif y.dtype.kind == "u":
        y = _signed(y)
    elif y.dtype.kind == "S":
        raise _refusal(y.tolist()[0])
    elif y.dtype.kind not in "ibOU":
        raise ValueError(f"y has dtype {y.dtype}; labels are integers, strings or objects.")
    if isinstance(unlabeled, str) and y.dtype.kind in "bif" and known.any():
        raise ValueError(
            f"unlabeled={unlabeled!r} was given, and the labels are numbers, such as "
            f"{y[known][:1].tolist()[0]!r}; give a number, or np.nan for what is missing."
        )
    if y.dtype.kind == "f" and known.any():  # no other kind can be continuous
        check_classification_targets(y[known])
    return y, known


def _check_one_each(y: Any) -> None:
    """Refuse several labels per row, where NumPy and scikit-learn would have other words for it."""
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) > 1 and shape[0] != 1 and shape[1] > 1:
        raise ValueError(f"y has the shape {tuple(shape)}. {_ONE_EACH}")
    if isinstance(y, list | tuple) and set(map(type, y)) & _CONTAINERS:
        several = [label for label in y if type(label) in _CONTAINERS and len(label) != 1]
        if several:
            raise _refusal(several[0])


def _as_array(y: Any) -> Any:
    """Labels whose way to numpy would lose what is missing, or their kind, as arrays."""
    dtype = getattr(y, "dtype", None)
    if hasattr(y, "detach"):  # a tensor, on any device
        return np.asarray(y.detach().cpu())
    if isinstance(y, np.ma.MaskedArray):
        labels = y.data.astype(object)
        labels[np.ma.getmaskarray(y)] = None
        return labels
    if not isinstance(dtype, np.dtype | None):  # columns of pandas and polars, and their arrays
        return as_objects((getattr(y, "tolist", None) or y.to_list)())
    if isinstance(y, (list, tuple)) and any(isinstance(label, (str, bytes)) or label is None for label in y):
        return as_objects(y)
    return y


def has_nan(y: Any) -> bool:
    """Whether labels are floats, and NaN among them."""
    values = np.asarray(_as_array(y))
    return values.dtype.kind == "f" and bool(np.isnan(values).any())


def has_booleans(y: Any) -> bool:
    """Whether labels are booleans, or some of several objects are."""
    values = np.asarray(_as_array(y))
    return values.dtype.kind == "b" or (
        values.dtype.kind == "O" and bool in map(type, values.ravel().tolist())
    )


def _is_marked(y: NDArray[Any], unlabeled: Any) -> NDArray[np.bool_]:
    """Which entries of an array of numbers, booleans or strings are the marker."""
    marker = UNLABELED if unlabeled is None else unlabeled
    if is_missing(marker):
        return np.isnan(y) if y.dtype.kind == "f" else np.zeros(len(y), dtype=bool)
    if (y.dtype.kind in "iuf" and _is_number(marker)) or (y.dtype.kind == "U" and isinstance(marker, str)):
        return np.asarray(y == marker)
    return np.zeros(len(y), dtype=bool)


def _from_objects(y: NDArray[Any], unlabeled: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    listed = y.tolist()
    if not set(map(type, listed)) <= _PLAIN:
        listed = [_scalar(label) for label in listed]
    marker = UNLABELED if unlabeled is None else unlabeled
    typed = list(zip(map(type, listed), listed, strict=True))  # True, 1 and 1.0 are equal
    try:
        is_known = {each: not (is_missing(each[1]) or _is_same(each[1], marker)) for each in set(typed)}
    except TypeError:  # it cannot be hashed
        raise _refusal(next(label for label in listed if label.__hash__ is None)) from None
    labels = [label for (_, label), known in is_known.items() if known]
    for label in labels:
        if not isinstance(label, (str, Real)):
            raise _refusal(label)
    examples = {Real if isinstance(label, Real) else str: label for label in labels}
    if len(examples) > 1:
        one, other = list(examples.values())[:2]
        raise ValueError(
            f"The labels are of several kinds, such as {one!r} and {other!r}; give all of them as strings or all as "
            "numbers."
        )
    known = np.fromiter(map(is_known.__getitem__, typed), bool, len(typed))
    if Real in examples or (not labels and any(_is_number(label) for label in listed)):
        return _numbers(labels, as_objects(listed), known), known
    for label in labels:
        if label[-1:] == "\0":
            raise ValueError(
                f"y has the label {label!r}, whose end NumPy's strings lose; leave out the NUL there."
            )
    strings = as_objects(listed)
    strings[~known] = None
    return strings, known


def _refusal(label: Any) -> ValueError:
    advice = f" {_ONE_EACH}" if type(label) in _CONTAINERS else ""
    return ValueError(
        f"y has the label {label!r} of type {type(label).__name__}; give strings or integers.{advice}"
    )


def _numbers(distinct: list[Any], y: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Numbers of an object array; booleans become integers."""
    is_whole = all(isinstance(label, Integral) for label in distinct)
    numbers = np.full(len(y), UNLABELED, dtype=np.int64 if is_whole else np.float64)
    try:
        numbers[known] = y[known]
    except OverflowError as error:
        given = [label for label in y if _is_number(label)]
        raise ValueError(
            f"y has labels from {min(given)} to {max(given)}, which int64 cannot hold; give them as strings."
        ) from error
    return numbers


def _check_floats(y: NDArray[Any], known: NDArray[np.bool_]) -> None:
    labels = y[known]
    if np.isnan(labels).any():
        raise ValueError(
            f"Input y contains NaN, at {np.flatnonzero(np.isnan(y) & known)[:5].tolist()} for one. NaN among float "
            "labels is as often a mistake as a marker: give unlabeled=np.nan if it marks the unlabelled rows, or mark "
            "them with -1, as in np.where(np.isnan(y), -1, y)."
        )
    check_array(labels, ensure_2d=False, ensure_min_samples=0, input_name="y")
    if len(labels) and float(np.abs(labels).max()) > 2**53:
        raise ValueError(
            f"y has labels up to {np.abs(labels).max():g} as floats, which hold integers up to 2**53 only; give them "
            "as int64 or as strings."
        )


def _signed(y: NDArray[Any]) -> NDArray[np.int64]:
    """Unsigned labels as int64, which can hold the marker."""
    if len(y) and y.max() > np.iinfo(np.int64).max:
        raise ValueError(f"y has labels up to {y.max()}, which int64 cannot hold; give them as strings.")
    return y.astype(np.int64)


def _scalar(label: Any) -> Any:
    """The Python scalar of a numpy scalar, of a member of an enum of strings, or of an array without dimensions."""
    if isinstance(label, str):
        return str.__str__(label)
    return label.item() if hasattr(label, "item") and np.ndim(label) == 0 else label


def _is_number(label: Any) -> bool:
    return isinstance(label, Real) and not isinstance(label, bool)


def _is_same(label: Any, marker: Any) -> bool:
    """Whether a label is the marker. A boolean is none for being equal to 0 or 1."""
    if is_missing(marker):
        return False
    return isinstance(label, bool) == isinstance(marker, bool) and bool(label == marker)


def is_missing(label: Any) -> bool:
    """Whether an object label is None, NaN or NA: NaN differs from itself, NA has no truth value."""
    if label is None:
        return True
    try:
        return bool(label != label)
    except (TypeError, ValueError):
        return not hasattr(label, "__len__")
