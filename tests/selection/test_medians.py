"""k-medians against random rows and exhaustive search."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.spatial.distance import cdist

from skal.selection import k_medians

from .rows import embedding, grids


def objective(X, rows):
    return cdist(X.astype(np.float64), X[rows].astype(np.float64)).min(axis=1).sum()


@given(grids(), st.integers(0, 1000), st.data())
def test_k_medians_never_gets_worse(X, seed, data):
    k = data.draw(st.integers(1, len(X)))
    values = []
    for max_iter in (1, 2, 3, 100):
        rows = k_medians(X, k, np.random.default_rng(seed), max_iter=max_iter)
        assert len(set(rows.tolist())) == k
        assert np.isin(rows, np.arange(len(X))).all()
        values.append(objective(X, rows))
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(values))


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "offset", "heavy"])
def test_k_medians_improves_on_random_rows(kind):
    X = embedding(1_000, 0, kind)
    rng = np.random.default_rng(0)
    random = min(objective(X, rng.choice(1_000, 12, replace=False)) for _ in range(20))
    assert objective(X, k_medians(X, 12, rng)) < random


def test_k_medians_finds_the_best_rows_of_separate_clusters():
    rng = np.random.default_rng(0)
    sizes = [9, 25, 16]
    X = np.concatenate([rng.normal(20 * i, 1, (size, 2)) for i, size in enumerate(sizes)])
    chosen = k_medians(X, 3, rng)
    assert chosen.tolist() == sorted(chosen, key=lambda row: -sizes[round(X[row, 0] / 20)])
    edges = np.cumsum([0, *sizes])
    best = sum(cdist(X[a:b], X[a:b]).sum(axis=1).min() for a, b in pairwise(edges))
    assert objective(X, chosen) <= 1.05 * best


@pytest.mark.parametrize(
    "X", [np.zeros((1, 1)), np.ones((6, 2)), np.arange(6.0)[:, None]], ids=["one", "equal", "line"]
)
def test_k_medians_of_all_rows(X):
    assert sorted(k_medians(X, len(X), np.random.default_rng(0)).tolist()) == list(range(len(X)))


def test_clusters_that_are_too_large_to_keep_have_the_same_medians(monkeypatch):
    X = embedding(20_000, 0, "clusters")
    kept = k_medians(X, 40, np.random.default_rng(0), max_iter=2)
    monkeypatch.setattr("skal.selection.medians._MOST_KEPT", 0)
    assert_array_equal(k_medians(X, 40, np.random.default_rng(0), max_iter=2), kept)


@pytest.mark.parametrize("k", [0, 4])
def test_k_medians_refuses_more_than_there_are(k):
    with pytest.raises(ValueError, match=f"k={k} rows asked of 3"):
        k_medians(np.eye(3), k, np.random.default_rng(0))


def test_k_medians_goes_to_the_median_and_not_to_the_mean():
    X = np.array([0.0, 1, 2, 3, 4, 100])[:, None]
    for seed in range(6):
        assert k_medians(X, 1, np.random.default_rng(seed))[0] in (2, 3)


@given(X=grids().filter(lambda X: len(X) > 1), data=st.data())
def test_medians_beside_pending_ones_are_distinct_candidates(X, data):
    n_pending = data.draw(st.integers(1, len(X) - 1))
    rows = np.array(data.draw(st.permutations(range(len(X)))))
    pending, candidates = rows[:n_pending], rows[n_pending:]
    k = data.draw(st.integers(1, len(candidates)))
    found = k_medians(X, k, np.random.default_rng(0), candidates, pending)
    assert len(set(found.tolist())) == k
    assert np.isin(found, candidates).all()


def test_new_medians_go_where_none_is_pending():
    X = (
        np.r_[np.zeros((50, 1)), np.full((40, 1), 5.0), np.full((30, 1), 9.0)]
        + np.linspace(0, 0.1, 120)[:, None]
    )
    (first,) = k_medians(X, 1, np.random.default_rng(0), np.arange(50))
    others = np.delete(np.arange(120), first)
    for seed in range(5):
        found = k_medians(X, 2, np.random.default_rng(seed), others, np.array([first]))
        assert 50 <= found[0] < 90 <= found[1]
