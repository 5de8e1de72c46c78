"""Arrays of the size of a pool: in memory up to a bound, above it in a temporary file that is removed with them."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Larger arrays are mapped from a file: the system then writes out what does not fit, and nobody runs out of memory.
MEMORY_BYTES = 1 << 30


def scratch_empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array without values, such as the codes of all rows of a pool.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    array : ndarray of this shape
        Above 1 GiB a memory map of a file without a name, in the folder that ``tempfile.gettempdir()`` returns (set
        ``TMPDIR`` for another). The file disappears together with the array.

    Raises
    ------
    OSError
        If the folder has no room for it. Nothing is left behind.

    Examples
    --------
    >>> from skal.utils.scratch import scratch_empty
    >>> scratch_empty((3, 2), "float32").shape
    (3, 2)
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes <= MEMORY_BYTES or np.dtype(dtype).hasobject:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="skal-") as file:
        try:
            # A full disk would otherwise end the process when a page is written.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:
                file.truncate(n_bytes)
            # No np.memmap: joblib would have its workers open a file that has no name.
            return np.ndarray(shape, dtype, mmap.mmap(file.fileno(), n_bytes))
        except OSError as error:
            raise OSError(
                error.errno,
                f"An array of {n_bytes / 2**30:.1f} GiB is to be kept in a file of {tempfile.gettempdir()}, and that "
                f"failed ({error.strerror}); make room there, or set TMPDIR to another folder.",
            ) from error
