"""Scorers on the labelled rows only."""

import pickle

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate

from skal import SimulatedLearner
from skal.model_selection import labeled_part, labeled_scorer
from skal.strategies import RandomSampling

from .test_split import KNOWN, NAMES, TRUTH, X, Y, learner

FITTED = LogisticRegression(C=0.01).fit(X, TRUTH)
SCORE = f1_score(TRUTH[KNOWN], FITTED.predict(X[KNOWN]), average="macro")


@pytest.mark.parametrize(
    "scoring",
    [
        "f1_macro",
        make_scorer(f1_score, average="macro"),
        lambda fitted, X, y: f1_score(y, fitted.predict(X), average="macro"),
    ],
)
def test_any_scorer_sees_the_labelled_rows_only(scoring):
    assert labeled_scorer(scoring)(FITTED, X, Y) == SCORE < 1


def test_none_is_the_own_score_and_several_are_a_dict():
    accuracy = FITTED.score(X[KNOWN], TRUTH[KNOWN])
    assert labeled_scorer()(FITTED, X, Y) == accuracy
    expected = {"accuracy": accuracy, "f1_macro": SCORE}
    assert labeled_scorer(["accuracy", "f1_macro"])(FITTED, X, Y) == expected
    assert labeled_scorer({name: name for name in expected})(FITTED, X, Y) == expected
    assert repr(labeled_scorer("f1_macro")) == "labeled_scorer('f1_macro')"
    assert pickle.loads(pickle.dumps(labeled_scorer("f1_macro")))(FITTED, X, Y) == SCORE


def test_weights_are_masked_and_routed():
    weight = np.random.default_rng(0).random(150)
    score = labeled_scorer("accuracy")(FITTED, X, Y, sample_weight=weight)
    assert score == FITTED.score(X[KNOWN], TRUTH[KNOWN], weight[KNOWN])
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = labeled_scorer(make_scorer(accuracy_score).set_score_request(sample_weight=True))
        model = LogisticRegression(C=0.01).set_fit_request(sample_weight=False)
        scores = cross_val_score(
            model, X, TRUTH, scoring=scorer, cv=3, params={"sample_weight": np.where(TRUTH, 0.0, 1.0)}
        )
    assert_array_equal(scores, 1)  # the first class stands apart


@pytest.mark.parametrize("is_weighted", [True, False])
@pytest.mark.parametrize("is_several", [True, False])
def test_several_scorers_and_the_own_score_get_the_weights_that_they_request(is_several, is_weighted):
    weight = np.where(TRUTH, 1.0, 9.0) * np.random.default_rng(0).uniform(0.1, 1, 150)
    asked = {"cv": KFold(3, shuffle=True, random_state=0), "params": {"sample_weight": weight}}
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression(C=0.001).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=is_weighted)
        scorers = {
            "a": make_scorer(accuracy_score).set_score_request(sample_weight=is_weighted),
            "plain": make_scorer(f1_score, average="macro").set_score_request(sample_weight=False),
        }
        scoring = scorers if is_several else None
        expected = cross_validate(model, X, TRUTH, scoring=scoring, **asked)
        found = cross_validate(model, X, TRUTH, scoring=labeled_scorer(scoring), **asked)
        for name in expected.keys() - {"fit_time", "score_time"}:
            assert_array_equal(found[name], expected[name])
        scorers["a"].set_score_request(
            sample_weight=not is_weighted
        )  # which tells a weighted score from another
        other = cross_validate(model, X, TRUTH, scoring=scorers, **asked)["test_a"]
        assert not np.array_equal(other, found["test_a" if is_several else "test_score"])


@pytest.mark.parametrize("y", [Y, NAMES], ids=["int", "str"])
def test_in_a_search_with_folds_of_all_rows(y):
    cv = KFold(3, shuffle=True, random_state=0)
    scores = cross_validate(learner(), X, y, cv=cv, scoring=labeled_scorer(["accuracy"]))
    assert scores["test_accuracy"].min() > 0.8
    assert_allclose(
        scores["test_accuracy"], cross_val_score(learner(), X, y, cv=cv)
    )  # `score` ignores them itself
    search = GridSearchCV(
        learner(), {"estimator__C": [1e-4, 1]}, cv=cv, scoring=labeled_scorer("f1_macro")
    ).fit(X, y)
    assert search.best_params_ == {"estimator__C": 1}


def test_validation_rows_without_a_label_are_not_scored():
    given = {"n_initial": 10, "budget": 10, "scoring": "f1_macro", "random_state": 0}
    simulated = SimulatedLearner(LogisticRegression(max_iter=1000), RandomSampling(), **given)
    score = simulated.fit(X, TRUTH, X_val=X, y_val=Y).history_["score"]
    assert_array_equal(score, simulated.fit(X, TRUTH, X_val=X[KNOWN], y_val=TRUTH[KNOWN]).history_["score"])


def test_all_rows_labelled_are_not_copied():
    part, y, params = labeled_part(X, TRUTH, {"sample_weight": TRUTH})
    assert part is X
    assert params["sample_weight"] is TRUTH
    assert_array_equal(y, TRUTH)


def test_what_is_refused():
    with pytest.raises(ValueError, match="'f2' is not a valid scoring value"):
        labeled_scorer("f2")
    with pytest.raises(ValueError, match="no labelled row, so there is nothing to score"):
        labeled_scorer("accuracy")(FITTED, X, np.full(150, -1))
