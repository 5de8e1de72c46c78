"""Processes that are forked while other threads use the journal."""

import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress

import pytest

from skal.campaign import Campaign, forks
from skal.campaign.database import Database
from skal.campaign.turns import is_taken

from .common import begun

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def forked(act):
    """The status of a process that is forked here, and does something."""
    child = os.fork()
    if not child:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "it hangs"


@contextmanager
def nothing_of(section):
    with section:
        yield


class Inside:
    """Another thread that is inside a section, for a while or until it is told to leave."""

    def __init__(self, section, seconds=None):
        self._section, self._is_in, self._may_leave = section, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._stay)
        self._thread.start()
        assert self._is_in.wait(20)
        if seconds is not None:
            threading.Timer(seconds, self._may_leave.set).start()

    def _stay(self):
        with self._section() as connection:
            if connection is not None:
                connection.execute("SELECT count(*) FROM events").fetchone()
            self._is_in.set()
            self._may_leave.wait(20)

    def leave(self):
        self._may_leave.set()
        self._thread.join()


@pytest.mark.parametrize("section", ["writing", "reading", "glance"])
def test_a_forked_process_goes_on_while_another_thread_uses_the_journal(tmp_path, section):
    with begun(tmp_path, training=None) as campaign:
        campaign.answer("anna", 1, 1)
        other = Inside(getattr(campaign._database, section), seconds=0.2)
        assert forked(lambda: campaign.answer("cleo", 2, 1)) == 0
        other.leave()
        campaign.answer("bob", 3, 1)
        assert campaign.annotators == ["anna", "cleo", "bob"]


def test_a_forked_process_does_not_wait_for_a_thread_that_starts_the_training(tmp_path):
    with begun(tmp_path, training="background") as campaign:

        @contextmanager
        def starting():
            with campaign._place._lock:
                yield

        other = Inside(starting)
        assert forked(lambda: campaign._place.is_at_work()) == 0
        other.leave()


def test_a_fork_waits_for_other_threads_and_not_for_its_own(tmp_path):
    with begun(tmp_path, training=None) as campaign:
        other = Inside(campaign._database.reading, seconds=0.2)
        assert forked(lambda: None) == 0
        assert other._may_leave.is_set()
        other.leave()
        with campaign._database.reading():
            assert forked(lambda: forked(lambda: None)) == 0


def test_a_fork_is_not_kept_waiting_by_sections_that_begin_meanwhile():
    """One of two threads is inside at any time."""
    may_end, inside = threading.Event(), [threading.Event(), threading.Event()]

    def stay(mine, other):
        while not may_end.is_set():
            with forks.unforked():
                mine.set()
                other.wait(0.5)
                other.clear()
                time.sleep(0.01)

    threads = [threading.Thread(target=stay, args=pair) for pair in (inside, inside[::-1])]
    for each in threads:
        each.start()
    begin = time.monotonic()
    assert forked(lambda: None) == 0
    took = time.monotonic() - begin
    may_end.set()
    for each in threads:
        each.join()
    assert took < 10


def test_a_section_inside_another_does_not_wait_for_a_fork():
    def section():
        @contextmanager
        def twice():
            with forks.unforked():
                yield
                with forks.unforked():
                    pass

        return twice()

    other = Inside(section, seconds=0.2)
    begin = time.monotonic()
    assert forked(lambda: None) == 0
    assert time.monotonic() - begin < 10
    other.leave()


def test_a_fork_inside_a_section_does_not_wait_for_who_waits_for_that(tmp_path):
    with begun(tmp_path, training=None) as campaign:
        with campaign._database.glance():
            other = threading.Thread(target=campaign.queue)
            other.start()
            while other.ident not in forks._inside:
                time.sleep(0.01)
            begin = time.monotonic()
            assert forked(lambda: None) == 0
            assert time.monotonic() - begin < 10
        other.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_fork_that_is_interrupted_keeps_nobody_waiting():
    def interrupt(*args):
        raise KeyboardInterrupt

    def in_another_thread():
        thread = threading.Thread(target=lambda: forks.unforked().__enter__(), daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()

    other = Inside(forks.unforked)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert forked(in_another_thread) == 0
    finally:
        signal.signal(signal.SIGALRM, before)
    in_another_thread()
    other.leave()


def test_who_is_interrupted_while_entering_is_not_inside(monkeypatch):
    class Interrupted(Counter):
        def __setitem__(self, thread, n):
            super().__setitem__(thread, n)
            raise KeyboardInterrupt

    monkeypatch.setattr(forks, "_inside", Interrupted())
    with pytest.raises(KeyboardInterrupt), forks.unforked():
        pass
    assert not forks._inside
    assert forks._change.acquire(blocking=False)
    forks._change.release()


@pytest.mark.parametrize("n_outer", [0, 1])
def test_who_is_interrupted_while_leaving_is_outside(n_outer):
    """The lock is taken meanwhile."""

    def interrupt(*args):
        raise KeyboardInterrupt

    outer = [forks.unforked() for _ in range(n_outer)]
    for each in outer:
        each.__enter__()
    inner = forks.unforked()
    inner.__enter__()
    other = Inside(lambda: nothing_of(forks._change))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with suppress(KeyboardInterrupt):
            inner.__exit__(None, None, None)
            time.sleep(5)
    finally:
        signal.signal(signal.SIGALRM, before)
        other.leave()
    assert sum(forks._inside.values()) == n_outer
    for each in outer:
        each.__exit__(None, None, None)
    assert not forks._inside


def test_a_fork_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(forks, "_PATIENCE", 0.1)
    other = Inside(forks.unforked)

    def fork_again():
        monkeypatch.setattr(forks, "_PATIENCE", 60.0)
        assert forked(lambda: None) == 0

    assert forked(fork_again) == 0
    other.leave()


def test_a_forked_process_waits_until_another_thread_has_written(tmp_path):
    """A thread that waits for its turn has the lock's file open, as the forked process then does."""
    with begun(tmp_path, training=None) as campaign, Campaign.open(tmp_path) as second:
        campaign.add_annotator("anna")
        other = Inside(campaign._database.writing, seconds=0.5)
        waiting = threading.Thread(target=lambda: second.answer("anna", 1, 1))
        waiting.start()
        assert forked(lambda: campaign.answer("anna", 2, 1)) == 0
        other.leave()
        waiting.join()
        assert forked(lambda: Database(tmp_path).close()) == 0
        assert campaign.answer("anna", 3, 1).progress().n_labelled == 3
        assert not is_taken(tmp_path / "training.lock")
