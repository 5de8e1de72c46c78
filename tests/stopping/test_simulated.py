"""A criterion that ends a simulation."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skal import ActiveLearner, SimulatedLearner
from skal.stopping import ClassificationChange, ExpectedGain, MaximumUtility, StabilizingPredictions
from skal.strategies import RandomSampling, UncertaintySampling

X, Y = load_digits(return_X_y=True)
X = X / 16


def simulated(stopping, **params):
    settings = {"n_initial": 20, "n_queries": 20, "budget": 600, "random_state": 0} | params
    return SimulatedLearner(
        LogisticRegression(max_iter=1000), UncertaintySampling(), stopping=stopping, **settings
    )


@pytest.mark.parametrize(
    "stopping",
    [StabilizingPredictions(), ClassificationChange(), ExpectedGain(), MaximumUtility(threshold=0.7)],
    ids=str,
)
def test_a_simulation_ends_where_the_criterion_says(stopping):
    train, test = np.arange(0, len(X), 2), np.arange(1, len(X), 2)
    learner = simulated(stopping).fit(X[train], Y[train], X_val=X[test], y_val=Y[test])
    n_labeled = learner.history_["n_labeled"]
    assert learner.stopping_.should_stop_
    assert 100 <= n_labeled[-1] < 600
    assert len(learner.labeled_rows_) == n_labeled[-1]
    assert (learner.stopping_.history_["n_labeled"] == n_labeled).all()
    assert not stopping._seen.rounds
    whole = simulated(None).fit(X[train], Y[train], X_val=X[test], y_val=Y[test])
    assert not hasattr(whole, "stopping_")
    np.testing.assert_array_equal(whole.history_["score"][: len(n_labeled)], learner.history_["score"])
    assert learner.history_["score"][-1] > 0.98 * whole.history_["score"][-1]


def test_the_criterion_of_an_earlier_fit_is_forgotten():
    learner = simulated(StabilizingPredictions(), budget=40).fit(X, Y)
    assert not hasattr(learner.set_params(stopping=None).fit(X, Y), "stopping_")


def test_it_stops_by_hand_where_the_simulation_does():
    learner = simulated(StabilizingPredictions(random_state=3)).fit(X, Y)
    rows = learner.labeled_rows_
    by_hand = ActiveLearner(LogisticRegression(max_iter=1000), RandomSampling(), random_state=0).fit(
        X, np.full(len(X), -1)
    )
    criterion = StabilizingPredictions(random_state=3)
    for start in range(0, len(rows), 20):
        assert not criterion.should_stop_
        criterion.update(by_hand.teach(rows[start : start + 20], Y[rows[start : start + 20]]))
    assert criterion.should_stop_
    np.testing.assert_array_equal(criterion.history_["value"], learner.stopping_.history_["value"])


def test_the_seed_of_the_learner_decides():
    stopping = StabilizingPredictions(n_rows=50)
    one, same = (simulated(stopping, budget=200).fit(X, Y).stopping_.history_["value"] for _ in range(2))
    np.testing.assert_array_equal(one, same)
    other = simulated(stopping, budget=200, random_state=1).fit(X, Y).stopping_.history_["value"]
    assert not np.array_equal(one, other)


def test_a_simulation_without_initial_labels():
    learner = simulated(ClassificationChange(), n_initial=0, cold_start=RandomSampling()).fit(X, Y)
    assert learner.stopping_.should_stop_
    assert learner.stopping_.history_["n_labeled"][0] == 0


def test_what_is_no_criterion_is_refused():
    with pytest.raises(ValueError, match="stopping"):
        simulated(0.99).fit(X, Y)


def test_a_grid_searches_the_threshold():
    grid = {"stopping__threshold": [0.3, 0.001]}
    learner = simulated(StabilizingPredictions(n_rounds=1), budget=200)
    search = GridSearchCV(learner, grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_ == {"stopping__threshold": 0.001}
