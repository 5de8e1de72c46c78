"""A raw net's classes are its columns."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch import NeuralNetClassifier
from skorch.exceptions import NotInitializedError
from torch import nn

from skal import ActiveLearner
from skal.strategies import ALCG, RandomSampling, UncertaintySampling

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
TRUTH = np.arange(60) % 5
SEEN = np.where((np.arange(60) < 30) & np.isin(TRUTH, [0, 2]), TRUTH, -1)


def raw_net(**params):
    given = {"criterion": nn.CrossEntropyLoss, "train_split": None, "verbose": 0, "max_epochs": 2, **params}
    return NeuralNetClassifier(nn.Linear, module__in_features=4, module__out_features=5, **given)


def fitted():
    return raw_net().fit(X[SEEN >= 0], SEEN[SEEN >= 0].astype(np.int64))


def cast():
    return FunctionTransformer(lambda rows: rows * 1)


@pytest.mark.parametrize(
    "classifier",
    [
        raw_net(),
        make_pipeline(cast(), raw_net()),
        GridSearchCV(raw_net(), {"lr": [0.1]}, cv=KFold(2)),
        FrozenEstimator(fitted()),
        FrozenEstimator(make_pipeline(cast(), fitted())),
        make_pipeline(FrozenEstimator(cast().fit(X)), FrozenEstimator(fitted())),
        FrozenEstimator(
            GridSearchCV(raw_net(), {"lr": [0.1]}, cv=2).fit(X[SEEN >= 0], SEEN[SEEN >= 0].astype(np.int64))
        ),
    ],
    ids=["net", "pipeline", "search", "frozen", "frozen pipeline", "pipeline of frozen", "frozen search"],
)
def test_there_is_a_class_for_each_column(classifier):
    learner = ActiveLearner(classifier, ALCG(), n_queries=4, random_state=0).fit(X, SEEN)
    for _ in range(2):
        probabilities = learner.predict_proba(X)
        assert_array_equal(learner.classes_, range(5))
        assert_array_equal(learner.estimator_.classes_, range(5))
        assert probabilities.shape == (60, 5)
        assert_array_equal(learner.classes_[probabilities.argmax(axis=1)], learner.predict(X))
        assert log_loss(TRUTH, probabilities, labels=learner.classes_) > 0
        rows = learner.query()
        assert_array_equal(learner.strategy_.query_report_.classes, range(5))
        learner.teach(rows, [3, 1, 3, 1])  # were never seen, and the net has outputs for them


def test_what_is_frozen_stays_as_it_is():
    net = fitted()
    learner = ActiveLearner(FrozenEstimator(net), RandomSampling()).fit(X, SEEN)
    assert_array_equal(net.classes_, [0, 2])
    assert_array_equal(learner.classes_, range(5))
    assert learner.estimator_.estimator.module_ is net.module_


def test_weights_that_were_loaded_say_nothing_of_classes():
    net = raw_net().initialize()
    learner = ActiveLearner(FrozenEstimator(net), UncertaintySampling()).fit(X, np.full(60, -1))
    assert_array_equal(learner.classes_, range(5))
    assert len(learner.query()) == 1


def test_classes_that_are_not_those_of_the_columns_are_refused():
    ActiveLearner(raw_net(classes=range(5)), RandomSampling()).fit(X, SEEN)
    with pytest.raises(
        ValueError, match=r"given classes=\[0, 2\], and its module has 5 outputs.*leave classes out"
    ):
        ActiveLearner(raw_net(classes=[0, 2]), RandomSampling()).fit(X, SEEN)


def test_a_frozen_net_that_was_not_trained_is_refused_in_fit():
    with pytest.raises(NotInitializedError, match="not initialized yet"):
        ActiveLearner(FrozenEstimator(raw_net()), RandomSampling()).fit(X, np.full(60, -1))
