from copy import deepcopy
from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn
from torch.distributions import Bernoulli

from skal.classifiers import CNNClassifier, NetClassifier, WassersteinClassifier
from skal.classifiers.wasserstein import LearningRateDrops, adversarial_weight, bias_of_labeled
from skal.nets import MLP, LeNet, Linear, WAALLeNet

from ..networks import DIGITS, same_tensors, tiny_wasserstein

pytestmark = pytest.mark.usefixtures("local_random_state")

X, TRUTH = make_blobs(60, n_features=6, centers=3, cluster_std=3.0, random_state=0)


LABELED = np.arange(60) % 4 == 0


Y = np.where(LABELED, TRUTH, -1)


IMAGES = DIGITS[:30].astype(np.float32)


IMAGE_LABELS = np.where(np.arange(30) % 2, np.arange(30) % 3, -1)


quick = partial(tiny_wasserstein, max_epochs=2)


def weights(clf):
    return clf.net_.state_dict()


# The weights of the two sets
def test_bias_coefficient():
    bias = partial(bias_of_labeled, 2_000, 43_000, 2_000)
    assert [round(bias(kind), 3) for kind in ("paper", "code", "unbiased")] == [0.022, 0.047, 0.477]
    bias = partial(bias_of_labeled, 12_000, 33_000, 2_000)
    assert [round(bias(kind), 3) for kind in ("paper", "code", "unbiased")] == [0.293, 0.364, 0.805]
    assert round(bias_of_labeled(1_000, 9_000, 1_000, "paper"), 2) == 0.05  # the example of the paper
    n_labeled, n_unlabeled, n_queries = 7, 50, 3
    # Eq. 7, with sums, against mu' (mean - C_0 mean).
    unlabeled = 1 / (n_labeled + n_unlabeled) * n_unlabeled
    labeled = (1 / (n_labeled + n_queries) - 1 / (n_labeled + n_unlabeled)) * n_labeled
    assert bias_of_labeled(7, 50, 3, "unbiased") == pytest.approx(labeled / unlabeled)
    assert bias_of_labeled(7, 2, 100, "paper") == 0  # the query takes all that is left


def test_one_row_is_queried_next_where_nobody_says_more():
    alone, one, two = (quick(n_queries=n).fit(X, Y).critic_scores(X) for n in (None, 1, 2))
    np.testing.assert_array_equal(alone, one)
    assert not np.array_equal(alone, two)


def test_adversarial_weight():
    assert adversarial_weight(15, 45, 0.3, "wasserstein") == pytest.approx(0.3 * 45 / 60)  # mu'
    assert adversarial_weight(15, 45, 0.3, "h") == 0.3
    net = quick().fit(X, Y).net_
    assert (net.n_labeled, net.n_unlabeled) == (15, 45)


# The losses
class LinearNet(nn.Module):
    """f(x) = A x and logits B f."""

    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Linear(4, 2, bias=False), nn.Linear(2, 3)

    def forward(self, x):
        return self.head(self.features(x))


class LinearCritic(nn.Module):
    """The logit w f."""

    def __init__(self, input_shape):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, -2.0]))
        self.modes = []

    def forward(self, features):
        self.modes.append(self.training)
        return features @ self.weight[:, None]


def linear_net(module=LinearNet, critic=LinearCritic, weight=0.7, **params):
    """A net, not trained yet, and its classifier; C_0 is 0.4, and mu' is `weight`."""

    class Classifier(WassersteinClassifier):
        def extra_modules(self, net):
            return {"critic": (critic(input_shape=(2,)), self.critic_lr)}

    if params.get("divergence") != "h":
        weight *= 7 / 5
    defaults = {"gradient_penalty": 2.5, "critic_lr": 1e-2, "lr": 1e-2, "optimizer_params": {"momentum": 0}}
    clf = Classifier(module, mu=weight, bias_coefficient="code", **{**defaults, **params})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = clf._make_net(
            (4,), np.arange(3), dtype=torch.float64, amp=False, seed=0, device="cpu"
        ).initialize()
    net.n_labeled, net.n_unlabeled = 2, 5
    return net, clf


@pytest.fixture
def batch():
    """Five labelled rows with weights and five unlabelled ones."""
    generator = torch.Generator().manual_seed(1)
    labeled, unlabeled = torch.randn(10, 4, generator=generator, dtype=torch.float64).split(5)
    weight = torch.tensor([1.0, 2.0, 1.0, 0.5, 3.0], dtype=torch.float64)
    return (labeled, weight, unlabeled), torch.tensor([0, 1, 2, 1, 0])


