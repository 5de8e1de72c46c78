from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from torch import nn
from torch.nn import functional as F

from skal.access import as_torch
from skal.classifiers import CNNClassifier, LearningLossClassifier, NetClassifier
from skal.classifiers.learning_loss import predict_losses, ranking_loss
from skal.nets import MLP

from ..networks import DIGITS, same_tensors, tiny_learning_loss

X, Y = make_blobs(60, n_features=6, centers=3, cluster_std=3.0, random_state=0)


IMAGES = DIGITS[:30].astype(np.float32)


LABELS = np.arange(30) % 3


quick = partial(tiny_learning_loss, max_epochs=2)


# The losses
@pytest.mark.parametrize("n_rows", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_ranking_loss_pair_by_pair(n_rows, margin):
    rng = np.random.default_rng(n_rows)
    predicted, losses = rng.normal(size=n_rows), rng.integers(0, 3, n_rows).astype(float)
    expected = []
    for i in range(n_rows // 2):
        j = i + n_rows // 2
        sign = 1 if losses[i] > losses[j] else -1
        expected.append(max(0, -sign * (predicted[i] - predicted[j]) + margin))
    value = ranking_loss(torch.tensor(predicted), torch.tensor(losses), margin)
    assert value.item() == pytest.approx(np.mean(expected) if expected else 0)


def trained_step(detach_after, weight=None):
    """A net, the gradients of one step in float64, and what they should be, equation by equation."""
    clf = tiny_learning_loss(
        MLP,
        module_params={"hidden": (5, 4)},
        detach_after=detach_after,
        ranking_weight=2.5,
        margin=0.7,
        max_epochs=1,
    ).fit(X, Y)
    net, rows, labels = clf.net_, torch.from_numpy(X[:7]), torch.from_numpy(Y[:7])
    net.module_.zero_grad()
    net.predictor_.zero_grad()
    net.estimator = clf  # back into training
    step = net.train_step_single(((rows, weight, None), labels))
    first, second = (layer for layer in net.module_.features if isinstance(layer, nn.Linear))
    hidden = first(rows).relu()
    stages = [hidden, second(hidden).relu()]
    logits = net.module_.head(stages[1])
    losses = F.cross_entropy(logits, labels, reduction="none")
    cross_entropy = losses.mean() if weight is None else (losses * weight).sum() / weight.sum()
    seen = [stage.detach() for stage in stages] if detach_after < 1 else stages
    hidden = torch.cat(
        [layer(stage).relu() for layer, stage in zip(net.predictor_.hidden, seen, strict=True)], 1
    )
    predicted = net.predictor_.head(hidden)[:, 0]
    ranking = sum(
        (0.7 - (1 if losses[i] > losses[i + 3] else -1) * (predicted[i] - predicted[i + 3])).relu()
        for i in range(3)
    )
    ranking = ranking / 3
    return (
        net,
        step,
        {"cross_entropy": cross_entropy, "ranking": ranking, "loss": cross_entropy + 2.5 * ranking},
    )


@pytest.mark.parametrize("detach_after", [0.0, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_and_their_gradients(detach_after, weighted):
    weight = torch.linspace(0.5, 2, 7, dtype=torch.float64) if weighted else None
    net, step, expected = trained_step(detach_after, weight)
    assert step["losses"].keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(step["losses"][name], value)
    weights = [*net.module_.parameters(), *net.predictor_.parameters()]
    gradients = torch.autograd.grad(expected["loss"], weights)
    for parameter, gradient in zip(weights, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_the_network_learns_from_pairs_until_it_is_detached():
    params = {"lr": 0.01, "max_epochs": 4, "random_state": 0}
    alone = NetClassifier(**params).fit(X, Y).net_.module_.state_dict()
    apart = LearningLossClassifier(detach_after=0, **params).fit(X, Y)
    assert same_tensors(apart.net_.module_.state_dict(), alone)
    half, joint = (
        LearningLossClassifier(detach_after=share, **params).fit(X, Y).net_.history[:, "train_cross_entropy"]
        for share in (0.5, 1)
    )
    # An epoch is a step here: the third is the first of four that is detached, the fourth shows it.
    assert half[:3] == joint[:3]
    assert half[3] != joint[3]
    assert half[1] != apart.net_.history[1, "train_cross_entropy"]


@pytest.mark.parametrize(
    ("detach_after", "max_epochs", "n_joint"), [(0.29, 100, 29), (0.57, 100, 57), (0.28, 25, 7), (0.6, 4, 2)]
)
def test_rounding_detaches_no_epoch_too_early(detach_after, max_epochs, n_joint, monkeypatch):
    joint = []

    def watched(net, stages):
        joint.append(stages[0].requires_grad)
        return predict_losses(net, stages)

    monkeypatch.setattr("skal.classifiers.learning_loss.predict_losses", watched)
    tiny_learning_loss(detach_after=detach_after, max_epochs=max_epochs).fit(X[:6], Y[:6])
    assert joint == [True] * n_joint + [False] * (max_epochs - n_joint)


# The classifier
def test_predicted_loss_is_the_predictors():
    for weights in ({}, {"stages": ("features.3", "head")}):
        clf = quick("digits", module_params={"n_filters": 2}, **weights).fit(IMAGES, LABELS)
        module, predictor = clf.module_, clf.net_.predictor_
        layers, x, outputs = module.features, torch.from_numpy(IMAGES), []
        with torch.no_grad():
            for layer in layers:
                x = layer(x)
                outputs.append(x)
            logits = module.head(x)
            stages = [outputs[3], logits] if weights else [outputs[2], outputs[5], outputs[7]]
            # The maps before a pooling have its size, behind it the ReLU's are the last.
            expected = predictor([stage.flatten(2).mean(2) if stage.ndim > 2 else stage for stage in stages])
        np.testing.assert_allclose(clf.predicted_loss(IMAGES), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(as_torch(clf)(torch.from_numpy(IMAGES)), logits, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(clf.predict_proba(IMAGES), logits.softmax(1), rtol=1e-5, atol=1e-6)
        assert not any(part.training for each in clf.net_.modules for part in each.modules())


def test_rows_that_are_hard_to_learn_have_a_high_predicted_loss():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 2)) + np.where(np.arange(400) < 200, 4, -4)[:, None]
    truth = (rows[:, 0] > rows[:, 1]).astype(int)
    hard = np.arange(400) >= 200
    truth[hard] = rng.integers(0, 2, 200)  # coins
    clf = tiny_learning_loss(module_params={"hidden": (16,)}, max_epochs=20).fit(rows[::2], truth[::2])
    predicted = clf.predicted_loss(rows[1::2])
    assert np.argsort(predicted)[-80:].min() >= 100
    assert predicted[hard[1::2]].mean() > predicted[~hard[1::2]].mean() + 0.5


def test_every_layout_of_the_same_images_gives_the_same_answer():
    bytes_ = IMAGES.astype(np.uint8)
    first = quick(max_epochs=1).fit(bytes_, LABELS)
    flat = bytes_.reshape(30, 64)
    others = [(bytes_[:, 0], None), (flat, (1, 8, 8)), (flat, [8, 8])]
    assert type(first.module_) is CNNClassifier()._module_class((1, 8, 8))
    for rows, shape in others:
        clf = quick(max_epochs=1, image_shape=shape).fit(rows, LABELS)
        assert same_tensors(clf.net_.state_dict(), first.net_.state_dict())
        for rows in (bytes_, bytes_[:, 0], flat):
            np.testing.assert_array_equal(clf.predicted_loss(rows), first.predicted_loss(rows))
    assert quick().fit(flat, LABELS).input_shape_ == (64,)


def test_early_stopping_restores_both():
    params = {"lr": 0.3, "validation_fraction": 0.3, "patience": 2, "max_epochs": 12}
    clf = tiny_learning_loss(**params).fit(X, Y)
    best = int(np.argmin(clf.net_.history[:, "valid_loss"])) + 1
    assert best < len(clf.net_.history)
    # The same training, cut off at its best epoch.
    short = tiny_learning_loss(**{**params, "max_epochs": best, "patience": 100, "detach_after": 1})
    long = tiny_learning_loss(**{**params, "detach_after": 1}).fit(X, Y)
    assert int(np.argmin(long.net_.history[:, "valid_loss"])) + 1 == best
    assert same_tensors(short.fit(X, Y).net_.state_dict(), long.net_.state_dict())


@pytest.mark.parametrize("batch_size", [1, 2, 59, 60])
def test_batches_without_pairs(batch_size):
    clf = quick(max_epochs=1, batch_size=batch_size).fit(X, Y)
    assert np.isfinite(clf.net_.history[-1, "train_loss"])
    assert (clf.net_.history[-1, "train_ranking"] > 0) == (batch_size > 1)


class Forbidden(MLP):
    def forward(self, x):
        assert not self.training, "the network was trained on bad input"
        return super().forward(x)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"stages": ("features.1", "fatures.2")},
            r"no 'fatures.2'; name parts of Forbidden .* out of \['features', ",
        ),
        ({"stages": []}, "names none"),
        ({"stages": "features"}, "'stages' parameter of LearningLossClassifier"),
        ({"n_hidden": 0}, "n_hidden"),
        ({"detach_after": 1.5}, "detach_after"),
        ({"margin": -1}, "margin"),
        ({"ranking_weight": -1}, "ranking_weight"),
    ],
)
def test_bad_input_fails_before_training(params, message):
    with pytest.raises(ValueError, match=message):
        quick(Forbidden, **params).fit(X, Y)
