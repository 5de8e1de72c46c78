"""Names of rows, which stay with the rows when a table is put into another order."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cached_property
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..labels import is_missing
from ..pool import Pool, Rows, check_positions
from ..utils.arrays import as_objects


class Ids:
    """The names of the rows of a pool.

    Parameters
    ----------
    names : ndarray or pandas.Index of shape (n_rows,)
        Distinct; that they are is checked when a row is looked up.
    """

    def __init__(self, names: Any) -> None:
        self._names = names

    @classmethod
    def of(cls, ids: ArrayLike | None, pool: Pool) -> Self | None:
        """The names that were given, else the index of a data frame, unless that only counts the rows from 0 on."""
        if ids is None:
            own = cls.of_index(pool)
            return None if own is None or _only_counts(own._names) else own
        own = cls.given(ids)
        if own.names.shape != (len(pool),):
            raise ValueError(
                f"ids has shape {own.names.shape}, and the pool has {len(pool)} rows; give one id per row."
            )
        own.check()
        return own

    @classmethod
    def given(cls, ids: ArrayLike) -> Self:
        """Names of any number of rows."""
        return cls(_array(ids).copy())

    @classmethod
    def of_index(cls, pool: Pool) -> Self | None:
        """The index of a data frame, whatever is in it; None for another pool."""
        index = _index_of(pool.X)
        return None if index is None else cls(_without_na(index))

    def __len__(self) -> int:
        return len(self._names)

    @cached_property
    def names(self) -> NDArray[Any]:
        """The names as an array of shape (n_rows,)."""
        return _array(self._names)

    @cached_property
    def _sorted(self) -> tuple[NDArray[Any], Rows]:
        """The names in increasing order, and their rows."""
        order = np.argsort(self.names, kind="stable")
        return self.names[order], order

    @cached_property
    def _rows(self) -> dict[Any, int]:
        """The rows of names that are objects, which may have no order."""
        return {name: row for row, name in enumerate(comparable(self.names))}

    @cached_property
    def _repeated(self) -> list[Any]:
        """The names of several rows."""
        if not self._are_objects:
            names, _ = self._sorted
            return list(dict.fromkeys(comparable(names[1:][_same(names[1:], names[:-1])])))
        if len(self._rows) == len(self):
            return []
        return [name for name, count in Counter(comparable(self.names)).items() if count > 1]

    def check(self) -> None:
        """Raise ValueError unless the names are distinct."""
        if self._repeated:
            raise _ambiguous(self._repeated)

    def are_distinct(self) -> bool:
        """Whether each row has a name of its own."""
        return not self._repeated

    @property
    def _are_objects(self) -> bool:
        return bool(self.names.dtype.kind == "O")

    def positions(self, ids: ArrayLike) -> Rows:
        """The rows of some names.

        Parameters
        ----------
        ids : array-like of shape (n_ids,)

        Returns
        -------
        rows : ndarray of int of shape (n_ids,)

        Raises
        ------
        ValueError
            If a name is unknown, or that of several rows.
        """
        wanted = _array(ids)
        if self._are_objects or _needs_objects(wanted):
            found = np.array([self._rows.get(name, -1) for name in comparable(wanted)], dtype=np.intp)
        else:
            names, order = self._sorted
            wanted = np.array(wanted.tolist()) if wanted.dtype.kind == "O" else wanted
            kinds = {wanted.dtype.kind, names.dtype.kind}
            if len(kinds) == 2 and kinds & {"U", "b"}:  # a mask, for one, names no rows
                raise ValueError(
                    f"The ids {wanted[:5].tolist()} are not like those of the rows, such as {names[:1].tolist()[0]!r}."
                )
            places = np.searchsorted(names, wanted).clip(max=len(names) - 1)
            found = np.where(_same(names[places], wanted), order[places], -1)
        unknown = np.flatnonzero(found < 0)
        if len(unknown):
            raise ValueError(
                f"The ids {wanted[unknown[:5]].tolist()} are those of no row; ids_ has all, such as "
                f"{self.names[:1].tolist()[0]!r}."
            )
        if self._repeated:
            asked = {*comparable(self.names[found])}  # as they are here: a date has several spellings
            if several := [name for name in self._repeated if name in asked]:
                raise _ambiguous(several)
        return found

    def extended(self, more: Self, n_rows: int) -> Self:
        """These names and those of rows that were added at the end.

        Parameters
        ----------
        more : Ids
        n_rows : int
            How many rows there are then.

        Raises
        ------
        ValueError
            If a name is there twice, or there are too few or too many.
        """
        kinds = {self.names.dtype.kind, more.names.dtype.kind}
        if len(kinds) == 1:
            names = np.concatenate([self.names, more.names])
        else:
            names = as_objects([*self.names.tolist(), *more.names.tolist()])
        if len(names) != n_rows:
            raise ValueError(
                f"{len(more.names)} ids were given for {n_rows - len(self)} new rows; give one per row."
            )
        both = type(self)(names)
        both.check()
        return both

    def found_in(self, other: Self) -> Rows | None:
        """Where the rows with these names are among others.

        Returns
        -------
        rows : ndarray of int of shape (n_rows,) or None
            None where a name is missing there, or is that of several rows.
        """
        try:
            return other.positions(self.names) if self.are_distinct() else None
        except (ValueError, TypeError):
            return None

    def is_prefix_of(self, other: Self) -> bool:
        """Whether other names are these in the same order, and perhaps more after them."""
        own, first = self.names, other.names[: len(self)]
        if len(first) < len(own):
            return False
        if np.all(own == first):
            return True
        if "O" in (own.dtype.kind, first.dtype.kind):
            return comparable(own) == comparable(first)
        return bool(np.all(_same(own, first)))

    def is_another_order(self, other: Self) -> bool:
        """Whether other names are these in another order, each as often.

        Parameters
        ----------
        other : Ids

        Returns
        -------
        is_another_order : bool
        """
        if len(other) != len(self) or self.is_prefix_of(other):
            return False
        try:
            return Counter(comparable(self.names)) == Counter(comparable(other.names))
        except TypeError:  # of names that have no hash
            return False


def comparable(names: NDArray[Any]) -> list[Any]:
    """Names of which all that are missing, also in a tuple, are the same: None, NaN, NaT and NA.

    Parameters
    ----------
    names : ndarray of shape (n_rows,)

    Returns
    -------
    names : list
    """
    return list(map(_key, names.tolist()))


def _key(name: Any) -> Any:
    if isinstance(name, tuple):
        return tuple(map(_key, name))
    return None if is_missing(name) else name


def _same(names: NDArray[Any], others: NDArray[Any]) -> NDArray[np.bool_]:
    """Which names in arrays of numbers, strings or dates are the same: NaN and NaT differ from themselves there."""
    return (names == others) | ((names != names) & (others != others))


def _ambiguous(names: list[Any]) -> ValueError:
    some = [name.item() if isinstance(name, np.generic) else name for name in names[:5]]
    return ValueError(
        f"The ids {some} belong to several rows; give each row an id of its own, or name rows by their "
        "positions."
    )


def _array(ids: Any) -> NDArray[Any]:
    array = np.asarray(ids)
    if array.ndim == 2:  # tuples, such as those of an index of several levels
        array = as_objects([tuple(each) for each in ids])
    if array.dtype.kind in "US" and not isinstance(ids, np.ndarray):
        listed = np.asarray(ids, dtype=object)
        # As strings, numbers would be others, and strings lose NULs at their ends.
        if array.tolist() != listed.tolist():
            array = listed
    return np.atleast_1d(array)


def _needs_objects(names: NDArray[Any]) -> bool:
    """Whether there are names that an array of another kind cannot hold: strings that end in NUL, or none at all."""
    return names.dtype.kind == "O" and any(
        is_missing(name) or (isinstance(name, str | bytes) and name[-1:] in ("\0", b"\0"))
        for name in names.tolist()
    )


def _without_na(index: Any) -> Any:
    """An index without pandas' NA, which has no truth value and is in no file: None is the name instead."""
    na = getattr(sys.modules.get("pandas"), "NA", None)
    if na is None or getattr(index, "nlevels", 2) > 1 or not index.hasnans:
        return index
    are_known = [each is not na for each in index]
    return index if all(are_known) else as_objects(np.where(are_known, index, None))


