import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs

from skal import ActiveLearner
from skal.access import as_torch, dropout_proba
from skal.classifiers import ACGANClassifier
from skal.generators import GAN, stepped_net
from skal.nets import (
    ConvCritic,
    ConvGenerator,
    DCGANCritic,
    DCGANGenerator,
    DenseCritic,
    DenseGenerator,
    MNISTCritic,
)
from skal.strategies import ALCG, WAAL

from ..networks import DIGITS, generator_states, same_history, same_tensors, tiny_acgan, weights

pytestmark = pytest.mark.usefixtures("local_random_state")

X, Y = make_blobs(60, n_features=6, centers=3, random_state=0)


IMAGES = DIGITS[:30].astype(np.float32)


IMAGE_LABELS = np.arange(30) % 3


quick = partial(tiny_acgan, n_iter=2)


narrow = partial(
    quick,
    architecture=(ConvGenerator, ConvCritic),
    generator_params={"channels": (4, 2), "batch_norm": True},
    critic_params={"channels": (2, 4)},
    batch_size=8,
)


RUN = {"dtype": torch.float64, "amp": False, "seed": 0}


# The classifier
@pytest.mark.parametrize(("base", "n_iter"), [("dcgan", 200), ("sngan", 200), ("wgan_gp", 60)])
def test_it_learns_classes_and_generates_them(base, n_iter):
    names = np.array(["cat", "bird", "dog"])
    clf = tiny_acgan(
        base, n_iter=n_iter, lr=1e-2, generator_params={"hidden": (16,)}, critic_params={"hidden": (16,)}
    )
    clf.fit(X, names[Y])
    assert clf.classes_.tolist() == ["bird", "cat", "dog"]
    assert clf.score(X, names[Y]) == 1
    wanted = np.repeat(names, 40)
    assert (clf.predict(clf.sample(wanted)) == wanted).mean() > 0.9
    np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1)


def test_what_it_computes():
    clf = quick("sngan").fit(X, Y)
    scaled = torch.from_numpy((X - X.mean(0)) / X.std(0))
    with torch.no_grad():
        features = clf.critic_.embed(scaled)
        logits = clf.classifier_(features)
    np.testing.assert_allclose(clf.transform(X), features)
    np.testing.assert_array_equal(clf.embed(X), clf.transform(X))
    np.testing.assert_array_equal(clf.embed_and_predict_proba(X)[1], clf.predict_proba(X))
    np.testing.assert_allclose(clf.realness(X), clf.critic_(scaled).detach())
    np.testing.assert_allclose(clf.predict_proba(X), logits.softmax(1))
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[logits.argmax(1)])
    rows = torch.from_numpy(X).requires_grad_()
    torch.testing.assert_close(as_torch(clf)(rows), logits)
    as_torch(clf)(rows)[:, 0].sum().backward()
    assert rows.grad.abs().sum() > 0


