"""Classifiers that are told the classes, and columns that are brought into their order."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner, SimulatedLearner
from skal.classifiers import LabelEncodedClassifier, NetClassifier
from skal.strategies import RandomSampling, UncertaintySampling

from .common import TRUTH, X

NET = NetClassifier(lr=0.05, max_epochs=10, random_state=0)
NAMES = np.array(["a", "s", "v"], dtype=object)
WITHOUT_ONE = np.where((np.arange(len(X)) % 5 == 0) & (TRUTH != 1), TRUTH, -1)


@pytest.mark.parametrize("names", [np.arange(3), np.array([5, 15, 25]), NAMES], ids=str)
@pytest.mark.parametrize(
    ("classifier", "is_told"),
    [
        (NET, True),
        (make_pipeline(StandardScaler(), NET), True),
        (GridSearchCV(make_pipeline(NET), {"netclassifier__lr": [0.05]}, cv=2), True),
        (LabelEncodedClassifier(NET), False),
        (CalibratedClassifierCV(NET, cv=2), False),
        (OneVsRestClassifier(NET), False),
        (VotingClassifier([("net", NET)], voting="soft"), False),
        (BaggingClassifier(NET, 2, random_state=0), False),
        (StackingClassifier([("net", NET)], cv=2), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_network_is_told_where_it_gets_the_labels_themselves(classifier, is_told, names):
    y = [None if code < 0 else names[code] for code in WITHOUT_ONE]
    learner = ActiveLearner(classifier, UncertaintySampling(), classes=names, random_state=0).fit(X, y)
    p = learner.predict_proba(X)
    assert p.shape == (len(X), 3)
    assert (learner.predict(X) == names[p.argmax(axis=1)]).all()
    assert (learner.predict(X)[TRUTH != 1] == names[TRUTH[TRUTH != 1]]).mean() > 0.9
    assert (len(learner.estimator_.classes_) == 3) is is_told
    margin = np.sort(p)[:, -1] - np.sort(p)[:, -2]
    row = learner.query()
    assert margin[row] == margin[WITHOUT_ONE < 0].min()


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc"])
def test_a_search_scores_the_columns_of_the_classes_that_it_has(scoring):
    search = GridSearchCV(NET, {"lr": [0.01, 0.05]}, cv=2, scoring=scoring)
    learner = ActiveLearner(search, UncertaintySampling(), classes=[0, 1, 2]).fit(X, WITHOUT_ONE)
    assert np.isfinite(learner.estimator_.cv_results_["mean_test_score"]).all()
    p = learner.predict_proba(X)
    assert p.shape == (len(X), 3)
    assert (p[:, 1] == 0).all()


class InAnyOrder(ClassifierMixin, BaseEstimator):
    """A classifier whose classes are in another order than the sorted one."""

    def fit(self, X, y):
        self.sorted_ = LogisticRegression(max_iter=1000).fit(X, y)
        self.order_ = np.arange(len(self.sorted_.classes_))[::-1]
        self.classes_ = self.sorted_.classes_[self.order_]
        return self

    def predict(self, X):
        return self.sorted_.predict(X)

    def predict_proba(self, X):
        return self.sorted_.predict_proba(X)[:, self.order_]

    def decision_function(self, X):
        decisions = self.sorted_.decision_function(X)
        return -decisions if decisions.ndim == 1 else decisions[:, self.order_]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_columns_are_in_the_order_of_the_classes(n_classes):
    rows = np.flatnonzero(n_classes > TRUTH)
    y = np.where(np.arange(len(rows)) % 5 == 0, NAMES[TRUTH[rows]], None)
    learners = [
        ActiveLearner(classifier, UncertaintySampling(), classes=NAMES[:n_classes], random_state=0).fit(
            X[rows], y
        )
        for classifier in (InAnyOrder(), LogisticRegression(max_iter=1000))
    ]
    ours, plain = learners
    for method in ("predict_proba", "decision_function", "predict"):
        assert_array_equal(getattr(ours, method)(X), getattr(plain, method)(X))
    assert_array_equal(ours.query(n_queries=5), plain.query(n_queries=5))


def test_probabilities_in_a_frame_have_their_columns_too():
    class Framed(LogisticRegression):
        def predict_proba(self, X):
            return pd.DataFrame(super().predict_proba(X), columns=self.classes_)

    pd = pytest.importorskip("pandas")
    learner = ActiveLearner(Framed(), UncertaintySampling(), classes=[0, 1, 2]).fit(X, WITHOUT_ONE)
    p = learner.predict_proba(X)
    assert p.shape == (len(X), 3)
    assert (p[:, 1] == 0).all()


def test_a_simulation_scores_columns_in_the_order_of_the_classes():
    scored = {
        "initial": "balanced",
        "n_initial": 30,
        "budget": 33,
        "scoring": "neg_log_loss",
        "random_state": 0,
    }
    learner = SimulatedLearner(InAnyOrder(), RandomSampling(), **scored).fit(
        X, NAMES[TRUTH], X_val=X, y_val=NAMES[TRUTH]
    )
    expected = -log_loss(NAMES[TRUTH], learner.predict_proba(X), labels=NAMES)
    assert_allclose(learner.history_["score"][-1], expected)
    assert expected > -0.5
