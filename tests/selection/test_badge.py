"""BADGE against k-means++ on the outer products that it never forms."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare

from skal.selection import badge_kmeans_plusplus


def gradients(embeddings, probabilities):
    """The outer products that BADGE never forms."""
    residuals = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)] - probabilities
    return np.einsum("ic,id->icd", residuals, embeddings).reshape(len(embeddings), -1)


def badge_inputs(n_rows, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 3)).astype(dtype), rng.dirichlet(np.ones(4), n_rows).astype(dtype)


@pytest.mark.parametrize("n_recent", [1, 2])
def test_badge_follows_the_sequential_distribution(n_recent):
    """Second and third pick, chi-square against k-means++ on the materialised gradients."""
    embeddings, probabilities = badge_inputs(6, 0)
    sq_distances = cdist(*[gradients(embeddings, probabilities)] * 2, "sqeuclidean")
    first = int(np.square(gradients(embeddings, probabilities)).sum(axis=1).argmax())
    expected = np.zeros((6, 6))
    for second in range(6):
        p_second = sq_distances[first, second] / sq_distances[first].sum()
        nearest = np.minimum(sq_distances[first], sq_distances[second])
        expected[second] = p_second * nearest / nearest.sum()
    counts, n_draws = np.zeros((6, 6)), 6_000
    rng = np.random.default_rng(n_recent)
    for _ in range(n_draws):
        # Later picks must not disturb earlier ones.
        picks = badge_kmeans_plusplus(embeddings, probabilities, 2 + n_recent, rng)
        assert picks[0] == first
        counts[picks[1], picks[2]] += 1
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible], n_draws * expected[possible]).pvalue > 0.01


def test_badge_distances_stay_exact_through_refreshes():
    """The last of many picks, after several passes, is still drawn by its distance: chi-square in bins."""
    embeddings, probabilities = badge_inputs(40, 1)
    vectors = gradients(embeddings, probabilities)
    sq_distances = cdist(vectors, vectors, "sqeuclidean")
    ranks, rng = [], np.random.default_rng(0)
    for _ in range(1_500):
        *former, last = badge_kmeans_plusplus(embeddings, probabilities, 30, rng)
        cumulative = np.cumsum(sq_distances[former].min(axis=0))
        # The probability integral transform, with the jump of the discrete draw filled in.
        low = cumulative[last - 1] if last else 0.0
        ranks.append((low + rng.random() * (cumulative[last] - low)) / cumulative[-1])
    assert chisquare(np.histogram(ranks, bins=10, range=(0, 1))[0]).pvalue > 0.01


@given(
    st.integers(1, 25), st.integers(1, 25), st.integers(0, 1000), st.sampled_from([np.float32, np.float64])
)
def test_badge_rows_are_distinct_and_duplicates_come_last(n_distinct, n_copies, seed, dtype):
    embeddings, probabilities = badge_inputs(n_distinct, seed, dtype)
    order = np.random.default_rng(seed).permutation(np.tile(np.arange(n_distinct), n_copies))
    n_rows = len(order)
    chosen = badge_kmeans_plusplus(
        embeddings[order], probabilities[order], n_rows, np.random.default_rng(seed)
    )
    assert sorted(chosen.tolist()) == list(range(n_rows))
    assert sorted(order[chosen[:n_distinct]].tolist()) == list(range(n_distinct))
    again = badge_kmeans_plusplus(
        embeddings[order], probabilities[order], n_rows, np.random.default_rng(seed)
    )
    assert again.tolist() == chosen.tolist()


def test_badge_fallback_is_uniform():
    """Nothing to tell the rows apart: the first by position, the others evenly."""
    rng = np.random.default_rng(0)
    ones, certain = np.ones((5, 2)), np.tile([1.0, 0.0], (5, 1))
    picks = np.array([badge_kmeans_plusplus(ones, certain, 2, rng) for _ in range(2_000)])
    assert not picks[:, 0].any()
    assert chisquare(np.bincount(picks[:, 1], minlength=5)[1:]).pvalue > 0.01


def test_badge_memory():
    n_rows = 60_000
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(n_rows, 50)).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(10), n_rows).astype(np.float32)
    tracemalloc.start()
    badge_kmeans_plusplus(embeddings, probabilities, 30, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_badge_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="3 rows of embeddings and 2 of probabilities"):
        badge_kmeans_plusplus(np.eye(3), np.full((2, 2), 0.5), 1, np.random.default_rng(0))


def test_pending_rows_are_drawn_already():
    """With all but one cluster pending, the next pick is of that one; nothing pending is drawn again."""
    centers = 10 * np.eye(4)
    embeddings = np.repeat(centers, 25, axis=0) + 1e-3 * np.random.default_rng(0).normal(size=(100, 4))
    probabilities = np.full((100, 2), 0.5)
    pending = np.array([0, 25, 50])
    for seed in range(5):
        (row,) = badge_kmeans_plusplus(
            embeddings, probabilities, 1, np.random.default_rng(seed), pending=pending
        )
        assert row >= 75
    rows = badge_kmeans_plusplus(embeddings, probabilities, 97, np.random.default_rng(0), pending=pending)
    np.testing.assert_array_equal(np.sort(rows), np.setdiff1d(np.arange(100), pending))
    some = badge_kmeans_plusplus(
        embeddings, probabilities, 2, np.random.default_rng(0), np.arange(60, 80), pending
    )
    assert ((some >= 60) & (some < 80)).all()
    assert (some >= 75).any()
