"""Partial labels as integer codes with their classes, which is what they are inside skal."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..utils.arrays import as_objects
from ..utils.warnings import callers_level
from .marking import check_booleans, check_new_labels, check_same_kind, is_numeric
from .reading import UNLABELED, is_missing, read_labels

# What markers become on their way through arrays of strings and text files.
_SUSPICIOUS = {"-1", "nan", "", "None", "<NA>"}


@dataclass(frozen=True, eq=False)
class Labels:
    """Partial labels as integer codes, with the classes that they stand for.

    Parameters
    ----------
    codes : ndarray of int32 of shape (n_samples,)
        Positions in `classes`; -1 where a row is unlabelled.
    classes : ndarray of shape (n_classes,)
        The known labels in increasing order, as numbers, or as strings or objects.
    unlabeled : int, float or str, default=None
        The value that marks an unlabelled row in input and output arrays, see :func:`read_labels`.

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
    unlabeled: Any = None

    @classmethod
    def of(cls, y: Any, n_samples: int | None = None, *, unlabeled: Any = None) -> Self:
        """Validate and encode partial labels, as :func:`read_labels` takes them."""
        y, known = read_labels(y, n_samples, unlabeled=unlabeled)
        rows = np.flatnonzero(known)
        return cls.none(len(y), y.dtype, unlabeled=unlabeled)._recorded(rows, y[rows])

    @classmethod
    def none(cls, n_samples: int, dtype: Any = np.int64, *, unlabeled: Any = None) -> Self:
        """The labels of a pool without any; `dtype` is the type of those to come."""
        return cls(np.full(n_samples, UNLABELED, dtype=np.int32), np.empty(0, dtype), unlabeled)

    def __len__(self) -> int:
        return len(self.codes)

    def __getstate__(self) -> dict[str, Any]:
        if 3 * len(self.rows) >= len(self):
            return vars(self)
        return {**vars(self), "codes": (len(self), self.codes[self.rows])}  # few of a large pool are labelled

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.codes, tuple):
            n_samples, known = self.codes
            codes = np.full(n_samples, UNLABELED, dtype=np.int32)
            codes[self.rows] = known
            vars(self)["codes"] = codes

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

    def check_new(self, labels: Any, n_rows: int) -> NDArray[Any]:
        """Validate the labels that an annotator gave: of the same kind as those so far, and none of them missing.

        Parameters
        ----------
        labels : array-like of shape (n_rows,)
        n_rows : int

        Returns
        -------
        labels : ndarray of shape (n_rows,)

        Raises
        ------
        ValueError
            If there is another number of labels, one is missing, or of another kind than those so far.
        """
        check_booleans(self.classes, labels)
        labels = check_new_labels(labels, n_rows, unlabeled=self.unlabeled)
        check_same_kind(self.classes, labels)
        return _exactly_as(self.classes, labels)

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
        return self._recorded(rows, self.check_new(labels, len(rows)))

    @property
    def in_use(self) -> NDArray[Any]:
        """The classes of which there is a label, in increasing order; one whose labels were corrected is none."""
        return self.classes[np.unique(self.codes[self.rows])]

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
        return replace(self, codes=codes)

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
        if not is_numeric(classes):
            _warn_of_markers(set(classes.tolist()) - set(self.classes.tolist()))
        return replace(self, codes=codes, classes=classes)

    def to_array(self) -> NDArray[Any]:
        """The partial labels with the marker where they are not known: numbers, or objects.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Where the marker is NaN and the labels are no floats, it is ``None``, among objects.
        """
        if len(self.rows) == len(self):
            return self.classes[self.codes]
        marker = self.unlabeled
        if marker is None:
            marker = UNLABELED if is_numeric(self.classes) else None
        if is_missing(marker) and self.classes.dtype.kind != "f":
            marker = None
        return self._marked(marker)

    def for_semi_supervised(self) -> NDArray[Any]:
        """The partial labels as scikit-learn's semi-supervised estimators take them: -1 marks strings too."""
        return self._marked(UNLABELED)

    def codes_among(self, classes: NDArray[Any]) -> NDArray[np.intp]:
        """The positions of the labels among other classes, all of which they are; -1 where a row is unlabelled.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            In increasing order.

        Returns
        -------
        codes : ndarray of int of shape (n_samples,)
        """
        codes = np.full(len(self), UNLABELED)
        codes[self.rows] = np.searchsorted(classes, self.known)
        return codes

    def _marked(self, marker: Any) -> NDArray[Any]:
        is_object = marker is None or not is_numeric(self.classes)
        dtype = object if is_object else np.result_type(self.classes, np.min_scalar_type(marker))
        y = np.full(len(self), marker, dtype=dtype)
        y[self.rows] = self.known
        return y


def _exactly_as(classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Labels as whole numbers where those so far are, or as floats: all would become floats otherwise."""
    kinds = {classes.dtype.kind, labels.dtype.kind}
    if not len(classes) or kinds != {"i", "f"}:
        return labels
    largest = np.abs(labels).max(initial=0)
    if largest > 2**53:
        raise ValueError(
            f"The labels so far are like {classes[:1].tolist()[0]!r} and the new ones go up to {largest}, which floats "
            "cannot hold; give all of them as integers or as strings."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = labels.astype(classes.dtype)
    if np.array_equal(narrow, labels):
        return narrow
    return labels.astype(np.int64 if classes.dtype.kind == "i" else np.float64)


def _warn_of_markers(classes: set[Any]) -> None:
    if found := sorted(classes & _SUSPICIOUS):
        warnings.warn(
            f"y has the labels {found}, as markers of unlabelled rows look that were made strings, and takes them for "
            "classes. Mark unlabelled rows with None, or say which string marks them: unlabeled=...",
            UserWarning,
            stacklevel=callers_level(),
        )


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
    positions = {label: code for code, label in enumerate(distinct)}
    return as_objects(distinct), np.fromiter((positions[label] for label in listed), np.int32, len(listed))


def plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels that are all known, as classifiers take them: strings as a string array."""
    return np.array(labels.tolist()) if labels.dtype.kind == "O" else labels
