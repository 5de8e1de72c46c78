"""Seconds of queries over pools of growing size."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from _experiments import count

from skal.utils.replacing import replacing

SIZES = [10_000, 60_000, 250_000, 1_000_000]


def add_times(parser: argparse.ArgumentParser) -> None:
    """The arguments of the experiment "times"."""
    parser.add_argument("--sizes", type=count, nargs="+", default=SIZES, help="pool sizes for times")
    parser.add_argument("--turns", type=count, default=4, help="queries of each method for times")


def measure(
    methods: dict[str, Any],
    pool: Any,
    labels: np.ndarray[Any, Any],
    classifier: Any,
    n_turns: int,
    folder: Path,
) -> dict[str, tuple[float, float]]:
    """Seconds of fit, and the median of a query of ten rows: all methods in turns, the first of several not counted.

    They are kept in a file of the folder, and what an earlier run has kept is not measured again.
    """
    file = folder / f"times-{len(pool)}-rows-{n_turns}-turns.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if methods.keys() <= kept.keys():
        return {name: (kept[name][0], kept[name][1]) for name in methods}
    labels, fits = labels.copy(), {}
    for name, strategy in methods.items():
        started = time.perf_counter()
        strategy.fit(pool)
        fits[name] = time.perf_counter() - started
    queries: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(n_turns):
        for name, strategy in methods.items():
            started = time.perf_counter()
            rows = strategy.query(pool, labels, n_queries=10, estimator=classifier)
            queries[name].append(time.perf_counter() - started)
        labels[rows] = 0
    taken = {name: (fits[name], float(np.median(queries[name][n_turns > 1 :]))) for name in methods}
    for name, (fit, query) in taken.items():
        print(f"{len(pool):,} rows, {name}: fit {fit:.1f} s, query {query:.3f} s", flush=True)
    file.write_text(json.dumps(taken))
    return taken


def augmented(X: np.ndarray[Any, Any], n_rows: int, folder: Path) -> np.ndarray[Any, Any]:
    """The images, and copies of them shifted by up to three pixels, with other contrast and a little noise.

    They are made once, in a file, and mapped.
    """
    file = folder / f"pool-{n_rows}.npy"
    if file.exists():
        return np.load(file, mmap_mode="r")
    rng = np.random.default_rng(0)
    pool = np.empty((n_rows, *X.shape[1:]), X.dtype)
    for start in range(0, n_rows, len(X)):
        block = pool[start : start + len(X)]
        block[:] = X[: len(block)]
        if start:
            # A shift for each part; the images come in random order.
            for part in np.array_split(np.arange(len(block)), 49):
                shift = tuple(rng.integers(-3, 4, size=2))
                noisy = np.roll(block[part], shift, axis=(2, 3)) * rng.uniform(0.7, 1, (len(part), 1, 1, 1))
                noisy += rng.normal(0, 4, noisy.shape) * (noisy > 0)
                block[part] = np.clip(noisy, 0, 255)
    with replacing(file) as stream:  # other processes may wait for it
        np.save(stream, pool)
    return np.load(file, mmap_mode="r")
