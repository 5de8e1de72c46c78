"""Nearest other rows against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.graph import nearest, nearest_neighbors
from tests.neighbors.pools import brute_force, pools


def brute_force_neighbors(X, k):
    """Nearest other rows in float64; equal distances in order of position."""
    distances, rows = brute_force(X, X, len(X))
    others = rows != np.arange(len(X))[:, None]
    return tuple(found[others].reshape(len(X), -1)[:, :k] for found in (distances, rows))


@pytest.mark.parametrize("few_rows", [0, 512])
@given(pools(40), st.integers(1, 45))
def test_exact_neighbors_are_those_of_brute_force(few_rows, pool, k):
    X, _ = pool
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(nearest, "_FEW_ROWS", few_rows)
        distances, indices = nearest_neighbors(X, k, method="exact")
    expected_distances, expected = brute_force_neighbors(X, k)
    assert indices.shape == (len(X), min(k, len(X) - 1))
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(distances, expected_distances.astype(np.float32))
    assert (distances.dtype, indices.dtype) == (np.float32, np.int32)


def test_parts_of_the_queries_meet(monkeypatch):
    X = np.random.default_rng(0).integers(0, 9, (100, 3)).astype(np.float32)
    monkeypatch.setattr(nearest, "_FEW_ROWS", 0)
    monkeypatch.setattr(nearest, "_QUERIES", 7)
    np.testing.assert_array_equal(nearest_neighbors(X, 4)[1], brute_force_neighbors(X, 4)[1])


@pytest.mark.parametrize("few_rows", [0, 512])
def test_neighbors_of_more_duplicates_than_neighbors(few_rows, monkeypatch):
    monkeypatch.setattr(nearest, "_FEW_ROWS", few_rows)
    X = np.repeat([[0.0, 1.0], [5.0, 1.0]], [30, 2], axis=0)
    distances, indices = nearest_neighbors(X, 3)
    np.testing.assert_array_equal(indices, brute_force_neighbors(X, 3)[1])
    assert (indices != np.arange(32)[:, None]).all()
    np.testing.assert_array_equal(distances[:30], 0)


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_approximate_neighbors_of_few_rows_are_exact(n):
    X = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    _, indices = nearest_neighbors(X, 4, method="approximate")
    np.testing.assert_array_equal(indices, brute_force_neighbors(X, 4)[1])


@pytest.mark.parametrize("k", [0, -1, True, 1.0, "1", None])
def test_bad_numbers_of_neighbors(k):
    with pytest.raises(ValueError, match="integer of at least 1"):
        nearest_neighbors([[0.0], [1.0]], k)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[np.nan]], "NaN"),
        ([[np.inf]], "infinity"),
        ([[1e300]], "float32"),
        (np.ones(3), "2D"),
        (np.ones((0, 3)), "minimum of 1"),
    ],
)
def test_bad_rows(X, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(X, 1)


def test_unknown_methods():
    with pytest.raises(ValueError, match=r'method=\'fast\'.*"exact" or "approximate"'):
        nearest_neighbors([[0.0], [1.0]], 1, method="fast")
