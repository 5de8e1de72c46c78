from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from skal.classifiers import CNNClassifier, NetClassifier
from skal.nets import MLP, ConvVAE, DenseGenerator, DenseVAE

from ..networks import DIGITS, LinearVAE, same_tensors, tiny_vaal

pytestmark = pytest.mark.usefixtures("local_random_state")

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


class Forbidden(MLP):
    def forward(self, x):
        raise AssertionError("the network was trained on bad input")


@pytest.mark.parametrize(
    ("rows", "y", "params", "error", "message"),
    [
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


def test_verbose_and_history(capsys):
    clf = quick().fit(X, Y)
    assert capsys.readouterr().out == ""
    names = {"loss", "reconstruction", "kl", "adversary", "discriminator_loss"}
    assert names <= {name.removeprefix("train_") for name in clf.vae_net_.history[0]}
    clf.set_params(verbose=1).fit(X, Y)
    assert "train_discriminator_loss" in capsys.readouterr().out
