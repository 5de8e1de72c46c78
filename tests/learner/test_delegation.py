"""What a learner passes on to its classifier."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import UNLABELED, ActiveLearner
from skal.strategies import BADGE, CoreSet
from tests.learner.common import TRUTH, X, Y, learner, logistic


def test_score_ignores_unlabelled_rows():
    fitted = learner().fit(X, Y)
    assert fitted.score(X, Y) == logistic().fit(X[Y >= 0], Y[Y >= 0]).score(X[Y >= 0], Y[Y >= 0])
    with pytest.raises(ValueError, match="no labelled row"):
        fitted.score(X, np.full(150, UNLABELED))


def test_grid_search_on_partial_labels_scores_labelled_rows_only():
    trained = learner(estimator=LogisticRegression(max_iter=1000))
    search = GridSearchCV(trained, {"estimator__C": [1e-4, 1.0]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"estimator__C": 1.0}
    assert (
        search.best_score_ > 0.8
    )  # four of five rows are unlabelled: counted as wrong, it would be below 0.2


def test_pipeline_inside_and_outside():
    inside = ActiveLearner(
        make_pipeline(StandardScaler(), logistic()), BADGE(), n_queries=5, random_state=0
    ).fit(X, Y)
    assert inside.query().shape == (5,)
    outside = make_pipeline(StandardScaler(), learner()).fit(X, Y)
    rows = outside[-1].query()
    assert not (Y[rows] >= 0).any()
    outside[-1].teach(rows, TRUTH[rows])
    assert outside.predict(X).shape == (150,)
    assert outside.score_samples(X).shape == (150,)
    assert_array_equal(outside[-1].query(outside[:-1].transform(X)), outside[-1].query())


def test_metadata_routing():
    weight = np.random.default_rng(0).uniform(size=150)
    known = Y >= 0
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = logistic().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = learner(estimator=classifier).fit(X, Y, sample_weight=weight)
        alone = logistic().fit(X[known], Y[known], sample_weight=weight[known])
        assert_allclose(routed.predict_proba(X), alone.predict_proba(X))
        assert_allclose(
            routed.score(X, Y, sample_weight=weight),
            alone.score(X[known], Y[known], sample_weight=weight[known]),
        )
        search = GridSearchCV(learner(estimator=classifier), {"estimator__C": [0.1, 1.0]}, cv=2)
        assert search.fit(X, Y, sample_weight=weight).best_score_ > 0.5
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            learner().fit(X, Y, sample_weight=weight)


def test_score_samples_only_for_score_strategies():
    fitted = learner().fit(X, Y)
    probabilities = np.sort(fitted.predict_proba(X), axis=1)
    assert_allclose(fitted.score_samples(X), probabilities[:, -2] - probabilities[:, -1])
    assert not hasattr(learner(strategy=CoreSet()), "score_samples")


def test_methods_are_those_of_the_classifier():
    assert hasattr(learner(), "decision_function")
    assert not hasattr(learner(estimator=RandomForestClassifier()), "decision_function")
    assert not hasattr(learner(), "transform")
    assert_allclose(np.exp(learner().fit(X, Y).predict_log_proba(X)), learner().fit(X, Y).predict_proba(X))


def test_html_shows_classifier_and_strategy():
    html = learner()._repr_html_()
    assert "LogisticRegression" in html
    assert "UncertaintySampling" in html
