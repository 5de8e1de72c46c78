"""Values of classes are what they are taken for, or are refused with what to do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsOneClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, NuSVC
from skorch import NeuralNetClassifier
from torch import nn

from skal import ActiveLearner
from skal.access import (
    ask,
    critic_scores_and_log_proba,
    decision_function,
    dropout_proba,
    embed,
    embed_and_predict_proba,
    predict_proba,
)
from skal.access.class_values import as_probabilities
from skal.strategies import BADGE, CoreSet, UncertaintySampling

from .common import Given

IRIS = load_iris(return_X_y=True)
DIGITS = load_digits(n_class=5, return_X_y=True)


class Certain(SVC):
    """An SVM that a self-training classifier takes."""

    def predict_proba(self, X):
        return np.equal.outer(self.predict(X), self.classes_).astype(float)


@pytest.mark.parametrize("data", [IRIS, DIGITS], ids=["3 classes", "5 classes"])
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda svm: svm,
        lambda svm: NuSVC(nu=0.1, decision_function_shape=svm.decision_function_shape),
        lambda svm: make_pipeline(StandardScaler(), svm),
        lambda svm: GridSearchCV(svm, {"C": [1, 10]}, cv=2),
        lambda svm: SelfTrainingClassifier(
            Certain(decision_function_shape=svm.decision_function_shape), max_iter=1
        ),
        lambda svm: RFE(svm.set_params(kernel="linear"), n_features_to_select=3),
        lambda svm: StackingClassifier([("a", LogisticRegression(max_iter=5000))], svm, cv=2),
    ],
    ids=["SVC", "NuSVC", "pipeline", "search", "self-training", "RFE", "stacking"],
)
def test_pairs_of_classes_are_counted_into_classes(data, wrapped):
    X, y = data
    given = (
        np.where(np.arange(len(y)) % 3, y, -1) if isinstance(wrapped(SVC()), SelfTrainingClassifier) else y
    )
    ovo, ovr = (wrapped(SVC(decision_function_shape=shape)).fit(X, given) for shape in ("ovo", "ovr"))
    expected = ovr.decision_function(X)
    assert (ovo.decision_function(X).shape != expected.shape) or (ovo.decision_function(X) != expected).any()
    assert_array_equal(decision_function(FrozenEstimator(ovo), X), expected)
    chosen = [
        UncertaintySampling("min_distance", random_state=0).fit(X).query(X, n_queries=50, estimator=each)
        for each in (ovo, ovr)
    ]
    assert_array_equal(*chosen)


def test_means_of_pairs_are_counted_too():
    X, y = DIGITS
    bag = BaggingClassifier(SVC(decision_function_shape="ovo"), n_estimators=1, bootstrap=False).fit(X, y)
    assert_array_equal(decision_function(bag, X), SVC().fit(X, y).decision_function(X))


@pytest.mark.parametrize("classifier", [SVC(decision_function_shape="ovo"), OneVsOneClassifier(SVC()), SVC()])
def test_other_decision_values_stay_as_they_are(classifier):
    X, y = DIGITS
    if getattr(classifier, "decision_function_shape", "") == "ovo":
        y = y > 2
    classifier = clone(classifier).fit(X, y)
    assert_array_equal(decision_function(classifier, X), classifier.decision_function(X))


def test_a_booster_of_such_svms_has_values_of_its_own():
    X, y = IRIS
    booster = AdaBoostClassifier(SVC(decision_function_shape="ovo"), n_estimators=2).fit(X, y)
    assert_array_equal(decision_function(booster, X), booster.decision_function(X))


@pytest.mark.parametrize(("n_classes", "shape"), [(4, (5, 6)), (3, (5,)), (2, (5, 3)), (2, (5, 1))])
def test_decision_values_need_a_column_per_class(n_classes, shape):
    with pytest.raises(
        ValueError, match=rf"returned .* for {n_classes} classes; it must have a column for each"
    ):
        decision_function(Given(n_classes), np.zeros(shape))


class Answering(Given):
    """Answers every question about classes with the rows."""

    def embed_and_predict_proba(self, X):
        return X, X

    def critic_scores(self, X):
        return X[:, 0]

    def dropout_proba(self, X, n_passes, seed):
        return np.repeat(X[:, None], n_passes, axis=1)


@pytest.mark.parametrize("row", [[1.2, -0.2, 0], [0.5, 0.3, 0.1], [1, 1, 1], [0, 0, 0], [-3.0, 2, 1]])
@pytest.mark.parametrize(
    "asking",
    [
        predict_proba,
        embed_and_predict_proba,
        critic_scores_and_log_proba,
        lambda *given: ask("log_proba", *given),
        dropout_proba,
    ],
)
def test_what_are_no_probabilities_is_refused_with_the_remedy(asking, row):
    X = np.full((9, 3), 1 / 3)
    asking(Answering(), X)
    X[7] = row
    shown = rf"\[{', '.join(f'{value:.3g}' for value in row)}\]"
    message = rf"returned {shown} for a row, which are no probabilities.*Divide each row by its sum"
    with pytest.raises(ValueError, match=message):
        asking(Answering(), X)


def test_a_learner_refuses_them_at_the_query_and_not_where_nobody_asks():
    class Sigmoids(LogisticRegression):
        def predict_proba(self, X):
            return 1 / (1 + np.exp(-self.decision_function(X)))

    X, y = IRIS
    y = np.where(np.arange(150) % 5 == 0, y, -1)
    for strategy in (UncertaintySampling(), BADGE()):
        learner = ActiveLearner(Sigmoids(max_iter=1000), strategy).fit(X, y)
        with pytest.raises(ValueError, match=r"Sigmoids\.predict_proba returned .* no probabilities"):
            learner.query()
    for strategy in (UncertaintySampling("min_distance"), CoreSet()):
        assert len(ActiveLearner(Sigmoids(max_iter=1000), strategy).fit(X, y).query()) == 1


def test_raw_nets_are_told_what_skorch_wants():
    net = NeuralNetClassifier(nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()), verbose=0).initialize()
    X = IRIS[0].astype(np.float32)
    with pytest.raises(ValueError, match="With NLLLoss skorch wants a module that ends in a softmax"):
        predict_proba(net, X)
    assert embed(net, X).shape == X.shape  # for which they do not matter


@given(
    arrays(st.sampled_from([np.float16, np.float32, np.float64]), (7, 4), elements=st.floats(0, 1, width=16)),
    st.booleans(),
)
def test_rounding_is_no_mistake(values, negative):
    values = values + np.eye(7, 4, dtype=values.dtype)
    values[4:, 0] += 1
    values /= values.sum(axis=1, keepdims=True)
    if negative:
        values[0] = [1, -1e-7, 0, 0]
    kept = as_probabilities(values)
    assert_array_equal(kept, np.maximum(values, 0))
    assert kept.dtype == values.dtype
    assert negative or kept is values
    assert as_probabilities(values * 2) is None
    assert as_probabilities(-values) is None
