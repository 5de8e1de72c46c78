"""Checksums of arrays, by which a pool is recognised and a change in place is noticed."""

from __future__ import annotations

import os
import re
import zlib
from collections import Counter
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

import numpy as np
import torch
from joblib.hashing import NumpyHasher
from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 22
# What prints all that it holds; to pickle it takes longer.
_PRINTED = {str, bytes, bool, int, float, complex, type(None), date, datetime, Decimal}
# Types of numbers. Floats of another width have other checksums.
_NUMBER = re.compile(r"(?:(uint8)|u?(int)\d+|(float\d+)|(bool)(?:ean)?)\b", re.IGNORECASE)

SCRIPT = ("__main__", "__mp_main__")  # in the process that runs it, and in those that it starts


def checksum(X: NDArray[Any], max_bytes: int, value: int = 0) -> int:
    """A checksum of evenly spaced rows of an array, and of its last row, about `max_bytes` in all.

    It continues from `value`, the checksum of the previous part.
    """
    step = max(1, -(-X.nbytes // max_bytes))
    block = max(1, _BLOCK_BYTES * len(X) // max(X.nbytes, 1)) * step
    for start in range(0, len(X), block):
        value = zlib.crc32(_bytes(X[start : start + block : step]), value)
    return zlib.crc32(_bytes(X[-1:]), value)


def _bytes(X: NDArray[Any]) -> bytes | memoryview:
    if X.dtype.hasobject:
        return as_text(X.ravel().tolist()).encode()
    X = np.ascontiguousarray(X.astype(X.dtype.newbyteorder("="), copy=False))  # as a pickle keeps it
    return X.reshape(-1).view(np.uint8).data


def as_text(objects: list[Any]) -> str:
    """A text that differs if an object holds something else, and is the same in every process."""
    types = set(map(type, objects))
    if types <= {list, tuple}:  # lists of tokens, say
        types = set(map(type, chain.from_iterable(objects)))
    return repr(objects) if types <= _PRINTED else object_checksum(objects)


def object_checksum(objects: Any) -> str:
    """A checksum of the content of objects, the same in every process; empty if they cannot be pickled.

    Examples
    --------
    >>> from skal.pool.checksum import object_checksum
    >>> object_checksum([{"a", "b"}]) == object_checksum([{"b", "a"}])
    True
    """
    try:
        return str(ContentHasher().hash(objects))
    except MemoryError:
        raise
    except Exception:  # whatever the objects raise when they are pickled, as functions, files and locks do
        return ""


def what_differs(then: str | None, now: str) -> str:
    """How a pool differs from the one that was expected, in a sentence.

    Parameters
    ----------
    then, now : str
        The descriptions of the pools; None if none was kept.

    Examples
    --------
    >>> from skal.pool.checksum import what_differs
    >>> what_differs("list with 3 rows", "list with 4 rows")
    'list with 4 rows was given instead of list with 3 rows.'
    """
    if then is None:
        return "other rows, another order of them, or another container or type."
    if then != now:
        return f"{now} was given instead of {then}."
    return f"{now} is as before, but rows have changed or are in another order."


def how_columns_differ(then: list[list[str]], now: list[list[str]]) -> str | None:
    """How the columns of a table differ from those that were expected, and what to do; None if they do not differ.

    Checksums alone do not tell a category from its text, or yes and no from 1 and 0. Integers of another width, and
    numbers in a nullable or sparse column, count as the same; bytes, which networks scale, do not.

    Parameters
    ----------
    then, now : list of [str, str]
        The `columns` of the pools. The result is None if one of them has none.

    Examples
    --------
    >>> from skal.pool.checksum import how_columns_differ
    >>> how_columns_differ([["'c'", "category"]], [["'c'", "str"]])
    "column 'c' was category and is str. Read X with the types of then, such as dtype={'c': 'category'}, or cast it."
    >>> how_columns_differ([["'a'", "int64"], ["'b'", "int64"]], [["'b'", "int64"], ["'a'", "int64"]])
    "its columns are in another order. Give X[['a', 'b']]."
    """
    if not then or not now:
        return None
    names, given = ([name for name, _ in columns] for columns in (then, now))
    lost = [*(Counter(names) - Counter(given)).elements()]
    more = [*(Counter(given) - Counter(names)).elements()]
    if lost or more:
        both = [f"{how} {_some(each)}" for how, each in (("lack", lost), ("have the new", more)) if each]
        return f"its columns {' and '.join(both)}. Give those of then, under their names."
    if names != given:
        return f"its columns are in another order. Give X[[{_some(names, 20)}]]."
    pairs = [(name, was, is_) for (name, was), (_, is_) in zip(then, now, strict=True)]
    changed = [(name, was, is_) for name, was, is_ in pairs if not _are_read_alike(was, is_)]
    if not changed:
        return None
    what = _some([f"column {name} was {was} and is {is_}" for name, was, is_ in changed])
    read = [
        f"{name}: {was!r}" for name, was, _ in changed if was in ("category", "str") or _NUMBER.match(was)
    ]
    example = f", such as dtype={{{read[0]}}}," if read else ""
    return f"{what}. Read X with the types of then{example} or cast it."


def _are_read_alike(was: str, is_: str) -> bool:
    names = [name.removeprefix("Sparse[") for name in (was, is_)]
    kinds = {
        found[found.lastindex or 0].lower() if (found := _NUMBER.match(name)) else name for name in names
    }
    # Two in capitals may be of polars, which takes other widths for other types.
    return was == is_ or (len(kinds) == 1 and any(name[0].islower() for name in names))


def _some(items: list[str], most: int = 5) -> str:
    return ", ".join([*items[:most], *(["..."] if len(items) > most else [])])


class ContentHasher(NumpyHasher):  # type: ignore[misc]
    """A hash of values, the same after pickling and in every process.

    joblib's own hash depends on the memory of tensors, the strides of arrays, the order of items in some sets and
    dicts, and, for classes of a script, the name that the script has in the process.

    Examples
    --------
    >>> import torch
    >>> from skal.pool.checksum import ContentHasher
    >>> ContentHasher().hash(torch.ones(2)) == ContentHasher().hash(torch.ones(2))
    True
    """

    def save(self, obj: Any) -> None:
        """Add one object of any kind to the hash."""
        if isinstance(obj, torch.Tensor):
            obj = "tensor", obj.numpy(force=True)
        elif isinstance(obj, type) and obj.__module__ in SCRIPT:
            obj = "class", obj.__qualname__
        elif isinstance(obj, set | frozenset):
            obj = type(obj).__name__, sorted(map(object_checksum, obj))
        elif type(obj) is dict and not all(isinstance(key, str) for key in obj):
            obj = "dict", sorted((object_checksum(key), object_checksum(value)) for key, value in obj.items())
        elif type(obj) in (np.ndarray, np.memmap):
            obj = np.array(obj, order="A")  # a view has strides that its pickle lacks
        super().save(obj)


def stamp_of(path: str) -> tuple[int, int]:
    """Return numbers that change when a file, or one in a folder, is written or replaced."""
    if not os.path.isdir(path):
        stat = os.stat(path)
        return stat.st_ino, stat.st_mtime_ns
    stamps = []
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):  # it is being replaced
                stat = os.stat(os.path.join(folder, name))
                stamps.append((folder, name, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return len(stamps), zlib.crc32(repr(sorted(stamps)).encode())
