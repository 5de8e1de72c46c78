"""Forks wait for what other threads do with SQLite, whose locks would stay taken in the new process for ever."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, RLock, get_ident

_PATIENCE = 60.0  # seconds that a fork waits
_lock = RLock()  # taken as such, as Ctrl-C may come inside `Condition.__enter__`, which is Python
_change = Condition(_lock)
_inside: Counter[int] = Counter()  # in how many sections each thread is
_forking: set[int] = set()  # the threads whose fork waits, so that no section begins


@contextmanager
def unforked() -> Iterator[None]:
    """A section during which no other thread forks the process, unless that one is in such a section, too.

    Examples
    --------
    >>> from skal.campaign.forks import unforked
    >>> with unforked(), unforked():
    ...     print("short")
    short
    """
    me = get_ident()
    before = _inside[me]
    try:
        with _lock:
            _change.wait_for(lambda: not _forking or me in _inside)
            _inside[me] = before + 1
        yield
    finally:
        # At once and as it was: Ctrl-C may have come before it was counted, and may come while the lock is awaited.
        if before:
            _inside[me] = before
        else:
            _inside.pop(me, None)
            with _lock:
                _change.notify_all()


def _before() -> None:
    me = get_ident()
    _change.acquire()  # until after the fork, whether or not the waiting ends with an exception
    if me in _inside:  # others may wait for what it has taken
        return
    try:
        _forking.add(me)
        _change.wait_for(lambda: not _inside, _PATIENCE)
    finally:
        _forking.discard(me)
        _change.notify_all()


def _forget_others() -> None:
    """Those which the fork did not wait for, and which are not in the new process."""
    _forking.clear()
    for each in _inside.keys() - {get_ident()}:
        del _inside[each]


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before, after_in_parent=_change.release, after_in_child=_forget_others)
    os.register_at_fork(after_in_child=_change.release)  # whatever became of the other