def expected_losses(net, batch):
    """The losses of the classifier and of the critic, equation by equation."""
    (labeled, weight, unlabeled), y = batch
    w = net.critic_.weight
    f_labeled, f_unlabeled = (rows @ net.module_.features.weight.T for rows in (labeled, unlabeled))
    probabilities = (f_labeled @ net.module_.head.weight.T + net.module_.head.bias).softmax(1)
    cross_entropy = -(weight * probabilities[range(5), y].log()).sum() / weight.sum()

    def divergence(w, f_labeled, f_unlabeled):
        g_labeled, g_unlabeled = (f_labeled @ w).sigmoid(), (f_unlabeled @ w).sigmoid()
        if net.estimator.divergence == "wasserstein":
            return g_unlabeled.mean() - 0.4 * g_labeled.mean()
        one, zero = torch.tensor(
            [1.0, 0.0], dtype=torch.float64
        )  # minus the cross entropy of a good discriminator
        return Bernoulli(g_unlabeled).log_prob(one).mean() + Bernoulli(g_labeled).log_prob(zero).mean()

    loss = cross_entropy + 0.7 * divergence(w.detach(), f_labeled, f_unlabeled)
    f_labeled, f_unlabeled = f_labeled.detach(), f_unlabeled.detach()
    critic_loss = -0.7 * divergence(w, f_labeled, f_unlabeled)
    if net.estimator.divergence == "wasserstein":
        torch.manual_seed(5)
        share = torch.rand(5, dtype=torch.float64)[:, None]
        points = torch.cat([(1 - share) * f_labeled + share * f_unlabeled, f_labeled, f_unlabeled])
        g = (points @ w).sigmoid()
        slope = g * (1 - g) * w.square().sum().sqrt()  # that of a sigmoid, along w
        critic_loss = critic_loss + 0.7 * 2.5 * (slope - 1).square().mean()
    return {"cross_entropy": cross_entropy, "loss": loss, "critic_loss": critic_loss}


@pytest.mark.parametrize("divergence", ["wasserstein", "h"])
def test_losses_and_their_gradients(divergence, batch):
    net, _ = linear_net(divergence=divergence)
    net.optimizer_.step = net.critic_optimizer_.step = lambda: None
    expected = expected_losses(net, batch)
    torch.manual_seed(5)
    losses = net.train_step(batch)["losses"]
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    # Each has the gradient of its own loss, and nothing of the other's.
    for loss, module in (("loss", net.module_), ("critic_loss", net.critic_)):
        parameters = list(module.parameters())
        for weight, gradient in zip(parameters, torch.autograd.grad(expected[loss], parameters), strict=True):
            torch.testing.assert_close(weight.grad, gradient)
            assert weight.requires_grad


@pytest.mark.parametrize("divergence", ["wasserstein", "h"])
@pytest.mark.parametrize("who", ["module", "critic"])
def test_the_critic_raises_what_the_features_lower(who, divergence, batch):
    # A cross entropy that is nothing beside the other.
    net, clf = linear_net(divergence=divergence, weight=1e3, critic_lr=1e-5, lr=1e-5, gradient_penalty=0.0)
    other = net.critic_optimizer_ if who == "module" else net.optimizer_
    other.step = lambda *_: None

    def divergence_now():
        (labeled, _, unlabeled), _ = batch
        with torch.no_grad():
            return clf.divergence_of(net, net.module_.features(labeled), net.module_.features(unlabeled))

    before, state = divergence_now(), deepcopy(net.state_dict())
    net.train_step(batch)
    assert (divergence_now() > before) == (who == "critic")
    changed = {
        name.split("/")[0] for name, value in net.state_dict().items() if not torch.equal(value, state[name])
    }
    assert changed == {who}


