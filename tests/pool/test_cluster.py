"""Queries on a real cluster of two worker processes: the rows of one process, in bounded memory, whoever is killed."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.generators import encoders
from skal.pool import as_pool
from skal.pool.passes import executed
from skal.strategies import (
    ASAL,
    BADGE,
    BALD,
    DGAL,
    SEALS,
    CoreSet,
    KMedian,
    QueryByCommittee,
    RandomSampling,
    RandomSubset,
    UncertaintySampling,
)
from tests.networks import tiny_gan

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

X, TRUTH = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
Y = np.where(np.arange(len(X)) < 60, TRUTH, -1)
STRATEGIES = {
    "random": RandomSampling(),
    "margin": UncertaintySampling(),
    "subset": RandomSubset(100, BADGE()),
    "BADGE": BADGE(),
    "core-set": CoreSet(),
    "k-median": KMedian(max_iter=2),
    "committee": QueryByCommittee(n_members=3),
    "DGAL": DGAL(PCA(10), n_candidates=50),
    "SEALS": SEALS(PCA(10)),
    "ASAL": ASAL(tiny_gan(), n_steps=2),
}


@pytest.fixture(scope="module")
def client():
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Small pools are cut, too: one block is answered by the process that asks."""
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 400)


def learner(strategy, classifier=None):
    classifier = classifier or LogisticRegression(tol=0.1)
    return ActiveLearner(classifier, strategy, n_queries=7, random_state=0)


def two_rounds(pool, strategy, classifier=None):
    fitted = learner(strategy, classifier).fit(pool, Y)
    first = fitted.query()
    return first, fitted.teach(first, TRUTH[first]).query(pool)


@pytest.mark.parametrize("kind", STRATEGIES)
def test_the_rows_are_those_of_one_process(client, kind):
    pool = da.from_array(X, chunks=(400, 64))
    for ours, expected in zip(
        two_rounds(pool, STRATEGIES[kind]), two_rounds(X, STRATEGIES[kind]), strict=True
    ):
        assert_array_equal(ours, expected)


@pytest.mark.parametrize("kind", ["margin", "core-set", "BALD"])
def test_so_are_those_of_a_network(client, kind):
    net = NetClassifier(module_params={"dropout": 0.5}, max_epochs=2, random_state=0)
    strategy = BALD(n_passes=3) if kind == "BALD" else STRATEGIES[kind]
    pool = da.from_array(X, chunks=(400, 64))
    for ours, expected in zip(two_rounds(pool, strategy, net), two_rounds(X, strategy, net), strict=True):
        assert_array_equal(ours, expected)


class Slow(UncertaintySampling):
    folder: str = ""

    def _score(self, X, estimator):
        (Path(self.folder) / f"{os.getpid()}").touch()
        time.sleep(0.3)
        return super()._score(X, estimator)


def pids_of_two(client):
    """The process ids of the workers, once there are two again."""
    for _ in range(100):
        with suppress(OSError):  # one is not there, and another not yet
            pids = set(client.run(os.getpid).values())
            if len(pids) == 2:
                return pids
        time.sleep(0.5)
    raise AssertionError("The second worker has not come back.")


def test_a_worker_that_is_killed_changes_nothing(client, tmp_path, monkeypatch):
    import cloudpickle

    import tests.pool.test_cluster as this

    cloudpickle.register_pickle_by_value(this)
    monkeypatch.setattr(Slow, "folder", str(tmp_path))
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 100)
    pool = da.from_array(X, chunks=(100, 64))
    expected = learner(UncertaintySampling()).fit(X, Y).query()
    fitted, workers = learner(Slow()).fit(pool, Y), client.run(os.getpid)
    killer = threading.Timer(0.8, os.kill, (next(iter(workers.values())), signal.SIGKILL))
    killer.start()
    rows = fitted.query()
    killer.join()
    assert_array_equal(rows, expected)
    seen = {int(path.name) for path in tmp_path.iterdir()}
    assert set(workers.values()) <= seen  # both had begun
    assert os.getpid() not in seen
    assert pids_of_two(client) != set(workers.values())  # one of them was killed


def test_an_error_of_a_worker_reaches_the_caller(client):
    class Broken(UncertaintySampling):
        def _score(self, X, estimator):
            return np.full(len(X), np.nan)

    fitted = learner(Broken()).fit(da.from_array(X, chunks=(400, 64)), Y)
    with pytest.raises(ValueError, match="scores are NaN"):
        fitted.query()


def resident_bytes():
    import psutil

    return psutil.Process().memory_info().rss


def test_nobody_holds_the_pool(client, monkeypatch):
    """400 MB of rows that are made where they are needed: each process grows by a small part of them."""
    n_rows, n_columns = 2_000_000, 50

    def made(block_info=None):
        (start, stop), _ = block_info[None]["array-location"]
        rows = np.arange(start, stop, dtype=np.float32)[:, None]
        return np.sin(rows * np.linspace(1, 2, n_columns, dtype=np.float32))

    pool = da.map_blocks(
        made, chunks=((50_000,) * 40, n_columns), dtype=np.float32, meta=np.empty((0, 0), np.float32)
    )
    y = np.full(n_rows, -1, np.int8)
    y[::20_000] = np.arange(100) % 3
    two_rounds(
        da.from_array(X, chunks=(100, 64)), UncertaintySampling()
    )  # what is imported there counts for nothing
    fitted = learner(UncertaintySampling()).fit(pool, y)
    monkeypatch.undo()  # blocks of the usual size
    before, workers = resident_bytes(), client.run(resident_bytes)
    peak = [before]
    is_over = threading.Event()

    def watch():
        while not is_over.wait(0.02):
            peak.append(resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    rows = fitted.query()
    is_over.set()
    watcher.join()
    assert len(rows) == 7
    assert max(peak) - before < 60e6
    grown = [after - workers[name] for name, after in client.run(resident_bytes).items()]
    assert max(grown) < 100e6, grown


def test_encoders_never_get_a_large_pool_whole(monkeypatch):
    monkeypatch.setattr(encoders, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(encoders, "_SAMPLE_ROWS", 300)
    pool = as_pool(da.from_array(X, chunks=(500, 64)))

    class Counting(PCA):
        def fit(self, X, y=None):
            self.n_rows_ = len(X)
            return super().fit(X, y)

    assert encoders.fit_encoder(Counting(3), pool, 0).n_rows_ == 300
    incremental = encoders.fit_encoder(IncrementalPCA(3), pool, 0)
    assert incremental.n_samples_seen_ == len(X)
    assert encoders.fit_encoder(Counting(3), X, 0).n_rows_ == len(X)


def test_the_cluster_keeps_no_answers_that_were_taken(client):
    def answers():
        return executed(lambda block, part: len(block), as_pool(da.from_array(X, chunks=(200, 64))))

    n_left = len(list(answers()))
    assert n_left > 3
    for _ in answers():
        deadline = time.monotonic() + 10  # the client lets go in a thread of its own
        while len(client.futures) > n_left and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(client.futures) <= n_left
        n_left -= 1


def test_fits_on_the_cluster_ask_it_for_passes(client):
    """Each task waits for tasks of its own: it leaves its place to them."""
    pool = da.from_array(X, chunks=(400, 64))
    fitted = [learner(UncertaintySampling()).fit(pool, Y) for _ in range(4)]
    futures = client.map(lambda each: each.query(), fitted, pure=False)
    distributed.wait(futures, timeout=30)
    for rows in client.gather(futures):
        assert_array_equal(rows, fitted[0].query())
