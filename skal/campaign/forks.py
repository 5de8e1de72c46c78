"""Forks wait for what other threads do with SQLite, whose locks would stay taken in the new process for ever."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident

_PATIENCE = 60.0  # seconds that a fork waits
_change = Condition()
_inside: Counter[int] = Counter()  # in how many sections each thread is


@contextmanager
def unforked() -> Iterator[None]:
    """A section during which no other thread forks the process.

    Examples
    --------
    >>> from skal.campaign.forks import unforked
    >>> with unforked(), unforked():
    ...     print("short")
    short
    """
    me = get_ident()
    with _change:
        _inside[me] += 1
    try:
        yield
    finally:
        with _change:
            _inside[me] -= 1
            if not _inside[me]:
                del _inside[me]
                _change.notify_all()


def _others() -> set[int]:
    return _inside.keys() - {get_ident()}


def _before() -> None:
    _change.acquire()
    _change.wait_for(lambda: not _others(), _PATIENCE)


def _after_in_child() -> None:
    for each in _others():  # which the fork did not wait for, and which are not there
        del _inside[each]
    _change.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before, after_in_parent=_change.release, after_in_child=_after_in_child)