@pytest.mark.parametrize(("norm", "steeper"), [(0.1, True), (30.0, False)])
def test_the_penalty_leads_to_slope_one(norm, steeper, batch):
    net, _ = linear_net(weight=1.0, critic_lr=1e-3, gradient_penalty=1e3)
    with torch.no_grad():
        net.critic_.weight.copy_(torch.tensor([norm, 0.0]))
        net.module_.features.weight.mul_(1e-3)  # near zero, where a sigmoid has slope 1/4
    before = net.critic_.weight.norm().item()
    first = net.train_step(batch)["losses"]["gradient_penalty"]
    assert (net.critic_.weight.norm() > before) == steeper
    assert net.train_step(batch)["losses"]["gradient_penalty"] < first
    assert first.item() == pytest.approx((norm / 4 - 1) ** 2, rel=1e-3)


def test_dropout_of_the_critic_spares_the_penalty_alone(batch):
    net, _ = linear_net()
    net.train_step(batch)
    assert net.critic_.modes == [True, True, False]
    assert net.critic_.training
    net, clf = linear_net(critic=partial(MLP, n_classes=1, hidden=(8,), dropout=0.5))
    (rows, _, _), classes = batch
    # Points between rows that are the same are the rows themselves.
    same, _ = net.outputs(((rows, None, None), classes))
    same.features = torch.randn(5, 2, dtype=torch.float64)
    penalties = {clf.losses(net, same, same)["gradient_penalty"].item() for _ in range(3)}
    assert len(penalties) == 1


def test_batch_normalisation_sees_both_kinds_of_rows_at_once(batch):
    class Normalised(LinearNet):
        def __init__(self):
            super().__init__()
            self.features = nn.BatchNorm1d(4)
            self.head = nn.Linear(4, 3)

    net, _ = linear_net(Normalised, lambda input_shape: MLP((4,), 1, hidden=(3,)))
    net.train_step(batch)
    (labeled, _, unlabeled), _ = batch
    rows = torch.cat([labeled, unlabeled])
    torch.testing.assert_close(net.module_.features.running_mean, 0.1 * rows.mean(0))
    torch.testing.assert_close(net.module_.features.running_var, 0.9 + 0.1 * rows.var(0))
    assert net.module_.features.num_batches_tracked == 1


def test_without_unlabelled_rows_only_the_cross_entropy_is_left(batch):
    net, _ = linear_net()
    before = net.critic_.weight.detach().clone()
    (labeled, weight, _), classes = batch
    losses = net.train_step(((labeled, weight, None), classes))["losses"]
    assert losses["loss"] == losses["cross_entropy"]
    assert torch.equal(net.critic_.weight, before)


# The classifier
@pytest.mark.parametrize("n_unlabeled", [0, 20])
@pytest.mark.parametrize("kind", ["rows", "images"])
def test_without_the_critic_it_is_plain_training(kind, n_unlabeled):
    rows, y = (X, TRUTH) if kind == "rows" else (DIGITS[:60], np.arange(60) % 3)
    y = np.where(np.arange(60) < n_unlabeled, -1, y)
    known = y >= 0
    params = {"lr": 0.02, "max_epochs": 3, "random_state": 0, "optimizer": torch.optim.SGD}
    clf = WassersteinClassifier(mu=0.0, lr_drops=(), **params).fit(rows, y)
    params |= {"optimizer_params": {"momentum": 0.5}}
    alone = (NetClassifier if kind == "rows" else CNNClassifier)(**params).fit(rows[known], y[known])
    for own, expected in zip(clf.module_.parameters(), alone.module_.parameters(), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-12)
    assert clf.net_.history[-1, "step"] == alone.net_.history[-1, "step"]


def test_an_epoch_is_one_over_the_larger_set():
    clf = quick(max_epochs=1, batch_size=10).fit(X, Y)
    assert clf.net_.history[-1, "step"] == 5  # of 45 unlabelled rows


