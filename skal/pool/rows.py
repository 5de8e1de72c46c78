"""Positions in a pool: checked ones, and the candidates of a query."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = NDArray[np.intp]

NO_ROWS: Rows = np.empty(0, dtype=np.intp)


def check_positions(rows: ArrayLike, n_rows: int, *, distinct: bool = False, remedy: str = "") -> Rows:
    """Validate positions in a pool.

    Parameters
    ----------
    rows : array-like of int of shape (n_positions,)
    n_rows : int
        The number of rows of the pool.
    distinct : bool, default=False
        Whether to refuse positions that are given more than once.
    remedy : str, default=""
        A hint that the error adds if a position is out of range.

    Returns
    -------
    rows : ndarray of intp of shape (n_positions,)

    Raises
    ------
    ValueError
        If `rows` is not a 1-D array of integers from 0 to ``n_rows - 1``, or if it repeats a position although they
        must be distinct.

    Examples
    --------
    >>> from skal.pool import check_positions
    >>> check_positions([2, 0], n_rows=3)
    array([2, 0])
    """
    positions = np.asarray(rows)
    if positions.size == 0:
        positions = positions.astype(np.intp)
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise ValueError(
            f"rows of dtype {positions.dtype} and shape {positions.shape} were given; give a 1-D array of integer "
            "positions, as query returns them, and not the rows themselves: np.flatnonzero(mask) for a mask."
        )
    outside = positions[(positions < 0) | (positions >= n_rows)]
    if len(outside):
        raise ValueError(
            f"rows {outside[:5].tolist()} are out of range; positions in a pool of {n_rows} rows go from 0 to "
            f"{n_rows - 1}.{remedy}"
        )
    if distinct:
        values, counts = np.unique(positions, return_counts=True)
        if (counts > 1).any():
            raise ValueError(
                f"rows {values[counts > 1][:5].tolist()} are given more than once; give each row once."
            )
    return positions.astype(np.intp, copy=False)


def as_slice(positions: Rows) -> Rows | slice:
    """Consecutive positions as a slice, which indexes without a copy."""
    first, last = positions[0], positions[-1]
    if last - first + 1 == len(positions) and (np.diff(positions) == 1).all():
        return slice(int(first), int(last) + 1)
    return positions


class Part(NamedTuple):
    """A block of a pass over a pool: which rows it has, and which of their answers are wanted.

    Attributes
    ----------
    rows : slice or ndarray of int
        Positions in the pool of the rows of the block.
    keep : slice or ndarray of int
        Which of these rows are wanted.
    where : slice or ndarray of int
        Places of the wanted rows of the block among all wanted rows.
    """

    rows: Rows | slice
    keep: Rows | slice
    where: Rows | slice

    @property
    def positions(self) -> Rows:
        """Positions in the pool of the wanted rows."""
        rows = np.arange(self.rows.start, self.rows.stop) if isinstance(self.rows, slice) else self.rows
        return rows[self.keep]

    @property
    def n_rows(self) -> int:
        """The number of wanted rows."""
        return n_positions(self.where)


class Share(NamedTuple):
    """Rows that are read together, such as a chunk of a file, and the blocks into which they are cut.

    Attributes
    ----------
    rows : slice or ndarray of int
        Positions in the pool: those of all parts in order.
    parts : list of Part
    """

    rows: Rows | slice
    parts: list[Part]


def n_positions(rows: Rows | slice) -> int:
    """How many positions a slice from start to stop, or an array of them, has."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def cut(n_rows: int, step: int, start: int = 0) -> Iterator[slice]:
    """Cut rows into slices of at most `step` of them."""
    stop = start + n_rows
    yield from (slice(first, min(first + step, stop)) for first in range(start, stop, step))


class Candidates:
    """The positions that a query may choose from: some rows of a pool, or all except a few.

    The complement of a small set is never written out unless it is asked for: a query that looks at few rows of a
    large pool needs no array of its size.

    Parameters
    ----------
    rows : ndarray of int of shape (n_positions,)
        Distinct positions, in increasing order.
    complement_in : int, default=None
        The number of rows of a pool. If it is given, all rows except `rows` are candidates.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import Candidates
    >>> candidates = Candidates(np.array([1, 2]), complement_in=5)
    >>> len(candidates), np.asarray(candidates)
    (3, array([0, 3, 4]))
    >>> candidates.isin([2, 3])
    array([False,  True])
    """

    def __init__(self, rows: Rows, *, complement_in: int | None = None) -> None:
        self._given = rows
        self._n_rows = complement_in

    def __len__(self) -> int:
        return len(self._given) if self._n_rows is None else self._n_rows - len(self._given)

    @property
    def excluded(self) -> Rows | None:
        """The rows that are not candidates, in increasing order; None if the candidates themselves were given."""
        return None if self._n_rows is None else self._given

    @cached_property
    def rows(self) -> Rows:
        """All candidates, in increasing order."""
        return self._given if self._n_rows is None else np.flatnonzero(self.mask(self._n_rows))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=copy)

    def mask(self, n_rows: int) -> NDArray[np.bool_]:
        """Which rows of the pool are candidates.

        Parameters
        ----------
        n_rows : int
            The number of rows of the pool.

        Returns
        -------
        mask : ndarray of bool of shape (n_rows,)
        """
        mask = np.full(n_rows, self._n_rows is not None)
        mask[self._given] = self._n_rows is None
        return mask

    def isin(self, rows: ArrayLike) -> NDArray[np.bool_]:
        """Which of some positions are candidates.

        Parameters
        ----------
        rows : array-like of int of shape (n_positions,)

        Returns
        -------
        mask : ndarray of bool of shape (n_positions,)
        """
        return np.isin(rows, self._given, invert=self._n_rows is not None)

    def sample(self, n_rows: int, rng: np.random.Generator) -> Rows:
        """Draw distinct candidates uniformly.

        Parameters
        ----------
        n_rows : int
            How many to draw, at most all of them.
        rng : numpy.random.Generator

        Returns
        -------
        rows : ndarray of int of shape (n_rows,)
            In random order.
        """
        return self.at(rng.choice(len(self), n_rows, replace=False))

    def at(self, ranks: Rows) -> Rows:
        """Return the candidates of some ranks, of which the first candidate has rank 0.

        Parameters
        ----------
        ranks : ndarray of int of shape (n_ranks,)

        Returns
        -------
        rows : ndarray of int of shape (n_ranks,)
        """
        if self._n_rows is None:
            return self._given[ranks]
        # The candidate of rank r has r candidates before it, and every excluded row that has no more than r.
        before = self._given - np.arange(len(self._given))
        return ranks + np.searchsorted(before, ranks, side="right")

    def without(self, rows: Rows) -> Self:
        """The candidates without some positions.

        Parameters
        ----------
        rows : ndarray of int of shape (n_positions,)

        Returns
        -------
        candidates : Candidates
        """
        if self._n_rows is None:
            return type(self)(np.setdiff1d(self._given, rows))
        return type(self)(np.union1d(self._given, rows), complement_in=self._n_rows)
