"""Checksums of arrays, by which a pool is known again and a change in place is noticed."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 22


def checksum(X: NDArray[Any], max_bytes: int) -> int:
    """A checksum of evenly spaced rows of an array, and of its last one, of about `max_bytes` in all."""
    step = max(1, -(-X.nbytes // max_bytes))
    block = max(1, _BLOCK_BYTES * len(X) // max(X.nbytes, 1)) * step
    value = 0
    for start in range(0, len(X), block):
        value = zlib.crc32(_bytes(X[start : start + block : step]), value)
    return zlib.crc32(_bytes(X[-1:]), value)


def _bytes(X: NDArray[Any]) -> bytes | memoryview:
    if X.dtype.hasobject:
        return repr(X.tolist()).encode()
    X = np.ascontiguousarray(X.astype(X.dtype.newbyteorder("="), copy=False))  # as a pickle keeps it
    return X.reshape(-1).view(np.uint8).data
