"""CostAware against the quotient by hand, and the way of costs through learners."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import entr
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from skal import ActiveLearner, SimulatedLearner
from skal.pool import as_pool
from skal.simulation import simulate
from skal.strategies import (
    BADGE,
    CostAware,
    QueryByCommittee,
    RandomSampling,
    RandomSubset,
    UncertaintySampling,
)
from tests.properties.strategies import problems

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
TRUTH = (X[:, 1] + 0.5 * RNG.normal(size=120) > 0).astype(int)
Y = np.where(np.arange(120) < 10, TRUTH, -1)
COST = RNG.lognormal(size=120)


class Untrainable(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("the classifier was trained on bad input")


def asking(*parts):
    return CostAware(*parts).set_fit_request(cost=True)


def learner(strategy, classifier=None, **params):
    return ActiveLearner(classifier or LogisticRegression(), strategy, n_queries=6, random_state=0, **params)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@given(problems())
def test_small_pools(problem):
    classifier = problem.classifier.fit(problem.X[problem.y >= 0], problem.y[problem.y >= 0])
    left = np.flatnonzero(problem.y < 0)
    n_queries = min(problem.n_queries, len(left))
    cost = 1.0 + np.arange(len(problem.X))[::-1] % 4
    for measure in ("entropy", "margin", "least_confidence"):
        criterion = UncertaintySampling(measure)
        strategy = CostAware(criterion, random_state=0).fit(problem.X, cost=cost)
        if not n_queries:
            return
        rows = strategy.query(problem.X, problem.y, n_queries, estimator=classifier)
        scores = criterion.fit(problem.X).utility(problem.X, estimator=classifier).astype(float)
        worth = {row: (scores[row] - min(0, scores[left].min())) / cost[row] for row in left.tolist()}
        assert_allclose([worth[row] for row in rows], sorted(worth.values())[::-1][:n_queries], atol=1e-12)
        assert len(set(rows) & set(left)) == n_queries
        assert_array_equal(strategy.query_report_.costs, cost[rows])


def test_every_round_of_a_learner_that_was_given_costs(routing):
    fitted = learner(asking()).fit(X, Y, cost=COST)
    for _ in range(4):
        worth = entr(fitted.predict_proba(X)).sum(axis=1) / COST
        left = np.flatnonzero(fitted.y_ < 0)
        expected = left[np.argsort(-worth[left])][:6]
        assert_array_equal(fitted.query(), expected)
        assert_array_equal(fitted.strategy_.query_report_.costs, COST[expected])
        again = pickle.loads(pickle.dumps(fitted))
        assert_array_equal(again.query(X), expected)
        fitted.teach(expected, TRUTH[expected])
    assert 5 not in fitted.undo().forget([5]).query(exclude=[5], n_queries=90)


def test_a_function_of_rows_is_asked_once_for_a_pool(routing):
    sizes = []

    def cost(block):
        sizes.append(len(block))
        return block["words"]

    frame = pd.DataFrame(X, columns=list("abc")).assign(words=COST)
    fitted = learner(CostAware(cost=cost)).fit(frame, Y)
    given_ = learner(asking()).fit(frame, Y, cost=frame["words"])
    assert_array_equal(fitted.query(), given_.query())
    assert max(sizes) == 120
    assert sum(sizes) <= 120 + 2 * 3  # and a first row or two before anything is trained
    n_before = len(sizes)
    fitted.query(n_queries=3)
    assert len(sizes) == n_before
    other = frame.sample(frac=1, random_state=0)[:40] + 1
    worth = entr(fitted.predict_proba(other)).sum(axis=1) / other["words"].to_numpy()
    assert_array_equal(fitted.query(other), np.argsort(-worth)[:6])
    fitted.grow(pd.concat([frame, frame.assign(words=1e-6)], ignore_index=True))
    assert fitted.query().min() >= 120


def test_classifier_and_strategy_get_what_is_theirs(routing):
    weight = RNG.uniform(1, 2, size=120)
    classifier = LogisticRegression().set_fit_request(sample_weight=True)
    fitted = learner(asking(), classifier).fit(X, Y, cost=COST, sample_weight=weight)
    alone = LogisticRegression().fit(X[:10], TRUTH[:10], weight[:10])
    assert_allclose(fitted.predict_proba(X), alone.predict_proba(X), rtol=1e-4)
    worth = entr(fitted.predict_proba(X)).sum(axis=1)[10:] / COST[10:]
    assert_array_equal(fitted.query(), 10 + np.argsort(-worth)[:6])
    with pytest.raises(ValueError, match=r"fit parameters \['sample_weight'\] were given with new samples"):
        fitted.extend(X[:2], TRUTH[:2], sample_weight=[1.0])
    with pytest.raises(ValueError, match=r"\['cost'\] belong to the rows from which the strategy chooses"):
        fitted.extend(X[:2], TRUTH[:2], sample_weight=[1.0, 1.0], cost=[1.0, 1.0])
    fitted.extend(X[:2], TRUTH[:2], sample_weight=[1.0, 1.0])
    assert fitted.query().shape == (6,)


def test_a_longer_pool_has_longer_costs(routing, tmp_path):
    longer, all_costs = np.concatenate([X, X[10:40] + 0.1]), np.append(COST, np.full(30, 0.2))
    fitted = learner(asking()).fit(X, Y, cost=COST)
    for wrong, message in [
        ({}, "30 new rows were given no cost"),
        ({"cost": np.ones(29)}, r"costs of shape \(29,\) for 30 rows"),
        ({"cost": np.zeros(30)}, r"the cost of row 0 is 0, and"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted.grow(longer, **wrong)
    assert len(fitted.X_) == 120
    rows = fitted.grow(longer, cost=all_costs[120:]).query()
    worth = entr(fitted.predict_proba(longer)).sum(axis=1)[10:] / all_costs[10:]
    assert_array_equal(rows, 10 + np.argsort(-worth)[:6])
    fitted.save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, longer, learner(asking()))
    assert_array_equal(loaded.query(), rows)
    assert_array_equal(loaded.grow(np.concatenate([longer, X + 9]), cost=np.full(120, 1e9)).query(), rows)
    with pytest.raises(ValueError, match="which the parameter cost tells already"):
        CostAware(cost=lambda block: np.ones(len(block))).fit(X).grown(as_pool(longer), cost=np.ones(30))


def test_costs_of_a_strategy_that_is_used_later():
    fitted = learner(RandomSampling()).fit(X, Y)
    with pytest.raises(ValueError, match="needs the costs of the rows, and none were given"):
        fitted.use(CostAware())
    assert isinstance(fitted.strategy, RandomSampling)
    rows = fitted.use(CostAware(), cost=COST).query()
    worth = entr(fitted.predict_proba(X)).sum(axis=1)[10:] / COST[10:]
    assert_array_equal(rows, 10 + np.argsort(-worth)[:6])


def test_a_simulation_takes_the_costs_of_its_pool(routing):
    params = {"n_initial": 8, "n_queries": 4, "budget": 20, "random_state": 0}
    fitted = SimulatedLearner(LogisticRegression(), asking(), validation_fraction=0.3, **params)
    fitted.fit(X, TRUTH, cost=COST)
    spent = COST[fitted.pool_rows_][fitted.labeled_rows_]
    assert_array_equal(fitted.strategy_.query_report_.costs, spent[-4:])
    search = GridSearchCV(
        SimulatedLearner(LogisticRegression(), asking(), **params),
        {"strategy__criterion": [UncertaintySampling("margin"), QueryByCommittee("kl", n_members=3)]},
        cv=2,
        error_score="raise",
    )
    assert np.isfinite(search.fit(X, TRUTH, cost=COST).cv_results_["mean_test_score"]).all()


def test_each_simulated_learner_gets_what_it_takes(routing):
    params = {"n_initial": 8, "n_queries": 4, "budget": 12}
    weighted = LogisticRegression().set_fit_request(sample_weight=True)
    learners = {
        "random": SimulatedLearner(LogisticRegression(), RandomSampling(), **params),
        "costs": SimulatedLearner(LogisticRegression(), asking(), **params),
        "weights": SimulatedLearner(weighted, RandomSampling(), **params),
    }
    alone = simulate([learners["costs"]], X, TRUTH, n_repeats=1, random_state=0, cost=COST)["CostAware"]
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        simulate(learners, X, TRUTH, n_repeats=1, sample_weight=np.ones(120), cost=COST)
    found = simulate(learners, X, TRUTH, n_repeats=1, random_state=0, cost=COST)
    assert_array_equal(found["costs"]["query_entropy"], alone["query_entropy"])
    assert list(found) == list(learners)
    with pytest.raises(TypeError, match="price"):
        simulate(learners, X, TRUTH, n_repeats=1, price=COST, cost=COST)


def test_costs_for_a_strategy_that_takes_none():
    fitted = learner(UncertaintySampling()).fit(X, Y)
    before = fitted.query()
    with pytest.raises(TypeError, match="RandomSampling takes no cost; leave it out"):
        fitted.use(RandomSampling(), cost=COST)
    assert_array_equal(fitted.query(), before)


def test_costs_change_the_choice_only_where_they_differ():
    plain = learner(UncertaintySampling("entropy")).fit(X, Y).query()
    assert_array_equal(learner(CostAware(cost=lambda block: np.full(len(block), 7))).fit(X, Y).query(), plain)
    committee = CostAware(QueryByCommittee("kl", n_members=3), lambda block: np.ones(len(block)))
    assert len(set(learner(committee, GaussianNB()).fit(X, Y).query())) == 6
    inside = RandomSubset(30, CostAware(cost=lambda block: np.exp(9 * block[:, 0])))
    rows = learner(inside).fit(X, Y).query()
    assert X[rows, 0].max() < np.median(X[:, 0])


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (None, "none were given.*enable_metadata_routing=True.*set_fit_request"),
        (COST[:-1], r"cost: costs of shape \(119,\) for 120 rows"),
        (COST[:, np.newaxis], r"costs of shape \(120, 1\)"),
        (np.where(np.arange(120) == 3, 0, COST), r"cost: the cost of row 3 is 0, and 1 of 120 costs"),
        (np.where(np.arange(120) > 117, -1, COST), "row 118 is .*-1.*, and 2 of 120"),
        (np.where(np.arange(120) == 3, np.nan, COST), "row 3 is .*nan"),
        (np.where(np.arange(120) == 3, np.inf, COST), "row 3 is .*inf"),
        (np.ma.masked_less(COST, 0.2), r"cost: \d+ of 120 costs are masked; every row needs one"),
        (["cheap"] * 120, "must be numbers, one per row.*'cheap'"),
        ([[1.0], [2.0, 3.0]], "must be numbers, one per row"),
    ],
)
def test_what_are_no_costs_is_refused_before_any_training(routing, cost, message):
    with pytest.raises(ValueError, match=message):
        learner(asking(), Untrainable()).fit(X, Y, cost=cost)
    with pytest.raises(ValueError, match=message):
        CostAware().fit(X, cost=cost)


def test_functions_that_give_no_costs():
    for cost, message in [
        (lambda block: 1.0, r"function cost returned: costs of shape \(\) for 2 rows"),
        (lambda block: block[:, 0] - 9, "function cost returned: the cost of row 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            learner(CostAware(cost=cost), Untrainable()).fit(X, Y)
    with pytest.raises(ValueError, match="returned: the cost of row 110 is"):
        CostAware(cost=lambda block: 115.5 - np.arange(5.5, 5.5 + len(block))).fit(X)
    with pytest.raises(ValueError, match="given twice"):
        CostAware(cost=lambda block: np.ones(len(block))).fit(X, cost=COST)


def test_other_refusals(routing):
    with pytest.raises(UnsetMetadataPassedError, match="cost"):
        learner(CostAware(), Untrainable()).fit(X, Y, cost=COST)
    with pytest.raises(ValueError, match="none were given"):
        learner(RandomSubset(30, asking()), Untrainable()).fit(X, Y)
    fitted = learner(asking()).fit(X, Y, cost=COST)
    with pytest.raises(ValueError, match="another pool was given"):
        fitted.query(X[:50] + 1)
    assert fitted.query().shape == (6,)
    for params, name in [({"criterion": BADGE()}, "criterion"), ({"cost": 3.0}, "cost")]:
        with pytest.raises(ValueError, match=f"'{name}' parameter of CostAware"):
            CostAware(**params).fit(X)
    assert not hasattr(fitted, "score_samples")
