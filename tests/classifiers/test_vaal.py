import math
import pickle
import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import cross_val_score
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from skal.classifiers import CNNClassifier, NetClassifier
from skal.classifiers.vaal_net import PairedBatches, VAALNet
from skal.nets import MLP, ConvVAE, DenseGenerator, DenseVAE
from skal.training.batches import Rows

from ..networks import DIGITS, generator_states, same_tensors, tiny_vaal

X, TRUTH = make_blobs(60, n_features=6, centers=3, cluster_std=3.0, random_state=0)
LABELED = np.arange(60) % 4 == 0
Y = np.where(LABELED, TRUTH, -1)
IMAGES = DIGITS[:30].astype(np.float32)
IMAGE_LABELS = np.where(np.arange(30) % 2, np.arange(30) % 3, -1)
quick = partial(tiny_vaal, max_epochs=2)


def states(clf):
    """All weights and buffers of all networks."""
    return {
        f"{net}/{name}": tensor
        for net in ("net_", "vae_net_")
        for name, tensor in getattr(clf, net).state_dict().items()
    }


# The losses


class LinearVAE(nn.Module):
    """mu(x) = A x and x(z) = B z, with one variance for all rows."""

    output_range = (0.0, 1.0)

    def __init__(self, input_shape, n_latent=2):
        super().__init__()
        size = math.prod(input_shape)
        generator = torch.Generator().manual_seed(0)
        self.input_shape, self.n_latent = input_shape, n_latent
        self.encoder = nn.Parameter(torch.randn(n_latent, size, generator=generator) / size)
        self.log_variance = nn.Parameter(torch.randn(n_latent, generator=generator))
        self.decoder = nn.Parameter(torch.randn(size, n_latent, generator=generator) / n_latent)

    def encode(self, x):
        return x.flatten(1) @ self.encoder.T, self.log_variance.expand(len(x), -1)

    def decode(self, z):
        return (z @ self.decoder.T).reshape(-1, *self.input_shape)


def linear_net(**params):
    defaults = {"beta": 1.7, "adversary_weight": 2.5, "rates": {"discriminator": 1e-3}, "lr": 1e-3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VAALNet(
            partial(LinearVAE, (4,)),
            partial(MLP, n_classes=1, hidden=(3,)),
            input_shape=(4,),
            dtype=torch.float64,
            amp=False,
            seed=0,
            output_range=None,
            optimizer=torch.optim.Adam,
            verbose=0,
            **{**defaults, **params},
        ).initialize()


@pytest.fixture
def batch():
    """Three labelled and five unlabelled rows."""
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).split([3, 5])


@pytest.fixture(autouse=True)
def local_random_state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def expected_losses(net, batch):
    """The terms of the VAE's loss and the discriminator's loss, equation by equation."""
    vae, critic = net.module_, net.discriminator_
    means = [rows @ vae.encoder.T for rows in batch]
    deviation = (vae.log_variance / 2).exp()
    torch.manual_seed(5)
    noise = torch.randn(8, 2, dtype=torch.float64).split([3, 5])
    reconstruction = kl = adversary = 0
    for rows, mean, draw in zip(batch, means, noise, strict=True):
        rebuilt = (mean + deviation * draw) @ vae.decoder.T
        reconstruction = reconstruction + torch.linalg.vector_norm(rows - rebuilt, dim=1).square().mean()
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        kl = kl + kl_divergence(Normal(mean, deviation), prior).sum(1).mean()
        adversary = adversary - critic(mean).sigmoid().log().mean()
    labeled, unlabeled = (Bernoulli(logits=critic(mean.detach())) for mean in means)
    one, zero = torch.tensor([1.0, 0.0], dtype=torch.float64)
    discriminator = -labeled.log_prob(one).mean() - unlabeled.log_prob(zero).mean()
    return {
        "loss": reconstruction + 1.7 * kl + 2.5 * adversary,
        "reconstruction": reconstruction,
        "kl": kl,
        "adversary": adversary,
        "discriminator_loss": discriminator,
    }


def test_losses_and_their_gradients(batch):
    net = linear_net()
    net.optimizer_.step = net.discriminator_optimizer_.step = lambda: None
    expected = expected_losses(net, batch)
    torch.manual_seed(5)
    losses = net.train_step(batch)["losses"]
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    # Each network has the gradient of its own loss, and nothing of the other's.
    for loss, module in (("loss", net.module_), ("discriminator_loss", net.discriminator_)):
        weights = list(module.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(expected[loss], weights), strict=True):
            torch.testing.assert_close(weight.grad, gradient)
            assert weight.requires_grad


