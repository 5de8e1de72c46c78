"""MaxHerding against the whole kernel, over rounds in which what it keeps could go stale."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from skal import ActiveLearner
from skal.strategies import MaxHerding, RandomSubset
from tests.properties.strategies import NearestMean, problems
from tests.selection.test_herding import check_greedy, similar

X = np.random.default_rng(0).normal(size=(150, 3))
TRUTH = (X[:, 0] > 0).astype(int)


@given(problems())
def test_small_pools(problem):
    candidates = np.flatnonzero(problem.y < 0)
    n_queries = min(problem.n_queries, len(candidates))
    if not n_queries:
        return
    strategy = MaxHerding("input", random_state=0).fit(problem.X)
    picks = strategy.query(problem.X, problem.y, n_queries)
    kernel = similar(problem.X, problem.X, strategy.query_report_.bandwidth)
    check_greedy(kernel, np.flatnonzero(problem.y >= 0), candidates, picks, 1e-6)


@pytest.mark.parametrize("embedding", ["input", "auto", PCA(2)], ids=str)
@pytest.mark.parametrize("params", [{}, {"bandwidth": 0.5, "max_covered": 50}], ids=str)
def test_every_round_is_greedy(embedding, params):
    strategy = MaxHerding(embedding, **params)
    learner = ActiveLearner(NearestMean(), strategy, n_queries=6, random_state=0).fit(X, np.full(150, -1))
    covered = None
    for round_ in range(5):
        picks = learner.query(pending=[149])
        fitted = learner.strategy_
        rows = X if isinstance(embedding, str) else fitted.encoder_.transform(X).astype(np.float32)
        covered = np.arange(150)
        if "max_covered" in params:
            covered = np.sort(np.random.default_rng(fitted._seed).choice(150, 50, replace=False))
        labeled = np.flatnonzero(learner.y_ >= 0).tolist()
        kernel = similar(rows, rows[covered], fitted.query_report_.bandwidth)
        coverage = check_greedy(kernel, [*labeled, 149], np.setdiff1d(np.arange(149), labeled), picks, 1e-6)
        assert_allclose(fitted.query_report_.coverage, coverage, rtol=1e-6)
        learner.teach(picks, TRUTH[picks])
        if round_ == 3:
            learner.forget(picks[:2])  # labels that are taken back cover nothing


def test_units_change_nothing():
    picks = [
        MaxHerding("input", random_state=0).fit(rows).query(rows, n_queries=10).tolist()
        for rows in (X, 2.0**20 * X, 2.0**-200 * X)
    ]
    assert picks[0] == picks[1] == picks[2]


def test_a_restricted_query_sees_its_candidates_and_labels():
    y = np.where(np.arange(150) < 20, TRUTH, -1)
    strategy = RandomSubset(30, MaxHerding("input"), random_state=0).fit(X, y)
    picks = strategy.query(X, y, 4)
    assert len(set(picks.tolist())) == 4
    assert picks.min() >= 20


def test_bad_parameters():
    for params in ({"bandwidth": 0.0}, {"bandwidth": "wide"}, {"max_covered": 0}):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of MaxHerding"):
            MaxHerding(**params).fit(X)
