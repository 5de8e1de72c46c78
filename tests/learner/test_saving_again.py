"""A classifier that cannot be written is trained again on load: as the one that was saved, or not at all."""

import warnings
from functools import partial
from itertools import count

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import SelfTrainingClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skal import ActiveLearner
from skal.classifiers import LabelEncodedClassifier
from skal.strategies import RandomSampling
from tests.learner.common import TRUTH, X, Y
from tests.learner.planned import assert_same

FOREST = RandomForestClassifier(5)
ONES, TWOS = np.flatnonzero(Y == 1), np.flatnonzero(Y == 2)


def plan(classifier=FOREST, **params):
    return ActiveLearner(classifier, RandomSampling(), n_queries=3, random_state=0, **params)


def loaded(fitted, folder, pool=X):
    fitted.save(folder)
    return ActiveLearner.load(folder, pool, clone(fitted))


@pytest.mark.parametrize("kind", ["array", "map", "stored", "frame"])
@pytest.mark.parametrize(
    ("classifier", "weights", "answer"),
    [
        (FOREST, None, [3.0]),
        (FOREST, np.arange(150.0), None),
        (SelfTrainingClassifier(FOREST), None, None),
    ],
    ids=["weight of an answer", "weights", "semi-supervised"],
)
def test_the_pool_grew_since_the_training(tmp_path, kind, classifier, weights, answer):
    pool = X
    if kind == "map":
        np.save(tmp_path / "pool.npy", X)
        pool = np.load(tmp_path / "pool.npy", mmap_mode="r")
    elif kind == "stored":
        pool = pytest.importorskip("zarr").array(X, chunks=(40, 4))
    elif kind == "frame":
        pool = pytest.importorskip("pandas").DataFrame(X)
    first, rest = (
        {} if weights is None else {"sample_weight": weights[part]} for part in (slice(120), slice(120, 150))
    )
    fitted = plan(classifier).fit(pool[:120], Y[:120], **first)
    fitted.teach([51], [1], sample_weight=answer).grow(pool, **rest)
    again = loaded(fitted, tmp_path / "grown", pool)
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    for each in (fitted, again):
        each.teach([140], [2], refit=False)
    again = loaded(again, tmp_path / "taught", pool)
    assert_array_equal(again.undo().predict_proba(X), fitted.undo().predict_proba(X))
    assert_array_equal(again.refit().predict_proba(X), fitted.refit().predict_proba(X))


@pytest.mark.parametrize("rows", [[*ONES, *TWOS], np.flatnonzero(Y >= 0)], ids=["one class", "none"])
def test_labels_were_forgotten_down_to_one_class(tmp_path, rows):
    fitted = plan().fit(X, Y)
    fitted.forget(rows)
    again = loaded(fitted, tmp_path)
    assert again.class_counts_ == fitted.class_counts_
    if fitted.class_counts_:
        assert_array_equal(again.predict(X), fitted.predict(X))
    assert_array_equal(again.undo().predict_proba(X), fitted.undo().predict_proba(X))


def test_one_class_before_the_last_answer(tmp_path):
    fitted = plan().fit(X, Y).forget([*ONES, *TWOS]).teach(ONES, [1] * len(ONES))
    assert_same(loaded(fitted, tmp_path), fitted)


def net(module):
    params = {"module__in_features": 4, "module__out_features": 3, "criterion": nn.CrossEntropyLoss}
    return NeuralNetClassifier(module, **params, train_split=None, verbose=0)


def scaled_by(classifier):
    return make_pipeline(FunctionTransformer(), classifier)


def searched(classifier):
    return GridSearchCV(classifier, {"lr": [0.1, 0.01]}, cv=2)


@pytest.mark.parametrize(
    "wrap", [scaled_by, LabelEncodedClassifier, searched], ids=["step", "encoded", "searched"]
)
def test_raw_nets_in_other_estimators(tmp_path, wrap):
    fitted = plan(wrap(net(nn.Linear))).fit(X.astype(np.float32), Y)
    again = loaded(fitted, tmp_path, X.astype(np.float32))
    assert_array_equal(again.predict_proba(again.X_), fitted.predict_proba(fitted.X_))


class Doubled(nn.Linear):
    def forward(self, X):
        return 2 * super().forward(X)


def scaled(function):
    return make_pipeline(FunctionTransformer(function), FOREST)


class Factor:
    def apply(self, X):
        return 2 * X

    def reverse(self, X):
        return -X


GRID = {"max_depth": [1, 2]}