@pytest.mark.parametrize("name", ["module", "discriminator"])
def test_a_step_lowers_the_loss_of_the_one_that_learns(name, batch):
    net = linear_net()
    other = "discriminator" if name == "module" else "module"
    getattr(net, "optimizer_" if other == "module" else f"{other}_optimizer_").step = lambda: None
    before = {key: value.clone() for key, value in net.state_dict().items()}
    losses = []
    for _ in range(2):
        torch.manual_seed(5)
        losses.append(net.train_step(batch)["losses"])
    own = "loss" if name == "module" else "discriminator_loss"
    assert losses[1][own] < losses[0][own]
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key, _ in _parameters(net, name)}


def _parameters(net, name):
    return [(f"{name}/{key}", value) for key, value in getattr(net, f"{name}_").named_parameters()]


def test_without_unlabelled_rows_their_terms_fall_away(batch):
    net = linear_net()
    rows = torch.cat(batch)
    torch.manual_seed(5)
    losses = net.train_step((rows, rows[:0]))["losses"]
    torch.manual_seed(5)
    again = linear_net().train_step((rows, rows))["losses"]  # twice the same set, with the same first draws
    assert all(value.isfinite() for value in losses.values())
    torch.testing.assert_close(losses["kl"], again["kl"] / 2)
    torch.testing.assert_close(losses["adversary"], again["adversary"] / 2)
    torch.testing.assert_close(losses["discriminator_loss"], losses["adversary"])  # before either has learned


@pytest.mark.parametrize(("n_labeled", "n_unlabeled"), [(3, 25), (13, 25), (40, 9), (2, 1), (12, 0)])
def test_batches(n_labeled, n_unlabeled):
    rows = Rows(np.arange(n_labeled + n_unlabeled), dtype=torch.float64, device=torch.device("cpu"))
    parts = [
        rows.subset(part) for part in np.split(np.random.default_rng(0).permutation(len(rows)), [n_labeled])
    ]
    labeled, unlabeled = (part[:].tolist() for part in parts)
    batches = PairedBatches(*parts, 8, seed=0)
    passes = [list(batches) for _ in range(2)]
    orders = []
    for batch in passes:
        assert len(batch) == len(batches)
        first, second = (torch.cat(side).tolist() for side in zip(*batch, strict=True))
        assert set(first) <= set(labeled)
        assert sorted(second) == sorted(unlabeled)
        if not n_unlabeled:
            assert sorted(first) == sorted(labeled)
        else:
            assert {len(side) for side, _ in batch} == {min(8, n_labeled)}
        orders.append(second or first)
    assert (orders[0] != orders[1]) == (len(orders[0]) > 1)


# The classifier


@pytest.mark.parametrize("params", [{}, {"validation_fraction": 0.2, "max_epochs": 4}])
def test_the_network_is_that_of_the_labelled_rows_alone(params):
    weight = np.random.default_rng(0).random(60)
    params = {"max_epochs": 3, "lr": 0.01, "random_state": 0, **params}
    clf = tiny_vaal(**params).fit(X, Y, sample_weight=weight)
    alone = NetClassifier(**params).fit(X[LABELED], TRUTH[LABELED], sample_weight=weight[LABELED])
    assert same_tensors(clf.net_.state_dict(), alone.net_.state_dict())
    np.testing.assert_array_equal(clf.predict_proba(X), alone.predict_proba(X))
    np.testing.assert_array_equal(clf.embed(X), alone.embed(X))
    clf = tiny_vaal(**params).fit(IMAGES, IMAGE_LABELS)
    known = IMAGE_LABELS >= 0
    alone = CNNClassifier(**params).fit(IMAGES[known], IMAGE_LABELS[known])
    assert same_tensors(clf.net_.state_dict(), alone.net_.state_dict())


@pytest.mark.parametrize("marker", [None, float("nan"), -1])
def test_partial_labels_of_strings(marker):
    names = np.array(["cat", "bird", "dog"], dtype=object)
    y = np.array(
        [names[code] if known else marker for code, known in zip(TRUTH, LABELED, strict=True)], object
    )
    clf = quick().fit(X, y)
    assert clf.classes_.tolist() == ["bird", "cat", "dog"]
    assert set(clf.predict(X)) <= set(names)
    reference = quick().fit(X, np.where(LABELED, np.array([1, 0, 2])[TRUTH], -1))
    assert same_tensors(states(clf), states(reference))
    assert clf.score(X, y) == reference.score(X, np.where(LABELED, np.array([1, 0, 2])[TRUTH], -1))


