"""Pools that are data frames, of pandas or polars."""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from ..utils.arrays import as_objects
from .arrays import ArrayPool
from .base import Pool
from .checksum import checksum
from .equality import cells_of, same_values
from .rows import Rows

_NUMBERS = ("integer", "floating", "mixed-integer-float", "boolean", "decimal")  # what pandas infers


class FramePool(Pool):
    """A data frame of shape (n_rows, n_columns); its columns may hold values that only the classifier understands."""

    @staticmethod
    def holds(X: Any) -> bool:
        return hasattr(X, "shape") and hasattr(X, "columns")

    @property
    def row_bytes(self) -> float:
        return max(1, 8 * self.X.shape[1])

    @cached_property
    def obstacle(self) -> str | None:
        others = [column.name for column in self._columns if not _holds_numbers(column)]
        return f"its columns {others[:5]} hold no numbers" if others else None

    @property
    def columns(self) -> list[list[str]]:
        pairs = zip(self.X.columns, self._columns, strict=True)
        return [[repr(name), self._type_of(column)] for name, column in pairs]

    def _type_of(self, column: Any) -> str:
        if self._is_pandas:  # which calls texts by their storage, too
            return "str" if str(column.dtype).startswith("string") else str(column.dtype)
        # What polars prints of a type also has its parameters, and depends on the version.
        return str(column.dtype.base_type().__name__)

    def take(self, rows: Rows | slice) -> Any:
        # scikit-learn takes no names that are repeated.
        return self.X.iloc[rows] if self._is_pandas else _safe_indexing(self.X, rows)

    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        taken = self.take(rows)
        array = np.asarray(taken)
        if array.dtype.kind != "O" or self.obstacle is not None:
            return array
        # Columns of several types, or with missing values of their own kind.
        return taken.to_numpy(np.float64, na_value=np.nan) if self._is_pandas else array.astype(np.float64)

    def _glance(self) -> int | None:
        return self._checksum_of_few(self._values)

    def like(self, rows: NDArray[Any]) -> Any:
        names = "columns" if self._is_pandas else "schema"
        rows = rows.reshape(-1, *self.row_shape)
        if self.numbers == "bytes":  # which a network scales as such
            rows = ArrayPool(self.dense(slice(1))).like(rows)
        return type(self.X)(rows, **{names: list(self.X.columns)})

    def stack(self, others: list[Any]) -> Any:
        if self._is_pandas:
            return importlib.import_module("pandas").concat([self.X, *others])
        return importlib.import_module("polars").concat([self.X, *others], how="vertical_relaxed")

    def matching(self, other: Pool) -> Pool:
        """Other rows in a frame of the same library, cast to the types of the pool's columns.

        Numbers that would change in a cast keep a wider type. Any other value that would change is refused.
        """
        if not isinstance(other, FramePool) or type(other.X) is not type(self.X):
            raise self._unlike(other)
        if list(self.X.columns) != list(other.X.columns):
            raise ValueError(
                f"The columns {list(other.X.columns)} were given, and those of the pool are {list(self.X.columns)}; "
                "give the same, in the same order."
            )
        pairs = list(zip(self._columns, other._columns, strict=True))
        cast = [_cast(theirs, ours.dtype) for ours, theirs in pairs]
        wrong = [
            f"{theirs.name!r} is {theirs.dtype} instead of {ours.dtype}"
            for (ours, theirs), column in zip(pairs, cast, strict=True)
            if column is None
        ]
        if wrong:
            raise ValueError(
                f"Rows were given whose values the pool's columns cannot hold: {', '.join(wrong)}; give values of "
                "these types."
            )
        if not self._is_pandas:
            return FramePool(other.X.with_columns(cast))
        X = other.X.copy(deep=False)
        for place, column in enumerate(cast):
            X.isetitem(place, column)
        return FramePool(X)

    def digest(self, max_bytes: int) -> Hashable:
        step = max(1, -int(-self.row_bytes * len(self) // max_bytes))
        if not self._is_pandas:
            rows = self.X.gather_every(step)
            nested = [name for name, dtype in rows.schema.items() if dtype.is_nested()]
            flat = rows.drop(nested)  # few versions of polars can hash lists
            lists = (as_objects(rows[name].to_list()) for name in nested)
            hashes = [flat.hash_rows().to_numpy()] if flat.width else []
            sums = [checksum(part, max_bytes) for part in (*hashes, *lists)]
        else:
            rows = self.X.iloc[::step]
            # Pandas would hash them as what they print, in part.
            is_object = np.array([getattr(dtype, "hasobject", False) for dtype in rows.dtypes], bool)
            hashes = rows.loc[:, ~is_object]
            if not is_object.all():  # before pandas 3, a frame without columns had no hashes
                hashes = importlib.import_module("pandas.util").hash_pandas_object(hashes, index=False)
            sums = [checksum(part.to_numpy(), max_bytes) for part in (hashes, rows.loc[:, is_object])]
        return type(self.X).__name__, self.X.shape, *self.X.columns, *sums

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for column in self._columns:
            numbers = np.asarray(column)
            if numbers.dtype.kind == "O" and _holds_numbers(column):
                numbers = FramePool(column.to_frame()).dense()
            if numbers.dtype.kind in "fc":
                yield f"X[{column.name!r}]", numbers

    def _same_rows(self, other: Pool) -> bool:
        """Whether all columns are the same, whatever the index of the rows."""
        if not isinstance(other, FramePool) or type(other.X) is not type(self.X):
            return super()._same_rows(other)
        same_names = list(self.X.columns) == list(other.X.columns)
        return same_names and all(map(self._same_column, self._columns, other._columns))

    def _same_column(self, ours: Any, theirs: Any) -> bool:
        if ours.dtype == theirs.dtype:
            return bool(ours.array.equals(theirs.array) if self._is_pandas else ours.equals(theirs))
        arrays = np.asarray(ours), np.asarray(theirs)
        if "O" in (arrays[0].dtype.kind, arrays[1].dtype.kind):
            arrays = cells_of(ours), cells_of(theirs)
        return same_values(arrays[0][:, None], arrays[1][:, None])

    @property
    def _columns(self) -> list[Any]:
        # By position, as names may be repeated.
        return [column for _, column in self.X.items()] if self._is_pandas else self.X.get_columns()

    @property
    def _is_pandas(self) -> bool:
        return hasattr(self.X, "iloc")


def _holds_numbers(column: Any) -> bool:
    """Whether a column can be read as numbers."""
    dtype = column.dtype
    if not hasattr(column, "iloc"):  # polars
        return bool(dtype.is_numeric()) or dtype == importlib.import_module("polars").Boolean
    types = importlib.import_module("pandas.api.types")
    if isinstance(dtype, types.CategoricalDtype):
        return _holds_numbers(dtype.categories.to_series())
    return types.is_numeric_dtype(dtype) or (
        types.is_object_dtype(dtype) and types.infer_dtype(column, skipna=True) in _NUMBERS
    )


def _cast(column: Any, dtype: Any) -> Any:
    """A column in another type if that holds its values; otherwise numbers unchanged, and None for other values."""
    if column.dtype == dtype:
        return column
    with suppress(Exception):  # polars has its own, pandas TypeError and ValueError
        if not hasattr(column, "iloc"):
            cast = column.cast(dtype)
        else:
            is_object = getattr(column.dtype, "hasobject", False)  # a NA among them is no float
            cast = (column.where(column.notna(), None) if is_object else column).astype(dtype)
        if same_values(*map(cells_of, (column, cast))):
            return cast
        return column if _holds_numbers(column) and _holds_numbers(cast) else None
    return None
