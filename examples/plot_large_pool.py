"""
A large pool on disk
====================

A pool that does not fit into memory can be a memory map, or an array of zarr, h5py or dask. It is never copied: it is
read once in ``fit``, and a query reads only the rows that its strategy needs. That is the whole pool for margin
sampling, and a few thousand rows for :class:`skal.strategies.RandomSubset`.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner
from skal.strategies import RandomSubset, UncertaintySampling

# %%
# The pool has 400,000 rows of 50 columns around a hundred centres in ten classes, written block by block to a file of
# 80 MB.

n_rows, n_columns = 400_000, 50
rng = np.random.default_rng(0)
centers = rng.normal(scale=2, size=(100, n_columns)).astype(np.float32)
truth = rng.integers(100, size=n_rows)
folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "pool.npy"
pool = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=(n_rows, n_columns))
for start in range(0, n_rows, 50_000):
    block = centers[truth[start : start + 50_000]]
    pool[start : start + 50_000] = block + rng.standard_normal(block.shape, dtype=np.float32)
pool.flush()
truth %= 10
pool = np.load(file, mmap_mode="r")

# %%
# Both strategies run on growing parts of the pool, with 200 labels. The time is in seconds for a query of 100 rows, the
# best of five.

strategies = {
    "margin": UncertaintySampling("margin"),
    "margin on 5000 rows": RandomSubset(5000, UncertaintySampling("margin")),
}
sizes = [25_000, 50_000, 100_000, 200_000, 400_000]
seconds: dict[str, list[float]] = {name: [] for name in strategies}
for name, strategy in strategies.items():
    for size in sizes:
        y = np.where(np.arange(size) < 200, truth[:size], UNLABELED)
        learner = ActiveLearner(LogisticRegression(max_iter=1000), strategy, n_queries=100, random_state=0)
        learner.fit(pool[:size], y).query()  # the first one compiles and warms up
        taken = []
        for _ in range(5):
            started = time.perf_counter()
            learner.query()
            taken.append(time.perf_counter() - started)
        seconds[name].append(min(taken))
    print(f"{name}: {1000 * seconds[name][-1]:.0f} ms for a query of {sizes[-1]} rows")

# %%
# The time of margin sampling is proportional to the size of the pool; in a random subset, it hardly depends on the size
# of the pool.

figure, ax = plt.subplots(layout="constrained")
for name, times in seconds.items():
    ax.plot(sizes, times, marker="o", label=name)
ax.set(xlabel="Rows of the pool", ylabel="Seconds for a query", xscale="log", yscale="log")
ax.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
ax.minorticks_off()
ax.legend()
plt.show()
folder.cleanup()
