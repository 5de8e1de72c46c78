"""Pools that are mappings of equally long arrays, such as token ids and attention masks."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.helper import SliceDict

from ..utils.arrays import as_objects
from .arrays import ArrayPool
from .base import Pool
from .rows import Rows


def parts(rows: Any) -> list[Any]:
    """The arrays of rows in memory: those of a mapping, or the rows themselves.

    Parameters
    ----------
    rows : ndarray, Tensor, or mapping of them

    Returns
    -------
    parts : list of ndarray or Tensor

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import parts
    >>> [part.shape for part in parts({"ids": np.zeros((2, 5)), "mask": np.ones((2, 5))})]
    [(2, 5), (2, 5)]
    """
    return list(rows.values()) if isinstance(rows, Mapping) else [rows]


class MappingPool(Pool):
    """A mapping of names to arrays with one entry per row; its container is a `skorch.helper.SliceDict`."""

    def __init__(self, X: Any) -> None:
        arrays = {str(name): _as_array(values) for name, values in X.items()}
        lengths = {name: len(values) if values.ndim else 0 for name, values in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(
                f"A mapping of arrays with {lengths} rows was given; give at least one array, each with the same rows."
            )
        super().__init__(SliceDict(**arrays))

    @staticmethod
    def holds(X: Any) -> bool:
        return isinstance(X, Mapping) or (
            hasattr(X, "keys") and hasattr(X, "items") and not hasattr(X, "shape")
        )

    @property
    def row_shape(self) -> tuple[int, ...]:
        return ()

    @cached_property
    def obstacle(self) -> str | None:
        return f"its rows are mappings of {', '.join(self.X)}"

    @property
    def _arrays(self) -> dict[str, ArrayPool]:
        return {name: ArrayPool(values) for name, values in self.X.items()}

    @property
    def numbers(self) -> Hashable:
        return tuple((name, each.numbers) for name, each in sorted(self._arrays.items()))

    @property
    def row_bytes(self) -> float:
        return sum(each.row_bytes for each in self._arrays.values())

    def take(self, rows: Rows | slice) -> Any:
        return self.X[rows]

    def _values(self, rows: Rows | slice) -> NDArray[Any]:
        taken = self.take(rows)
        return as_objects(
            [dict(zip(taken, values, strict=True)) for values in zip(*taken.values(), strict=True)]
        )

    def like(self, rows: NDArray[Any]) -> Any:
        raise TypeError(f"Rows cannot be made of numbers, as {self.obstacle}.")

    def stack(self, others: list[Any]) -> Any:
        return SliceDict(
            **{name: np.concatenate([rows[name] for rows in (self.X, *others)]) for name in self.X}
        )

    def matching(self, other: Pool) -> Pool:
        if not isinstance(other, MappingPool):
            raise self._unlike(other)
        arrays, others = self._arrays, other._arrays
        own, given = ({name: array.row_shape for name, array in each.items()} for each in (arrays, others))
        if own != given:
            raise ValueError(
                f"Arrays with rows of the shapes {given} were given, and the pool's have {own}; give the same."
            )
        return MappingPool({name: array.matching(others[name]).X for name, array in arrays.items()})

    def digest(self, max_bytes: int) -> Hashable:
        arrays = self._arrays
        return "mapping", *((name, each.digest(max_bytes // len(arrays))) for name, each in arrays.items())

    def _numbers(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for name, array in self._arrays.items():
            yield from ((f"X[{name!r}]", numbers) for _, numbers in array._numbers())

    def _same_rows(self, other: Pool) -> bool:
        if not isinstance(other, MappingPool) or self.X.keys() != other.X.keys():
            return False
        theirs = other._arrays
        return all(array.same_as(theirs[name]) for name, array in self._arrays.items())

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "X": self._arrays}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = state["X"]
        vars(self).update({**state, "X": SliceDict(**{name: array.X for name, array in arrays.items()})})


def _as_array(values: Any) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        return values.numpy(force=True)
    return values if isinstance(values, np.memmap) else np.asarray(values)  # a map pickles as its file's name