def test_samples(monkeypatch):
    clf = quick(random_state=0).fit(X, Y)
    assert clf.sample().shape == (1, 6)
    assert clf.sample(np.int64(5), random_state=0).shape == (5, 6)
    one, same, other = (clf.sample([0, 2, 2, 1], random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any(axis=1).all()
    assert len(np.unique(one, axis=0)) == 4
    # The class follows the latent as a one.
    seen = []
    monkeypatch.setattr(clf, "decode", lambda Z: seen.append(Z))
    clf.sample([0, 2, 2, 1], random_state=0)
    clf.sample(3000, random_state=0)
    monkeypatch.undo()
    np.testing.assert_array_equal(seen[0][:, 2:], np.eye(3)[[0, 2, 2, 1]])
    np.testing.assert_array_equal(clf.decode(seen[0]), one)
    assert clf.n_latent_ == seen[0].shape[1] == 5
    # A number of rows draws classes evenly, and standard normal latents.
    np.testing.assert_allclose(seen[1].mean(0), [0, 0, 1 / 3, 1 / 3, 1 / 3], atol=0.06)
    np.testing.assert_allclose(np.cov(seen[1][:, :2].T), np.eye(2), atol=0.1)
    seeded = quick(random_state=3).fit(X, Y)
    np.testing.assert_array_equal(seeded.sample(2), seeded.sample(2))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (0, "integer of at least 1"),
        (True, "integer of at least 1"),
        (2.5, "integer of at least 1"),
        ("0", "integer of at least 1"),
        ([], "y is empty"),
        ([0, 3, 1], r"labels \[3\], which are not among the classes \[0 1 2\]"),
        (["cat"], "labels .'cat'.,"),
        ([[0, 1], [1, 2]], "1d array"),
    ],
)
def test_bad_labels_to_sample(y, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(X, Y).sample(y)


def test_passes_with_dropout():
    clf = quick(critic_params={"hidden": (8,), "dropout": 0.5}).fit(X, Y)
    probabilities = dropout_proba(clf, X, n_passes=3)
    assert probabilities.shape == (60, 3, 3)
    assert not np.allclose(probabilities[:, 0], probabilities[:, 1])
    with pytest.raises(TypeError, match="with dropout layers and ACGANClassifier has none"):
        dropout_proba(quick().fit(X, Y), X)


def test_every_layout_of_the_same_images_gives_the_same_answer():
    bytes_ = (10 * IMAGES).astype(np.uint8)
    flat = bytes_.reshape(30, 64)
    fits = {
        (1, 8, 8): narrow().fit(bytes_, IMAGE_LABELS),
        (8, 8): narrow().fit(bytes_[:, 0], IMAGE_LABELS),
        (64,): narrow(image_shape=[8, 8]).fit(flat, IMAGE_LABELS),
    }
    first = fits[1, 8, 8]
    for shape, clf in fits.items():
        assert same_tensors(weights(clf), weights(first))
        assert clf.sample([0, 1]).shape == (2, *shape)
        np.testing.assert_array_equal(clf.sample(3).reshape(3, -1), first.sample(3).reshape(3, -1))
        for rows in (bytes_, bytes_[:, 0], flat):
            np.testing.assert_array_equal(clf.predict_proba(rows), first.predict_proba(rows))
            np.testing.assert_array_equal(clf.realness(rows), first.realness(rows))
    assert first.sample(50).min() >= 0
    assert first.sample(50).max() <= 255
    # Plain rows stay plain.
    assert isinstance(quick().fit(flat, IMAGE_LABELS).critic_, DenseCritic)


def test_networks_are_chosen_by_shape():
    def chosen(shape, base="dcgan"):
        net = ACGANClassifier(base)._make_net(shape, classes=[0, 1], **RUN)
        return net.module.func, net.critic, net.output_range

    assert chosen((6,))[0] is DenseGenerator
    generator, critic, output_range = chosen((3, 32, 32))
    assert (generator, critic.func, output_range) == (DCGANGenerator, DCGANCritic, (-1, 1))
    assert critic.keywords["batch_norm"]
    assert not chosen((3, 32, 32), "wgan_gp")[1].keywords["batch_norm"]
    assert chosen((1, 28, 28))[1].func is MNISTCritic


def test_class_shares_are_recorded(monkeypatch, capsys):
    monkeypatch.setattr(stepped_net, "RECORD_STEPS", 3)
    clf = quick(n_iter=7, candidates=4, verbose=1).fit(X, Y)
    assert "class_shares" not in capsys.readouterr().out
    history = clf.history_
    assert history["step"].tolist() == [3, 6, 7]
    assert history["class_shares"].shape == (3, 3)
    np.testing.assert_allclose(history["class_shares"].sum(1), 1, rtol=1e-6)
    assert {"critic_loss", "generator_loss", "auxiliary_loss", "generator_auxiliary_loss"} <= history.keys()


def test_random_state_decides_everything():
    before = generator_states()
    one, same, other = (clone(quick(random_state=seed)).fit(X, Y) for seed in (0, 0, 1))
    one.sample(3)
    assert generator_states() == before
    assert same_tensors(weights(one), weights(same))
    assert not same_tensors(weights(one), weights(other))
    assert same_history(one, same)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).sample(3), one.sample(3))


@pytest.mark.parametrize("base", ["dcgan", "sngan"])
def test_warm_start_continues(base):
    clf = quick(base).fit(X, Y)
    first = {
        name: tensor.clone() for name, tensor in weights(clf).items() if name[-2:] not in ("/u", ".u", ".v")
    }
    clf.set_params(warm_start=True, random_state=1, lr=1e-12).fit(X[:40] * 0.9, Y[:40])
    for name, tensor in first.items():  # the scale of the rows among them
        torch.testing.assert_close(weights(clf)[name], tensor, atol=1e-8, rtol=0)
    with pytest.raises(ValueError, match="warm_start=True continues with the classes"):
        clf.fit(X[Y < 2], Y[Y < 2])
    with pytest.raises(ValueError, match="warm_start=True needs the architecture"):
        clf.set_params(critic_params={"hidden": (5,)}).fit(X, Y)
    assert clf.predict(X).shape == (60,)