def _index_of(values: Any) -> Any:
    """The index of a frame or a Series; that of a list is a method."""
    index = getattr(values, "index", None)
    return None if callable(index) else index


def check_order(values: Any, names: Ids | None, rows: Rows | None = None, *, what: str = "labels") -> None:
    """Refuse values whose index has the names of their rows in another order, or may have: they would go astray.

    Parameters
    ----------
    values : array-like of shape (n_rows,)
        Labels or weights; a pandas Series has an index.
    names : Ids or None
        Of the rows.
    rows : ndarray of int of shape (n_rows,), default=None
        Positions, where these name the rows: an index that has them, or only counts, is no order then.
    what : str, default="labels"
    """
    given = _index_of(values)
    if names is None or given is None or (rows is not None and _only_counts(given)):
        return
    index = Ids(_without_na(given))
    if rows is not None and np.array_equal(index.names, rows):
        if names.names.dtype.kind in "iu" and not np.array_equal(names.names, rows):
            raise ValueError(
                f"Rows and the index of their {what} are the integers {rows[:5].tolist()}, which may be ids or "
                f"positions; the ids at these positions are {names.names[:5].tolist()}. Give teach(y.index, y) if they "
                "are ids, or y.to_numpy() if they are positions."
            )
        return
    if names.is_another_order(index):
        raise ValueError(
            f"The {what} have an index, which is that of the rows in another order. Put them into the order of the "
            "rows, or give arrays if the index means something else; teach(y.index, y) names rows by the index."
        )