def test_rows_unlike_the_labelled_ones_get_high_scores():
    rows, side = make_blobs(80, centers=[[-3] * 4, [3] * 4], random_state=0)
    labeled = (side == 0) & (np.arange(80) % 4 > 0)
    y = np.where(labeled, np.arange(80) // 4 % 2, -1)
    for params in ({}, {"divergence": "h"}, {"bias_coefficient": "code"}, {"bias_coefficient": "unbiased"}):
        clf = quick(max_epochs=30, batch_size=16, critic_lr=1.0, lr=1e-3, **params).fit(rows, y)
        scores = clf.critic_scores(rows)
        assert scores[side == 1].min() > scores[side == 0].max()


def test_critic_and_log_probabilities():
    clf = quick(critic_params={"hidden": (4,), "dropout": 0.5}).fit(X, Y)
    with torch.no_grad():
        features = clf.module_.features(torch.from_numpy(X))
        expected = expit(clf.net_.critic_(features).squeeze(1).numpy())
    scores, log_probabilities = clf.critic_scores_and_log_proba(X)
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    np.testing.assert_array_equal(scores, clf.critic_scores(X))
    np.testing.assert_allclose(np.exp(log_probabilities), clf.predict_proba(X), rtol=1e-12)
    assert not any(part.training for module in clf.net_.modules for part in module.modules())
    with torch.no_grad():
        clf.module_.head.weight.mul_(1e4)
        clf.net_.critic_.head.bias.fill_(-60)
    scores, log_probabilities = clf.critic_scores_and_log_proba(X)
    assert (clf.predict_proba(X) == 0).any()
    assert np.isfinite(log_probabilities).all()
    assert ((scores > 0) & (scores < 1e-20)).all()


class NoFeatures(nn.Module):
    """Neither `features` nor `embed`: the critic sees what the last linear layer does."""

    def __init__(self, input_shape, n_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, n_classes))

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize(("architecture", "n_features"), [("digits", None), (Linear, 64), (NoFeatures, 5)])
def test_what_the_critic_sees(architecture, n_features):
    clf = quick(architecture, max_epochs=1).fit(IMAGES, IMAGE_LABELS)
    seen = clf.embed(IMAGES)
    assert n_features in (None, seen.shape[1])
    with torch.no_grad():
        expected = clf.net_.critic_(torch.from_numpy(seen)).sigmoid().squeeze(1)
    np.testing.assert_allclose(clf.critic_scores(IMAGES), expected, rtol=1e-4)


def test_the_critic_of_the_papers_network():
    clf = WassersteinClassifier("lenet_waal", max_epochs=1, random_state=0)
    clf.fit(np.pad(IMAGES[:8], [(0, 0), (0, 0), (10, 10), (10, 10)]), np.arange(8) % 3 - 1)
    assert isinstance(clf.module_, WAALLeNet)
    layers = [type(layer).__name__ for layer in clf.net_.critic_.features]
    assert layers == ["Flatten", "Linear", "ReLU", "Dropout"]
    assert clf.net_.critic_.features[1].weight.shape == (50, 320)
    assert clf.net_.critic_.features[3].p == 0.5
    assert clf.net_.critic_.head.weight.shape == (1, 50)
    assert type(clf.net_.optimizer_) is type(clf.net_.critic_optimizer_) is torch.optim.SGD
    assert clf.net_.optimizer_.param_groups[0]["momentum"] == 0.5
    assert clf.net_.critic_optimizer_.param_groups[0]["momentum"] == 0.5


def test_learning_rates():
    clf = quick(
        lr=0.01, critic_lr=0.2, lr_drops=(0.5, 0.75), max_epochs=8, optimizer_params={"momentum": 0.3}
    )
    net = clf.fit(X, Y).net_
    np.testing.assert_allclose(net.history[:, "lr"], [1e-2] * 4 + [1e-3] * 2 + [1e-4] * 2)
    assert net.critic_optimizer_.param_groups[0]["lr"] == pytest.approx(0.002)
    assert net.critic_optimizer_.param_groups[0]["momentum"] == 0.3
    drops = LearningRateDrops((0.55, 0.07))  # 0.55 * 100 is above 55, as floats are
    assert [epoch for epoch in range(100) if drops.reached(epoch, 100)] == [7, 55]
    np.testing.assert_allclose(quick(lr=0.01).fit(X, Y).net_.history[:, "lr"], [0.01, 0.01])
    assert quick(lr=0.07).fit(X, Y).net_.critic_optimizer_.param_groups[0]["lr"] == 0.07
    adam = quick(optimizer=torch.optim.Adam, lr=1e-3).fit(X, Y).net_
    assert type(adam.critic_optimizer_) is torch.optim.Adam


STATES = []


class Remember(Callback):
    def on_epoch_end(self, net, **_):
        STATES.append(deepcopy(net.state_dict()))


