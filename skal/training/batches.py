"""Rows as tensors, and mini-batches sliced from them: a Dataset that fetches row by row costs more than a small net."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import assert_all_finite

from ..pool import DatasetRows, parts

# A batch as skorch wants it, a pair (X, y). Here X is (rows, their weights, unlabelled rows), the latter two if any.
LabeledBatch = tuple[tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None], torch.Tensor]

# What training data may take of a GPU's free memory; the net needs the rest. Larger data stay on the host.
_DEVICE_SHARE = 0.5
# Wider numbers than the network's are narrowed in a copy up to this size, above it batch by batch: no pool is copied.
_MAX_NARROWED = 256 * 2**20


def as_tensor(array: NDArray[Any]) -> torch.Tensor:
    """Return a tensor that shares the array's memory, or a copy if torch cannot read that memory."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind == "f" and array.itemsize > 8:
        array = array.astype(np.float64)
    if any(stride < 0 or stride % array.itemsize for stride in array.strides):  # the latter in packed records
        array = array.copy()
    if not array.flags.writeable:
        # torch warns of read-only memory, such as that of a memory map. Nothing here writes to it, and to silence a
        # warning would change the filters of all threads.
        array = np.asarray(_WritableAlias(array))
    return torch.from_numpy(array)


class _WritableAlias:
    """A read-only array's own memory, which is kept alive, declared as writable."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.ctypes.data, False)}


def map_parts(function: Callable[..., Any], rows: Any, *others: Any) -> Any:
    """Apply a function to rows, or array by array to rows that are mappings."""
    if not isinstance(rows, Mapping):
        return function(rows, *others)
    return {name: function(part, *(other[name] for other in others)) for name, part in rows.items()}


def as_tensors(rows: Any) -> Any:
    """Return rows in memory as a tensor, or as tensors by name; rows of a dataset are decoded."""
    return _decoded(rows.read()) if isinstance(rows, DatasetRows) else map_parts(as_tensor, rows)


def tensor_blocks(rows: Any, places: Iterable[Any]) -> Iterator[Any]:
    """Return the rows at each place, a slice or positions, as tensors; one loader decodes rows of a dataset ahead."""
    if isinstance(rows, DatasetRows):
        return map(_decoded, rows.batches(places))
    return (as_tensors(rows[place]) for place in places)


def _decoded(rows: Any) -> Any:
    """Return rows that nobody has seen before as tensors."""
    for part in parts(rows):
        assert_all_finite(part, input_name="X")
    return map_parts(as_tensor, rows)


class Rows:
    """Training rows as a tensor: on the device if they fit, in a number type no wider than the network's.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...), mapping of arrays, or DatasetRows
        Rows of a dataset are decoded batch by batch.
    dtype : torch.dtype
        The number type of the network. Narrower numbers, such as the bytes of images, and integers keep their type.
    device : torch.device
    """

    def __init__(self, X: Any, *, dtype: torch.dtype, device: torch.device) -> None:
        self.n_rows, self.X, self.device = len(X), X, torch.device("cpu")
        self.positions: torch.Tensor | None = None
        if isinstance(X, DatasetRows):
            return
        self.X = map_parts(lambda part: _narrowed(as_tensor(part), dtype), X)
        n_bytes = sum(part.nbytes for part in parts(self.X))
        if device.type != "cuda" or n_bytes <= _DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
            self.X = map_parts(lambda part: part.to(device), self.X)
            self.device = device

    def subset(self, positions: NDArray[np.intp] | None) -> Rows:
        """Return the rows at some positions, or all for None, without a copy of them."""
        part = copy.copy(self)
        part.positions = None if positions is None else torch.as_tensor(positions, device=self.device)
        return part

    def __len__(self) -> int:
        return self.n_rows if self.positions is None else len(self.positions)

    def __getitem__(self, index: torch.Tensor | slice) -> Any:
        return next(self.batches([index]))

    def batches(self, places: Iterable[torch.Tensor | slice]) -> Iterator[Any]:
        """Yield the rows at the slices or positions of each batch."""
        indices = map(self._index, places)
        if isinstance(self.X, DatasetRows):
            return tensor_blocks(self.X, (i if isinstance(i, slice) else i.numpy() for i in indices))
        return (map_parts(lambda part, index=index: part[index], self.X) for index in indices)

    def _index(self, place: torch.Tensor | slice) -> torch.Tensor | slice:
        """Return the index of the rows among all rows, on their device."""
        if isinstance(place, torch.Tensor):
            place = place.to(self.device)
        return place if self.positions is None else self.positions[place]


def _narrowed(rows: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    wide = rows.is_floating_point() and rows.element_size() >= dtype.itemsize
    return rows.to(dtype) if wide and rows.nbytes <= _MAX_NARROWED else rows


class LabeledRows(Rows):
    """Training rows with their classes and weights.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    y : ndarray of int of shape (n_samples,)
        Positions of the classes.
    weight : ndarray of shape (n_samples,) or None
    dtype, device
        As in `Rows`.
    """

    def __init__(
        self,
        X: NDArray[Any],
        y: NDArray[Any],
        weight: NDArray[Any] | None,
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__(X, dtype=dtype, device=device)
        # The small ones are on the device always, and the loss never waits for them.
        self.y = torch.as_tensor(y, dtype=torch.int64, device=device)
        self.weight = None if weight is None else torch.as_tensor(weight, dtype=dtype, device=device)

    def batches(self, places: Iterable[torch.Tensor | slice]) -> Iterator[LabeledBatch]:
        """Yield the rows at the slices or positions of each batch, with their weights and classes."""
        places = list(places)
        for place, rows in zip(places, super().batches(places), strict=True):
            here = place.to(self.y.device) if isinstance(place, torch.Tensor) else place
            yield (rows, None if self.weight is None else self.weight[here], None), self.y[here]


class Batches:
    """All rows in mini-batches, in a new random order at each pass, or in their own order without a seed.

    Parameters
    ----------
    rows : Rows
    batch_size : int
    seed : int, default=None
    epoch : int, default=0
        The number of earlier passes; the order of a pass depends only on its number and the seed.
    """

    def __init__(self, rows: Rows, batch_size: int, seed: int | None = None, epoch: int = 0) -> None:
        self.rows = rows
        self.seed = seed
        self.epoch = epoch
        n_rows = len(rows)
        self.bounds = [*range(0, n_rows, batch_size), n_rows]
        if n_rows % batch_size == 1 and 1 < batch_size < n_rows:
            del self.bounds[-2]  # BatchNorm cannot train on a single row: it joins the batch before

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[Any]:
        places: list[Any] = [slice(start, stop) for start, stop in pairwise(self.bounds)]
        if self.seed is not None:
            order = row_order(len(self.rows), self.seed, self.epoch).to(self.rows.device)
            places = [order[place] for place in places]
            self.epoch += 1
        return self.rows.batches(places)


class RedundantBatches(Batches):
    """Equally large batches of labelled and of unlabelled rows.

    A pass goes over the larger set once. The smaller set is repeated to the same length, in its own random order; the
    numbers of times that its rows come differ by at most one.

    Parameters
    ----------
    labeled : LabeledRows
    unlabeled : Rows
    batch_size : int
        Rows of each kind in a batch.
    seed : int
    """

    def __init__(self, labeled: LabeledRows, unlabeled: Rows, batch_size: int, seed: int) -> None:
        super().__init__(max(labeled, unlabeled, key=len), batch_size)
        self.labeled, self.unlabeled = labeled, unlabeled
        self.seeds = (seed, seed + 1)

    def __iter__(self) -> Iterator[LabeledBatch]:
        labeled, unlabeled = (
            (row_order(len(self.rows), seed, self.epoch) % len(rows)).to(rows.device)
            for rows, seed in zip((self.labeled, self.unlabeled), self.seeds, strict=True)
        )
        self.epoch += 1
        for start, stop in pairwise(self.bounds):
            (rows, weight, _), y = self.labeled[labeled[start:stop]]
            yield (rows, weight, self.unlabeled[unlabeled[start:stop]]), y


@dataclass(eq=False, repr=False)
class Stream:
    """A stream of equally large batches: an iteration gives those of `n_steps` steps, all batches of a step together.

    The rows are passed again and again, each time in a new random order; rows that do not fill a batch wait for another
    pass. The batches of a step depend only on its number and the seed.

    Parameters
    ----------
    rows : Rows
    batch_size : int
        All rows if there are fewer.
    n_batches : int
        Batches of one step.
    n_steps : int
        Steps of one iteration.
    seed : int
    start, stop : int
        The number of earlier steps, and the number of the step after the last; by default the stream has no end.
    """

    rows: Rows
    batch_size: int
    n_batches: int
    n_steps: int
    seed: int
    start: int = 0
    stop: int = sys.maxsize

    def __post_init__(self) -> None:
        self.batch_size = min(self.batch_size, len(self.rows))
        self.step = self.start
        self._epoch, self._permutation = -1, torch.empty(0)

    def __len__(self) -> int:
        return min(self.n_steps, self.stop - self.step)

    def __iter__(self) -> Iterator[Any]:
        for _ in range(len(self)):
            first = self.step * self.n_batches
            index = torch.cat([self._positions(first + i) for i in range(self.n_batches)])
            self.step += 1
            yield self.rows[index]

    def _positions(self, batch: int) -> torch.Tensor:
        epoch, place = divmod(batch, len(self.rows) // self.batch_size)
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = row_order(len(self.rows), self.seed, epoch).to(self.rows.device)
        return self._permutation[place * self.batch_size :][: self.batch_size]


def row_order(n_rows: int, seed: int, epoch: int) -> torch.Tensor:
    """Return a random order of the rows, decided by the seed and the number of the pass."""
    state = int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0] >> 1)
    return torch.randperm(n_rows, generator=torch.Generator().manual_seed(state))
