"""Random subsets: how many rows the criterion sees."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from skal.strategies import RandomSubset, UncertaintySampling

X = np.random.default_rng(0).normal(size=(50, 2))
Y = np.where(np.arange(50) < 10, X[:, 0] > 0, -1)
CLASSIFIER = LogisticRegression().fit(X[:10], Y[:10])


@pytest.mark.parametrize(("n_candidates", "n_queries", "n_seen"), [(6, 2, 6), (6, 9, 9), (1000, 2, 40)])
def test_the_criterion_chooses_among_so_many_random_rows(n_candidates, n_queries, n_seen):
    strategy = RandomSubset(n_candidates, random_state=0).fit(X)
    rows = strategy.query(X, Y, n_queries, estimator=CLASSIFIER)
    seen = 10 + np.random.default_rng([0, 10]).choice(40, n_seen, replace=False)
    scores = UncertaintySampling().fit(X).utility(X[seen], estimator=CLASSIFIER)
    assert_array_equal(rows, seen[np.argsort(-scores)[:n_queries]])


@pytest.mark.parametrize("n_candidates", [0, -1, 2.5, "all"])
def test_bad_numbers(n_candidates):
    with pytest.raises(ValueError, match="'n_candidates' parameter of RandomSubset"):
        RandomSubset(n_candidates).fit(X)
