"""k-means against its definition and scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from skal.selection import k_means, means
from skal.selection.points import EuclideanPoints

from .rows import embedding, grids


@given(grids(), st.integers(0, 1000), st.data())
def test_each_round_is_one_of_lloyd(X, seed, data):
    k = data.draw(st.integers(1, len(X)))
    rows = data.draw(st.none() | st.just(np.arange(k - 1, len(X))[::-1]))
    k = k if rows is None else min(k, len(rows))
    seen = X.astype(np.float64) if rows is None else X[rows].astype(np.float64)
    rounds, centers, totals = means._Rounds(EuclideanPoints(X, rows), k), seen[:k], []
    for step in (2, 2, 2, 1, 1, 1):  # no round raises the sum, over-relaxed or plain
        _, total, averages = rounds.round(centers)
        totals.append(total)
        centers = centers + step * (averages - centers)
    assert (np.diff(totals) <= 1e-5 * (1 + totals[0])).all()
    labels, sq_distances = k_means(X, k, np.random.default_rng(seed), rows, max_iter=1)
    assert 0 <= labels.min() <= labels.max() < k
    centers = np.array([seen[labels == label].mean(axis=0) for label in np.unique(labels)])
    to_means = cdist(seen, centers, "sqeuclidean")
    own = to_means[np.arange(len(seen)), np.searchsorted(np.unique(labels), labels)]
    assert_allclose(sq_distances, own, rtol=1e-9, atol=1e-9 * (1 + np.abs(seen).max()))


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "offset", "heavy", "outlier"])
def test_k_means_is_as_good_as_that_of_scikit_learn(kind, monkeypatch):
    monkeypatch.setattr(means, "_SEEDED", 16)  # fewer than all rows
    X = embedding(1_000, 0, kind, np.float64)
    sums = [k_means(X, 12, np.random.default_rng(seed))[1].sum() for seed in range(5)]
    theirs = [KMeans(12, n_init=1, random_state=seed).fit(X - X.mean(axis=0)).inertia_ for seed in range(5)]
    assert np.median(sums) <= 1.03 * np.median(theirs)


@pytest.mark.parametrize("scale", [1e-30, 1, 1e100])
def test_clusters_too_small_for_float32_are_told_apart(scale):
    """Two groups of five clusters: the groups are a million times as far from each other as the clusters."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.arange(200) % 10)
    X = scale * (1e6 * (truth[:, None] % 2) + np.eye(10)[truth] + 1e-3 * rng.normal(size=(200, 10)))
    found = [k_means(X, 10, np.random.default_rng(seed)) for seed in range(5)]
    labels, sq_distances = min(found, key=lambda each: each[1].sum())
    assert len(np.unique(10 * truth + labels)) == 10
    means = np.array([X[truth == label].mean(axis=0) for label in range(10)])
    assert_allclose(sq_distances, ((X - means[truth]) ** 2).sum(axis=1), rtol=1e-3)


@pytest.mark.parametrize("offset", [0, 3e3, 1e6])
def test_a_round_is_exact_where_float32_is_not(offset, monkeypatch):
    """Two groups far from each other: where both are far from the origin, squares have too few digits."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 6)) + offset * (np.arange(600)[:, None] % 2)
    points = EuclideanPoints(X)
    monkeypatch.setattr(means, "_BLOCK", 5_000)  # several blocks
    centers = np.vstack([points.take(list(range(20))), np.full((1, 6), 1e13)])  # of the last are no rows
    labels, total, found = means._Rounds(points, 21).round(centers)
    sq_distances = cdist(X - points.shift, centers, "sqeuclidean")
    assert_array_equal(labels, sq_distances.argmin(axis=1))
    assert_allclose(total, sq_distances.min(axis=1).sum(), rtol=1e-5)
    expected = [points.take(np.flatnonzero(labels == label)).mean(axis=0) for label in range(20)]
    assert_allclose(found[:20], expected, atol=1e-6 * (1 + offset))
    assert_array_equal(found[20], centers[20])


def test_few_rows_are_converted_once(monkeypatch):
    read = []
    monkeypatch.setattr(
        EuclideanPoints, "write", lambda self, rows, target: read.append(rows) or np.copyto(target, 0)
    )
    rounds = means._Rounds(EuclideanPoints(np.arange(90.0).reshape(30, 3)), 2)
    for _ in range(3):
        rounds.round(np.eye(2, 3))
    assert len(read) == 1


def test_rows_that_are_not_kept_in_float32_count_alike(monkeypatch):
    X = embedding(1_000, 0, "gaussian")
    expected = k_means(X, 12, np.random.default_rng(0))
    monkeypatch.setattr(means, "_KEPT", 0)
    for found, wanted in zip(k_means(X, 12, np.random.default_rng(0)), expected, strict=True):
        assert_array_equal(found, wanted)


def test_little_is_left_for_another_round():
    """Rows on a line, on which centers move slowly."""
    X = np.random.default_rng(0).exponential(size=(1_000, 1))
    for seed in range(5):
        labels, sq_distances = k_means(X, 40, np.random.default_rng(seed))
        centers = np.array([X[labels == label].mean(axis=0) for label in np.unique(labels)])
        assert cdist(X, centers, "sqeuclidean").min(axis=1).sum() > 0.995 * sq_distances.sum()


def test_k_means_is_over_relaxed(monkeypatch):
    X = np.random.default_rng(0).normal(size=(3_000, 20))
    sums = []
    for step in (means._OVER_RELAXED[0], 1.0):
        monkeypatch.setattr(means, "_OVER_RELAXED", (step, 0))
        sums.append([k_means(X, 50, np.random.default_rng(seed), max_iter=8)[1].sum() for seed in range(5)])
    assert np.mean(sums[0]) < np.mean(sums[1])


def test_over_relaxed_rounds_lead_farther_down():
    """Than as many plain ones, from the same seeds of 50 overlapping clusters."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_000, 20))
    rounds = means._Rounds(EuclideanPoints(X), 50)
    for _ in range(5):
        seeds = rounds.round(X[rng.choice(len(X), 50, replace=False)])[2]
        plain, over_relaxed = (rounds.descend(seeds, step, 0, 8)[1] for step in (1.0, 2.0))
        assert rounds.round(over_relaxed)[1] < rounds.round(plain)[1]


