"""The base of all kinds of pools."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.utils.validation import assert_all_finite

from ..utils.checks import squares_fit
from .checksum import stamp_of
from .equality import differing_rows, kind_of_numbers, same_values
from .rows import Rows, as_slice, check_positions, cut
from .watching import Watched

# Of rows as floats: large enough that the fixed cost of a call vanishes, small enough to be no burden on memory.
BLOCK_BYTES = 32 * 2**20
# Narrow rows: bounds what a classifier allocates per row (a forest's votes, a network's activations).
_BLOCK_ROWS = 2**16
# Comparing is over at the first difference; a small block stays in the caches.
_COMPARED_BYTES = 4 * 2**20
# Rows that are looked at to say how far a pool is from that of `fit`.
_SAMPLED_ROWS = 1000


class Pool(Watched):
    """The rows of a pool in one kind of container, without labels.

    Parameters
    ----------
    X : container of shape (n_rows, ...)
        The pool keeps a reference and never copies it.

    Attributes
    ----------
    remark : str or None
        How the pool differs from that of `fit`, if the two are nearly the same.

    Notes
    -----
    A new kind of container is a subclass with `take` and the other abstract methods, listed in `skal.pool.blocks`.
    Pools can be pickled; a memory-mapped pool is pickled by the name of its file.
    """

    is_scanned: ClassVar[bool] = True  # for NaN and infinity, also where no strategy reads the rows
    # Whether rows are read or computed, in chunks, each time they are asked for.
    is_lazy: ClassVar[bool] = False

    def __init__(self, X: Any) -> None:
        self.X = X
        self._stamp: tuple[int, int] | None = None
        self.remark: str | None = None

    @staticmethod
    @abstractmethod
    def holds(X: Any) -> bool:
        """Whether `X` is a container of this kind."""

    def __len__(self) -> int:
        return int(self.X.shape[0])

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of a row; empty for rows that are objects, such as texts."""
        return tuple(self.X.shape[1:])

    @cached_property
    def obstacle(self) -> str | None:
        """Why the rows are not numbers, such as "its rows are texts"; None if they can be read as numbers."""
        return None

    @property
    def float_bytes(self) -> float:
        """Bytes that a row takes once its integers are float64, to which most estimators convert them."""
        dtype = getattr(self.X, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "fc" and dtype.itemsize >= 4:
            return self.row_bytes
        return max(self.row_bytes, 8 * int(np.prod(self.row_shape)))

    @cached_property
    def dtype(self) -> np.dtype[Any] | None:
        """Type of the numbers as which the rows are read; None if there is an `obstacle`."""
        return None if self.obstacle is not None else self.dense(slice(1)).dtype

    @property
    def numbers(self) -> Hashable:
        """Kind of the numbers: "bytes", "integers", "floats", or None if there is an `obstacle`.

        The same values of another kind are different rows for a network, which scales bytes and looks up integers.
        """
        return kind_of_numbers(self.dtype)

    @abstractmethod
    def take(self, rows: Rows | slice) -> Any:
        """Rows at some positions, in a container like `X`; a view of it if possible.

        Parameters
        ----------
        rows : ndarray of int of shape (n_positions,) or slice

        Returns
        -------
        rows : container of shape (n_positions, ...)
        """

    def read(self, rows: Rows | slice) -> Any:
        """The result of `take`, in memory, in the form in which a classifier gets it.

        Parameters
        ----------
        rows : ndarray of int of shape (n_positions,) or slice

        Returns
        -------
        rows : container of shape (n_positions, ...)
        """
        return self.take(rows)

    def whole(self) -> Any:
        """All rows in a container that any estimator can be fitted on; `X` itself if it is one."""
        return self.X

    def dense(self, rows: Rows | slice = slice(None)) -> NDArray[Any]:
        """Rows at some positions as an array of numbers.

        Parameters
        ----------
        rows : ndarray of int of shape (n_positions,) or slice, default=all

        Returns
        -------
        rows : ndarray of shape (n_positions, ...)

        Raises
        ------
        TypeError
            If there is an `obstacle`.
        """
        if self.obstacle is not None:
            raise TypeError(f"The rows of the pool are wanted as numbers, and {self.obstacle}.")
        return self._values(rows)

    @abstractmethod
    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        """Rows at some positions as an array, whatever they are."""

    @abstractmethod
    def like(self, rows: NDArray[Any]) -> Any:
        """New rows in a container like `X`, in the shape and the floating-point type of its rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, ...)

        Returns
        -------
        rows : container of shape (n_rows, ...)
        """

    @abstractmethod
    def stack(self, others: list[Any]) -> Any:
        """The rows of `X` and of other containers of its kind, one below the other.

        Parameters
        ----------
        others : list of containers

        Returns
        -------
        rows : container of shape (n_rows, ...)
        """

    def matching(self, other: Pool) -> Pool:
        """Other rows in a container that `stack` takes, and in the number type of the pool.

        Parameters
        ----------
        other : Pool

        Returns
        -------
        other : Pool

        Raises
        ------
        ValueError
            If they are in another kind of container, have other columns or arrays, or have values that the number type
            of the pool cannot hold.
        """
        if type(other) is not type(self):
            raise self._unlike(other)
        return other

    def _unlike(self, other: Pool) -> ValueError:
        given, own = (
            f"{type(each.X).__module__.partition('.')[0]}.{type(each.X).__name__}" for each in (other, self)
        )
        return ValueError(
            f"Rows were given in a {given}, and those of the pool are in a {own}; give the same."
        )

    @property
    def description(self) -> str:
        """The kind of container and its size, in words."""
        dtype = getattr(self.X, "dtype", None)
        of_type = "" if dtype is None else f" of {dtype}"
        shape = getattr(self.X, "shape", None)
        size = f"{len(self)} rows" if shape is None else f"shape {tuple(shape)}"
        return f"{type(self.X).__name__}{of_type} with {size}"

    @property
    def columns(self) -> list[list[str]]:
        """Name and type of each column of a table, as they are printed; empty for other containers."""
        return []

    @abstractmethod
    def _numbers(self) -> Iterable[tuple[str, NDArray[Any]]]:
        """The arrays of floating-point numbers in `X`, with their names in errors."""

    @property
    def is_open(self) -> bool:
        """Whether the rows can be read; their file may have been closed."""
        return True

    @property
    def is_in_file(self) -> bool:
        """Whether the rows are in a file, as far as their container tells."""
        return self.storage is not None

    def _storage(self, file: str, *place: Hashable) -> Hashable | None:
        """An identifier of rows at a place in a file or folder; None once that has been written or replaced."""
        stamp = stamp_of(file)
        self._stamp = self._stamp or stamp
        return (*place, stamp) if self._stamp == stamp else None

    @cached_property
    def overflow(self) -> str | None:
        """Why squares of the numbers overflow, as "its numbers reach 1e+160, ..."; None if squared distances fit."""
        largest, dtype = 0.0, None
        for _, numbers in self._numbers():
            if not squares_fit(numbers):
                largest, dtype = max(largest, float(np.abs(numbers).max())), dtype or numbers.dtype
        if dtype is None:
            return None
        return f"its numbers reach {largest:g}, and squares of that overflow in {dtype}"

    @cached_property
    def flaw(self) -> str | None:
        """Why the rows are not finite: "NaN" or "infinity"; None if they are. The pool is scanned for it once."""
        # No NaN is among numbers whose squares fit.
        if get_config()["assume_finite"] or self.overflow is None:
            return None
        for flaw in (None, "NaN"):
            try:
                self.assert_finite(allow_nan=flaw == "NaN")
            except ValueError:
                continue
            return flaw
        return "infinity"

    @property
    def known_flaw(self) -> str | None:
        """The `flaw`; None if the pool has not been scanned yet and a scan is expensive."""
        return self.flaw if self._knows_flaw else None

    @property
    def is_finite(self) -> bool:
        """Whether all numbers of the pool are known to be finite."""
        return self._knows_flaw and self.flaw is None

    @property
    def _knows_flaw(self) -> bool:
        return self.is_scanned or "flaw" in vars(self)

    def assert_finite(self, *, allow_nan: bool, estimator: Any = None) -> None:
        """Raise an error for infinity, and for NaN unless it is allowed.

        Parameters
        ----------
        allow_nan : bool
        estimator : estimator, default=None
            Named in the error.

        Raises
        ------
        ValueError
            If a number is not finite.
        """
        for name, numbers in self._numbers():
            assert_all_finite(
                numbers,
                allow_nan=allow_nan,
                input_name=name,
                estimator_name=None if estimator is None else type(estimator).__name__,
            )

    def blocks(
        self, rows: ArrayLike | None = None, max_bytes: float | None = None, row_bytes: float | None = None
    ) -> Iterator[tuple[Any, slice]]:
        """Yield the wanted rows in containers of bounded size.

        Parameters
        ----------
        rows : array-like of int of shape (n_positions,), default=None
            Positions of the wanted rows, in any order. By default all of them.
        max_bytes : float, default=None
            The maximum number of bytes that a block takes, by default 32 MiB (but at least one row, and no more than
            65,536).
        row_bytes : float, default=None
            The bytes that a row takes where it is used, by default its `float_bytes`.

        Yields
        ------
        block : container like `X`
            A view if the rows of the block are consecutive rows of an array, a copy otherwise.
        where : slice
            The block holds the rows ``rows[where]``, or ``where`` without `rows`.
        """
        step = self.block_rows(row_bytes, max_bytes)
        if rows is None:
            for span in self.spans(step):
                read, n_rows = self.read(span), span.stop - span.start
                inside = [slice(0, n_rows)] if n_rows <= step else list(cut(n_rows, step))
                for where in inside:
                    block = read if n_rows <= step else read[where]
                    yield block, slice(span.start + where.start, span.start + where.stop)
            return
        wanted = check_positions(rows, len(self))
        for where in cut(len(wanted), step):
            yield self.read(as_slice(wanted[where])), where

    def block_rows(self, row_bytes: float | None = None, max_bytes: float | None = None) -> int:
        """The number of rows of a block.

        Parameters
        ----------
        row_bytes : float, default=None
            The bytes that a row takes where it is used, by default its `float_bytes`.
        max_bytes : float, default=None
            The maximum number of bytes that a block takes, by default 32 MiB.

        Returns
        -------
        n_rows : int
            From 1 to 65,536.
        """
        most = BLOCK_BYTES if max_bytes is None else max_bytes
        return min(max(1, int(most // (row_bytes or self.float_bytes))), _BLOCK_ROWS)

    def spans(self, step: int) -> Iterator[slice]:
        """Cut the pool into ranges of rows that are read at a time.

        Parameters
        ----------
        step : int
            The maximum number of rows. A larger chunk of a lazy pool is still read at once.

        Yields
        ------
        span : slice
            A range from `start` to `stop`; each begins where the previous one ends.
        """
        return cut(len(self), step)

    def same_as(self, other: Pool) -> bool:
        """Whether another pool has the same rows, compared block by block up to the first difference.

        Images and their flat rows count as the same, as do a data frame and its array, and the rows of this pool
        rounded to a narrower floating-point type.

        Parameters
        ----------
        other : Pool

        Returns
        -------
        same : bool
        """
        if other.X is self.X or (self.storage is not None and self.storage == other.storage):
            return True
        if len(self) != len(other) or np.prod(self.row_shape) != np.prod(other.row_shape):
            return False
        return self._same_rows(other)

    def _same_rows(self, other: Pool) -> bool:
        step = max(1, int(_COMPARED_BYTES // max(self.row_bytes, other.row_bytes)))
        return all(same_values(self._values(rows), other._values(rows)) for rows in cut(len(self), step))

    def differences(self, other: Pool) -> tuple[int, int, int]:
        """How many of some evenly spaced rows differ from those of another pool of this size.

        Parameters
        ----------
        other : Pool

        Returns
        -------
        n_differ, n_differ_much, n_rows : int
            The number of rows that differ, the number of those that differ by more than rounding, and the number of
            rows that were compared.
        """
        row_bytes = max(self.float_bytes, other.float_bytes, 8 * float(np.prod(self.row_shape)))
        step = -(-len(self) // min(max(1, int(BLOCK_BYTES // row_bytes)), _SAMPLED_ROWS))
        rows = slice(None, None, step)
        differ, much = differing_rows(self._values(rows), other._values(rows))
        return int(differ.sum()), int(much.sum()), len(differ)
