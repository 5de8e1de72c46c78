"""Matching without replacement against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.neighbors import CellIndex, match
from skal.pool import Candidates
from tests.threads import check_threads

from .pools import BruteForce, brute_force, pools, spectrum_pool


def brute_force_match(X, queries, available, n_neighbors):
    free, rows, n_collisions = available.copy(), [], 0
    for order in brute_force(X, queries, len(X))[1]:
        n_collisions += (~free[order[available[order]][:n_neighbors]]).sum()
        taken = order[free[order]][:n_neighbors]
        free[taken] = False
        rows.append(np.pad(taken, (0, n_neighbors - len(taken)), constant_values=-1))
    return np.array(rows), n_collisions


@given(pools(40), st.integers(1, 6), st.floats(0, 1), st.booleans(), st.booleans())
def test_matching_is_that_of_brute_force(pool, n_neighbors, share, ours, by_exclusion):
    X, queries = pool
    queries = np.concatenate([queries, queries, X[:3]])
    available = np.random.default_rng(0).random(len(X)) < share
    index = CellIndex(random_state=0).fit(X) if ours else BruteForce(X)
    given = Candidates(np.flatnonzero(~available), complement_in=len(X)) if by_exclusion else available
    rows, distances, n_collisions = match(index, queries, given, n_neighbors)
    expected, expected_collisions = brute_force_match(X, queries, available, n_neighbors)
    np.testing.assert_array_equal(rows, expected)
    assert n_collisions == expected_collisions
    np.testing.assert_array_equal(np.isinf(distances), rows < 0)
    i, j = np.nonzero(rows >= 0)
    np.testing.assert_array_equal(
        distances[i, j],
        [brute_force(X[[r]], queries[[q]], 1)[0][0, 0] for q, r in zip(i, rows[i, j], strict=True)],
    )


def test_only_queries_that_miss_rows_ask_again():
    class Counting(BruteForce):
        asked = []

        def kneighbors(self, X, n_neighbors=1):
            self.asked.append((len(X), n_neighbors))
            return super().kneighbors(X, n_neighbors)

    X = np.arange(9.0)[:, None]
    match(Counting(X), [[0.0], [0.1], [5.0], [5.1], [8.0]], np.ones(9, dtype=bool))
    assert Counting.asked == [(5, 1), (1, 2), (1, 2)]


@pytest.mark.parametrize(
    "available",
    [
        np.ones(20),
        np.ones(19, dtype=bool),
        np.ones((20, 1), dtype=bool),
        Candidates(np.arange(3)),
        Candidates(np.arange(3), complement_in=19),
    ],
)
def test_bad_masks(available):
    index = CellIndex(random_state=0).fit(spectrum_pool(20, 3))
    with pytest.raises(ValueError, match="available h"):
        match(index, np.zeros((1, 3)), available)


def test_threads_find_what_one_thread_finds(monkeypatch):
    X = spectrum_pool(2000, 10)
    available = np.random.default_rng(0).random(len(X)) < 0.3
    index = CellIndex(random_state=0).fit(X)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)  # each query starts threads of its own

    def ask(seed):
        queries = spectrum_pool(1 + seed % 5, 10, seed=seed)
        return *index.kneighbors(queries, 1 + seed % 7), *match(index, queries, available, 2)

    check_threads(ask)