def test_score_is_that_of_the_labelled_rows():
    clf = quick().fit(X, Y)
    weight = np.random.default_rng(0).random(60)
    right = clf.predict(X[LABELED]) == TRUTH[LABELED]
    assert clf.score(X, Y) == right.mean()
    assert clf.score(X, Y, weight) == pytest.approx(np.average(right, weights=weight[LABELED]))
    assert clf.score(X, TRUTH) == (clf.predict(X) == TRUTH).mean()
    assert np.isfinite(cross_val_score(quick(max_epochs=1, vae_epochs=1), X, Y, cv=2)).all()
    with pytest.raises(ValueError, match="no labelled row"):
        clf.score(X, np.full(60, -1))


def test_probability_of_being_labelled():
    clf = quick().fit(X, Y)
    vae, critic = clf.vae_net_.module_, clf.vae_net_.discriminator_
    scaled = torch.from_numpy((X - X.mean(0)) / X.std(0))
    with torch.no_grad():
        expected = critic(vae.encode(scaled)[0]).sigmoid().squeeze(1)
    probabilities = clf.labeled_proba(X)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)
    np.testing.assert_array_equal(probabilities, clf.labeled_proba(X))
    assert not any(part.training for module in clf.vae_net_.modules for part in module.modules())
    # Each feature has a scale of its own.
    moved = X * np.array([1e-3, 1, 1, 1e4, 1, 1]) + 7
    np.testing.assert_allclose(quick().fit(moved, Y).labeled_proba(moved), probabilities, rtol=1e-6)


def test_small_probabilities_keep_their_order():
    clf = quick(dtype="float32").fit(X, Y)
    with torch.no_grad():
        clf.vae_net_.discriminator_.head.bias.fill_(-60)
    assert len(np.unique(clf.labeled_proba(X))) > 50
    assert clf.labeled_proba(X).max() < 1e-20


def test_every_layout_of_the_same_images_gives_the_same_answer():
    bytes_ = (10 * IMAGES).astype(np.uint8)
    make = partial(quick, max_epochs=1, vae="conv", vae_params={"n_filters": 2})
    first = make().fit(bytes_, IMAGE_LABELS)
    assert type(first.vae_net_.module_) is ConvVAE
    with torch.no_grad():
        means, _ = first.vae_net_.module_.encode(torch.tensor(bytes_ / 255, dtype=torch.float32))
        expected = first.vae_net_.discriminator_(means).sigmoid().squeeze(1)
    np.testing.assert_allclose(first.labeled_proba(bytes_), expected, rtol=1e-4)
    flat = bytes_.reshape(30, 64)
    for clf in (
        make().fit(bytes_[:, 0], IMAGE_LABELS),
        make(image_shape=(1, 8, 8)).fit(flat, IMAGE_LABELS),
        make(image_shape=[8, 8]).fit(flat, IMAGE_LABELS),
    ):
        assert same_tensors(states(clf), states(first))
        for rows in (bytes_, bytes_[:, 0], flat):
            np.testing.assert_array_equal(clf.labeled_proba(rows), first.labeled_proba(rows))


def test_networks_are_chosen_by_shape():
    plain = quick().fit(X, Y)
    assert (plain.input_shape_, type(plain.module_), type(plain.vae_net_.module_)) == ((6,), MLP, DenseVAE)
    sixteen = np.kron(IMAGES, np.ones((2, 2), np.float32))
    clf = quick(max_epochs=1, vae_params=None).fit(sixteen, IMAGE_LABELS)
    assert (clf.input_shape_, type(clf.vae_net_.module_)) == ((1, 16, 16), ConvVAE)
    assert type(clf.module_) is CNNClassifier()._module_class((1, 16, 16))
    own = quick("digits", vae=LinearVAE, vae_params=None).fit(IMAGES, IMAGE_LABELS)
    assert type(own.vae_net_.module_) is LinearVAE
    assert own.vae_net_.discriminator_.features[1].in_features == own.vae_net_.module_.n_latent == 2


@pytest.mark.parametrize("n_unlabeled", [0, 1, 58])
def test_few_rows_on_either_side(n_unlabeled):
    n_labeled = 2 if n_unlabeled == 58 else 20
    rows, y = IMAGES[np.arange(n_labeled + n_unlabeled) % 30], np.arange(n_labeled + n_unlabeled) % 2
    y[n_labeled:] = -1
    clf = quick(vae="conv", vae_params={"n_filters": 2}, vae_batch_size=1).fit(rows, y)
    assert clf.vae_net_.history[-1, "step"] == 2 * (n_unlabeled or n_labeled)
    assert np.isfinite(clf.vae_net_.history[:, "train_loss"]).all()
    assert ((clf.labeled_proba(rows) > 0) & (clf.labeled_proba(rows) < 1)).all()


