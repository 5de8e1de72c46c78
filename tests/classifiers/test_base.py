import copy
import json
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring
from torch import nn

from skal.classifiers import NetClassifier

from ..networks import Normed, same_weights

X, Y = make_blobs(90, n_features=6, centers=3, cluster_std=3.0, random_state=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_restores_the_best_epoch(weighted):
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(90) < 0.3, rng.integers(0, 3, 90), Y)
    weight = rng.random(90) if weighted else None
    clf = NetClassifier(lr=0.05, max_epochs=200, validation_fraction=0.3, patience=4, random_state=0)
    clf.fit(X, noisy, sample_weight=weight)
    losses = np.array(clf.net_.history[:, "valid_loss"])
    best = losses.argmin()
    assert 0 < best < len(losses) - 1
    assert len(losses) == best + 1 + 4
    # Training that ends with that epoch meets the same weights.
    again = clone(clf).set_params(max_epochs=int(best) + 1).fit(X, noisy, sample_weight=weight)
    assert same_weights(clf, again)


def test_recorded_losses_are_weighted_means_over_all_rows():
    weight = np.random.default_rng(0).random(90)
    clf = NetClassifier(batch_size=7, lr=1e-12, max_epochs=1, random_state=0).fit(X, Y, sample_weight=weight)
    losses = -np.log(clf.predict_proba(X)[np.arange(90), Y])
    np.testing.assert_allclose(
        clf.net_.history[0, "train_loss"], np.average(losses, weights=weight), rtol=1e-6
    )


@pytest.mark.parametrize("counts", [(30, 30, 30), (1, 1, 88), (2, 3, 85), (1, 5, 4)], ids=str)
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5])
def test_held_out_rows_are_stratified(counts, fraction):
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(3), counts))
    split = NetClassifier(validation_fraction=fraction)._split(codes, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(len(codes)))
    training, held_out = (np.bincount(codes[rows], minlength=3) for rows in split)
    assert held_out.sum() == max(1, round(fraction * len(codes)))
    assert training.min() >= 1
    spare = np.array(counts) - 1
    assert (np.abs(held_out - held_out.sum() * spare / spare.sum()) <= 1).all()


def test_weights_equal_repeated_rows():
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    params = {"batch_size": 1000, "max_epochs": 20, "lr": 0.01, "random_state": 0}
    weighted = NetClassifier(**params).fit(X, Y, sample_weight=weight)
    repeated = NetClassifier(**params).fit(X.repeat(weight, 0), Y.repeat(weight))
    unweighted = NetClassifier(**params).fit(X, Y)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6, atol=1e-9)
    assert not np.allclose(weighted.predict_proba(X), unweighted.predict_proba(X), rtol=1e-3)


def test_rows_without_weight_take_no_part():
    weight = np.arange(90) % 2
    params = {"batch_size": 7, "max_epochs": 3, "validation_fraction": 0.2, "random_state": 0}
    spoilt = np.where(weight[:, None] == 1, X, 1e9)
    weighted = NetClassifier(Normed, **params).fit(spoilt, Y, sample_weight=weight)
    assert same_weights(weighted, NetClassifier(Normed, **params).fit(X[1::2], Y[1::2]))


@pytest.mark.parametrize("n_rows", [65, 2])
def test_batch_norm_trains_when_a_single_row_is_left(n_rows):
    rows = np.r_[np.flatnonzero(Y == 0)[: n_rows - 1], np.flatnonzero(Y == 1)][:n_rows]
    clf = NetClassifier(Normed, batch_size=64, max_epochs=2, random_state=0).fit(X[rows], Y[rows])
    assert clf.predict_proba(X[:1]).shape == (1, 2)


@pytest.mark.parametrize("copied", [lambda clf: pickle.loads(pickle.dumps(clf)), copy.deepcopy])
def test_copies_predict_the_same_and_train_on(copied):
    clf = NetClassifier(Normed, validation_fraction=0.2, max_epochs=3, random_state=0).fit(X, Y)
    twin = copied(clf)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    assert twin.device_ == clf.device_
    for fitted in (clf, twin):
        fitted.set_params(warm_start=True, random_state=1).fit(X, Y)
    assert same_weights(clf, twin)


