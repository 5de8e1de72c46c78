"""Neighbours, diffusion and the choice of candidates on the graph of a pool, with DGAL's K = 10 and five steps.

Run with ``pytest tests/benchmarks/test_graph.py -s``; ``-k 60k`` is the quick size. The rows are 50 PCA features of
MNIST and of augmented copies where SKAL_DATA is set, and a Gaussian mixture else.
"""

import ctypes
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from skal.graph import UNCERTAINTIES, LabelDiffusion, cover_steps, nearest_neighbors, transition_matrix

from .test_neighbors import augmented
from .timing import in_turns, report

K, N_CLASSES = 10, 10
N_CANDIDATES = 1_000
SIZES = {"60k": 60_000, "1M": 1_000_000}
STATUS = Path("/proc/self/status")


def mixture(n_rows, rng):
    means, y = rng.normal(size=(N_CLASSES, 50)), rng.integers(N_CLASSES, size=n_rows)
    X = np.empty((n_rows, 50), np.float32)
    for part in np.array_split(np.arange(n_rows), 1 + n_rows // 50_000):
        X[part] = (means[y[part]] + rng.normal(size=(len(part), 50))) / np.sqrt(1 + np.arange(50))
    return X, y


def features_of_images(n_rows, images, labels, rng):
    """MNIST first, augmented copies of random images afterwards."""
    pca = PCA(50, random_state=0).fit(images[:20_000].reshape(-1, 784))
    X, y = np.empty((n_rows, 50), np.float32), np.empty(n_rows, np.int64)
    for start in range(0, n_rows, 4000):
        rows = np.arange(start, min(start + 4000, n_rows))
        chosen = rows if start < len(images) else rng.integers(len(images), size=len(rows))
        pixels = images[chosen] if start < len(images) else augmented(images[chosen], rng)
        X[rows], y[rows] = pca.transform(pixels.reshape(-1, 784)), labels[chosen]
    return X, y


@pytest.fixture(scope="module", params=SIZES.values(), ids=SIZES)
def pool(request):
    rng = np.random.default_rng(0)
    if "SKAL_DATA" in os.environ:
        return features_of_images(request.param, *request.getfixturevalue("images"), rng)
    return mixture(request.param, rng)


@pytest.fixture(scope="module")
def transitions(pool):
    return transition_matrix(*nearest_neighbors(pool[0], K, random_state=0))


def peak_memory():
    """The most MB that the process has had in memory since this was reset."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if "VmHWM" in line) / 1e3


def measured(function):
    """The result, the seconds, and the MB by which the memory of the process grew at most (Linux tells)."""
    if STATUS.exists():
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before would be used again
        STATUS.with_name("clear_refs").write_text("5")
    before = peak_memory() if STATUS.exists() else np.nan
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    return result, seconds, (peak_memory() if STATUS.exists() else np.nan) - before


def recall(X, rows, found):
    """The share of the nearest other rows, by products of matrices, that was found."""
    best = torch.full((len(rows), K + 1), torch.inf)
    nearest = torch.zeros(len(rows), K + 1, dtype=torch.long)
    queries = torch.from_numpy(X[rows])
    for start in range(0, len(X), 8192):
        part = torch.from_numpy(X[start : start + 8192])
        values = torch.cat([best, torch.addmm(part.square().sum(1), queries, part.T, alpha=-2)], dim=1)
        places = torch.cat([nearest, torch.arange(start, start + len(part)).expand(len(rows), -1)], dim=1)
        best, where = values.topk(K + 1, largest=False)
        nearest = places.gather(1, where)
    others = [set(near) - {row} for near, row in zip(nearest.tolist(), rows.tolist(), strict=True)]
    return np.mean([len(near & set(ours)) / K for near, ours in zip(others, found.tolist(), strict=True)])


def test_neighbors(benchmark, pool):
    X, _ = pool
    rows = np.random.default_rng(1).choice(len(X), 500, replace=False)
    nearest_neighbors(X[:5000], K, method="approximate")  # compiles
    contestants = {
        "approximate (pynndescent)": lambda: nearest_neighbors(X, K, method="approximate", random_state=0)[1]
    }
    if len(X) <= 200_000:
        contestants = {
            "exact (CellIndex)": lambda: nearest_neighbors(X, K, method="exact")[1],
            "scikit-learn, exact": lambda: (
                NearestNeighbors(n_neighbors=K).fit(X).kneighbors(return_distance=False)
            ),
            **contestants,
        }
    times, told = {}, []  # one turn: each takes long
    for name, contestant in contestants.items():
        found, times[name], growth = measured(contestant)
        told.append(f"  {name:<40} recall@{K} {recall(X, rows, found[rows]):.4f}, memory {growth:,.0f} MB")
    report(benchmark, f"{len(X):,} rows, {K} neighbours", times)
    print(*told, sep="\n")
    distances, indices = nearest_neighbors(X, K, random_state=0)
    walks, seconds, growth = measured(lambda: transition_matrix(distances, indices))
    print(f"  transitions: {walks.nnz / len(X):.1f} entries a row, {seconds:.2f} s, memory {growth:,.0f} MB")
    benchmark.pedantic(transition_matrix, args=(distances, indices), rounds=1)


def scipy_diffusion(transitions, labels, n_steps):
    """Equations 7 and 8 by scipy's product."""
    known = np.flatnonzero(labels >= 0)
    start = 2 * np.eye(N_CLASSES, dtype=np.float32)[labels[known]] - 1
    chi = np.zeros((len(labels), N_CLASSES), np.float32)
    chi[known] = start
    for _ in range(n_steps):
        chi = transitions @ chi
        chi[known] = start
    return chi


@pytest.mark.parametrize("n_labels", [100, 1_000, 100_000])
def test_diffusion(benchmark, pool, transitions, n_labels):
    y = pool[1]
    n_labels = min(n_labels, len(y) // 2)
    n_steps, order = 5, np.random.default_rng(2).permutation(len(y))
    labels, later = np.full(len(y), -1), np.full(len(y), -1)
    labels[order[:n_labels]] = y[order[:n_labels]]
    later[order[: n_labels + 10]] = y[order[: n_labels + 10]]
    full, seconds, growth = measured(lambda: LabelDiffusion(transitions, n_steps, incremental=False))
    print(f"\n{len(y):,} rows renumbered in {seconds:.2f} s, memory {growth:,.0f} MB")
    incremental = LabelDiffusion(transitions, n_steps, incremental=True)
    np.testing.assert_allclose(
        full.diffuse(labels, N_CLASSES).one_vs_all(), scipy_diffusion(transitions, labels, n_steps), atol=1e-5
    )
    incremental.diffuse(labels, N_CLASSES)
    given = [labels]

    def ten_more_or_fewer():
        given[0] = later if given[0] is labels else labels
        incremental.diffuse(given[0], N_CLASSES)

    times = in_turns(
        {
            "full": lambda: full.diffuse(labels, N_CLASSES),
            "incremental, ten labels": ten_more_or_fewer,
            "scipy's product": lambda: scipy_diffusion(transitions, labels, n_steps),
        },
        5,
    )
    title = f"diffusion, {len(y):,} rows, {n_labels:,} labels, {n_steps} steps"
    report(benchmark, f"{title} ({full.n_updated_:,} and {incremental.n_updated_:,} rows computed)", times)
    benchmark.pedantic(full.diffuse, args=(labels, N_CLASSES), rounds=1)


def test_choice_of_candidates(benchmark, pool, transitions):
    """From a diffused label to 1,000 candidates."""
    y = pool[1]
    labels = np.where(np.random.default_rng(3).random(len(y)) < 1000 / len(y), y, -1)
    diffusion = LabelDiffusion(transitions, cover_steps(len(y), K)).diffuse(labels, N_CLASSES)
    times = in_turns(
        {
            measure: lambda measure=measure: np.argpartition(diffusion.uncertainty(measure), N_CANDIDATES)
            for measure in UNCERTAINTIES
        },
        5,
    )
    report(benchmark, f"{N_CANDIDATES:,} candidates of {len(y):,} rows", times, len(y))
    benchmark.pedantic(diffusion.uncertainty, rounds=1)
