"""K-median: medoids of the unlabelled rows."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from skal.selection import k_medians
from skal.strategies import KMedian

X = np.random.default_rng(0).normal(size=(40, 3))


@pytest.mark.parametrize("n_labeled", [5, 30])  # most rows are candidates, or few are
@pytest.mark.parametrize("embedding", ["input", PCA(2)], ids=str)
def test_medoids_are_those_of_the_selector(embedding, n_labeled):
    y = np.where(np.arange(40) < n_labeled, 0, -1)
    strategy = KMedian(embedding, max_iter=2, random_state=3).fit(X)
    rows = strategy.query(X, y, 4)
    codes = X if embedding == "input" else strategy.encoder_.transform(X).astype(np.float32)
    rng = np.random.default_rng([3, n_labeled])
    assert_array_equal(rows, n_labeled + k_medians(codes[n_labeled:], 4, rng, max_iter=2))


def test_labelled_rows_attract_no_medoid():
    pool = np.r_[np.zeros(20), [10.0, 11, 12, 30, 31, 32]][:, None]
    y = np.where(np.arange(26) < 20, 0, -1)
    rows = KMedian("input", random_state=0).fit(pool).query(pool, y, 2)
    best = min(
        combinations(range(20, 26), 2), key=lambda pair: cdist(pool[20:], pool[list(pair)]).min(axis=1).sum()
    )
    assert set(rows.tolist()) == set(best) == {21, 24}


def test_bad_parameters():
    with pytest.raises(ValueError, match="'max_iter' parameter of KMedian"):
        KMedian(max_iter=0).fit(X)