def test_training_goes_on_from_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(stepped_net, "RECORD_STEPS", 3)
    whole = quick("sngan", n_iter=6).fit(X, Y)
    path = {"checkpoint": tmp_path / "checkpoint"}
    quick("sngan", n_iter=3, **path).fit(X, Y)
    resumed = quick("sngan", n_iter=6, **path).fit(X, Y)
    assert same_tensors(weights(resumed), weights(whole))
    assert same_history(resumed, whole)
    with pytest.raises(ValueError, match="belongs to another training: y differ"):
        quick("sngan", n_iter=6, **path).fit(X, Y[::-1])


class Forbidden(DenseCritic):
    def forward(self, x):
        raise AssertionError("the network was trained on bad input")


@pytest.mark.parametrize(
    ("rows", "y", "params", "error", "message"),
    [
        (X, Y, {"base": "biggan"}, ValueError, "'base' parameter of ACGANClassifier"),
        (X, Y, {"candidates": 0}, ValueError, "'candidates' parameter"),
        (X, Y, {"adversarial_loss": "mse"}, ValueError, "'adversarial_loss' parameter"),
        (X, Y, {"architecture": "dcgan", "generator_params": None}, ValueError, "needs images of shape"),
        (X, Y, {"architecture": (DenseGenerator, DenseGenerator)}, TypeError, "no embed and no head"),
        (
            X,
            Y,
            {"architecture": (DenseGenerator, DenseCritic((6,)))},
            TypeError,
            "Pass the class DenseCritic",
        ),
        (X, Y, {"architecture": (DenseGenerator,)}, ValueError, "the two classes"),
        (X, Y, {"warm_start": True, "checkpoint": "none"}, ValueError, "give one of the two"),
    ],
)
def test_bad_input_fails_before_training(rows, y, params, error, message):
    with pytest.raises(error, match=message):
        quick(**{"architecture": (DenseGenerator, Forbidden), **params}).fit(rows, y)


@pytest.mark.parametrize("make", [ACGANClassifier, GAN])
def test_a_gradient_penalty_wants_a_critic_without_batch_norm(make):
    name = "base" if make is ACGANClassifier else "loss"
    params = {
        "architecture": (ConvGenerator, ConvCritic),
        "critic_params": {"channels": (2, 2), "batch_norm": True},
    }
    with pytest.raises(ValueError, match="ConvCritic has batch normalisation"):
        make(**{name: "wgan_gp"}, **params).fit(IMAGES, IMAGE_LABELS)


def test_its_critic_is_none_of_unlabelled_rows():
    y = np.where(np.arange(60) < 20, Y, -1)
    with pytest.raises(TypeError, match=r"WAAL\(\) needs a classifier with a critic of unlabelled rows"):
        ActiveLearner(quick(), WAAL()).fit(X, y)


def test_unlabelled_rows_never_reach_it():
    seen = []

    class Watched(ACGANClassifier):
        def fit(self, X, y):
            seen.append((X, y))
            return super().fit(X, y)

    y = np.where(np.arange(60) < 20, Y, -1)
    learner = ActiveLearner(Watched(**quick().get_params()), ALCG(), n_queries=4, random_state=0).fit(X, y)
    rows = learner.query()
    learner.teach(rows, Y[rows])
    assert [len(labels) for _, labels in seen] == [20, 24]
    np.testing.assert_array_equal(seen[0][0], X[:20])
    assert all((labels >= 0).all() for _, labels in seen)


@pytest.mark.gpu
@pytest.mark.parametrize("base", ["dcgan", "sngan", "wgan_gp"])
def test_cuda(base):
    before = torch.cuda.get_rng_state()
    clf = narrow(base).fit(IMAGES, IMAGE_LABELS)
    assert clf.device_.type == "cuda"
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert clf.sample([0, 1]).shape == (2, 1, 8, 8)
