"""Committees that are drawn with replacement from what a classifier was trained on."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skal import ActiveLearner
from skal.labels import UNLABELED, Labels
from skal.pool import as_pool
from skal.strategies import BatchBALD, ExpectedErrorReduction, Query, QueryByCommittee
from skal.strategies.bootstrap import _resampled, bootstrap_members, member_proba
from skal.training.devices import seeded

X, TRUTH = load_iris(return_X_y=True)

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier whose classes are in the given order."""

    def fit(self, X, y):
        self.classes_ = np.array(y)
        return self

    def predict_proba(self, X):
        shares = PROBABILITIES[:, : len(self.classes_)]
        return shares / shares.sum(axis=1, keepdims=True)


def test_probabilities_are_those_of_the_classes_whatever_their_order():
    classes, X = np.array([0, 1, 2]), np.zeros((2, 1))
    assert_array_equal(member_proba(Fixed().fit(X, [0, 1, 2]), classes, X), PROBABILITIES)
    assert_array_equal(member_proba(Fixed().fit(X, [2, 0, 1]), classes, X), PROBABILITIES[:, [1, 2, 0]])
    few = Fixed().fit(X, [2, 1])
    expected = np.column_stack([np.zeros(2), few.predict_proba(X)[:, ::-1]])
    assert_array_equal(member_proba(few, classes, X), expected)


def labeled(*, names, n_each=8):
    """Partial labels of the iris, so many of each class."""
    y = np.full(150, None, dtype=object)
    for code in range(3):
        y[np.flatnonzero(code == TRUTH)[:n_each]] = names[code]
    return y


@pytest.mark.parametrize("new", [0, 1, 2])
@pytest.mark.parametrize("names", [["a", "b", "longer"], [-1, 5, 7]])
@pytest.mark.parametrize("strategy", [QueryByCommittee("kl", n_members=3), BatchBALD(n_members=3)], ids=str)
@pytest.mark.parametrize("classifier", [GaussianNB(), SelfTrainingClassifier(GaussianNB())], ids=str)
def test_labels_of_a_new_class_that_wait_for_a_training_are_of_a_class(classifier, strategy, names, new):
    rows = np.flatnonzero(new == TRUTH)[:8]
    y = labeled(names=names)
    marker = {"unlabeled": np.nan} if names[0] == -1 else {}
    if marker:
        y = np.array([np.nan if label is None else label for label in y], dtype=float)
    trained = ActiveLearner(classifier, strategy, n_queries=4, random_state=0, **marker).fit(X, y)
    before = y.copy()
    before[rows] = np.nan if marker else None
    learner = ActiveLearner(classifier, strategy, n_queries=4, random_state=0, **marker).fit(X, before)
    learner.teach(rows, y[rows].tolist(), refit=False)
    assert_array_equal(learner.query(), trained.query())  # the members are the same


class Counting(GaussianNB):
    """A classifier that wants five rows of each class, as one with a cross-validation of its own does."""

    def fit(self, X, y):
        if min(np.bincount(y, minlength=3)) < 5:
            raise ValueError("too few")
        return super().fit(X, y)


def test_a_classifier_that_refuses_a_sample_gets_the_rows_of_each_class_that_there_are():
    y = np.full(150, -1)
    for code in range(3):
        y[np.flatnonzero(code == TRUTH)[:5]] = code
    classifier = Counting().fit(X[y >= 0], y[y >= 0])
    query = Query(
        pool=as_pool(X), labels=Labels.of(y), n_queries=1, estimator=classifier, rng=np.random.default_rng(0)
    )
    members, classes = bootstrap_members(query, 4)
    assert_array_equal(classes, [0, 1, 2])
    assert_array_equal([member.class_count_ for member in members], np.full((4, 3), 5))
    assert len({member.theta_.tobytes() for member in members}) == 4  # drawn with replacement all the same
    few = Query(
        pool=as_pool(X),
        labels=Labels.of(np.where(np.cumsum(y == 2) < 5, y, -1)),
        n_queries=1,
        estimator=classifier,
        rng=np.random.default_rng(0),
    )
    with pytest.raises(
        ValueError, match=r"Counting cannot .* replacement: too few\. Label more rows .* n_members=None"
    ):
        bootstrap_members(few, 4)


@pytest.mark.parametrize("seed", range(3))
def test_a_committee_of_classifiers_with_a_cross_validation_of_their_own(seed):
    classifier = CalibratedClassifierCV(LogisticRegression(max_iter=1000), cv=5)
    strategy = QueryByCommittee("kl", n_members=4)
    learner = ActiveLearner(classifier, strategy, n_queries=3, random_state=seed)
    learner.fit(X, labeled(names=["a", "b", "c"], n_each=6))
    assert_array_equal(learner.query(), learner.query())


@pytest.mark.parametrize(
    "strategy",
    [QueryByCommittee(n_members=3), ExpectedErrorReduction(n_candidates=10)],
    ids=["committee", "expected error"],
)
def test_the_seed_decides_members_that_are_pipelines_of_raw_nets(strategy):
    net = NeuralNetClassifier(
        nn.Linear, module__in_features=4, module__out_features=3, criterion=nn.CrossEntropyLoss, max_epochs=1,
        train_split=None, verbose=0,
    )  # fmt: skip
    pool = X.astype(np.float32)
    y = np.where(np.arange(150) % 5 == 0, TRUTH, -1)
    learner = ActiveLearner(make_pipeline(StandardScaler(), net), strategy, n_queries=8, random_state=0).fit(
        pool, y
    )
    found = []
    for seed in range(2):
        with seeded(seed, torch.device("cpu")):
            found.append(learner.query().tolist())
    assert found[0] == found[1]


def test_samples_have_two_classes_as_long_as_there_are_two():
    codes = np.array([0] * 9 + [1] + [UNLABELED] * 10)
    for seed in range(30):
        assert set(codes[_resampled(codes, np.random.default_rng(seed))].tolist()) >= {0, 1}


def test_raw_nets_have_a_column_per_output_whatever_they_have_seen():
    net = NeuralNetClassifier(
        nn.Linear,
        module__in_features=4,
        module__out_features=3,
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    y = np.where(np.arange(150) % 30 == 0, 0, -1)
    y[[1, 149]] = 1, 2  # which most samples miss
    learner = ActiveLearner(net, QueryByCommittee("kl", n_members=6), n_queries=3, random_state=0)
    assert len(learner.fit(X.astype(np.float32), y).query()) == 3