def test_warm_start_continues():
    clf = NetClassifier(optimizer=torch.optim.SGD, lr=0.01, batch_size=90, max_epochs=4, random_state=0)
    whole = clone(clf).fit(X, Y)
    halves = clone(clf).set_params(max_epochs=2, warm_start=True).fit(X, Y).fit(X, Y)
    for a, b in zip(whole.module_.parameters(), halves.module_.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    cold = clone(clf).set_params(max_epochs=2).fit(X, Y).fit(X, Y)
    assert not same_weights(cold, halves)


@pytest.mark.parametrize(
    ("X_next", "y_next", "params", "message"),
    [
        (X, Y + 1, {}, "warm_start=True continues with the classes"),
        (X[Y < 2], Y[Y < 2], {}, "warm_start=True continues with the classes"),
        (X[:, :3], Y, {}, "3 features"),
        (X, Y, {"module_params": {"hidden": (3,)}}, "warm_start=True needs the architecture"),
        (X, Y, {"image_shape": (1, 2, 3)}, "warm_start=True continues with"),
    ],
)
def test_warm_start_needs_the_same_problem(X_next, y_next, params, message):
    clf = NetClassifier(max_epochs=1, warm_start=True, random_state=0).fit(X, Y)
    expected = clf.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        clf.set_params(**params).fit(X_next, y_next)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


class Forbidden(nn.Module):
    def __init__(self):
        raise AssertionError("bad input must fail before the module is built")


@pytest.mark.parametrize(
    ("X_bad", "y_bad", "params", "weight", "message"),
    [
        (X.reshape(90, 1, 2, 3), Y, {"image_shape": (1, 3, 2)}, None, "image_shape"),
        (X, Y, {}, -np.ones(90), "must not be negative, got -1"),
        (X, Y, {}, np.zeros(90), "zero"),
        (X, Y, {}, (Y == 1) * 1.0, "at least two classes, got one class: 1;"),
        (X, Y, {}, np.full(90, np.nan), "NaN"),
        (X[:4], [0, 0, 1, 1], {"validation_fraction": 0.9}, None, "validation_fraction=0.9 of 4 rows"),
        (X, Y, {"max_epochs": 0}, None, "max_epochs"),
        *(
            (X, Y, {"classes": classes}, None, r"classes=.* were given, which cannot be labels: " + message)
            for classes, message in [
                ([0, 1, 2, np.nan], "one is missing"),
                ([0, 1, 2, None], "one is missing"),
                (["a", "b", np.nan], "one is missing"),  # NumPy would make it a word
                ([[0, 1], [2, 3]], "they have 2 dimensions"),
                ([[0], [1], [2]], "they have 2 dimensions"),
                ({0, 1, 2}, "they have 0 dimensions"),
                ([0, 1, 2, 2.5], "Unknown label type: continuous"),
                ([0, 1, 2, np.inf], "Input classes contains infinity"),
                ([0, 1, [2]], "setting an array element"),
            ]
        ),
    ],
)
def test_bad_input_fails_before_training(X_bad, y_bad, params, weight, message):
    clf = NetClassifier(Forbidden, **params)
    with pytest.raises(ValueError, match=message):
        clf.fit(X_bad, y_bad, sample_weight=weight)


@pytest.mark.parametrize("params", [{"lr": 1e300}, {"lr": 1e300, "max_epochs": 1, "batch_size": 90}])
def test_divergence_is_named(params):
    optimizer = {"optimizer": torch.optim.SGD}
    with pytest.raises(
        ValueError, match=r"in epoch [12].*training diverged; set a smaller lr \(now 1e\+300\)"
    ):
        NetClassifier(**optimizer, **params, random_state=0).fit(X * 1e10, Y)


class CountEpochs(Callback):
    def __init__(self):
        self.n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


def test_callbacks_run_in_copies():
    count = CountEpochs()
    accuracy = EpochScoring("accuracy", lower_is_better=False, on_train=True, name="train_accuracy")
    clf = NetClassifier(callbacks=[count, accuracy], max_epochs=5, lr=0.01, random_state=0).fit(X, Y)
    assert count.n_epochs == 0
    assert dict(clf.net_.callbacks_)["CountEpochs"].n_epochs == 5
    assert clf.net_.history[-1, "train_accuracy"] > 0.5


def test_verbose_prints_a_line_an_epoch(capsys):
    NetClassifier(max_epochs=2, random_state=0).fit(X, Y)
    assert capsys.readouterr().out == ""
    NetClassifier(max_epochs=2, verbose=1, validation_fraction=0.2, random_state=0).fit(X, Y)
    printed = capsys.readouterr().out
    assert "train_loss" in printed
    assert "valid_loss" in printed


def test_optimizer_and_its_parameters():
    clf = NetClassifier(optimizer_params={"weight_decay": 0.5}, lr=0.02, max_epochs=1).fit(X, Y)
    (group,) = clf.net_.optimizer_.param_groups
    assert (group["weight_decay"], group["lr"], group["fused"]) == (0.5, 0.02, True)
    plain = NetClassifier(optimizer_params={"foreach": False}, max_epochs=1).fit(X, Y)
    assert not plain.net_.optimizer_.param_groups[0]["fused"]
    assert isinstance(
        NetClassifier(optimizer=torch.optim.RMSprop, max_epochs=1).fit(X, Y).net_.optimizer_,
        torch.optim.RMSprop,
    )


def test_grid_search():
    search = GridSearchCV(NetClassifier(max_epochs=20, random_state=0), {"lr": [1e-9, 1e-2]}, cv=2, n_jobs=1)
    assert search.fit(X, Y).best_params_ == {"lr": 1e-2}


@pytest.mark.parametrize("classes", [range(40), np.arange(40.0), [-1, 0, 1, 2], (False, True, 2)])
def test_classes_that_can_be_labels_are_taken_and_saved(classes, tmp_path):
    clf = NetClassifier(classes=classes, max_epochs=1, random_state=0).fit(X, Y)
    assert clf.classes_.tolist() == list(classes)
    clf.save(tmp_path / "net")
    loaded = NetClassifier.load(tmp_path / "net", classes=classes)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_history_is_plain_numbers():
    clf = NetClassifier(max_epochs=2, validation_fraction=0.2, random_state=0).fit(X, Y)
    json.dumps(clf.net_.history)
