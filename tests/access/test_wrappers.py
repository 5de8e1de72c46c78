"""What is inside wrappers and pipelines."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner, SimulatedLearner
from skal.access import predict_proba, unwrap, working_bytes
from skal.access.wrappers import open_pipeline
from skal.classifiers import NetClassifier
from skal.pool import as_pool
from skal.strategies import RandomSampling

from .common import Learner, data


def test_a_learner_gives_what_it_has_fitted():
    learner = Learner(LogisticRegression())
    assert unwrap(learner) is learner.estimator
    learner.estimator_ = LogisticRegression()
    assert unwrap(learner) is learner.estimator_


def test_the_classifier_of_a_learner_of_skal_is_found():
    X, y = data(2)
    learner = ActiveLearner(FrozenEstimator(LogisticRegression().fit(X, y)), RandomSampling())
    assert unwrap(learner) is learner.estimator.estimator
    learner = ActiveLearner(LogisticRegression(max_iter=1000), RandomSampling()).fit(X, y)
    assert unwrap(FrozenEstimator(learner)) is learner.estimator_


def test_parameters_named_as_those_of_a_learner_make_no_learner():
    @dataclass(eq=False, repr=False)
    class Resampled(ClassifierMixin, BaseEstimator):
        estimator: Any
        strategy: str = "prior"

        def fit(self, X, y):
            self.estimator_ = clone(self.estimator).fit(X, y)
            self.classes_ = self.estimator_.classes_
            return self

        def predict_proba(self, X):
            return self.estimator_.predict_proba(X)[:, ::-1]

    X, y = data(2)
    classifier = Resampled(LogisticRegression(max_iter=1000)).fit(X, y)
    assert unwrap(classifier) is classifier
    assert_array_equal(predict_proba(classifier, X), classifier.predict_proba(X))


@pytest.mark.parametrize("kind", [ActiveLearner, SimulatedLearner])
def test_learners_and_their_subclasses_are_opened(kind):
    class Own(kind):
        pass

    for learner in (
        kind(LogisticRegression(), RandomSampling()),
        Own(LogisticRegression(), RandomSampling()),
    ):
        assert unwrap(learner) is learner.estimator
        assert "delegates" not in learner.get_params()


def test_what_a_row_takes_while_a_classifier_answers():
    X, y = data(2)
    X = np.abs(X).astype(np.uint8)
    linear, n_columns = LogisticRegression().fit(X, y), X.shape[1]
    assert working_bytes(linear, X) == 8 * n_columns + 16
    assert working_bytes(make_pipeline(StandardScaler(), linear).fit(X, y), as_pool(X)) == 8 * n_columns + 16
    assert (
        working_bytes(NetClassifier(max_epochs=1).fit(X, y), X) == n_columns + 16
    )  # it takes batches of a block
    assert working_bytes(None, X.astype(np.float32)) == 4 * n_columns


def test_only_the_wrappers_own_attributes_count():
    X, y = data(2)
    bagging = BaggingClassifier(LogisticRegression(), n_estimators=2, random_state=0).fit(X, y)
    assert unwrap(bagging) is bagging
    assert unwrap(FrozenEstimator(bagging)) is bagging
    search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1]}, cv=2)
    assert unwrap(search) is search.estimator
    assert unwrap(search.fit(X, y)) is search.best_estimator_


@pytest.mark.parametrize("last", ["passthrough", LogisticRegression()])
def test_pipelines_within_wrappers_within_pipelines(last):
    first, second = StandardScaler(), StandardScaler()
    sampler = Learner(None)  # neither has transform
    inner = Pipeline([("nothing", "passthrough"), ("sampler", sampler), ("scale", second), ("last", last)])
    transformers, classifier = open_pipeline(make_pipeline(first, FrozenEstimator(inner)))
    assert [id(each) for each in transformers] == [id(first), id(second)]
    assert classifier is last
