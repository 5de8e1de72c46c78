"""The exact index against a blocked matrix product, on MNIST with augmented copies and on mixtures of its spectrum.

Run with ``pytest tests/benchmarks/test_neighbors.py -s``. The pools have 50 PCA features; queries are held out.
"""

import time

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch.nn import functional as F

from skal.neighbors import CellIndex

from .timing import in_turns, report

N_HELD_OUT = 1000
SIZES = (60_000, 250_000, 1_000_000)


def augmented(images, rng):
    """Images turned by up to 15 degrees, scaled and shifted by up to a tenth, with a little noise."""
    turn, size = rng.uniform(-0.26, 0.26, len(images)), rng.uniform(0.9, 1.1, len(images))
    shift = rng.uniform(-0.2, 0.2, (2, len(images)))
    maps = [
        [size * np.cos(turn), -size * np.sin(turn), shift[0]],
        [size * np.sin(turn), size * np.cos(turn), shift[1]],
    ]
    grid = F.affine_grid(
        torch.tensor(np.array(maps)).permute(2, 0, 1).float(), list(images.shape), align_corners=False
    )
    moved = F.grid_sample(torch.from_numpy(images), grid, align_corners=False).numpy()
    return (moved + rng.normal(0, 0.05, images.shape).astype(np.float32)).clip(0, 1)


def features_of_images(images):
    rng = np.random.default_rng(0)
    held_out, images = images[:N_HELD_OUT], images[N_HELD_OUT:]
    pca = PCA(50, random_state=0).fit(images[:20_000].reshape(-1, 784))
    pool = np.empty((max(SIZES), 50), np.float32)
    for start in range(0, len(pool), 4000):
        part = pool[start : start + 4000]
        chosen = images[rng.integers(len(images), size=len(part))]
        part[:] = pca.transform((augmented(chosen, rng) if start else chosen).reshape(-1, 784))
    return pool, pca.transform(held_out.reshape(-1, 784)).astype(np.float32), pca.explained_variance_


@pytest.fixture(scope="module", params=["MNIST and augmented copies", "mixture"])
def data(request, images):
    pool, queries, variance = features_of_images(images[0])
    if request.param == "mixture":  # half of the variance between a hundred components, half within them
        rng = np.random.default_rng(1)
        means = rng.normal(size=(100, 50))
        for part in [*np.array_split(pool, 100), queries]:
            points = means[rng.integers(100, size=len(part))] + rng.normal(size=part.shape)
            part[:] = points * np.sqrt(variance / 2)
    return request.param, pool, queries


def blocked_gemm(pool, queries, block=4096):
    """The nearest row of every query, by norms and products of 4096 rows at a time."""
    best, rows = torch.full((len(queries),), torch.inf), torch.zeros(len(queries), dtype=torch.long)
    for start in range(0, len(pool), block):
        part = pool[start : start + block]
        values, where = torch.addmm(part.square().sum(1), queries, part.T, alpha=-2).min(1)
        rows = torch.where(values < best, where + start, rows)
        best = torch.minimum(values, best)
    return rows.numpy()


@pytest.mark.parametrize("n_rows", SIZES)
def test_nearest_row(benchmark, data, n_rows):
    name, pool, held_out = data
    pool = pool[:n_rows]
    start = time.perf_counter()
    index = CellIndex(random_state=0).fit(pool)
    print(
        f"\n{name}, {n_rows:,} rows: {len(index.centers_)} cells built in {time.perf_counter() - start:.1f} s"
    )
    rows = torch.from_numpy(pool)
    found = index.kneighbors(held_out[:100])[1][:, 0]
    assert (found == blocked_gemm(rows, torch.from_numpy(held_out[:100]))).mean() > 0.98
    for n_queries, rounds in ((10, 15), (1000, 3)):
        queries = held_out[:n_queries]
        times = in_turns(
            {
                "CellIndex": lambda queries=queries: index.kneighbors(queries),
                "blocked GEMM": lambda queries=queries: blocked_gemm(rows, torch.from_numpy(queries)),
            },
            rounds,
        )
        report(benchmark, f"{name}, {n_rows:,} rows, {n_queries} queries", times)
    benchmark.pedantic(index.kneighbors, args=(held_out[:10],), rounds=1)
