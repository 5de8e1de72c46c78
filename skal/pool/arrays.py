"""Pools that are arrays, in memory or mapped from a file."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Hashable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Pool
from .checksum import checksum
from .mapped import mapped, outlives_the_process, place_of
from .rows import Rows

NUMBERS = "biufc"  # kinds of dtypes
# How much of a mapped pool is read to tell whether its file is that which was pickled.
_FINGERPRINT_BYTES = 1 << 26


class ArrayPool(Pool):
    """An array of shape (n_rows, ...), in memory or memory-mapped.

    A mapped array is pickled as a place in its file, and mapped again from there if the file still has the rows. A
    read-only mapped array is identified by file, place, type, shape and the time of the last change; its rows are not
    read for that.
    """

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        # Of a mapped pool: its storage and checksum.
        self._fingerprint: tuple[Hashable, Hashable] = None, None

    @property
    def is_scanned(self) -> bool:  # type: ignore[override]
        """Whether numbers are checked in any case; objects become numbers only if somebody reads them as such."""
        return self.X.dtype.kind != "O"

    @staticmethod
    def holds(X: Any) -> bool:
        return isinstance(X, np.ndarray) and (X.ndim > 1 or (X.ndim == 1 and X.dtype.kind in NUMBERS))

    @cached_property
    def obstacle(self) -> str | None:
        if self.X.dtype.kind in NUMBERS:
            return None
        for cell in self.X.flat:
            try:
                if isinstance(cell, str | bytes):
                    return f"its cells are not numbers, for example {cell!r}"
                float(cell)
            except (TypeError, ValueError) as error:
                return f"its cells are not numbers, for example {reprlib.repr(cell)} ({error})"
        return None

    @property
    def row_bytes(self) -> float:
        return max(1, self.X.itemsize * int(np.prod(self.row_shape)))

    def take(self, rows: Rows | slice) -> NDArray[Any]:
        return self.X[rows]

    def dense(self, rows: Rows | slice = slice(None)) -> NDArray[Any]:
        values = super().dense(rows)
        return values.astype(np.float64) if values.dtype.kind == "O" else values

    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        return np.asarray(self.X[rows])

    def _glance(self) -> int | None:
        return self._checksum_of_few(self._values)

    def same_as(self, other: Pool) -> bool:
        """Whether another pool has the same rows; the same memory is not compared."""
        return _memory(self.X) == _memory(other.X) or super().same_as(other)

    def like(self, rows: NDArray[Any]) -> NDArray[Any]:
        if self.X.dtype.kind in "iu":
            limits = np.iinfo(self.X.dtype)
            rows = np.rint(rows).clip(limits.min, limits.max)
        dtype = self.X.dtype if self.X.dtype.kind in "iuf" else rows.dtype
        return rows.reshape(-1, *self.row_shape).astype(dtype, copy=False)

    def matching(self, other: Pool) -> Pool:
        """Other rows in the number type of the pool, because a network treats bytes and floats differently."""
        rows, dtype = super().matching(other).X, self.X.dtype
        are_flat = 1 in (len(self.row_shape), len(other.row_shape))
        if other.row_shape != self.row_shape and not are_flat:  # images may be flat
            raise ValueError(
                f"Rows of shape {other.row_shape} were given, and those of the pool have {self.row_shape}; give the "
                "same, or flat rows."
            )
        check_no_bytes(rows.dtype, dtype)
        if rows.dtype == dtype or dtype.kind not in NUMBERS or rows.dtype.kind not in NUMBERS:
            return other
        with np.errstate(all="ignore"):
            cast = rows.astype(dtype)
        changed = np.isfinite(cast) != np.isfinite(rows) if dtype.kind in "fc" else cast != rows
        if changed.any():
            raise ValueError(
                f"Rows of dtype {rows.dtype} were given whose values do not fit the {dtype} of the pool; give {dtype}."
            )
        return ArrayPool(cast)

    def stack(self, others: list[Any]) -> NDArray[Any]:
        return np.concatenate([self.X, *(rows.reshape(-1, *self.row_shape) for rows in others)])

    def digest(self, max_bytes: int) -> Hashable:
        return "array", self.X.shape, _native(self.X.dtype).str, checksum(self.X, max_bytes)

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.X.dtype.kind in "fc":
            yield "X", self.X
        elif self.X.dtype.kind == "O" and self.obstacle is None:
            yield "X", self.X.astype(np.float64)

    @property
    def storage(self) -> Hashable | None:
        place = place_of(self.X)
        if place is None:
            return None
        storage = self._storage(place["filename"], *place.values())
        # What this process writes may be newer than the file's time.
        return storage if place["mode"] == "r" else None

    @property
    def is_in_file(self) -> bool:
        return place_of(self.X) is not None

    def __getstate__(self) -> dict[str, Any]:
        place = place_of(self.X)
        if place is None or not outlives_the_process(place["filename"]):
            return vars(self)
        stat = os.stat(place["filename"])
        if self._stamp is not None and self._stamp[0] != stat.st_ino:  # the name is another file's now
            return vars(self)
        storage = self.storage
        if storage is None or self._fingerprint[0] != storage:
            self._fingerprint = storage, self.digest(_FINGERPRINT_BYTES)
        return {**vars(self), "X": {"place": place, "size": stat.st_size}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if not isinstance(self.X, dict):
            return
        filename, (storage, digest) = self.X["place"]["filename"], self._fingerprint
        self.X = mapped(**self.X)
        if storage is not None and storage == self.storage:
            return
        if digest != self.digest(_FINGERPRINT_BYTES):
            raise ValueError(
                f"{filename} holds other rows than those that were there when the pool was pickled; "
                "put that file back, or fit again with the rows that are there now."
            )
        self._stamp = None  # a copy of the file, or one that was rewritten
        if self._seen is not None and self._seen[2] == self.digest(self._seen[0]):
            self._seen = self._seen[0], self.storage, self._seen[2]
        self._fingerprint = self.storage, digest


def _native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "T" else dtype.newbyteorder("=")  # texts of any length have no byte order


def check_no_bytes(given: np.dtype[Any], own: np.dtype[Any]) -> None:
    """Refuse bytes for a pool of floats, because a network scales bytes, and has seen none."""
    if given == np.uint8 and own.kind == "f":
        raise ValueError(
            f"Bytes (uint8) were given, and the pool holds {own}; bring them to its scale first, such as X / 255."
        )


def _memory(X: Any) -> Any:
    is_array = isinstance(X, np.ndarray) and X.dtype.kind != "O"
    return (X.ctypes.data, X.dtype.str, X.shape, X.strides) if is_array else id(X)
