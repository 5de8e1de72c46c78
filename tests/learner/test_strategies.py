"""The strategy of a learner: before there is a classifier, and when somebody changes their mind."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.strategies import BADGE, GAAL, CoreSet, KMedian, RandomSampling, UncertaintySampling
from tests.learner.common import TRUTH, X, Y, learner, logistic

NONE = np.full(150, -1)


def test_a_cold_start_asks_until_the_classifier_can_guide():
    fitted = learner(cold_start=CoreSet("input")).fit(X, NONE)
    alone = learner(strategy=CoreSet("input")).fit(X, NONE)
    rows = fitted.query()
    assert_array_equal(rows, alone.query())
    only = rows[TRUTH[rows] == TRUTH[rows[0]]]
    fitted.teach(only, TRUTH[only])
    assert_array_equal(fitted.query(), alone.teach(only, TRUTH[only]).query())
    others = np.setdiff1d(rows, only)
    fitted.teach(others, TRUTH[others])
    assert_array_equal(fitted.query(), learner().fit(X, fitted.y_).query())
    fitted.forget(others)  # one class again: the classifier cannot guide
    assert_array_equal(fitted.query(), alone.query())


@pytest.mark.parametrize("cold_start", [UncertaintySampling(), BADGE()], ids=str)
def test_a_cold_start_that_needs_a_classifier_is_refused(cold_start):
    with pytest.raises(ValueError, match="needs a classifier itself"):
        learner(cold_start=cold_start).fit(X, NONE)


def test_a_cold_start_of_samples_is_refused():
    with pytest.raises(ValueError, match="chooses rows of a pool, and is asked before"):
        learner(strategy=GAAL(), cold_start=RandomSampling()).fit(X, NONE)
    with pytest.raises(ValueError, match="cold_start"):
        learner(cold_start="random").fit(X, NONE)


def test_a_cold_start_and_another_strategy():
    fitted = learner(cold_start=RandomSampling()).fit(X, NONE)
    with pytest.raises(ValueError, match="in place of GAAL"):
        fitted.use(GAAL())
    fitted.set_params(cold_start=CoreSet("input"))
    assert_array_equal(
        fitted.use(fitted.strategy).query(), learner(strategy=CoreSet("input")).fit(X, NONE).query()
    )


def test_another_strategy_keeps_labels_and_classifier():
    fitted = learner().fit(X, Y).teach([3, 61], TRUTH[[3, 61]])
    classifier, y = fitted.estimator_, fitted.y_
    strategy = KMedian("input")
    assert fitted.use(strategy).strategy is strategy
    assert fitted.estimator_ is classifier
    assert_array_equal(fitted.y_, y)
    expected = learner(strategy=KMedian("input")).fit(X, Y).teach([3, 61], TRUTH[[3, 61]]).query()
    assert_array_equal(fitted.query(), expected)
    assert_array_equal(fitted.undo().y_, Y)
    assert_array_equal(fitted.query(), learner(strategy=KMedian("input")).fit(X, Y).query())


@pytest.mark.parametrize(
    ("strategy", "error"),
    [
        (UncertaintySampling("nothing"), ValueError),
        (CoreSet(RandomSampling()), ValueError),
        (KMedian, TypeError),
    ],
    ids=str,
)
def test_a_strategy_that_cannot_be_used_changes_nothing(strategy, error):
    fitted = learner().fit(X, Y)
    before, state, rows = fitted.strategy, fitted._state, fitted.query()
    with pytest.raises(error):
        fitted.use(strategy)
    assert fitted.strategy is before
    assert fitted._state is state
    assert_array_equal(fitted.query(), rows)


@pytest.mark.parametrize(
    "wrong", [{"n_querys": 5}, {"strategy__n_querys": 5}, {"estimator__n_querys": 5}], ids=str
)
@pytest.mark.parametrize("is_fitted", [True, False])
def test_parameters_of_which_one_is_unknown_set_none(wrong, is_fitted):
    asked = learner(unlabeled=-1)
    asked = asked.fit(X, Y) if is_fitted else asked
    before = asked.get_params()
    given = {"classes": [0, 1, 2, 3], "n_queries": 2, "strategy__measure": "entropy", "estimator__C": 3.0}
    with pytest.raises(ValueError, match="Invalid parameter 'n_querys'"):
        asked.set_params(strategy=CoreSet("input"), **wrong)
    with pytest.raises(ValueError, match="Invalid parameter 'n_querys'"):
        asked.set_params(**given, **wrong)
    after = asked.get_params()
    assert {name for name in before if before[name] is not after[name]} == set()
    if is_fitted:
        assert_array_equal(asked.query(), learner().fit(X, Y).query())
        assert_array_equal(asked.classes_, [0, 1, 2])


@pytest.mark.parametrize("wrong", [{"strategy__bogus": 1}, {"n_querys": 1}])
def test_parts_that_are_given_with_a_wrong_parameter_stay_as_they_were(wrong):
    asked, strategy, classifier = learner(), UncertaintySampling("margin"), logistic().set_params(C=2.0)
    given = {"estimator": classifier, "estimator__C": 3.0}
    given |= {"strategy": strategy, "strategy__measure": "entropy"}
    with pytest.raises(ValueError, match="Invalid parameter"):
        asked.set_params(**given, **wrong)
    assert (strategy.measure, classifier.C) == ("margin", 2.0)
    assert asked.strategy is not strategy
    assert asked.estimator is not classifier
    asked.set_params(**given)
    assert (strategy.measure, asked.estimator.C) == ("entropy", 3.0)


def test_a_strategy_that_is_set_is_not_prepared_by_a_query():
    for params in ({"strategy": CoreSet("input")}, {"strategy__measure": "entropy"}):
        fitted = learner().fit(X, Y).set_params(**params)
        with pytest.raises(ValueError, match=r"set after fit.*learner.use\(strategy\)"):
            fitted.query()
        if hasattr(fitted, "score_samples"):
            with pytest.raises(ValueError, match="set after fit"):
                fitted.score_samples(X)
        fitted.use(fitted.strategy)
        assert_array_equal(fitted.query(), learner(**params).fit(X, Y).query())
    assert_array_equal(fitted.set_params(n_queries=3).query(), fitted.query(n_queries=3))
    again = ActiveLearner(logistic(), CoreSet("input"), random_state=0).fit(X, Y)
    assert_array_equal(again.set_params(strategy=RandomSampling()).fit(X, Y).query().shape, (1,))
    assert isinstance(again.estimator_, LogisticRegression)
