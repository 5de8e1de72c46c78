"""The 10 nearest other rows of every row: skal beside faiss and pynndescent, each in a process of its own.

Run with ``OMP_NUM_THREADS=2 NUMBA_NUM_THREADS=2 pytest tests/benchmarks/test_neighbor_graphs.py -s -k 100000x50``.
"cold" is a process with its imports and one search, "first" and "warm" are the first and the second search in it.
Compiled functions are on disk from an earlier process; ``NUMBA_CACHE_DIR`` of an empty folder shows what the first
process of a machine takes. The rows are MNIST and augmented copies, 50 principal components or 768 pixels. faiss takes
part where it is installed.
"""

import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

K = 10
SIZES = ("20000x50", "100000x50", "200000x50", "1000000x50", "20000x768", "200000x768")
N_SAMPLE = 500
LONGEST = 6e11  # numbers that a search of all pairs may read


def skal(X):
    from skal.graph import nearest_neighbors

    return nearest_neighbors(X, K, random_state=0)[1]


def pynndescent(X):
    from pynndescent import NNDescent

    return NNDescent(X, n_neighbors=K + 5, random_state=0).neighbor_graph[0][:, : K + 1]


def faiss_index(make):
    def search(X):
        import faiss

        index = make(faiss, *X.shape)
        if not index.is_trained:
            index.train(X[: 64 * index.nlist])
        index.add(X)
        return index.search(X, K + 1)[1]

    return search


def _flat(faiss, n_rows, width):
    return faiss.IndexFlatL2(width)


def _hnsw(faiss, n_rows, width):
    index = faiss.IndexHNSWFlat(width, 16)
    index.hnsw.efSearch = 32
    return index


def _ivf(faiss, n_rows, width):
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(width), width, int(4 * n_rows**0.5))
    index.nprobe = 16
    return index


CONTESTANTS = {
    "skal": skal,
    "faiss flat": faiss_index(_flat),
    "faiss HNSW": faiss_index(_hnsw),
    "faiss IVF": faiss_index(_ivf),
    "pynndescent": pynndescent,
}


@pytest.fixture(scope="module")
def rows(images, tmp_path_factory):
    """The name of a file with so many rows of so many columns."""
    from sklearn.decomposition import PCA

    from .test_neighbors import augmented

    pixels, folder = images[0], tmp_path_factory.mktemp("rows")
    pca = PCA(50, random_state=0).fit(pixels[:20_000].reshape(-1, 784))

    def make(n_rows, width):
        rng = np.random.default_rng(0)
        X = np.empty((n_rows, width), np.float32)
        for start in range(0, n_rows, 4000):
            part = pixels[start : start + 4000]
            if start >= len(pixels):
                part = augmented(pixels[rng.integers(len(pixels), size=4000)], rng)
            flat = part.reshape(-1, 784)[: n_rows - start]
            X[start : start + len(flat)] = pca.transform(flat) if width == 50 else flat[:, 8 : 8 + width]
        np.save(folder / "rows.npy", X)
        return X, folder / "rows.npy"

    return make


def recall(X, sample, found):
    """The share of the nearest other rows, by distance, that was found."""
    sq_norms = np.einsum("ij,ij->i", X, X)
    shares = []
    for row, ours in zip(sample, found, strict=True):
        sq = sq_norms - 2 * (X @ X[row])
        sq[row] = np.inf
        nearest = set(np.argpartition(sq, K)[:K].tolist())
        shares.append(len(nearest & set(ours.tolist())) / K)
    return np.mean(shares)


@pytest.mark.parametrize("size", SIZES)
def test_neighbor_graph(rows, size):
    X, path = rows(*map(int, size.split("x")))
    sample = np.random.default_rng(1).choice(len(X), N_SAMPLE, replace=False)
    print(f"\n{size}, {K} neighbours" + " " * 14 + "cold    first     warm   recall")
    for name in CONTESTANTS:
        if name.startswith("faiss") and find_spec("faiss") is None:
            continue
        if name == "faiss flat" and X.size * len(X) > LONGEST:
            continue
        start = time.perf_counter()
        told = subprocess.run(
            [sys.executable, __file__, name, str(path)], check=True, capture_output=True, text=True
        ).stdout
        cold = time.perf_counter() - start
        first, warm = json.loads(told.splitlines()[-1])
        found = np.load(path.with_suffix(".found.npy"))[sample]
        print(
            f"  {name:<24} {cold - warm:8.1f} {first:8.1f} {warm:8.1f}   {recall(X, sample, found):.3f}",
            flush=True,
        )


def main(name, path):
    X, times = np.load(path), []
    for _ in range(2):
        if times and (name.startswith("faiss") or times[0] > 60):  # the same again
            times *= 2
            break
        start = time.perf_counter()
        found = CONTESTANTS[name](X)
        times.append(time.perf_counter() - start)
    np.save(Path(path).with_suffix(".found.npy"), found)
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
