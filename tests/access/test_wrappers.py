"""What is inside wrappers and pipelines."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner, SimulatedLearner
from skal.access import committee_proba, predict_proba, unwrap, working_bytes
from skal.access.wrappers import open_pipeline
from skal.classifiers import LabelEncodedClassifier, NetClassifier
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


class Reversed:
    """Gives the probabilities of another class to the wrong classes."""

    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


class ReversedPipeline(Reversed, Pipeline):
    pass


class ReversedSearch(Reversed, GridSearchCV):
    pass


class ReversedLearner(Reversed, ActiveLearner):
    pass


class ReversedEncoded(Reversed, LabelEncodedClassifier):
    pass


class ReversedFrozen(FrozenEstimator):
    def predict_proba(self, X):
        return self.estimator.predict_proba(X)[:, ::-1]


class ReversedForest(Reversed, RandomForestClassifier):
    pass


LOGISTIC = LogisticRegression(max_iter=1000)


@pytest.mark.parametrize(
    "wrapper",
    [
        ReversedPipeline([("scale", StandardScaler()), ("classify", LOGISTIC)]),
        ReversedSearch(LOGISTIC, {"C": [1]}, cv=2),
        ReversedLearner(LOGISTIC, RandomSampling()),
        ReversedEncoded(LOGISTIC),
        ReversedFrozen(clone(LOGISTIC).fit(*data(2))),
    ],
)
def test_wrappers_with_their_own_answers_are_asked_themselves(wrapper):
    X, y = data(2)
    wrapper.fit(X, y)
    assert unwrap(wrapper) is wrapper
    transformers, classifier = open_pipeline(make_pipeline(StandardScaler(), FrozenEstimator(wrapper)))
    assert len(transformers) == 1
    assert classifier is wrapper
    assert_array_equal(predict_proba(FrozenEstimator(wrapper), X), wrapper.predict_proba(X))


def test_a_wrapper_that_overrides_no_answer_is_opened():
    class Loud(Pipeline):
        def fit(self, X, y):
            return super().fit(X, y)

    pipeline = Loud([("scale", StandardScaler()), ("classify", LOGISTIC)])
    assert open_pipeline(pipeline) == ([pipeline["scale"]], LOGISTIC)


def test_pipelines_of_imbalanced_learn_are_opened():
    members = {"__module__": "imblearn.pipeline", "predict_proba": Pipeline.predict_proba}
    pipeline = type("Pipeline", (Pipeline,), members)([("classify", LOGISTIC)])
    assert open_pipeline(pipeline) == ([], LOGISTIC)


def test_members_of_a_forest_with_its_own_answers_are_not_asked():
    X, y = data(2)
    forest = ReversedForest(3, random_state=0).fit(X, y)
    with pytest.raises(
        TypeError, match=r"members and ReversedForest has none\..*committee_proba\(X\) if it overrides"
    ):
        committee_proba(forest, X)
    assert_array_equal(predict_proba(forest, X), forest.predict_proba(X))


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
