"""Nearest other rows against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skal.graph import nearest, nearest_neighbors
from skal.neighbors import base
from tests.neighbors.pools import brute_force, pools


def brute_force_neighbors(X, k):
    """Nearest other rows in float64; equal distances in order of position."""
    distances, rows = brute_force(X, X, len(X))
    others = rows != np.arange(len(X))[:, None]
    return tuple(found[others].reshape(len(X), -1)[:, :k] for found in (distances, rows))


class BruteForceGraph:
    """Someone's transformer: a sparse matrix of distances, its rows in no order."""

    def __init__(self, n_neighbors):
        self.n_neighbors = n_neighbors

    def fit(self, X):
        self.X = X
        return self

    def transform(self, X):
        distances, rows = brute_force(self.X, X, self.n_neighbors)
        starts = np.arange(len(X) + 1) * self.n_neighbors
        shape = (len(X), len(self.X))
        return sparse.csr_matrix((distances[:, ::-1].ravel(), rows[:, ::-1].ravel(), starts), shape=shape)


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


def test_cells_answer_as_products_do(monkeypatch):
    X = np.random.default_rng(0).integers(0, 9, (600, 3)).astype(np.float32)
    monkeypatch.setattr(nearest, "_QUERIES", 100)
    by_products = nearest_neighbors(X, 4, method="exact")
    monkeypatch.setattr(nearest, "cells_are_faster", lambda *_: True)
    for ours, theirs in zip(nearest_neighbors(X, 4, method="exact"), by_products, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "method",
    [
        NearestNeighbors(metric="manhattan"),
        KNeighborsTransformer(n_neighbors=4, metric="manhattan"),
        BruteForceGraph(5),
    ],
)
def test_neighbors_of_an_object(method):
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    distances, indices = nearest_neighbors(X, 4, method=method)
    metric = "euclidean" if isinstance(method, BruteForceGraph) else "cityblock"
    expected = cdist(X, X, metric)
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :4], rtol=1e-5)


def test_objects_that_find_too_few():
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with pytest.raises(
        ValueError, match=r"found only 4 neighbours of a row, and 5 are needed.*n_neighbors=5"
    ):
        nearest_neighbors(X, 4, method=BruteForceGraph(4))
    with pytest.raises(ValueError, match="gave ndarray, no sparse matrix"):
        nearest_neighbors(X, 4, method=StandardScaler())
    with pytest.raises(TypeError, match="fit and transform"):
        nearest_neighbors(X, 4, method=3)


def test_positions_of_64_bits_where_32_do_not_suffice(monkeypatch):
    X = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    assert nearest_neighbors(X, 2)[1].dtype == np.int32
    monkeypatch.setattr(base, "MOST_INT32", 599)
    assert nearest_neighbors(X, 2)[1].dtype == np.int64


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
    with pytest.raises(ValueError, match=r'method=\'fast\'.*"exact", "approximate" or an object'):
        nearest_neighbors([[0.0], [1.0]], 1, method="fast")
