"""What threads share: values under a lock, the BLAS limit of the process, and the threads of a query."""

import copy
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from skal.training.devices import seeded
from skal.utils.threads import Kept, in_threads, one_blas_thread


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_a_kept_value_is_changed_by_one_thread_at_a_time():
    kept = Kept()
    kept.value = 0

    def increase(_):
        with kept as same:
            before = same.value
            time.sleep(1e-4)  # another thread would run now
            same.value = before + 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(increase, range(100)))
    assert kept.value == 100


def test_a_kept_value_can_be_entered_again_and_is_released_after_an_error():
    kept = Kept()
    with pytest.raises(KeyError), kept, kept:
        raise KeyError
    thread = threading.Thread(target=lambda: kept.__enter__().__exit__(), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("renew", [copy.copy, copy.deepcopy, lambda kept: pickle.loads(pickle.dumps(kept))])
def test_copies_and_pickles_are_empty_and_have_a_lock_of_their_own(renew):
    kept = Kept()
    with kept:
        kept.value = threading.Lock()  # which does not pickle
        renewed = renew(kept)
        assert renewed.value is None
        with ThreadPoolExecutor(1) as threads:  # would wait for ever for the same lock
            assert threads.submit(lambda: renewed.__enter__()).result(5) is renewed
    assert kept.value is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of Python, about threads and forks
def test_a_forked_process_waits_for_no_thread_that_it_lacks():
    kept, own, entered, done = Kept(), Kept(), threading.Event(), threading.Event()

    def changes():
        with kept, seeded(0, torch.device("cpu")):
            kept.value = "half of it"
            entered.set()
            done.wait(60)

    thread = threading.Thread(target=changes)
    thread.start()
    entered.wait(60)
    with own:
        own.value = "all of it"
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # ends a process that waits
            with kept, own, seeded(1, torch.device("cpu")):
                os._exit(0 if (kept.value, own.value) == (None, "all of it") else 1)
    status = os.waitpid(child, 0)[1]
    done.set()
    thread.join()
    assert status == 0
    assert kept.value == "half of it"


@pytest.fixture
def two_blas_threads():
    """BLAS has two threads, and no thread is in a section of threadpoolctl's own, which would keep others out."""
    before = threadpool_limits(2, user_api="blas")
    with threadpool_limits(None):  # gives back the right to set limits
        pass
    assert blas_threads() == {2}
    yield
    assert blas_threads() == {2}
    before.restore_original_limits()


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_is_limited_from_the_first_entry_to_the_last_exit():
    entered, leave = threading.Event(), threading.Event()

    @one_blas_thread
    def first():
        entered.set()
        assert leave.wait(5)
        return "done"

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(first)
        assert entered.wait(5)
        with one_blas_thread:
            assert blas_threads() == {1}
            leave.set()
            assert running.result(5) == "done"
            assert blas_threads() == {1}  # the first has left, and the second goes on
        assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_is_restored_after_many_threads_and_after_an_error():
    def enter(i):
        with one_blas_thread:
            time.sleep(1e-4 * (i % 3))
            return blas_threads()

    with ThreadPoolExecutor(8) as threads:
        assert all(inside == {1} for inside in threads.map(enter, range(100)))
        assert blas_threads() == {2}
    with pytest.raises(KeyError), one_blas_thread:
        raise KeyError


@pytest.mark.usefixtures("two_blas_threads")
def test_a_limit_of_another_thread_is_left_alone():
    entered, leave = threading.Event(), threading.Event()

    def theirs():
        with threadpool_limits(1, user_api="blas"):
            entered.set()
            assert leave.wait(5)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(theirs)
        assert entered.wait(5)
        with one_blas_thread:
            leave.set()
            running.result(5)
        assert blas_threads() == {2}  # and not the limit that was there when this thread entered


@pytest.mark.parametrize(("n_threads", "n_parts"), [(1, 5), (3, 5), (3, 1), (3, 0)])
def test_every_part_is_done_once(monkeypatch, n_threads, n_parts):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    counts, used = np.zeros(n_parts), set()

    def count(part):
        used.add(threading.get_ident())
        time.sleep(0.01)
        counts[part] += 1

    in_threads(count, iter(range(n_parts)))
    np.testing.assert_array_equal(counts, 1)
    assert len(used) == min(n_threads, n_parts)
    if n_threads == 1 or n_parts == 1:
        assert used == {threading.get_ident()}


@pytest.mark.parametrize("n_threads", [1, 3])
def test_errors_of_parts_are_raised(monkeypatch, n_threads):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda part: 1 / part, [1, 0])


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_interrupt_stops_calls_that_run_and_begins_no_other(monkeypatch, n_threads):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        interrupt_a_call(monkeypatch, n_threads)
    finally:
        signal.signal(signal.SIGINT, before)


def interrupt_a_call(monkeypatch, n_threads):
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    stop, begun, ended = np.zeros(1, dtype=np.bool_), [], []
    submitted, submit = threading.Event(), ThreadPoolExecutor.submit

    def noted(threads, function, part):
        future = submit(threads, function, part)
        if part == 99:
            submitted.set()
        return future

    monkeypatch.setattr(ThreadPoolExecutor, "submit", noted)

    def run(part):  # as compiled code does: it looks at nothing but `stop`
        begun.append(part)
        if part == n_threads - 1:
            submitted.wait()  # Python's own start of a thread may answer an interrupt with another error
            time.sleep(0.1)  # and notices none between its last look and its wait for the calls
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        for _ in range(1000):
            if stop[0]:
                return
            time.sleep(0.01)
        ended.append(part)

    with pytest.raises(KeyboardInterrupt):
        in_threads(run, range(100), stop)
    assert len(begun) < 2 * n_threads + 1
    assert not ended