def test_early_stopping_returns_to_the_most_accurate_epoch():
    STATES.clear()
    weight = np.linspace(1, 2, 60)
    clf = quick(max_epochs=30, lr=0.4, validation_fraction=0.4, patience=3, callbacks=[Remember()])
    clf.fit(X, np.where(np.arange(60) < 40, TRUTH, -1), sample_weight=weight)
    accuracies = clf.net_.history[:, "valid_accuracy"]
    best = int(np.argmax(accuracies))
    assert 0 < best < len(accuracies) - 1  # else this would show nothing
    assert len(accuracies) == min(30, best + 4)
    assert same_tensors(weights(clf), STATES[best])
    assert not same_tensors(weights(clf), STATES[-1])
    # The accuracy is the weighted one on the held-out rows.
    known = np.flatnonzero(np.arange(60) < 40)
    held_out = known[clf._split(TRUTH[:40], np.random.default_rng(clf.net_.seed))[1]]
    right = clf.predict(X[held_out]) == TRUTH[held_out]
    assert np.average(right, weights=weight[held_out]) == pytest.approx(max(accuracies))


def test_gradients_can_be_clipped():
    clf = quick(callbacks=[GradientNormClipping(1e-12)]).fit(X, Y)
    start = quick(lr=1e-15).fit(X, Y)
    for name, tensor in weights(clf).items():
        torch.testing.assert_close(tensor, weights(start)[name], atol=1e-9, rtol=0)


@pytest.mark.parametrize("n_unlabeled", [0, 1, 58])
@pytest.mark.parametrize("divergence", ["wasserstein", "h"])
def test_few_rows_on_either_side(n_unlabeled, divergence):
    n_labeled = 2 if n_unlabeled == 58 else 20
    rows, y = IMAGES[np.arange(n_labeled + n_unlabeled) % 30], np.arange(n_labeled + n_unlabeled) % 2
    y[n_labeled:] = -1
    clf = quick(batch_size=1, divergence=divergence, lr=1e-3).fit(rows, y)
    assert clf.net_.history[-1, "step"] == 2 * max(n_unlabeled, n_labeled)
    assert np.isfinite(clf.net_.history[:, "train_loss"]).all()
    assert ((clf.critic_scores(rows) > 0) & (clf.critic_scores(rows) < 1)).all()


def test_networks_are_chosen_by_shape():
    assert type(quick(max_epochs=1).fit(X, Y).module_) is MLP
    sixteen = np.kron(IMAGES, np.ones((2, 2), np.float32))
    clf = quick(max_epochs=1, lr=1e-4).fit(sixteen[:6], IMAGE_LABELS[:6])
    assert type(clf.module_) is LeNet
    assert clf.net_.critic_.features[1].in_features == 64 * 4 * 4  # before the hidden layer
    assert clf.embed(sixteen[:2]).shape == (2, 1024)


class Forbidden(MLP):
    def forward(self, x):
        raise AssertionError("the network was trained on bad input")


class NoHead(nn.Module):
    def __init__(self, input_shape):
        super().__init__()

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    ("rows", "y", "params", "error", "message"),
    [
        (X, Y, {"architecture": NoHead}, TypeError, "NoHead has no penultimate embedding"),
        (X, Y, {"architecture": MLP((6,), 3)}, TypeError, "Pass the class MLP"),
        (X, Y, {"lr_drops": (0.5, 75)}, ValueError, "shares of the epochs .* got .*75.* try"),
        (
            X,
            Y,
            {"bias_coefficient": 0.5},
            ValueError,
            "'bias_coefficient' parameter of WassersteinClassifier",
        ),
        (X, Y, {"divergence": "kl"}, ValueError, "divergence"),
        (X, Y, {"mu": -1.0}, ValueError, "mu"),
        (X, Y, {"gradient_penalty": -1.0}, ValueError, "gradient_penalty"),
        (X, Y, {"n_queries": 0}, ValueError, "n_queries"),
        (X, Y, {"critic_lr": 0.0}, ValueError, "critic_lr"),
    ],
)
def test_bad_input_fails_before_training(rows, y, params, error, message):
    with pytest.raises(error, match=message):
        quick(**{"architecture": Forbidden, **params}).fit(rows, y)


def test_verbose_and_history(capsys):
    clf = quick().fit(X, Y)
    assert capsys.readouterr().out == ""
    names = {"loss", "cross_entropy", "critic_loss", "divergence", "gradient_penalty"}
    assert names <= {name.removeprefix("train_") for name in clf.net_.history[0]}
    clf.set_params(verbose=1).fit(X, Y)
    assert "train_divergence" in capsys.readouterr().out