def check_orders(y: Any, params: dict[str, Any], names: Ids | None) -> None:
    """`check_order` for labels, and for parameters of `fit`, which may have a value per row."""
    check_order(y, names)
    for name, value in params.items():
        check_order(value, names, what=f"values of {name}")


def _only_counts(index: Any) -> bool:
    return type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1)


def named_rows(rows: ArrayLike, ids: Ids | None, n_rows: int, *, distinct: bool = False) -> Rows:
    """Positions of rows that were named by positions, or by ids.

    Parameters
    ----------
    rows : array-like of shape (n_rows,)
        An index of pandas holds ids. Elsewhere integers are positions, and anything else is an id.
    ids : Ids or None
    n_rows : int
        Of the pool.
    distinct : bool, default=False
        Whether to refuse rows that are given more than once.

    Returns
    -------
    rows : ndarray of int of shape (n_rows,)

    Raises
    ------
    ValueError
        If a row does not exist.
    """
    given = np.atleast_1d(np.asarray(rows)) if ids is None else _array(rows)
    is_index = hasattr(rows, "get_indexer")
    if given.dtype.kind == "O" and given.size and all(isinstance(row, Integral) for row in given):
        given = given.astype(np.intp)
    if ids is not None and given.size:
        are_floats = given.dtype.kind == "f" and ids.names.dtype.kind == "f"
        if is_index or are_floats or given.dtype.kind not in "iufb":
            given = ids.positions(given)
    elif given.dtype.kind in "OU" and given.ndim == 1 and given.size:
        raise ValueError(
            f"The rows {given[:5].tolist()} were given, and the rows of this pool have no ids; give positions, or name "
            "the rows in fit(X, y, ids=...)."
        )
    are_integers = ids is not None and ids.names.dtype.kind in "iu"
    remedy = " If these are ids, give them as an index: pd.Index(rows)." if are_integers else ""
    return check_positions(given, n_rows, distinct=distinct, remedy=remedy)
