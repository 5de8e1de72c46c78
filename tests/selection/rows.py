"""Rows to choose from: integer grids make distances, and so ties, exact."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def grids(draw, max_rows=30):
    """Few rows of few small integers, float32 or float64: duplicates and ties abound."""
    shape = draw(st.integers(1, max_rows)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.integers(0, draw(st.integers(1, 5)), shape, endpoint=True)
    return (X + draw(st.sampled_from([0, 10_000]))).astype(draw(st.sampled_from([np.float32, np.float64])))


def embedding(n_rows, seed, kind, dtype=np.float32):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 8))
    if kind == "clusters":
        X = 0.05 * X + 5 * rng.normal(size=(12, 8))[rng.integers(12, size=n_rows)]
    if kind == "offset":
        X += 1e4
    if kind == "outlier":
        X = 0.005 * X + rng.random(size=(11, 8))[rng.integers(11, size=n_rows)]
        X[0] = 1e7
    if kind == "heavy":
        X /= rng.uniform(0.001, 1, size=(n_rows, 1))
    return X.astype(dtype)
