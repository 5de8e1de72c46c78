"""Pools that are sparse matrices."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .base import Pool
from .checksum import checksum
from .equality import is_rounded, same_values
from .rows import Rows

_PARTS = ("indptr", "indices", "data")
_RUN = 64  # entries that are read together


class SparsePool(Pool):
    """A scipy sparse matrix or array, of shape (n_rows, n_features), converted to CSR once if necessary."""

    def __init__(self, X: Any) -> None:
        super().__init__(X.tocsr())
        self._entries: Hashable = None

    @staticmethod
    def holds(X: Any) -> bool:
        return bool(sparse.issparse(X))

    @property
    def row_bytes(self) -> float:
        return max(1.0, (self.X.data.nbytes + self.X.indices.nbytes) / max(1, len(self)))

    @property
    def float_bytes(self) -> float:
        return max(1.0, (8 * len(self.X.data) + self.X.indices.nbytes) / max(1, len(self)))

    def take(self, rows: Rows | slice) -> Any:
        return self.X[rows]

    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        return self.X[rows].toarray()

    def _glance(self) -> int | None:
        return self._checksum_of_few(self._entries_of)

    def _entries_of(self, rows: Rows) -> NDArray[Any]:
        few = _canonical(self.X[rows])
        return np.concatenate([getattr(few, name) for name in _PARTS])

    def like(self, rows: NDArray[Any]) -> Any:
        return type(self.X)(rows.reshape(-1, *self.row_shape))

    def stack(self, others: list[Any]) -> Any:
        return sparse.vstack([self.X, *others], format="csr")

    def matching(self, other: Pool) -> Pool:
        """Other rows as sparse rows; dense rows are converted."""
        is_dense = isinstance(other.X, np.ndarray) and other.X.ndim == 2
        return SparsePool(self.like(other.X)) if is_dense else super().matching(other)

    def digest(self, max_bytes: int) -> Hashable:
        """A checksum of evenly spaced rows, whatever the order of the entries in each row."""
        step = max(1, -(-int(self.row_bytes * len(self)) // max_bytes))
        X = _canonical(self.X[::step])
        places = (checksum(part.astype(np.int64), max_bytes) for part in (X.indptr, X.indices))
        return "sparse", self.X.shape, *places, checksum(X.data, max_bytes)

    def has_digest(self, digest: str, max_bytes: int) -> bool:
        """Whether a file's digest is that of these rows, also in the form of older files."""
        return super().has_digest(digest, max_bytes) or digest == repr(self._look(max_bytes))

    def _look(self, max_bytes: int) -> Hashable:
        sums: list[int] = []
        for part in (getattr(self.X, name) for name in _PARTS):
            # Single entries at even distances could all be of one column; some of many runs are of all.
            n_whole = len(part) - len(part) % _RUN
            sums += [
                checksum(part[:n_whole].reshape(-1, _RUN), max_bytes),
                checksum(part[n_whole:], max_bytes),
            ]
        return "sparse", self.X.shape, *sums

    def watch(self, max_bytes: int) -> None:
        if self._seen is None and not self.X.has_canonical_format:
            self._entries = self.digest(max_bytes)
        super().watch(max_bytes)

    def is_unchanged(self) -> bool:
        """Whether the rows are unchanged; solvers of scikit-learn may sort the entries of a row in place."""
        if super().is_unchanged():
            return True
        max_bytes = self._seen[0]  # type: ignore[index]
        if self._entries is None or self._entries != self.digest(max_bytes):
            return False
        self._seen = max_bytes, None, self._look(max_bytes)  # the same rows, which cost less to know again
        return True

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if self.X.dtype.kind in "fc":
            yield "X", self.X.data

    def _same_rows(self, other: Pool) -> bool:
        """Whether the same entries are there, in whatever order; a zero that is stored is one that is not."""
        if not isinstance(other, SparsePool):
            return super()._same_rows(other)
        if all(same_values(getattr(self.X, part), getattr(other.X, part)) for part in _PARTS):
            return True
        rounds = is_rounded(self.X.dtype, other.X.dtype)
        for block, where in self.blocks():  # a number may round to zero, which is no entry
            ours = _canonical(block.astype(other.X.dtype) if rounds else block)
            theirs = _canonical(other.take(where))
            if not all(same_values(getattr(ours, part), getattr(theirs, part)) for part in _PARTS):
                return False
        return True


def _canonical(X: Any) -> Any:
    X = X.copy()
    X.sum_duplicates()
    X.eliminate_zeros()
    return X
