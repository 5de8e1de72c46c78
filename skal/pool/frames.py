"""Pools that are data frames, of pandas or polars."""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from .base import Pool, same_numbers
from .checksum import checksum
from .rows import Rows


class FramePool(Pool):
    """A data frame of shape (n_rows, n_columns); its columns may hold what only the classifier understands."""

    @staticmethod
    def holds(X: Any) -> bool:
        return hasattr(X, "columns") and hasattr(X, "shape")

    @property
    def row_bytes(self) -> float:
        return max(1, 8 * self.X.shape[1])

    def take(self, rows: Rows | slice) -> Any:
        return _safe_indexing(self.X, rows)

    def dense(self, rows: Rows | slice = slice(None)) -> NDArray[Any]:
        array = np.asarray(self.take(rows))
        if array.dtype.kind == "O":  # columns of several types; words stay words
            with suppress(TypeError, ValueError):
                return array.astype(np.float64)
        return array

    def like(self, rows: NDArray[Any]) -> Any:
        names = "columns" if self._is_pandas else "schema"
        return type(self.X)(rows.reshape(-1, *self.row_shape), **{names: list(self.X.columns)})

    def stack(self, others: list[Any]) -> Any:
        return importlib.import_module("pandas" if self._is_pandas else "polars").concat([self.X, *others])

    def matching(self, other: Pool) -> Pool:
        """Other rows in a frame of the same library, whose columns can be stacked."""
        if type(other.X) is not type(self.X):
            raise self._unlike(other)
        try:
            FramePool(self.X.head(1)).stack([other.X.head(1)])
        except Exception as error:  # polars has its own, pandas TypeError and ValueError
            raise ValueError(
                f"The columns are not those of the pool: {error}; give the same types."
            ) from error
        return other

    def digest(self, max_bytes: int) -> Hashable:
        step = max(1, -int(-self.row_bytes * len(self) // max_bytes))
        if not self._is_pandas:
            hashes = self.X.gather_every(step).hash_rows().to_numpy()
        else:
            rows = self.X.iloc[::step]
            try:
                hashes = (
                    importlib.import_module("pandas.util").hash_pandas_object(rows, index=False).to_numpy()
                )
            except TypeError:  # cells that cannot be hashed, such as lists
                hashes = rows.to_numpy(object)
        return type(self.X).__name__, self.X.shape, *self.X.columns, checksum(hashes, max_bytes)

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for column in self._columns:
            numbers = np.asarray(column)
            if numbers.dtype.kind in "fc":
                yield f"X[{column.name!r}]", numbers

    def _same_rows(self, other: Pool) -> bool:
        """Whether all columns are the same, whatever the index of the rows."""
        if not isinstance(other, FramePool) or type(other.X) is not type(self.X):
            return super()._same_rows(other)
        same_names = list(self.X.columns) == list(other.X.columns)
        return same_names and all(map(self._same_column, self._columns, other._columns))

    def _same_column(self, ours: Any, theirs: Any) -> bool:
        if ours.dtype != theirs.dtype:
            return same_numbers(np.asarray(ours)[:, None], np.asarray(theirs)[:, None])
        return bool(ours.array.equals(theirs.array) if self._is_pandas else ours.equals(theirs))

    @property
    def _columns(self) -> list[Any]:
        # By position, as names may be repeated.
        return [column for _, column in self.X.items()] if self._is_pandas else self.X.get_columns()

    @property
    def _is_pandas(self) -> bool:
        return hasattr(self.X, "iloc")
