"""Pools and queries, and their nearest rows by brute force; integer features make ties and duplicates exact."""

import numpy as np
from hypothesis import strategies as st


def brute_force(X, queries, k):
    """All distances in float64, column by column; equal ones in order of position."""
    total = np.zeros((len(queries), len(X)))
    for j in range(X.shape[1]):
        total += (queries[:, j, None].astype(np.float64) - X[:, j].astype(np.float64)) ** 2
    rows = np.argsort(total, axis=1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(total, rows, axis=1)), rows


@st.composite
def pools(draw, max_rows=120):
    """Float32 rows and queries of some scale: grids (ties, duplicates), clusters, constant columns, an offset."""
    n, d = draw(st.integers(1, max_rows)), draw(st.sampled_from([1, 2, 7, 8, 9, 17]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.integers(0, draw(st.integers(1, 4)), (n + 5, d), endpoint=True).astype(np.float64)
    if draw(st.booleans()):
        X += draw(st.sampled_from([1e-7, 0.1])) * rng.normal(size=X.shape)
    X[:, rng.random(d) < draw(st.sampled_from([0, 0.5]))] = 1
    X = X * draw(st.sampled_from([1e-30, 1e-3, 1, 1e30])) + draw(st.sampled_from([0, 0, 1e4]))
    X = X.astype(np.float32)
    queries = X[n:].copy()
    queries[0] = X[0]
    return X[:n], queries


def spectrum_pool(n_rows=5000, n_features=50, seed=0):
    """A mixture whose variance falls from the first column on."""
    rng = np.random.default_rng(seed)
    scale = 1 / np.sqrt(1 + np.arange(n_features))
    means = rng.normal(size=(20, n_features))
    X = (means[rng.integers(20, size=n_rows)] + rng.normal(size=(n_rows, n_features))) * scale
    return X.astype(np.float32)


class BruteForce:
    """A user's index: two methods and nothing else."""

    def __init__(self, X=None):
        self.X = X

    def fit(self, X):
        self.X = X
        return self

    def kneighbors(self, X, n_neighbors=1):
        assert n_neighbors <= len(self.X)
        return brute_force(self.X, np.asarray(X), n_neighbors)
