"""TypiClust against its definition, clusters with and without labels, and rows that count as labelled."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from skal import ActiveLearner
from skal.graph import nearest_neighbors
from skal.selection import k_means
from skal.selection.points import middle, sq_norms
from skal.strategies import RandomSubset, TypiClust, typi_clust
from tests.neighbors.pools import BruteForce
from tests.properties.strategies import NearestMean, problems

X = np.random.default_rng(0).normal(size=(120, 4))


def naive_distances(rows, labels, free, picks, n_neighbors):
    """Yield what each pick is to make small: the mean distances in its cluster, infinite for all other rows."""
    free, n_covered = free.copy(), np.bincount(labels[~free], minlength=labels.max() + 1)
    sizes = np.bincount(labels)
    for pick in picks:
        left = [label for label in np.unique(labels) if free[labels == label].any()]
        cluster = min(left, key=lambda label: (sizes[label] <= 5, n_covered[label], -sizes[label], label))
        inside = np.flatnonzero(labels == cluster)
        distances = np.sort(cdist(rows[inside], rows[inside]), axis=1)[:, 1 : n_neighbors + 1]
        means = np.full(len(rows), np.inf)
        means[inside] = distances.mean(axis=1) if len(inside) > 1 else 0
        means[~free] = np.inf
        yield means
        free[pick] = False
        n_covered[cluster] += 1


@pytest.mark.parametrize("n_labeled", [0, 7, 80])  # most rows are candidates and labels, or few are new
@pytest.mark.parametrize("embedding", ["input", PCA(2)], ids=str)
@pytest.mark.parametrize("max_clusters", [4, 500])
def test_the_picks_are_the_most_typical_rows(embedding, n_labeled, max_clusters):
    y = np.where(np.arange(120) < n_labeled, 0, -1)
    strategy = TypiClust(embedding, n_neighbors=3, max_clusters=max_clusters, random_state=3).fit(X)
    chosen = strategy.query(X, y, 12)
    rows = X if embedding == "input" else strategy.encoder_.transform(X).astype(np.float32)
    labels = k_means(rows, min(n_labeled + 12, max_clusters), np.random.default_rng([3, n_labeled]))[0]
    for row, means in zip(chosen, naive_distances(rows, labels, y < 0, chosen, 3), strict=True):
        assert means[row] <= means.min() * (1 + 1e-5)  # the two rows of a cluster are equally typical
    assert strategy.query_report_.n_uncovered == len(np.unique(labels)) - len(np.unique(labels[:n_labeled]))


@given(problems())
def test_small_pools(problem):
    n_queries = min(problem.n_queries, int((problem.y < 0).sum()))
    if not n_queries:
        return
    strategy = TypiClust("input", n_neighbors=2, random_state=1).fit(problem.X)
    chosen = strategy.query(problem.X, problem.y, n_queries)
    n_labeled = int((problem.y >= 0).sum())
    labels = k_means(problem.X, n_labeled + n_queries, np.random.default_rng([1, n_labeled]))[0]
    naive = naive_distances(problem.X, labels, problem.y < 0, chosen, 2)
    for row, means in zip(chosen, naive, strict=True):
        assert means[row] <= means.min() * (1 + 1e-5) + 1e-9


@pytest.mark.parametrize("n_neighbors", [1, 3, 50])
@pytest.mark.parametrize("spread", [1, 1e-3, 1e-5])
def test_mean_distances_within_a_cluster_are_those_of_a_loop(n_neighbors, spread, monkeypatch):
    """Also of duplicates, which are at no distance, and of rows that are near each other and far from all others."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([spread * rng.normal(size=(20, 4)), 5 + spread * rng.normal(size=(20, 4))]).repeat(
        2, axis=0
    )
    distances = cdist(rows, rows)
    np.fill_diagonal(distances, np.inf)
    expected = np.sort(distances, axis=1)[:, :n_neighbors].mean(axis=1) / np.abs(rows - middle(rows)).max()
    strategy = TypiClust("input", n_neighbors=n_neighbors, random_state=0).fit(rows)
    assert_allclose(strategy._mean_distances(rows), expected, rtol=1e-3)
    with monkeypatch.context() as several_blocks:
        several_blocks.setattr("skal.selection.points.BLOCK_SIZE", 7 * len(rows))
        assert_allclose(strategy._mean_distances(rows), expected, rtol=1e-3)
    monkeypatch.setattr(typi_clust, "_COMPARED", 0)
    assert_allclose(strategy._mean_distances(rows), expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("far", [1e7, 1e9, 1e12])
def test_an_outlier_leaves_the_others_their_distances(far):
    rows = np.random.default_rng(0).normal(size=(200, 3))
    strategy = TypiClust("input", random_state=0).fit(rows)
    alone = strategy._mean_distances(rows)
    beside = strategy._mean_distances(np.vstack([rows, np.full((1, 3), far)]))[:-1]
    assert_allclose(beside / beside.sum(), alone / alone.sum(), rtol=1e-4)


def test_of_many_close_rows_the_few_nearest_alone_are_measured_by_differences(monkeypatch):
    measured = []
    monkeypatch.setattr(
        "skal.selection.points.sq_norms", lambda rows: measured.append(len(rows)) or sq_norms(rows)
    )
    rows = np.repeat([[0.0, 1], [1, 0]], 200, axis=0) + 1e-6 * np.random.default_rng(0).normal(size=(400, 2))
    TypiClust("input", n_neighbors=3, random_state=0).fit(rows)._mean_distances(rows)
    assert 400 * 3 <= sum(measured) < 400 * 20


def test_every_cluster_without_a_label_gives_its_middle():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(6), 20)
    pool = rng.normal(size=(120, 2)) + 50 * np.eye(6, 2)[truth] + 100 * truth[:, None]
    y = np.where(np.isin(np.arange(120), [0, 21]), 1, -1)
    strategy = TypiClust("input", random_state=0).fit(pool)
    assert sorted(truth[strategy.query(pool, y, 4)]) == [2, 3, 4, 5]


