"""Pools that are torch datasets, whose rows are decoded on demand."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.helper import SliceDict
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset

from .arrays import ArrayPool, check_no_bytes
from .base import Pool
from .mappings import MappingPool, parts
from .rows import Rows

# Rows that a worker decodes at a time.
_BATCH_ROWS = 64
# What the look at a file's size and time counts for, beside the bytes that other pools read to notice a change.
_FILE_BYTES = 1 << 16
# Attributes under which datasets keep the paths of their files.
_PATHS = ("samples", "imgs", "paths", "files", "filenames")


class DatasetPool(Pool):
    """A torch dataset with ``__len__`` and ``__getitem__``.

    An item is a row, or a pair of a row and a label, which is ignored: labels are given beside the pool. A row is an
    array, a tensor, an image, or a dict of arrays. Rows are decoded by a `DataLoader` on demand, and never only to
    recognise the dataset. It is recognised by `key`, by the paths, sizes and times of its files (in an attribute
    `samples`, `imgs`, `paths`, `files` or `filenames`), or by being the same object.

    Parameters
    ----------
    X : torch.utils.data.Dataset
    key : hashable, default=None
        Stands for the rows: another dataset with the same key has the same rows.
    num_workers : int, default=0
        Processes that decode.

    Raises
    ------
    TypeError
        If the dataset has no length.

    Examples
    --------
    >>> import torch
    >>> from skal.pool import DatasetPool
    >>> dataset = torch.utils.data.TensorDataset(torch.eye(3), torch.arange(3))
    >>> pool = DatasetPool(dataset, key="identity")
    >>> pool.read(slice(1, 3))
    array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """

    is_scanned = False

    def __init__(self, X: Any, *, key: Hashable = None, num_workers: int = 0) -> None:
        if not hasattr(X, "__len__"):
            raise TypeError(
                f"A {type(X).__name__} has no length, and rows of a pool are asked for by their positions; give a "
                "dataset with __len__ and __getitem__."
            )
        super().__init__(X)
        self.key = key
        self.num_workers = num_workers

    @staticmethod
    def holds(X: Any) -> bool:
        return isinstance(X, Dataset)

    def __len__(self) -> int:
        return len(self.X)

    @cached_property
    def _first(self) -> Any:
        return self.read(slice(1))

    @property
    def row_shape(self) -> tuple[int, ...]:
        return tuple(self._first.shape[1:])

    @cached_property
    def obstacle(self) -> str | None:
        is_mapping = isinstance(self._first, Mapping)
        return f"its rows are mappings of {', '.join(self._first)}" if is_mapping else None

    @property
    def numbers(self) -> Hashable:
        return None  # known by its files or key, which decode to the same numbers

    @property
    def row_bytes(self) -> float:
        return max(1, sum(array.nbytes for array in parts(self._first)))

    def take(self, rows: Rows | slice) -> DatasetRows:
        positions = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)
        return DatasetRows(self.X, positions, num_workers=self.num_workers)

    def read(self, rows: Rows | slice) -> Any:
        return self.take(rows).read()

    def whole(self) -> Any:
        return self.read(slice(None))

    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        values = self.read(rows)
        return MappingPool(values)._values(slice(None)) if isinstance(values, Mapping) else values

    def like(self, rows: NDArray[Any]) -> Any:
        return ArrayPool(self._first).like(rows)

    def stack(self, others: list[Any]) -> Any:
        return ConcatDataset([self.X, *others])

    def matching(self, other: Pool) -> Pool:
        if isinstance(other, ArrayPool) and other.row_shape == self.row_shape:
            rows = ArrayPool(self._first).matching(ArrayPool(other.dense())).X
            return DatasetPool(TensorDataset(torch.tensor(rows)))
        if isinstance(other, DatasetPool):
            pairs = [
                (part.dtype, own.dtype)
                for part, own in zip(parts(other._first), parts(self._first), strict=True)
            ]
            for given, own in pairs:
                check_no_bytes(given, own)
            if other.row_shape != self.row_shape:
                raise ValueError(
                    f"A dataset with rows of shape {other.row_shape} was given, and those of the pool have "
                    f"{self.row_shape}; give these."
                )
            if not all(np.can_cast(given, own, "same_kind") for given, own in pairs):
                given, own = ([str(pair[side]) for pair in pairs] for side in (0, 1))
                raise ValueError(
                    f"A dataset with rows of {given} was given, and those of the pool are {own}; give these."
                )
        return super().matching(other)

    def same_as(self, other: Pool) -> bool:
        if not isinstance(other, DatasetPool):
            return False
        if other.X is self.X or None is not self.key == other.key:
            return True
        return self._files is not None and self._files == other._files

    @cached_property
    def _files(self) -> tuple[str, list[str]] | None:
        """The kind of the dataset and the paths of its rows' files, listed once; None if they do not tell the rows."""
        kind, path_of = _paths_in(self.X)
        paths = [] if path_of is None else list(map(path_of, range(len(self))))
        if not paths or not isinstance(paths[0], str | os.PathLike) or not os.path.exists(paths[0]):
            return None
        # A file that comes twice holds several rows, such as the frames of a film, and does not tell which.
        return (kind, list(map(os.fspath, paths))) if len(set(paths)) == len(paths) else None

    def digest(self, max_bytes: int) -> Hashable:
        _, path_of = _paths_in(self.X)
        if self.key is not None or self._files is None or path_of is None:
            return "dataset", len(self), self.key
        step = max(1, len(self) * _FILE_BYTES // max_bytes)
        seen = ((path, os.stat(path)) for path in map(path_of, range(0, len(self), step)))
        return "dataset", len(self), *((path, stat.st_size, stat.st_mtime_ns) for path, stat in seen)

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if all(array.dtype == np.uint8 for array in parts(self._first)):
            return  # images in bytes are finite, without decoding all of them
        for block, _ in self.blocks():
            for array in parts(block):
                if array.dtype.kind in "fc":
                    yield "X", array


class DatasetRows(Dataset):
    """Rows at some positions of a dataset, which are decoded on demand.

    An integer index gives an item, as in a dataset; a slice or an array of positions gives the rows at these positions.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
    positions : ndarray of int of shape (n_rows,), default=all
    num_workers : int, default=0
        Processes that decode.
    """

    def __init__(self, dataset: Any, positions: Rows | None = None, *, num_workers: int = 0) -> None:
        self.dataset = dataset
        self.positions = np.arange(len(dataset)) if positions is None else positions
        if isinstance(dataset, DatasetRows):
            self.dataset, self.positions = dataset.dataset, dataset.positions[self.positions]
        self.num_workers = num_workers

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            return self.dataset[int(self.positions[index])]
        return DatasetRows(self.dataset, self.positions[index], num_workers=self.num_workers)

    @cached_property
    def first(self) -> Any:
        """The first row of the dataset, decoded."""
        return collate([self.dataset[0]])

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, and their shape."""
        return len(self), *self.first.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type of the rows; rows that are mappings have none, as in a `SliceDict`."""
        return self.first.dtype  # type: ignore[no-any-return]

    def read(self) -> Any:
        """Decode all rows: an array, or a `SliceDict` of arrays."""
        batches = list(self.batches([slice(n, n + _BATCH_ROWS) for n in range(0, len(self), _BATCH_ROWS)]))
        if not batches:
            return self.first[:0]
        if isinstance(batches[0], Mapping):
            return SliceDict(
                **{name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
            )
        return batches[0] if len(batches) == 1 else np.concatenate(batches)

    def batches(self, places: Iterable[Any]) -> Iterator[Any]:
        """Decode batches of rows, each given by its positions or slice."""
        loader = DataLoader(
            self.dataset,
            batch_sampler=[self.positions[each].tolist() for each in places],
            num_workers=self.num_workers,
            collate_fn=collate,
            generator=torch.Generator(),  # a loader draws from torch's own otherwise
        )
        return iter(loader)


def collate(items: list[Any]) -> Any:
    """Items of a dataset as arrays, without their labels.

    Parameters
    ----------
    items : list of rows, or of pairs of a row and a label

    Returns
    -------
    rows : ndarray of shape (n_rows, ...) or dict of them

    Raises
    ------
    ValueError
        If the rows differ in shape.
    """
    rows = [item[0] if isinstance(item, tuple) else item for item in items]
    if isinstance(rows[0], Mapping):
        return SliceDict(**{name: _stacked([row[name] for row in rows]) for name in rows[0]})
    return _stacked(rows)


def _stacked(rows: list[Any]) -> NDArray[Any]:
    arrays = [_as_array(row) for row in rows]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            f"The dataset's rows have the shapes {sorted(shapes)[:3]}; give a dataset that resizes them to one, for "
            "instance by torchvision.transforms.v2.Resize."
        )
    return np.stack(arrays)


def _as_array(row: Any) -> NDArray[Any]:
    array = np.asarray(row)
    # An image of PIL has its channels last.
    return np.moveaxis(np.atleast_3d(array), -1, 0) if hasattr(row, "getbands") else array


def _paths_in(dataset: Any) -> tuple[str, Callable[[int], Any] | None]:
    """The kind of a dataset, and a function that returns the path of a row's file; None if it lists no files."""
    if isinstance(dataset, Subset | DatasetRows):
        kind, path_of = _paths_in(dataset.dataset)
        positions = dataset.indices if isinstance(dataset, Subset) else dataset.positions
        return kind, path_of and (lambda row: path_of(positions[row]))
    kind = type(dataset).__qualname__
    found = (vars(dataset).get(name) for name in _PATHS)
    items = next(
        (each for each in found if isinstance(each, list | tuple) and len(each) == len(dataset)), None
    )
    if items is None:
        return kind, None
    return kind, lambda row: items[row][0] if isinstance(items[row], list | tuple) else items[row]
