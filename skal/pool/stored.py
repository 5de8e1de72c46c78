"""Pools that are arrays of h5py or zarr, which are read by slices."""

from __future__ import annotations

import importlib
import os
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import ArrayPool
from .base import BLOCK_BYTES, Pool
from .checksum import as_text, checksum
from .lazy import LazyPool
from .rows import Rows

# Chunks that hold more, such as those of a column each, are read in pieces: time for memory.
_CHUNK_BYTES = 1 << 28
_SPANS = 64  # of chunks, at most, in which a large pool is read to be known again
_SAMPLED_ROWS = 100  # from which the size of texts is estimated


class StoredPool(LazyPool):
    """An h5py or zarr array of shape (n_rows, ...), whose rows are read on demand.

    It is identified by its file, by the files of its store, or else by its rows: all rows of a small pool, evenly
    spaced rows of a large one. An h5py array is pickled by its name.
    """

    _n_rows = 0  # until it is known; others may append to the array later

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        self._check_open()
        if not hasattr(X, "shape"):
            raise ValueError(
                f"{type(X).__module__.partition('.')[0]}.{type(X).__name__} was given, which holds no rows itself; "
                "give one of its arrays, such as X['rows']."
            )
        self._n_rows = int(X.shape[0]) if X.ndim else 0

    def __len__(self) -> int:
        return self._n_rows

    @staticmethod
    def holds(X: Any) -> bool:
        return type(X).__module__.partition(".")[0] in ("h5py", "zarr")

    @property
    def chunk_ends(self) -> NDArray[np.intp]:
        in_chunk = self.X.chunks[0] if self.X.chunks else 0  # of h5py, rows need not be in chunks
        step = max(1, int(min(in_chunk, _CHUNK_BYTES // self.row_bytes) or BLOCK_BYTES // self.row_bytes))
        return np.append(np.arange(step, len(self), step), len(self))

    def take(self, rows: Rows | slice) -> NDArray[Any]:
        self._check_open()
        if isinstance(rows, slice) or not len(rows):
            return np.asarray(self.X[rows if isinstance(rows, slice) else slice(0)])
        # h5py wants increasing positions. Single ones are slow to read; close ones are read together.
        positions, places = np.unique(rows, return_inverse=True)
        first, last = int(positions[0]), int(positions[-1])
        if last - first < 2 * len(positions):
            return np.asarray(self.X[first : last + 1])[rows - first]
        read = getattr(self.X, "get_orthogonal_selection", self.X.__getitem__)  # of zarr, and of h5py
        return np.asarray(read(positions))[places]

    @property
    def is_open(self) -> bool:
        return not type(self.X).__module__.startswith("h5py") or bool(self.X)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ValueError(
                "The h5py file of the pool was closed; keep it open as long as the rows are asked for."
            )
        if self._n_rows and self.X.shape[0] < self._n_rows:
            raise ValueError(
                f"The {type(self.X).__module__.partition('.')[0]} array of the pool has {self.X.shape[0]} rows, and "
                f"had {self._n_rows} when it was given; put the others back, or fit again with those that are left."
            )

    def is_unchanged(self) -> bool:
        self._check_open()
        return super().is_unchanged()

    def stack(self, others: list[Any]) -> NDArray[Any]:
        return ArrayPool(self.whole()).stack(others)

    @property
    def is_in_file(self) -> bool:
        """Whether other processes can open it: an h5py file that is only read, or a zarr store on disk."""
        # One of h5py that is written is locked.
        return self._file is not None and (not hasattr(self.X, "file") or self.X.file.mode == "r")

    @property
    def storage(self) -> Hashable | None:
        # What this process writes may reach a file of h5py later.
        if self._file is None or not self.is_in_file:
            return None
        return self._storage(
            self._file, self._file, self.X.name, len(self), self.row_shape, str(self.X.dtype)
        )

    @property
    def _file(self) -> str | None:
        """The file of an h5py array, or the folder of a zarr array, if it is on disk."""
        if hasattr(self.X, "file"):
            file = os.path.abspath(self.X.file.filename)
        else:
            root = getattr(self.X.store, "root", None)
            file = "" if root is None else os.path.join(os.path.abspath(root), self.X.path)
        return file if os.path.exists(file) else None

    def same_as(self, other: Pool) -> bool:
        """Whether another pool is the same array of an open file or of a store, or has the same rows."""
        self._check_open()
        if len(self) != len(other):
            return False
        if isinstance(other, StoredPool) and type(self.X) is type(other.X):
            # h5py compares what is open, whatever its name.
            stores = [pool.X if hasattr(pool.X, "file") else str(pool.X.store_path) for pool in (self, other)]
            if stores[0] == stores[1] and self.row_shape == other.row_shape:
                return True
        return super().same_as(other)

    def digest(self, max_bytes: int) -> Hashable:
        n_rows = max(1, int(max_bytes // self._digested_bytes))
        if len(self) <= n_rows:
            rows = self.whole()
            value = checksum(rows, max(1, rows.nbytes))
        else:
            spans = list(self.spans(n_rows // _SPANS))  # each chunk is read once
            n_spans = min(_SPANS, n_rows, len(spans))
            some = [spans[i] for i in np.linspace(0, len(spans) - 1, n_spans).astype(int)]
            step = -(-sum(span.stop - span.start for span in some) // n_rows)
            value = 0
            for span in some:  # one is in memory at a time
                rows = self.take(slice(span.start, span.stop, step))
                value = checksum(rows, max(1, rows.nbytes), value)
        return "stored", len(self), self.row_shape, str(self.X.dtype), value

    @property
    def _digested_bytes(self) -> float:
        """Bytes of a row that the checksum reads; a text takes more than its place in an array."""
        if self.obstacle is None:
            return self.row_bytes
        few = self.take(slice(_SAMPLED_ROWS))
        return max(self.row_bytes, len(as_text(few.ravel().tolist())) / max(1, len(few)))

    def has_digest(self, digest: str, max_bytes: int) -> bool:
        """Whether a file's digest is that of these rows, also in the form of older files: of 64 rows, by chunks."""
        if super().has_digest(digest, max_bytes):
            return True
        rows = np.arange(0, len(self), max(1, -(-len(self) // 64)))
        chunks = np.split(rows, np.searchsorted(rows, self.chunk_ends))
        found = (checksum(self.take(part), max_bytes) for part in chunks if len(part))
        return digest == repr(("stored", len(self), self.row_shape, str(self.X.dtype), *found))

    def __getstate__(self) -> dict[str, Any]:
        self._check_open()
        if not hasattr(self.X, "file") or self._file is None:
            return vars(self)
        return {**vars(self), "X": (self._file, self.X.name)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.X, tuple):
            file, name = self.X
            self.X = importlib.import_module("h5py").File(file, "r")[name]
