"""Partial labels: one entry per row, with a marker where the label is not known.

Integer labels mark an unlabelled row with :data:`UNLABELED` (-1), as scikit-learn's semi-supervised
estimators do. String and object labels mark it with ``None``, NaN or NA.

Markers and kinds of labels are dealt with here. Everywhere else labels are :class:`Labels`: integer codes with their
classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

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
    if hasattr(y, "detach"):  # a tensor, on any device
        y = np.asarray(y.detach().cpu())
    elif dtype is not None and not isinstance(dtype, np.dtype):
        y = np.array(y.to_list(), dtype=object)
    elif isinstance(y, (list, tuple)) and any(isinstance(label, str) or label is None for label in y):
        y = np.array(y, dtype=object)
    y = column_or_1d(y, warn=True)
    if n_samples is not None and len(y) != n_samples:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_samples} rows and y has {len(y)} "
            "labels. Give one label per row, with UNLABELED (-1, or None for strings) where it is not known."
        )
    if y.dtype.kind == "O":
        y = _from_objects(y)
    if y.dtype.kind == "f":
        # NaN in floats is refused: it is as often a mistake as a marker.
        check_array(y, ensure_2d=False, input_name="y")
        if len(y) and np.abs(y).max() > 2**53:
            raise ValueError(
                f"y has labels up to {np.abs(y).max():g} as floats, which hold integers up to 2**53 only; give them as "
                "int64 or as strings."
            )
    elif y.dtype.kind == "u":
        y = _signed(y)
    elif y.dtype.kind not in "ibOUST":
        raise ValueError(f"y has dtype {y.dtype}; labels are integers, strings or objects.")
    labeled = labeled_mask(y)
    if labeled.any():
        known = y[labeled]
        check_classification_targets(known if y.dtype.kind != "O" else known.astype(str))
    return y


def _from_objects(y: NDArray[Any]) -> NDArray[Any]:
    missing = np.fromiter((_is_missing(label) for label in y), bool, len(y))
    known = y[~missing]
    if len(known) and all(isinstance(label, (int, np.integer, np.bool_)) for label in known):
        numbers = np.full(len(y), UNLABELED, dtype=np.int64)
        try:
            numbers[~missing] = known.astype(np.int64)
        except OverflowError as error:
            raise ValueError(
                f"y has labels from {min(known)} to {max(known)}, which int64 cannot hold; give them as strings."
            ) from error
        return numbers
    for label in known:
        if isinstance(label, (str, bytes)) and label[-1:] in ("\0", b"\0"):
            raise ValueError(
                f"y has the label {label!r}, whose end NumPy's strings lose; leave out the NUL there."
            )
        if not np.isscalar(label):
            raise ValueError(
                f"y has the label {label!r} of type {type(label).__name__}; give strings or integers."
            )
    y = y.copy()
    y[missing] = None
    return y


def _signed(y: NDArray[Any]) -> NDArray[np.int64]:
    """Unsigned labels as int64, which can hold the marker."""
    if len(y) and y.max() > np.iinfo(np.int64).max:
        raise ValueError(f"y has labels up to {y.max()}, which int64 cannot hold; give them as strings.")
    return y.astype(np.int64)


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
        raise ValueError(f"{rows} rows and {len(y)} labels were given; give one label per row.")
    unlabeled = np.flatnonzero(~labeled_mask(y))
    if len(unlabeled):
        raise ValueError(
            f"The labels at positions {unlabeled[:5].tolist()} are unlabelled ({y[unlabeled[0]]!r}); leave those rows "
            "out of this call instead."
        )
    return y


def check_same_kind(known: NDArray[Any], labels: NDArray[Any]) -> None:
    """The labels so far and the new ones must both be numbers, or both strings or objects."""
    if len(known) and len(labels) and is_numeric(known) != is_numeric(labels):
        raise ValueError(
            f"The labels so far are like {known[0]!r} and the new ones like {labels[0]!r}; give all of them as numbers "
            "or all as strings."
        )


def is_numeric(y: NDArray[Any]) -> bool:
    """Whether labels are numbers."""
    return y.dtype.kind in "biuf"


@dataclass(frozen=True, eq=False)
class Labels:
    """Partial labels as integer codes, with the classes that they stand for.

    Parameters
    ----------
    codes : ndarray of int32 of shape (n_samples,)
        Positions in `classes`; -1 where a row is unlabelled.
    classes : ndarray of shape (n_classes,)
        The labels that are known, in increasing order, as numbers, or as strings or objects.

    Examples
    --------
    >>> from skal.labels import Labels
    >>> labels = Labels.of(["dog", None, "cat"])
    >>> labels.codes, labels.classes
    (array([ 1, -1,  0], dtype=int32), array(['cat', 'dog'], dtype=object))
    >>> labels.with_labels([1], "bird").to_array()
    array(['dog', 'bird', 'cat'], dtype=object)
    """

    codes: NDArray[np.int32]
    classes: NDArray[Any]

    @classmethod
    def of(cls, y: Any, n_samples: int | None = None) -> Self:
        """Validate and encode partial labels, as :func:`check_partial_labels` takes them."""
        y = check_partial_labels(y, n_samples)
        rows = np.flatnonzero(labeled_mask(y))
        return cls.none(len(y), y.dtype)._recorded(rows, y[rows])

    @classmethod
    def none(cls, n_samples: int, dtype: Any = np.int64) -> Self:
        """The labels of a pool without any; `dtype` is the type of those to come."""
        return cls(np.full(n_samples, UNLABELED, dtype=np.int32), np.empty(0, dtype))

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Positions of the labelled rows, in increasing order."""
        return np.flatnonzero(self.codes >= 0)

    @property
    def known(self) -> NDArray[Any]:
        """The labels of the labelled rows, in the order of `rows`."""
        return self.at(self.rows)

    def at(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """The labels of labelled rows.

        Parameters
        ----------
        rows : ndarray of int of shape (n_rows,)

        Returns
        -------
        labels : ndarray of shape (n_rows,)
        """
        return self.classes[self.codes[rows]]

    def with_labels(self, rows: Any, labels: Any) -> Self:
        """These labels with others at some rows, which are validated as an annotator's are.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
        labels : array-like of shape (n_rows,)

        Returns
        -------
        labels : Labels

        Raises
        ------
        ValueError
            If a label is missing, or of another kind than those so far.
        """
        labels = check_new_labels(labels, len(rows))
        check_same_kind(self.classes, labels)
        return self._recorded(rows, labels)

    def without(self, rows: NDArray[np.intp]) -> Self:
        """These labels without those of some rows.

        Parameters
        ----------
        rows : ndarray of int of shape (n_rows,)

        Returns
        -------
        labels : Labels
        """
        codes = self.codes.copy()
        codes[rows] = UNLABELED
        return type(self)(codes, self.classes)

    def with_classes(self, labels: NDArray[Any]) -> Self:
        """The same labels, with room among the classes for those of other samples.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,)
            The labels of the other samples.

        Returns
        -------
        labels : Labels
        """
        return self._recorded(self.rows[:0], labels)

    def _recorded(self, rows: NDArray[np.intp], labels: NDArray[Any]) -> Self:
        numbers = self.classes if is_numeric(self.classes) else np.int64  # no other kind is known yet
        dtype = np.result_type(numbers, labels) if is_numeric(labels) else object
        classes, new_codes = encode(np.concatenate([self.classes.astype(dtype), labels.astype(dtype)]))
        moved = new_codes[: len(self.classes)]  # where the classes so far are among all
        codes = self.codes.copy()
        if not np.array_equal(moved, np.arange(len(moved))):
            codes[self.rows] = moved[codes[self.rows]]
        if len(rows):
            codes[rows] = new_codes[len(moved) :]
        return type(self)(codes, classes)

    def to_array(self) -> NDArray[Any]:
        """The partial labels as :func:`check_partial_labels` returns them, of shape (n_samples,)."""
        if len(self.rows) == len(self):
            return self.classes[self.codes]
        marker = UNLABELED if is_numeric(self.classes) else None
        y = np.full(len(self), marker, dtype=self.classes.dtype)
        y[self.rows] = self.known
        return y

    def for_semi_supervised(self) -> NDArray[Any]:
        """The partial labels as scikit-learn's semi-supervised estimators take them: -1 marks strings too."""
        y = self.to_array()
        if is_numeric(y):
            return y
        y = y.astype(object)
        y[self.codes < 0] = UNLABELED
        return y


def encode(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The distinct labels in increasing order, and the position of each label among them.

    Raises
    ------
    ValueError
        If objects of kinds that have no common order are given.
    """
    if labels.dtype.kind != "O":
        classes, codes = np.unique(labels, return_inverse=True)
        return classes, codes.astype(np.int32)
    listed = labels.tolist()  # sorting all of many objects would take far longer than the distinct ones
    try:
        distinct = sorted(set(listed))
    except TypeError as error:
        raise ValueError(
            f"The labels are of several kinds ({error}); give all of them as strings or all as numbers."
        ) from error
    classes = np.empty(len(distinct), dtype=object)
    classes[:] = distinct
    positions = {label: code for code, label in enumerate(distinct)}
    return classes, np.fromiter((positions[label] for label in listed), np.int32, len(listed))


def plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels that are all known, as classifiers take them: strings as a string array."""
    return np.array(labels.tolist()) if labels.dtype.kind == "O" else labels
