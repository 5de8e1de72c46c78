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
        return np.concatenate([self.X, *others])

    def digest(self, max_bytes: int) -> Hashable:
        return "array", self.X.shape, self.X.dtype.str, checksum(self.X, max_bytes)

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.X.dtype.kind in "fcO":
            yield "X", self.X

    @property
    def storage(self) -> Hashable | None:
        place = _place(self.X)
        if place is None or self.X.mode != "r":  # what this process writes may be newer than the file's time
            return None
        return *place, os.stat(place[0]).st_mtime_ns

    def __getstate__(self) -> dict[str, Any]:
        state, place = dict(vars(self)), _place(self.X)
        if place is not None:
            names = ("filename", "offset", "dtype", "shape")
            state["X"] = {**dict(zip(names, place, strict=True)), "mode": "r" if self.X.mode == "r" else "r+"}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.X, dict):
            self.X = np.memmap(**self.X)


def _place(X: NDArray[Any]) -> tuple[str, int, str, tuple[int, ...]] | None:
    """File, offset, type and shape of a mapped array that lies there row by row; None for any other array."""
    mapping: Any = getattr(X, "_mmap", None)
    if mapping is None or not isinstance(X, np.memmap) or X.filename is None or not X.flags.c_contiguous:
        return None
    if X.mode == "c" or not os.path.exists(
        X.filename
    ):  # what was changed there is in no file, or the file is gone
        return None
    first = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY  # what numpy maps, of which X may be a part
    offset = first + X.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
    return os.fspath(X.filename), offset, X.dtype.str, X.shape
