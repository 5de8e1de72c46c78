"""Noticing when a pool is changed in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checksum import checksum
from .rows import Rows

_FEW_BYTES = 2**18  # of the rows that `Watched.seems_unchanged` reads


class Watched(ABC):
    """Base of pools: the checks whether their rows are unchanged.

    A query reads evenly spaced rows, up to 64 MiB of them. Calls between queries, such as a label, read only a few.
    """

    _seen: tuple[int, Hashable, Hashable] | None = None
    _few: int | None = None
    _n_watched: int | None = None  # whoever has a list may append to it

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def row_bytes(self) -> float:
        """Bytes that a row takes in memory."""

    @property
    def storage(self) -> Hashable | None:
        """An identifier of rows in storage that cannot have changed unnoticed; None for rows in memory."""
        return None

    @abstractmethod
    def digest(self, max_bytes: int) -> Hashable:
        """A checksum of the rows.

        Parameters
        ----------
        max_bytes : int
            About how much is read: all rows of a smaller pool, evenly spaced rows of a larger one.

        Returns
        -------
        digest : hashable
        """

    def has_digest(self, digest: str, max_bytes: int) -> bool:
        """Whether a file that holds ``repr(digest(max_bytes))`` was written for these rows."""
        return digest == repr(self.digest(max_bytes))

    def _look(self, max_bytes: int) -> Hashable:
        """The checksum that a query compares with the first: `digest`, or a faster one of rows in their stored form."""
        return self.digest(max_bytes)

    def watch(self, max_bytes: int) -> None:
        """Remember how the rows look now, if that has not been done, so that `is_unchanged` can tell.

        Parameters
        ----------
        max_bytes : int
            About how much is read. A smaller pool is read whole. From a larger one, only evenly spaced rows are read,
            so that a query never scans a large pool.
        """
        if self._seen is None:
            self._seen = max_bytes, self.storage, self._look(max_bytes)
            self._few, self._n_watched = self._glance(), len(self)

    def is_unchanged(self) -> bool:
        """Whether the rows still look as they did when they were first watched."""
        if self._seen is None:
            return True
        if self._has_other_length:
            return False
        max_bytes, storage, digest = self._seen
        return (storage is not None and storage == self.storage) or digest == self._look(max_bytes)

    def seems_unchanged(self) -> bool:
        """Whether the storage of the rows, or a few rows in memory, look as they did when they were first watched.

        It reads far less than `is_unchanged`, which a query uses. It notices a new order or number of rows, but not a
        changed row.
        """
        if self._seen is None:
            return True
        if self._has_other_length:
            return False
        storage = self._seen[1]
        if storage is not None:
            return storage == self.storage or self.is_unchanged()
        return self._few == self._glance()

    @property
    def _has_other_length(self) -> bool:
        """Whether there are more rows, or fewer, than were watched; pools that older versions pickled do not tell."""
        return self._n_watched not in (None, len(self))

    def _glance(self) -> int | None:
        """An identifier of a few rows in memory; None if rows are objects, or are read, computed or decoded."""
        return None

    def _checksum_of_few(self, values: Callable[[Rows], NDArray[Any]]) -> int | None:
        """A checksum of the content of evenly spaced rows, for `_glance`."""
        if self.storage is not None or not len(self):
            return None
        n_rows = min(len(self), max(2, int(_FEW_BYTES // self.row_bytes)))
        few = values(np.linspace(0, len(self) - 1, n_rows).astype(np.intp))
        return checksum(few, max(1, few.nbytes))
