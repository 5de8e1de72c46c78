"""The place in a file from which an array is mapped, and mapping it again from there."""

from __future__ import annotations

import mmap
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Files that joblib makes for its worker processes are gone when these have answered.
_PASSING = "joblib_memmapping_folder_"


def place_of(X: Any) -> dict[str, Any] | None:
    """The place in a file from which an array, or a view of one, is mapped; None if it is not mapped from a file.

    Returns
    -------
    place : dict or None
        File, mode, position of the first element in bytes, type, shape and strides, as `mapped` takes them.
    """
    owner: Any = X
    while isinstance(owner, np.ndarray) and getattr(owner, "_mmap", None) is None:
        owner = owner.base
    if getattr(owner, "_mmap", None) is None or not X.size:
        return None
    if owner.filename is None or owner.mode == "c" or not os.path.exists(owner.filename):
        return None  # a file without a name, changes that reach no file, a file that is gone
    place = X.ctypes.data - np.frombuffer(owner._mmap, np.uint8).ctypes.data
    begin = owner.offset - owner.offset % mmap.ALLOCATIONGRANULARITY  # of numpy's mapping
    return {
        "filename": os.fspath(owner.filename),
        "mode": "r" if owner.mode == "r" else "r+",
        "offset": begin + place,
        "dtype": X.dtype,
        "shape": X.shape,
        "strides": X.strides,
    }


def outlives_the_process(filename: str) -> bool:
    """Whether a file is more than joblib's means of passing an array to a process."""
    return _PASSING not in filename


def mapped(place: dict[str, Any], size: int) -> NDArray[Any]:
    """Map an array again.

    Parameters
    ----------
    place : dict
        The result of `place_of`.
    size : int
        The size that the file had then, in bytes. The file may be longer now.

    Returns
    -------
    X : memmap

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is shorter.
    """
    filename, offset, dtype = place["filename"], place["offset"], place["dtype"]
    if not os.path.exists(filename):
        raise FileNotFoundError(
            f"{filename} holds the rows of the pool, and is not there; put the file back where it was, then load again."
        )
    left = os.path.getsize(filename)
    if left < size:  # numpy would make it longer
        raise ValueError(
            f"{filename} holds the rows of the pool, and has {left} bytes of the {size} that it had when the pool was "
            "pickled; put that file back, or fit again with the rows that are left."
        )
    low, high = _reach(place["shape"], place["strides"], dtype.itemsize)
    whole = np.memmap(filename, np.uint8, place["mode"], offset + low, (high - low,))
    first = whole[-low : dtype.itemsize - low].view(dtype)
    return np.lib.stride_tricks.as_strided(first, place["shape"], place["strides"], subok=True)


def _reach(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """The first byte of an array and the one after its last, counted from its first element."""
    ends = [step * (length - 1) for length, step in zip(shape, strides, strict=True)]
    return sum(min(0, end) for end in ends), sum(max(0, end) for end in ends) + itemsize
