"""The rows with the lowest of many values, without an array of their positions."""

import numpy as np
from numpy.typing import NDArray

from ..utils.kernels import compiled
from .points import Positions, check_k
from .top import Best, drawn_key

_BITS = 16  # of a value that are counted in a pass
_ODD = np.uint64(0x9E3779B97F4A7C15)


def bottom_k(values: NDArray[np.float32], k: int, rng: np.random.Generator, without: Positions) -> Positions:
    """Return the positions of the k lowest values, lowest first; equal values in random order.

    It equals `Best.of` the negative values of all rows except a few. Three passes read the values, and none writes an
    array of their size: two count their upper and lower bits, which gives the k-th value, and one collects the
    positions.

    Parameters
    ----------
    values : ndarray of shape (n,), dtype float32
        Without NaN.
    k : int
        At most the number of rows that are not left out.
    rng : numpy.random.Generator
    without : ndarray of int of shape (n_without,)
        Distinct positions, in increasing order, that are left out.

    Returns
    -------
    positions : ndarray of shape (k,), dtype intp

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import bottom_k
    >>> values = np.array([0.5, 0.1, 0.3, 0.2], np.float32)
    >>> bottom_k(values, 2, np.random.default_rng(0), without=np.array([1]))
    array([3, 2])
    """
    check_k(k, len(values) - len(without), least=0)
    if k == 0:
        return np.empty(0, np.intp)
    bits = values.view(np.uint32)
    low, n_low = 0, 0  # the k-th value as far as its bits are known, and how many are lower
    for shift in (_BITS, 0):
        counts = np.zeros(1 << _BITS, np.int64)
        compiled(count)(bits, 1, shift, low, counts)
        compiled(count)(bits[without], -1, shift, low, counts)
        up_to = np.cumsum(counts)
        part = int(np.searchsorted(up_to, k - n_low))
        low, n_low = low | part << shift, n_low + int(up_to[part] - counts[part])
    key = drawn_key(rng)
    lower = np.empty(n_low, np.intp)
    equal, ranks = np.full(k - n_low, -1, np.intp), np.full(k - n_low, 2**64 - 1, np.uint64)
    compiled(collect)(bits, low, np.uint64(key), without, lower, equal, ranks)
    chosen = np.concatenate([lower, equal])
    return Best.of(-values[chosen], chosen, k, key).positions


def count(bits, step, shift, known, counts):  # type: ignore[no-untyped-def]
    """Add `step` to the counts by some bits of each value, in an order of bits that is that of the floats; -0 is 0."""
    for i in range(len(bits)):
        value = np.int64(bits[i])
        value = 0x100000000 - value if value >= 0x80000000 else value + 0x80000000
        if shift == 0 and value >> 16 != known >> 16:
            continue
        counts[(value >> shift) & 0xFFFF] += step


def collect(bits, kth, key, without, lower, equal, ranks):  # type: ignore[no-untyped-def]
    """Collect the positions of lower values, and among values equal to the k-th those of the lowest ranks."""
    n_lower = skipped = 0
    size = len(ranks)
    for i in range(len(bits)):
        value = np.int64(bits[i])
        value = 0x100000000 - value if value >= 0x80000000 else value + 0x80000000
        if value > kth:
            continue
        while skipped < len(without) and without[skipped] < i:
            skipped += 1
        if skipped < len(without) and without[skipped] == i:
            continue
        if value < kth:
            lower[n_lower] = i
            n_lower += 1
            continue
        # As Best ranks equal scores.
        z = np.uint64(i) * _ODD + key
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        if z > ranks[0] or (z == ranks[0] and equal[0] >= 0):
            continue
        # The highest rank is on top of a heap. The new row takes its place, and sinks; empty places are the highest.
        place = 0
        while 2 * place + 1 < size:
            child = 2 * place + 1
            if child + 1 < size and (ranks[child + 1] > ranks[child] or equal[child + 1] < 0 <= equal[child]):
                child += 1
            if equal[child] >= 0 and z > ranks[child]:
                break
            ranks[place], equal[place] = ranks[child], equal[child]
            place = child
        ranks[place], equal[place] = z, i
