"""Trainings end when the loss on their own rows has converged."""

import copy
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skal import SimulatedLearner
from skal.classifiers import Converged, LearningLossClassifier, NetClassifier, WassersteinClassifier
from skal.strategies import RandomSampling

from ..networks import same_tensors

X, Y = load_digits(n_class=4, return_X_y=True)
X, Y = (X[:120] / 16).astype(np.float32), Y[:120]


def net(stop=None, kind=NetClassifier, **params):
    params = {"module_params": {"hidden": (16,), "dropout": 0.5}, **params}
    if kind is WassersteinClassifier:
        params |= {"architecture": "auto", "module_params": None}
    stop = Converged(patience=3) if stop is None else stop
    return kind(**{"lr": 0.02, "max_epochs": 400, "callbacks": [("stop", stop)], "random_state": 0, **params})


@pytest.mark.parametrize("batch_size", [7, 200])
def test_the_loss_is_that_of_evaluation_with_the_weights_of_the_rows(batch_size):
    weights = np.random.default_rng(0).uniform(0.1, 3, len(Y))
    clf = net(max_epochs=6, batch_size=batch_size).fit(X, Y, sample_weight=weights)
    shares = clf.predict_proba(X)[np.arange(len(Y)), Y].astype(float)
    losses = clf.net_.history[:, "converging_loss"]
    assert_allclose(losses[-1], np.average(-np.log(shares), weights=weights), rtol=1e-5)
    assert len(losses) == 6


def test_training_ends_after_epochs_without_a_smaller_loss():
    history = net().fit(X, Y).net_.history
    losses = np.array(history[:, "converging_loss"])
    assert 10 < len(losses) < 400
    best, misses = np.inf, []
    for loss in losses:  # skorch's threshold
        is_better = loss < best - 1e-4 * abs(best) if np.isfinite(best) else True
        best, misses = (loss, [*misses, 0]) if is_better else (best, [*misses, misses[-1] + 1])
    assert misses[-1] == 3
    assert max(misses[:-1]) == 2


def test_the_best_epoch_comes_back():
    clf = net(Converged(patience=5, load_best=True)).fit(X, Y)
    shares = clf.predict_proba(X)[np.arange(len(Y)), Y].astype(float)
    assert_allclose(-np.log(shares).mean(), min(clf.net_.history[:, "converging_loss"]), rtol=1e-5)


class Remember(Callback):
    """Keeps the weights of each epoch, and trains to no good after the eighth."""

    states: ClassVar[list] = []

    def on_epoch_begin(self, net, **_):
        for name in net._optimizers:
            for group in getattr(net, f"{name}_").param_groups:
                group["lr"] = 0.02 if len(net.history) <= 8 else 1.0

    def on_epoch_end(self, net, **_):
        self.states.append(copy.deepcopy(net.state_dict()))


@pytest.mark.parametrize("kind", [LearningLossClassifier, WassersteinClassifier])
def test_the_best_epoch_comes_back_with_all_modules(kind):
    Remember.states.clear()
    labels = np.where(np.arange(len(Y)) < 60, Y, -1) if kind is WassersteinClassifier else Y
    calls = [("states", Remember()), ("stop", Converged(patience=2, load_best=True))]
    params = {"optimizer": torch.optim.Adam, "max_epochs": 100, "callbacks": calls, "random_state": 0}
    clf = kind(**params).fit(X, labels)
    best = int(np.argmin(clf.net_.history[:, "converging_loss"]))
    assert 0 < best < len(Remember.states) - 1
    found = clf.net_.state_dict()
    assert same_tensors(found, Remember.states[best])
    assert not any(
        torch.equal(part, Remember.states[-1][name]) for name, part in found.items() if part.ndim > 1
    )


def test_unlabelled_rows_have_no_part_in_it():
    labels = np.where(np.arange(len(Y)) < 40, Y, -1)
    clf = net(kind=WassersteinClassifier, lr=0.1, max_epochs=20).fit(X, labels)
    shares = clf.predict_proba(X[:40])[np.arange(40), Y[:40]].astype(float)
    assert_allclose(clf.net_.history[-1, "converging_loss"], -np.log(shares).mean(), rtol=1e-4)


def test_copies_are_callbacks_of_the_same_kind():
    stop = Converged("loss_in_peace", patience=2, threshold=1e-2)
    expected = net(stop).fit(X, Y)
    for copied in (clone(stop), copy.deepcopy(stop), pickle.loads(pickle.dumps(stop))):
        assert vars(copied)["patience"] == 2
        again = net(copied).fit(X, Y)
        assert_array_equal(again.net_.history[:, "loss_in_peace"], expected.net_.history[:, "loss_in_peace"])


def test_a_learner_trains_with_it():
    classifier = make_pipeline(StandardScaler(), net())
    learner = SimulatedLearner(
        classifier, RandomSampling(), n_initial=20, n_queries=20, budget=60, random_state=0
    )
    learner.fit(X[:100], Y[:100], X_val=X[100:], y_val=Y[100:])
    assert learner.history_["score"][-1] > 0.8
    assert 5 < len(learner.estimator_[-1].net_.history) < 400
