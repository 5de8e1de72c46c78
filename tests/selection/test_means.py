"""k-means against its definition and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from skal.selection import k_means

from .rows import embedding, grids


@given(grids(), st.integers(0, 1000), st.data())
def test_each_round_is_one_of_lloyd(X, seed, data):
    k = data.draw(st.integers(1, len(X)))
    rows = data.draw(st.none() | st.just(np.arange(k - 1, len(X))[::-1]))
    k = k if rows is None else min(k, len(rows))
    seen = X.astype(np.float64) if rows is None else X[rows].astype(np.float64)
    first, last = (
        k_means(X, k, np.random.default_rng(seed), rows, max_iter=max_iter) for max_iter in (1, 100)
    )
    assert last[1].sum() <= first[1].sum() * (1 + 1e-12)
    labels = first[0]
    assert 0 <= labels.min() <= labels.max() < k
    means = np.array([seen[labels == label].mean(axis=0) for label in np.unique(labels)])
    # The means of the clusters are better centers than those that made them.
    assert cdist(seen, means, "sqeuclidean").min(axis=1).sum() <= first[1].sum() + 1e-9


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "offset"])
def test_k_means_is_as_good_as_that_of_scikit_learn(kind):
    X = embedding(1_000, 0, kind)
    sums = [k_means(X, 12, np.random.default_rng(seed))[1].sum() for seed in range(5)]
    theirs = [KMeans(12, n_init=1, random_state=seed).fit(X - X.mean(axis=0)).inertia_ for seed in range(5)]
    assert np.median(sums) <= 1.03 * np.median(theirs)


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
