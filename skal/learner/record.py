"""The record of what annotators said, in the order in which they said it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..labels import plain
from ..pool import NO_ROWS, Rows

_ACTIONS = {"label", "audit", "forget", "skip", "unskip", "draw"}


class Entry(NamedTuple):
    """What was said in one step.

    Attributes
    ----------
    action : {"label", "audit", "forget", "skip", "unskip", "draw"}
    rows : ndarray of int of shape (n_rows,)
        Rows of the pool, -1 for samples of `extend`.
    labels : ndarray of shape (n_rows,) or None
        None where the action gives none.
    round : int
        How often the classifier had been trained.
    time : numpy.datetime64
        In UTC.
    keys : ndarray of object of shape (n_rows,) or None
        Keys of samples of `extend`.
    """

    action: str
    rows: Rows
    labels: NDArray[Any] | None
    round: int
    time: np.datetime64
    keys: NDArray[Any] | None = None


Record = tuple[Entry, ...]


def now() -> np.datetime64:
    """The time, in UTC and milliseconds."""
    return np.datetime64(time.time_ns() // 10**6, "ms")


def as_arrays(record: Record) -> dict[str, NDArray[Any]]:
    """A record as arrays of equal length, as a data frame takes them.

    Returns
    -------
    arrays : dict
        `row`, `label`, `round`, `time`, `action` and `extension`.
    """
    sizes = [len(entry.rows) for entry in record]
    labels = [_objects(entry.labels, size) for entry, size in zip(record, sizes, strict=True)]
    keys = [_objects(entry.keys, size) for entry, size in zip(record, sizes, strict=True)]
    return {
        "row": np.concatenate([NO_ROWS, *(entry.rows for entry in record)]),
        "label": np.concatenate([np.empty(0, object), *labels]),
        "round": np.repeat(np.array([entry.round for entry in record], dtype=np.intp), sizes),
        "time": np.repeat(np.array([entry.time for entry in record], dtype="datetime64[ms]"), sizes),
        "action": np.repeat(np.array([entry.action for entry in record], dtype=object), sizes),
        "extension": np.concatenate([np.empty(0, object), *keys]),
    }


def are_entries(record: Any, n_rows: int) -> bool:
    """Whether something can be a record of answers about a pool of so many rows, as that of a file might not be."""
    return isinstance(record, tuple) and all(
        isinstance(each, Entry) and _can_be(each, n_rows) for each in record
    )


def _can_be(entry: Entry, n_rows: int) -> bool:
    rows = entry.rows
    if not isinstance(rows, np.ndarray) or rows.ndim != 1 or rows.dtype.kind != "i":
        return False
    columns = [column for column in (entry.labels, entry.keys) if column is not None]
    return bool(
        ((rows >= -1) & (rows < n_rows)).all()
        and isinstance(entry.action, str)
        and entry.action in _ACTIONS
        and isinstance(entry.round, int)
        and isinstance(entry.time, np.datetime64)
        and all(isinstance(column, np.ndarray) and column.shape == rows.shape for column in columns)
    )


def _objects(values: NDArray[Any] | None, size: int) -> NDArray[Any]:
    """Values as objects of Python, or as many times None."""
    objects = np.empty(size, dtype=object)
    if values is not None:
        objects[:] = plain(values).tolist()
    return objects
