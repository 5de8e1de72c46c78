"""A pool that no process holds in memory: rows in zarr on disk, processed by a cluster of two processes.

``python examples/large_pool.py`` writes ten million rows of 50 columns to a temporary folder (2 GB), starts a local
cluster of dask, and asks each strategy for 100 rows. ``--rows 1000000`` takes only a few minutes;
``--scheduler tcp://...`` uses your own cluster. It needs the extra ``skal-learn[dask]`` and zarr.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import dask.array as da
import numpy as np
import zarr
from distributed import Client, LocalCluster
from sklearn.decomposition import IncrementalPCA
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner, show_progress
from skal.generators import GAN
from skal.strategies import ASAL, BADGE, DGAL, RandomSampling, RandomSubset, UncertaintySampling

COLUMNS, CLASSES, CLUSTERS, LABELS = 50, 10, 100, 200
STRATEGIES = {
    "random": RandomSampling,
    "margin": UncertaintySampling,
    "BADGE": lambda: RandomSubset(10_000, BADGE()),
    "DGAL": lambda: DGAL(IncrementalPCA(10)),
    "ASAL": lambda: ASAL(GAN(n_iter=300), n_components=10),
}


def write(folder: Path, n_rows: int) -> None:
    """Write rows around 100 centers, chunk by chunk."""
    rng = np.random.default_rng(0)
    centers = rng.normal(scale=2, size=(CLUSTERS, COLUMNS)).astype(np.float32)
    chunk = min(100_000, n_rows)
    X = zarr.create_array(
        folder, shape=(n_rows, COLUMNS), chunks=(chunk, COLUMNS), dtype="f4", compressors=None
    )
    for start in range(0, n_rows, chunk):
        rows = np.arange(start, min(start + chunk, n_rows))
        noise = rng.standard_normal((len(rows), COLUMNS), dtype=np.float32)
        X[start : start + len(rows)] = centers[rows % CLUSTERS] + noise


def annotated(rows: np.ndarray) -> np.ndarray:
    """What an annotator would say: every tenth cluster is of one class."""
    return (rows % CLUSTERS % CLASSES).astype(np.int8)


def rounds(name: str, X: da.Array, y: np.ndarray, n_rounds: int, check: np.ndarray) -> None:
    """Fit a learner, let it ask for 100 rows in each round, and print what that took and what it learned."""
    test = X[check].compute()
    learner = ActiveLearner(LogisticRegression(), STRATEGIES[name](), n_queries=100, random_state=0)
    start = time.perf_counter()
    with show_progress():
        learner.fit(X, y)
        fitted = time.perf_counter() - start
        for _ in range(n_rounds):
            start = time.perf_counter()
            rows = learner.query()
            asked = time.perf_counter() - start
            learner.teach(rows, annotated(rows))
    score = learner.score(test, annotated(check))
    print(f"{name:8} fit {fitted:7.1f} s, query {asked:6.2f} s, accuracy {score:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where the rows are kept; a temporary folder by default")
    parser.add_argument("--scheduler", help="the address of a cluster; two local processes by default")
    parser.add_argument("--strategies", nargs="+", choices=list(STRATEGIES), default=list(STRATEGIES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)) / f"{options.rows}.zarr"
        if not folder.exists():
            write(folder, options.rows)
        local = (
            None
            if options.scheduler
            else LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
        )
        with Client(options.scheduler or local):
            X = da.from_zarr(str(folder))
            y = np.full(len(X), UNLABELED, dtype=np.int8)
            first = np.random.default_rng(1).choice(len(X), LABELS, replace=False)
            y[first] = annotated(first)
            check = np.sort(np.random.default_rng(2).choice(len(X), 2000, replace=False))
            for name in options.strategies:
                rounds(name, X, y, options.rounds, check)
        if local is not None:
            local.close()


if __name__ == "__main__":
    main()