@pytest.mark.parametrize(
    ("classifier", "other"),
    [
        (FOREST, ExtraTreesClassifier(5, bootstrap=True)),
        (clone(FOREST).set_params(random_state=1), clone(FOREST).set_params(random_state=2)),
        (SelfTrainingClassifier(FOREST), SelfTrainingClassifier(ExtraTreesClassifier(5, bootstrap=True))),
        (GridSearchCV(FOREST, GRID, cv=2), GridSearchCV(ExtraTreesClassifier(5, bootstrap=True), GRID, cv=2)),
        (scaled(np.square), scaled(np.sqrt)),
        (scaled(Factor().apply), scaled(Factor().reverse)),
        (scaled(partial(np.multiply, 2)), scaled(partial(np.multiply, 3))),
        (net(nn.Linear), net(Doubled)),
    ],
    ids=["class", "seed", "inner class", "searched class", "function", "method", "partial", "module"],
)
def test_another_classifier_than_the_one_that_was_trained(tmp_path, classifier, other):
    fitted = plan(classifier).fit(X, Y)
    assert_array_equal(loaded(fitted, tmp_path).predict_proba(X), fitted.predict_proba(X))
    fitted.set_params(estimator=other)
    with pytest.raises(TypeError, match=r"state\.estimator") as caught:
        fitted.save(tmp_path)
    assert "call refit()" in caught.value.__notes__[0]
    fitted.refit()
    assert_array_equal(loaded(fitted, tmp_path).predict_proba(X), fitted.predict_proba(X))


def test_another_classifier_before_the_last_answer(tmp_path):
    fitted = plan().fit(X, Y).teach([51], [1]).set_params(estimator__max_depth=1).refit()
    with pytest.warns(UserWarning, match="undo will not take that answer back after load"):
        again = loaded(fitted, tmp_path)
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(ValueError, match="no answer to take back"):
        again.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(loaded(fitted.teach([53], [2]), tmp_path), fitted)


def test_a_class_that_looks_like_a_marker(tmp_path):
    """Semi-supervised classifiers get positions of classes then, in a wrapper."""
    labels = np.where(Y < 0, -7, TRUTH - 1)
    fitted = plan(SelfTrainingClassifier(FOREST), unlabeled=-7).fit(X, labels)
    again = loaded(fitted, tmp_path)
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert_array_equal(again.classes_, [-1, 0, 1])


class OwnLoop(ClassifierMixin, BaseEstimator):
    """A loop of one's own around a module, which no file of skal can hold."""

    def __init__(self, seed=None):
        self.seed = seed

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(next(SEEDS) if self.seed is None else self.seed)
            self.net = nn.Linear(X.shape[1], len(self.classes_))  # some planes, which is enough here
        return self

    def predict_proba(self, X):
        with torch.no_grad():
            return self.net(torch.as_tensor(X, dtype=torch.float32)).softmax(dim=1).double().numpy()

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


SEEDS = count()


def test_a_training_that_nothing_seeds_is_said_to_have_another_result(tmp_path):
    fitted = plan(OwnLoop()).fit(X, Y)
    with pytest.warns(UserWarning, match=r"differs .* for \d+ of 100 rows.*random_state") as caught:
        again = loaded(fitted, tmp_path)
    assert caught[0].filename == __file__
    assert_array_equal(again.labels_, fitted.labels_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = plan(OwnLoop(3)).fit(X, Y).teach([51], [1])
        assert_same(loaded(fitted, tmp_path), fitted)


def test_another_pretrained_classifier_is_noticed(tmp_path):
    one, other = (FrozenEstimator(LogisticRegression(tol=0.1).fit(X, y)) for y in (TRUTH, TRUTH[::-1]))
    plan(one).fit(X, Y).save(tmp_path)
    with pytest.warns(UserWarning, match="the FrozenEstimator that the learner had"):
        ActiveLearner.load(tmp_path, X, plan(other))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ActiveLearner.load(tmp_path, X, plan(one))


def test_a_classifier_that_predicts_for_no_small_part_is_saved(tmp_path):
    class Whole(RandomForestClassifier):
        def predict(self, X):
            if len(X) != 150:
                raise RuntimeError("all rows, please")
            return super().predict(X)

    fitted = plan(Whole(5)).fit(X, Y).teach([51], [1])
    assert_same(loaded(fitted, tmp_path), fitted)


def test_a_classifier_that_predicts_at_random_is_not_compared(tmp_path):
    guess = FrozenEstimator(DummyClassifier(strategy="stratified").fit(X, TRUTH))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded(plan(guess).fit(X, Y), tmp_path)


def test_warnings_of_a_classifier_are_not_those_of_save(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    one, other = (FrozenEstimator(LogisticRegression(tol=0.1).fit(X, y)) for y in (TRUTH, TRUTH[::-1]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names")
        fitted = plan(one).fit(frame, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.save(tmp_path)
    with pytest.warns(UserWarning, match="differs") as caught:
        ActiveLearner.load(tmp_path, frame, plan(other))
    assert len(caught) == 1