def test_seeds_are_better_than_single_draws():
    """Than those of k-means++, also where they are sought among few rows."""
    X = embedding(3_000, 0, "gaussian")
    points, sums = EuclideanPoints(X), []
    for seed in range(5):
        single = points.take(points.plus_plus([seed], 40, np.random.default_rng(seed)))
        best = means._seeds(points, 40, np.random.default_rng(seed))
        sums.append(
            [
                cdist(points.take(slice(None)), seeds, "sqeuclidean").min(axis=1).sum()
                for seeds in (best, single)
            ]
        )
    assert np.mean(sums, axis=0)[0] < 0.97 * np.mean(sums, axis=0)[1]


@pytest.mark.parametrize("n_held", [0, 40 * 8])
def test_few_seeds_of_wide_rows_are_sought_among_few(n_held, monkeypatch):
    """As few as there are seeds, all of which are taken; or a draw of few rows, which may be fewer still."""
    monkeypatch.setattr(means, "_HELD", n_held)
    X = embedding(1_000, 0, "gaussian", np.float64)
    points = EuclideanPoints(X)
    for seed in range(20):
        seeds = means._seeds(points, 30, np.random.default_rng(seed))
        assert len(np.unique(seeds, axis=0)) == 30
        assert (cdist(seeds, points.take(slice(None))).min(axis=1) == 0).all()


@given(grids(), st.integers(0, 1000), st.data())
def test_seeds_are_rows_and_equal_only_where_no_others_are_left(X, seed, data):
    k = data.draw(st.integers(1, len(X)))
    points = EuclideanPoints(X)
    seeds = means._seeds(points, k, np.random.default_rng(seed))
    n_equal = (cdist(points.take(slice(None)), seeds) == 0).any(axis=0)
    assert len(seeds) == k
    assert n_equal.all()
    assert len(np.unique(seeds, axis=0)) == min(k, len(np.unique(X, axis=0)))


def test_separate_clusters_are_found():
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([0, 1, 2], [9, 25, 16]))
    X = rng.normal(size=(50, 2)) + 40 * truth[:, None]
    labels, sq_distances = k_means(X, 3, rng)
    assert len(np.unique(labels)) == len(np.unique(truth)) == len(np.unique(3 * labels + truth))
    means = np.array([X[truth == label].mean(axis=0) for label in range(3)])
    assert_allclose(sq_distances, ((X - means[truth]) ** 2).sum(axis=1))


def test_duplicates_are_in_one_cluster():
    labels, sq_distances = k_means(np.ones((5, 2), dtype=np.uint8), 3, np.random.default_rng(0))
    assert len(np.unique(labels)) == 1
    assert_array_equal(sq_distances, 0)


def test_threads_change_nothing(monkeypatch):
    X, found, n_threads = embedding(600, 0, "clusters"), [], torch.get_num_threads()
    monkeypatch.setattr(means, "_BLOCK", 2_000)  # many blocks
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            found.append(k_means(X, 21, np.random.default_rng(0)))
    finally:
        torch.set_num_threads(n_threads)
    for one, several in zip(*found, strict=True):
        assert_array_equal(one, several)


def test_sums_of_many_blocks_take_bounded_memory(monkeypatch):
    X = embedding(600, 0, "clusters")
    monkeypatch.setattr(means, "_BLOCK", 2_000)
    centers, parts = X[:21].astype(np.float64), []
    monkeypatch.setattr(means, "in_threads", lambda function, n: parts.append(len(n)) or [*map(function, n)])
    labels, total, found = means._Rounds(EuclideanPoints(X), 21).round(centers)
    monkeypatch.setattr(means, "_SUMS", 3 * 21 * (X.shape[1] + 2))
    fewer = means._Rounds(EuclideanPoints(X), 21).round(centers)
    assert parts[0] > 3 >= parts[1] > 1
    assert_array_equal(fewer[0], labels)
    assert_allclose(fewer[1], total)
    assert_allclose(fewer[2], found, rtol=1e-4, atol=1e-6)
