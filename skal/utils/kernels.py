"""Functions that numba compiles when they are first called."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as machine code, which numba keeps on disk.

    It runs without the GIL but serially: several Python threads at a time must not enter numba's own threads.

    Parameters
    ----------
    kernel : callable
        A function of arrays and numbers, defined in a module.
    """
    import numba  # takes a second, and only the first call needs it

    return numba.njit(nogil=True, cache=True)(kernel)
