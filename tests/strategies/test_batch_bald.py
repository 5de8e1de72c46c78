"""BatchBALD asks whichever samples of a posterior a classifier has, and counts pending rows as chosen."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.access import committee_proba, dropout_proba, posterior_proba
from skal.classifiers import NetClassifier
from skal.selection import batch_bald
from skal.strategies import BatchBALD, RandomSubset

from ..selection.test_joint_information import brute_force

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
TRUTH = np.digitize(X[:, 0] + 0.5 * RNG.normal(size=60), [-0.5, 0.5])
Y = np.where(np.arange(60) < 30, TRUTH, -1)
FOREST = RandomForestClassifier(7, max_depth=3, random_state=0)


def check_greedy(p, rows, before=()):
    chosen = list(before)
    for pick in rows:
        left = np.setdiff1d(np.arange(30, 60), chosen)
        assert pick in left
        values = {row: brute_force(p, [*chosen, row]) for row in left}
        assert values[pick] >= max(values.values()) - 1e-6  # in float32
        chosen.append(int(pick))
    return brute_force(p, chosen)


def test_the_members_of_an_ensemble():
    learner = ActiveLearner(make_pipeline(StandardScaler(), FOREST), BatchBALD(), n_queries=4, random_state=0)
    rows = learner.fit(X, Y).query()
    p = committee_proba(learner.estimator_, X)
    assert_array_equal(posterior_proba(learner.estimator_, X), p)
    report = learner.strategy_.query_report_
    assert report.is_exact
    assert_allclose(report.information, check_greedy(p, rows), atol=1e-6)
    again = learner.query(pending=rows[:2], n_queries=2)
    assert_allclose(learner.strategy_.query_report_.information, check_greedy(p, again, rows[:2]), atol=1e-6)
    assert set(learner.query(exclude=rows)).isdisjoint(rows)
    assert_array_equal(learner.skip(rows[:1]).query(), learner.unskip(rows[:1]).query(exclude=rows[:1]))


def test_passes_with_dropout():
    network = NetClassifier(module_params={"hidden": (8,), "dropout": 0.5}, max_epochs=3, random_state=0)
    learner = ActiveLearner(network, BatchBALD(6), n_queries=3, random_state=0).fit(X.astype(np.float32), Y)
    p = dropout_proba(learner.estimator_, X.astype(np.float32), n_passes=6, seed=learner.strategy_._seed)
    check_greedy(p, learner.query())


def test_members_that_are_trained_for_it():
    learner = ActiveLearner(
        GaussianNB(), RandomSubset(15, BatchBALD(n_members=4)), n_queries=5, random_state=0
    )
    rows = learner.fit(X, Y).query()
    assert_array_equal(learner.query(), rows)
    assert rows.min() >= 30


def test_combinations_are_drawn_beyond_the_most():
    learner = ActiveLearner(FOREST, BatchBALD(max_combinations=2), n_queries=4, random_state=0).fit(X, Y)
    rows = learner.query()
    assert not learner.strategy_.query_report_.is_exact
    p = committee_proba(learner.estimator_, X).astype(np.float32)
    seen = np.arange(30, 60)
    rng = np.random.default_rng([learner.strategy_._seed, 30])
    assert_array_equal(rows, batch_bald(p, 4, rng, seen, max_combinations=2).rows)


def test_refusals():
    with pytest.raises(
        TypeError, match=r"BatchBALD\(\) needs .* members or dropout layers and LogisticReg.*n_members"
    ):
        ActiveLearner(LogisticRegression(), BatchBALD()).fit(X, Y)
    with pytest.raises(TypeError, match=r"skal\.access\.posterior_proba needs a classifier with members or"):
        posterior_proba(GaussianNB().fit(X, TRUTH), X)
    frozen = FrozenEstimator(GaussianNB().fit(X, TRUTH))
    with pytest.raises(TypeError, match="not trained again"):
        ActiveLearner(frozen, BatchBALD(n_members=3)).fit(X, Y)
    for params in ({"n_passes": 0}, {"n_members": 1}, {"max_combinations": 0}):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of BatchBALD"):
            BatchBALD(**params).fit(X)
