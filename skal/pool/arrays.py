"""Pools that are arrays, in memory or mapped from a file."""

from __future__ import annotations

import mmap
import os
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Pool
from .checksum import checksum
from .rows import Rows


class ArrayPool(Pool):
    """An array of shape (n_rows, ...), in memory or memory-mapped.

    A mapped one pickles as the name of its file, from which it is mapped again. One that is mapped read-only is known
    by file, place, type, shape and the time of the last change; its rows are not read for that.
    """

    @staticmethod
    def holds(X: Any) -> bool:
        return isinstance(X, np.ndarray)

    @property
    def row_bytes(self) -> float:
        return max(1, self.X.itemsize * int(np.prod(self.row_shape)))

    def take(self, rows: Rows | slice) -> NDArray[Any]:
        return self.X[rows]

    def dense(self, rows: Rows | slice = slice(None)) -> NDArray[Any]:
        return np.asarray(self.X[rows])

    def like(self, rows: NDArray[Any]) -> NDArray[Any]:
        dtype = self.X.dtype if self.X.dtype.kind == "f" else rows.dtype
        return rows.reshape(-1, *self.row_shape).astype(dtype, copy=False)

    def stack(self, others: list[Any]) -> NDArray[Any]:
        return np.concatenate([self.X, *(rows.reshape(-1, *self.row_shape) for rows in others)])

    def digest(self, max_bytes: int) -> Hashable:
        return "array", self.X.shape, self.X.dtype.str, checksum(self.X, max_bytes)

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.X.dtype.kind in "fcO":
            yield "X", self.X

    @property
    def storage(self) -> Hashable | None:
        place = _place(self.X)
        # What this process writes may be newer than the file's time.
        if place is None or place["mode"] != "r":
            return None
        return *place.values(), os.stat(place["filename"]).st_mtime_ns

    def __getstate__(self) -> dict[str, Any]:
        place = _place(self.X)
        return vars(self) if place is None else {**vars(self), "X": place}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.X, dict):
            self.X = np.memmap(**self.X)


def _place(X: Any) -> dict[str, Any] | None:
    """The parameters of `numpy.memmap` that map an array again; None where no file holds it in one piece."""
    if getattr(X, "_mmap", None) is None or X.filename is None or not os.path.exists(X.filename):
        return None
    if X.mode == "c" or not X.flags.forc:  # changes that reached no file, or gaps between the rows
        return None
    first = (
        X.offset - X.offset % mmap.ALLOCATIONGRANULARITY
    )  # where numpy's mapping begins; X may begin later
    return {
        "filename": os.fspath(X.filename),
        "mode": "r" if X.mode == "r" else "r+",
        "offset": first + X.ctypes.data - np.frombuffer(X._mmap, np.uint8).ctypes.data,
        "dtype": X.dtype.str,
        "shape": X.shape,
        "order": "C" if X.flags.c_contiguous else "F",
    }
