"""Pools whose rows are objects: texts, dicts, sequences of any length, paths."""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Hashable, Iterator
from functools import cached_property
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from ..utils.arrays import as_objects
from .base import Pool
from .checksum import as_text
from .equality import cells_of, same_values
from .rows import Rows

# Rows from which the size of one is estimated.
_SAMPLED_ROWS = 100
_NAMES = {
    str: "texts",
    bytes: "bytes",
    dict: "dicts",
    PurePath: "paths",
    list: "sequences",
    tuple: "sequences",
}


class ItemPool(Pool):
    """A list, a 1-D array or a Series of objects, which only a classifier or an encoder understands."""

    def __init__(self, X: Any) -> None:
        if isinstance(X, tuple):
            X = list(X)
        elif not isinstance(X, list | np.ndarray) and type(X).__name__ != "Series":
            X = np.asarray(X, dtype=object)  # pandas' arrays of its own types
        super().__init__(X)

    @staticmethod
    def holds(X: Any) -> bool:
        return isinstance(X, list | tuple) or len(getattr(X, "shape", (0, 0))) == 1

    def __len__(self) -> int:
        return len(self.X)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return ()

    @cached_property
    def obstacle(self) -> str | None:
        first = next((item for item in self.X if item is not None), None)
        names = (name for kind, name in _NAMES.items() if isinstance(first, kind))
        return f"its rows are {next(names, f'objects of type {type(first).__name__}')}"

    @cached_property
    def row_bytes(self) -> float:
        sampled = self._sampled(_SAMPLED_ROWS)
        return max(1.0, sum(map(sys.getsizeof, sampled)) / max(1, len(sampled)))

    def _sampled(self, n_rows: int) -> list[Any]:
        return list(self.X[:: max(1, -(-len(self) // n_rows))])

    def take(self, rows: Rows | slice) -> Any:
        return _safe_indexing(self.X, rows)

    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        return as_objects(self.take(rows))

    def _same_rows(self, other: Pool) -> bool:
        """Whether all items are the same; those that are missing are, in Series of different types."""
        dtypes = [
            getattr(each.X, "dtype", None) for each in (self, other) if type(each.X).__name__ == "Series"
        ]
        if len(dtypes) == 2 and dtypes[0] != dtypes[1]:
            return same_values(cells_of(self.X), cells_of(other.X))
        return super()._same_rows(other)

    def like(self, rows: NDArray[Any]) -> Any:
        raise TypeError(f"Rows cannot be made of numbers, as {self.obstacle}.")

    def stack(self, others: list[Any]) -> Any:
        if isinstance(self.X, list):
            return [*self.X, *(item for items in others for item in items)]
        if isinstance(self.X, np.ndarray):
            return np.concatenate([self.X.astype(object), *map(as_objects, others)])
        # A Series; of polars by the name of its package.
        package = importlib.import_module(type(self.X).__module__.partition(".")[0])
        return package.concat([self.X, *(type(self.X)(list(items), dtype=self.X.dtype) for items in others)])

    def matching(self, other: Pool) -> Pool:
        """Other objects, in any container of them."""
        return other if isinstance(other, ItemPool) else super().matching(other)

    def digest(self, max_bytes: int) -> Hashable:
        items = self._sampled(max(1, int(max_bytes // self.row_bytes)))
        items.extend(self.take(slice(len(self) - 1, None)))
        return "items", len(self), zlib.crc32(as_text(items).encode())

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        yield from ()
