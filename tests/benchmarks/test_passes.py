"""A query over a pool on disk beside reading it and predicting: in one process, and on two workers of dask.

``ROWS=10_000_000 pytest tests/benchmarks/test_passes.py -s`` is the size of docs/scale.md; by default a tenth.
"""

import os
import resource

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.strategies import UncertaintySampling

from .timing import in_turns, report

ROWS, COLUMNS, CLASSES = int(os.environ.get("ROWS", 1_000_000)), 50, 10
ROUNDS = int(os.environ.get("ROUNDS", 3))
CHUNK = 200_000


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    name = tmp_path_factory.mktemp("pool") / "X.npy"
    X = np.lib.format.open_memmap(name, "w+", np.float32, (ROWS, COLUMNS))
    rng = np.random.default_rng(0)
    for start in range(0, ROWS, CHUNK):
        X[start : start + CHUNK] = rng.standard_normal((min(CHUNK, ROWS - start), COLUMNS), dtype=np.float32)
    X.flush()
    return name


@pytest.fixture(scope="module")
def labels():
    y = np.full(ROWS, -1, np.int8)
    y[:1000] = np.arange(1000) % CLASSES
    return y


def learner(X, y):
    return ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=100, random_state=0).fit(X, y)


def read_and_predict(X, classifier):
    """What no query by a margin can do without: every row is read and predicted, and nothing is kept."""
    for start in range(0, ROWS, 65_536):
        classifier.predict_proba(X[start : start + 65_536])


def private_peak():
    """The most memory of this process that no file stands behind, in bytes (Linux)."""
    with open("/proc/self/status") as status:
        sizes = dict(line.split(":", 1) for line in status)
    return 1024 * int(sizes["RssAnon"].split()[0])


def test_margin_from_disk(benchmark, file, labels):
    X = np.load(file, mmap_mode="r")
    ours = learner(X, labels)
    before = private_peak()
    times = in_turns(
        {
            "margin": ours.query,
            "read and predict_proba": lambda: read_and_predict(X, ours.estimator_),
        },
        ROUNDS,
    )
    report(benchmark, f"margin, {ROWS:,} x {COLUMNS} float32 on disk", times, ROWS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  private memory before and after {before / 2**20:.0f}, {private_peak() / 2**20:.0f} MiB")
    print(f"  the most of this process with pages of the file {peak:.0f} MiB")
    benchmark.pedantic(ours.query, rounds=1)


def test_margin_on_workers(benchmark, file, labels):
    da, distributed = pytest.importorskip("dask.array"), pytest.importorskip("distributed")
    X = np.load(file, mmap_mode="r")
    chunks = [
        da.map_blocks(
            _read,
            start,
            str(file),
            chunks=((min(CHUNK, ROWS - start),), (COLUMNS,)),
            dtype=np.float32,
            meta=np.empty((0, 0), np.float32),
        )
        for start in range(0, ROWS, CHUNK)
    ]
    pool, alone = da.concatenate(chunks), learner(X, labels)
    contestants, clusters = {}, []
    for n_workers in (2, 1):
        cluster = distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")
        client = distributed.Client(cluster, set_as_default=False)
        clusters += [client, cluster]
        ours = learner(pool, labels)

        def query(ours=ours, client=client):
            with client.as_current():
                return ours.query()

        np.testing.assert_array_equal(query(), alone.query())
        contestants[f"margin, dask with {n_workers} workers"] = query
    contestants["margin, one process"] = alone.query
    try:
        times = in_turns(contestants, ROUNDS)
    finally:
        for each in clusters:
            each.close()
    report(benchmark, f"margin, {ROWS:,} x {COLUMNS} float32 on disk", times, ROWS)
    benchmark.pedantic(alone.query, rounds=1)


def _read(start, file):
    return np.load(file, mmap_mode="r")[start : start + CHUNK]
