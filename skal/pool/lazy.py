"""The base of pools whose rows are read or computed in chunks, each time they are requested."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..utils.scratch import scratch_empty
from .arrays import NUMBERS, ArrayPool
from .base import Pool
from .equality import same_values
from .rows import Rows


class LazyPool(Pool):
    """Rows of shape (n_rows, ...) in chunks, which are checked for NaN only if a strategy reads the rows.

    If all rows are requested as numbers, they are kept in memory up to 1 GiB, and in a temporary file above that.
    """

    is_scanned = False
    is_lazy: ClassVar[bool] = True

    @property
    @abstractmethod
    def chunk_ends(self) -> NDArray[np.intp]:
        """The positions where the chunks end, in increasing order; the last is the number of rows."""

    @cached_property
    def obstacle(self) -> str | None:
        return None if self.X.dtype.kind in NUMBERS else f"its cells are of dtype {self.X.dtype}"

    @property
    def dtype(self) -> np.dtype[Any] | None:  # type: ignore[override]
        return None if self.obstacle is not None else self.X.dtype  # type: ignore[no-any-return]

    @property
    def row_bytes(self) -> float:
        return max(1, self.X.dtype.itemsize * int(np.prod(self.row_shape)))

    def spans(self, step: int) -> Iterator[slice]:
        """Neighbouring chunks of at most `step` rows together; a larger chunk alone."""
        start = end = 0
        for chunk_end in self.chunk_ends.tolist():
            if end > start and chunk_end - start > step:
                yield slice(start, end)
                start = end
            end = chunk_end
        yield slice(start, end)

    def whole(self) -> Any:
        """All rows, in memory or, if they are too many, in a temporary file."""
        return self._values(slice(None))

    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        if not isinstance(rows, slice) or rows != slice(None):
            return self.take(rows)
        values = scratch_empty((len(self), *self.row_shape), self.X.dtype)
        for block, where in self.blocks():
            values[where] = block
        return values

    def like(self, rows: NDArray[Any]) -> NDArray[Any]:
        return ArrayPool(self.take(slice(1))).like(rows)

    def matching(self, other: Pool) -> Pool:
        if type(other) is type(self):
            other = ArrayPool(other.take(slice(None)))
        if isinstance(other, ArrayPool):
            return ArrayPool(self.take(slice(1))).matching(other)
        return super().matching(other)

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.X.dtype.kind in "fc":
            yield from (("X", block) for block, _ in self.blocks())

    def _same_rows(self, other: Pool) -> bool:
        return all(same_values(block, other._values(where)) for block, where in self.blocks())