def test_pending_rows_cover_their_clusters():
    truth = np.repeat(np.arange(4), 10)
    pool = np.random.default_rng(0).normal(size=(40, 2)) + 100 * truth[:, None]
    y = np.where(np.arange(40) < 1, 0, -1)
    learner = ActiveLearner(NearestMean(), TypiClust("input"), n_queries=2, random_state=0).fit(pool, y)
    assert sorted(truth[learner.query(pending=[15])]) == [2, 3]


def test_a_restricted_query_sees_its_candidates():
    strategy = RandomSubset(8, TypiClust("input"), random_state=0).fit(X)
    assert len(set(strategy.query(X, n_queries=5).tolist())) == 5


@pytest.mark.parametrize("offset", [0, 1e6])
@pytest.mark.parametrize("scale", [1e-30, 1, 1e30])
def test_units_and_offsets_change_nothing(scale, offset):
    pool = np.round(X * 64) / 64 + offset  # without rounding
    first, second = (
        TypiClust("input", random_state=0).fit(rows).query(rows, n_queries=9)
        for rows in (pool - offset, scale * pool)
    )
    if scale == 1:
        assert_array_equal(first, second)
    assert len(set(second.tolist())) == 9


@pytest.mark.parametrize(
    "index", ["exact", NearestNeighbors(), BruteForce()], ids=lambda index: type(index).__name__
)
def test_an_index_of_the_user_finds_the_same_rows(index):
    ours, theirs = (
        TypiClust("input", n_neighbors=5, index=each, random_state=0).fit(X).query(X, n_queries=4)
        for each in ("auto", index)
    )
    assert_array_equal(ours, theirs)


def test_large_clusters_are_searched_with_the_seed_of_the_strategy(monkeypatch):
    seeds = []

    def search(rows, n_neighbors, *, method, random_state):
        seeds.append(random_state)
        return nearest_neighbors(rows, n_neighbors, method=method, random_state=random_state)

    monkeypatch.setattr("skal.strategies.typi_clust.nearest_neighbors", search)
    monkeypatch.setattr(typi_clust, "_COMPARED", 0)
    TypiClust("input", random_state=7).fit(X).query(X, n_queries=2)
    assert len(set(seeds)) == 1
    assert isinstance(seeds[0], int)


def test_bad_parameters():
    for name, value in (("n_neighbors", 0), ("index", "tree"), ("index", PCA())):
        with pytest.raises(ValueError, match=f"'{name}' parameter of TypiClust"):
            TypiClust(**{name: value}).fit(X)
    with pytest.raises(TypeError, match="object with fit and kneighbors"):
        TypiClust(index=NearestNeighbors).fit(X)
