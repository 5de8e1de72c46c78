"""Tools for threads: a value under a lock, one BLAS thread for all, and a pool of threads for the parts of a query."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ContextDecorator
from functools import cache
from threading import RLock
from typing import Any, Generic, Self, TypeVar
from weakref import WeakSet

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # comes with scikit-learn

from .progress import counted

T = TypeVar("T")


class Turns:
    """A lock, as a ``with`` statement that one thread enters at a time; pickles, copies and deep copies are new locks.

    So is the lock in a forked process if another thread held it, because that thread is not there to release it.

    Examples
    --------
    >>> import copy
    >>> from skal.utils.threads import Turns
    >>> turns = Turns()
    >>> with turns, copy.copy(turns):
    ...     print("alone")
    alone
    """

    def __init__(self) -> None:
        self._renew()
        _TURNS.add(self)

    def _renew(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()


_TURNS: WeakSet[Turns] = WeakSet()


def _after_fork() -> None:
    for turns in _TURNS:
        if turns._lock.acquire(blocking=False):
            turns._lock.release()
        else:
            turns._renew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class Kept(Turns, Generic[T]):
    """A value that the queries of one object share, under a lock.

    It holds something that can be computed again: pickles, copies and deep copies are empty.

    Attributes
    ----------
    value : object or None
        None until it is set. Read and set it only inside the ``with`` statement, which one thread enters at a time.

    Examples
    --------
    >>> import copy
    >>> from skal.utils.threads import Kept
    >>> kept = Kept()
    >>> with kept:
    ...     kept.value = "the distances so far"
    >>> kept.value, copy.deepcopy(kept).value
    ('the distances so far', None)
    """

    value: T | None

    def _renew(self) -> None:
        super()._renew()
        self.value = None  # which the other thread was changing, after a fork


class _OneBLASThread(ContextDecorator):
    """A section in which BLAS uses one thread, however many threads of the process are in it.

    The limit belongs to the process: the first thread to enter sets it, and the last to leave restores what was
    there before.
    """

    def __init__(self) -> None:
        self._lock, self._n_inside = Turns(), 0
        self._before: dict[Any, int] = {}

    def __enter__(self) -> None:
        with self._lock:
            if self._n_inside == 0:
                before = {library: library.get_num_threads() for library in _blas_libraries()}
                self._before = {library: n for library, n in before.items() if n > 1 and _limit(library, 1)}
            self._n_inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                for library, n_threads in self._before.items():
                    _limit(library, n_threads)


# For products that fit into a cache: waiting for a second thread can take ten times longer than the product.
one_blas_thread = _OneBLASThread()


@cache
def _blas_libraries() -> list[Any]:
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _limit(library: Any, n_threads: int) -> bool:
    """Set the threads of a BLAS library; not done while another thread is in a section of threadpoolctl's own."""
    library.set_num_threads(n_threads)
    # From version 3.8 on, threadpoolctl lets no other thread set a limit until the one that did gives this right back.
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread()
    return bool(library.get_num_threads() == n_threads)


def in_threads(
    function: Callable[[T], object],
    parts: Iterable[T],
    stop: NDArray[np.bool_] | None = None,
    *,
    unit: str = "blocks of rows",
) -> None:
    """Call a function that releases the GIL with each part, in as many threads as torch uses.

    After an error or an interrupt, such as Ctrl-C, no further part is started.

    Parameters
    ----------
    function : callable
        Its return value is dropped.
    parts : iterable
        Its arguments, one per call.
    stop : ndarray of shape (1,), default=None
        Becomes True after an error or an interrupt; `function` looks at it and ends early. Python notices an interrupt
        only between calls of compiled code: with `stop`, even a single call runs in its own thread, so that the calling
        thread is free to notice.
    unit : str, default="blocks of rows"
        What the parts are, for `show_progress`.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.utils.threads import in_threads
    >>> squares = np.zeros(4)
    >>> in_threads(lambda i: squares.put(i, i**2), range(4))
    >>> squares
    array([0., 1., 4., 9.])
    """
    parts = list(parts)
    n_threads = min(torch.get_num_threads(), len(parts))
    if n_threads <= 1 and stop is None:
        for part in counted(parts, unit):
            function(part)
        return
    with ThreadPoolExecutor(max(n_threads, 1)) as threads:
        try:
            for _ in counted(threads.map(function, parts), unit, len(parts)):
                pass
        except BaseException:
            if stop is not None:
                stop[0] = True
            raise