def test_random_state_decides_everything():
    before = generator_states()
    one, same, other = (clone(quick(random_state=seed)).fit(X, Y) for seed in (0, 0, 1))
    one.labeled_proba(X)
    assert generator_states() == before
    assert same_tensors(states(one), states(same))
    for name in ("vae_net_/module/encoder.1.weight", "vae_net_/discriminator/head.weight"):
        assert not torch.equal(states(one)[name], states(other)[name])
    copied = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(copied.labeled_proba(X), one.labeled_proba(X))


def test_warm_start_continues_with_all_networks():
    clf = quick().fit(X, Y)
    first = {name: tensor.clone() for name, tensor in states(clf).items()}
    still = {"lr": 1e-12, "vae_lr": 1e-12, "discriminator_lr": 1e-12}
    clf.set_params(warm_start=True, random_state=1, **still).fit(X, Y)
    for name, tensor in states(clf).items():
        torch.testing.assert_close(tensor, first[name], atol=1e-8, rtol=0)
    expected = clf.labeled_proba(X)
    with pytest.raises(ValueError, match="warm_start=True needs the architecture"):
        clf.set_params(vae_params={"hidden": (5,)}).fit(X, Y)
    np.testing.assert_array_equal(clf.labeled_proba(X), expected)


class Forbidden(MLP):
    def forward(self, x):
        raise AssertionError("the network was trained on bad input")


@pytest.mark.parametrize(
    ("rows", "y", "params", "error", "message"),
    [
        (X, np.where(Y == 0, 0, -1), {}, ValueError, "at least two classes, got one class: .*0"),
        (X, np.full(60, -1), {}, ValueError, "at least two classes, got no label"),
        (X, Y[:-1], {}, ValueError, "inconsistent numbers of samples"),
        (np.where(Y[:, None] < 0, np.nan, X), Y, {}, ValueError, "NaN"),
        (X, X[:, 0], {}, ValueError, "continuous"),
        (
            X,
            Y,
            {"vae": DenseVAE((6,))},
            TypeError,
            "Pass the class DenseVAE, and its arguments as vae_params",
        ),
        (X, Y, {"vae": "conv", "vae_params": None}, ValueError, "needs images of shape"),
        (X, Y, {"vae": DenseGenerator}, TypeError, "no encode and no decode"),
        (X, Y, {"vae": "flow"}, ValueError, "'vae' parameter of VAALClassifier"),
        (X, Y, {"vae_epochs": 0}, ValueError, "vae_epochs"),
        (X, Y, {"beta": -1.0}, ValueError, "beta"),
    ],
)
def test_bad_input_fails_before_training(rows, y, params, error, message):
    with pytest.raises(error, match=message):
        quick(Forbidden, **params).fit(rows, y)


def test_nothing_copies_the_pool():
    pool = np.random.default_rng(0).integers(0, 255, size=(20_000, 1, 16, 16), dtype=np.uint8)
    y = np.where(np.arange(20_000) < 20, np.arange(20_000) % 2, -1)
    clf = quick("digits", max_epochs=1, vae=LinearVAE, vae_params=None, vae_epochs=1, vae_batch_size=1000)
    clf.fit(pool[:40], y[:40])
    tracemalloc.start()
    clf.fit(pool, y).labeled_proba(pool)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pool.nbytes / 2


def test_verbose_and_history(capsys):
    clf = quick().fit(X, Y)
    assert capsys.readouterr().out == ""
    names = {"loss", "reconstruction", "kl", "adversary", "discriminator_loss"}
    assert names <= {name.removeprefix("train_") for name in clf.vae_net_.history[0]}
    clf.set_params(verbose=1).fit(X, Y)
    assert "train_discriminator_loss" in capsys.readouterr().out


def test_autocast_stays_close():
    exact, clf = quick(dtype="float32").fit(X, Y), quick(amp=True).fit(X, Y)
    assert clf.dtype_ == torch.float32
    difference = np.abs(clf.labeled_proba(X) - exact.labeled_proba(X))
    assert 0 < difference.max() < 0.02


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda(monkeypatch):
    before = torch.cuda.get_rng_state()
    clf = quick().fit(X, Y)
    assert {clf.device_.type, next(clf.vae_net_.discriminator_.parameters()).device.type} == {"cuda"}
    assert torch.equal(torch.cuda.get_rng_state(), before)
    probabilities, saved = clf.labeled_proba(X), pickle.dumps(clf)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    np.testing.assert_allclose(pickle.loads(saved).labeled_proba(X), probabilities, atol=1e-6)
