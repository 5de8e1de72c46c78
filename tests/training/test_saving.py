import copy
import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback

from skal import classifiers, generators
from skal.classifiers import CNNClassifier, LinearClassifier, NetClassifier
from skal.classifiers.base import BaseNetClassifier
from skal.exceptions import ModelFileError
from skal.generators import ALI, GAN, VAE, AutoEncoder
from skal.nets import MLP, DenseAutoEncoder
from skal.training.estimator import NetworkEstimator
from skal.training.files import read_file, write_file

from ..networks import (
    DIGITS,
    HIDDEN,
    TINY,
    X,
    generator_states,
    same_tensors,
    tiny_acgan,
    tiny_autoencoder,
    tiny_gan,
    tiny_learning_loss,
    tiny_vaal,
    tiny_vae,
    tiny_wasserstein,
    weights,
)

IMAGES = DIGITS[:30].astype(np.float32)
Y = np.array(["cat", "bird", "dog"])[np.arange(60) % 3]
NARROW = {"n_filters": 2}

# Estimators and the rows that each is fitted on.
ESTIMATORS = {
    **{name: (make(), X) for name, make in TINY.items()},
    "gan on images": (GAN(n_iter=1, n_latent=2, batch_size=4, random_state=0), IMAGES),
    "residual gan": (
        GAN(
            architecture="residual",
            generator_params=NARROW,
            critic_params=NARROW,
            n_iter=1,
            n_latent=2,
            batch_size=4,
            image_shape=(1, 8, 8),
            random_state=0,
        ),
        IMAGES.reshape(30, 64),
    ),
    "conv vae": (
        VAE(2, architecture="conv", module_params=NARROW, max_epochs=1, random_state=0),
        IMAGES[:, 0],
    ),
    "conv ali": (
        ALI(2, architecture="conv", module_params=NARROW, n_iter=1, batch_size=4, random_state=0),
        IMAGES,
    ),
    "conv autoencoder": (
        AutoEncoder("mnist", module_params={"channels": (2, 3)}, max_epochs=1, random_state=0),
        (10 * IMAGES).astype(np.uint8),
    ),
    "net": (NetClassifier(module_params=HIDDEN, max_epochs=2, random_state=0), X),
    "stopped net": (
        NetClassifier(max_epochs=4, validation_fraction=0.2, optimizer=torch.optim.SGD, random_state=0),
        X,
    ),
    "cnn": (CNNClassifier(max_epochs=1, random_state=0), IMAGES),
    "vaal": (tiny_vaal(max_epochs=2), X),
    "vaal on images": (
        tiny_vaal(max_epochs=1, vae="conv", vae_params=NARROW, vae_epochs=1),
        (10 * IMAGES).astype(np.uint8),
    ),
    "wasserstein": (tiny_wasserstein(max_epochs=4, validation_fraction=0.2, patience=1), X),
    "wasserstein on images": (
        tiny_wasserstein("lenet_waal", max_epochs=1, lr=1e-4),
        np.kron(IMAGES[:9], np.ones((2, 2))),
    ),
    "learning loss": (tiny_learning_loss(max_epochs=2), X),
    "acgan": (tiny_acgan("sngan", n_iter=2), X),
    "acgan on images": (
        tiny_acgan(
            architecture="dcgan",
            n_iter=1,
            generator_params={"channels": (3, 2)},
            critic_params={"channels": (2, 3)},
        ),
        (10 * IMAGES).astype(np.uint8),
    ),
    "linear": (LinearClassifier(max_epochs=2, random_state=0), X),
}
each_estimator = pytest.mark.parametrize("name", ESTIMATORS)


@cache
def fitted(name):
    """One that nobody changes, and its rows."""
    estimator, rows = ESTIMATORS[name]
    return clone(estimator).fit(rows, Y[: len(rows)]), rows


def outputs(estimator, rows):
    """Everything that an estimator computes."""
    answers = {}
    for method in (
        "transform",
        "predict",
        "predict_proba",
        "embed",
        "score_samples",
        "labeled_proba",
        "critic_scores",
        "realness",
        "predicted_loss",
    ):
        if hasattr(estimator, method):
            answers[method] = getattr(estimator, method)(rows)
    if hasattr(estimator, "sample"):
        answers["sample"] = estimator.sample(3, random_state=5)
    if hasattr(estimator, "inverse_transform"):
        answers["inverse_transform"] = estimator.inverse_transform(answers["transform"])
    if isinstance(estimator, AutoEncoder):
        answers["score"] = np.array(estimator.score(rows))
    return answers


def same_estimator(a, b, rows):
    a_outputs, b_outputs = outputs(a, rows), outputs(b, rows)
    assert len(a_outputs) >= 2
    assert a_outputs.keys() == b_outputs.keys()
    for method, answer in a_outputs.items():
        np.testing.assert_array_equal(b_outputs[method], answer)
        assert b_outputs[method].dtype == answer.dtype
    assert repr(b.get_params()) == repr(a.get_params())
    attributes = [
        {name: value for name, value in vars(e).items() if name[-1] == "_" and name != "net_"} for e in (a, b)
    ]
    assert repr(attributes[1]) == repr(attributes[0])
    assert same_tensors(weights(a), weights(b))
    for names in ("train_loss", "valid_loss", "train_critic_loss", "step"):
        if names in a.net_.history[0]:
            assert b.net_.history[:, names] == a.net_.history[:, names]
    if hasattr(a, "history_"):
        assert a.history_.keys() == b.history_.keys()
        assert all(np.array_equal(a.history_[name], b.history_[name]) for name in a.history_)
    assert b.device_ == a.device_
    assert not any(module.training for module in b.net_.modules)
    assert type(b) is type(a)


def test_every_network_estimator_is_here():
    public = {getattr(package, name) for package in (classifiers, generators) for name in package.__all__}
    expected = {kind for kind in public if isinstance(kind, type) and issubclass(kind, NetworkEstimator)}
    assert {type(estimator) for estimator, _ in ESTIMATORS.values()} == expected


@each_estimator
def test_saved_and_loaded(name, tmp_path):
    estimator, rows = fitted(name)
    states = generator_states()
    estimator.save(tmp_path / "model")
    loaded = type(estimator).load(str(tmp_path / "model"))
    assert generator_states() == states
    same_estimator(estimator, loaded, rows)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


@each_estimator
@pytest.mark.parametrize("copied", [lambda estimator: pickle.loads(pickle.dumps(estimator)), copy.deepcopy])
def test_pickled(name, copied):
    estimator, rows = fitted(name)
    other = copied(estimator)
    same_estimator(estimator, other, rows)
    before = outputs(estimator, rows)
    with torch.no_grad():
        for module in other.net_.modules:
            for weight in module.parameters():
                weight.add_(1)
    for method, answer in outputs(estimator, rows).items():
        np.testing.assert_array_equal(answer, before[method])


@each_estimator
def test_a_loaded_estimator_is_fitted_anew(name, tmp_path):
    estimator, rows = fitted(name)
    estimator.save(tmp_path / "model")
    loaded = type(estimator).load(tmp_path / "model")
    for other in (clone(loaded), loaded):
        same_estimator(estimator, other.fit(rows, Y[: len(rows)]), rows)


def test_no_pickle_is_involved(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("something was pickled")

    estimator, rows = fitted("stopped net")
    for module, names in (
        (pickle, ["load", "loads", "dump", "dumps", "Pickler", "Unpickler"]),
        (torch, ["load", "save"]),
    ):
        for name in names:
            monkeypatch.setattr(module, name, fail)
    estimator.save(tmp_path / "model")
    loaded = NetClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(rows), estimator.predict(rows))


def test_labels_and_feature_names(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for labels in (Y, Y.astype(object), np.arange(60) % 3 - 5, (np.arange(60) % 3).astype(float)):
        clf = NetClassifier(module_params=HIDDEN, max_epochs=1, random_state=0).fit(frame, labels)
        clf.save(tmp_path / "model")
        loaded = NetClassifier.load(tmp_path / "model")
        assert loaded.classes_.dtype == clf.classes_.dtype
        np.testing.assert_array_equal(loaded.predict(frame), clf.predict(frame))
        assert loaded.feature_names_in_.tolist() == ["a", "b", "c"]
        with pytest.raises(ValueError, match="feature names"):
            loaded.predict(frame[["b", "a", "c"]])


def test_parameters_of_all_kinds(tmp_path):
    gan = tiny_gan(
        generator_params={"hidden": [3, 4]},
        optimizer=torch.optim.SGD,
        optimizer_params={"momentum": 0.5, "nesterov": True},
        architecture="dense",
        device=torch.device("cpu"),
        checkpoint=tmp_path / "checkpoint",
        lr=np.float64(1e-3),
        image_shape=None,
    ).fit(X)
    gan.save(tmp_path / "model")
    params = GAN.load(tmp_path / "model").get_params()
    expected = gan.get_params()
    for name, value in expected.items():
        assert type(params[name]) is type(value)
        assert params[name] == value
    encoder = tiny_autoencoder(architecture=DenseAutoEncoder).fit(X)
    encoder.save(tmp_path / "model")
    assert AutoEncoder.load(tmp_path / "model").architecture is DenseAutoEncoder


# Parameters that are left out, and those that replace


class OwnEncoder(DenseAutoEncoder):
    """A module that only its author's code has."""


class OwnCallback(Callback):
    pass


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"architecture": OwnEncoder}, "architecture"),
        ({"callbacks": [OwnCallback()]}, "callbacks"),
        ({"random_state": np.random.RandomState(0)}, "random_state"),
        ({"optimizer": lambda *args, **kwargs: torch.optim.SGD(*args, **kwargs)}, "optimizer"),
    ],
)
def test_parameters_that_are_code_are_asked_for(params, name, tmp_path):
    encoder = tiny_autoencoder(**params).fit(X)
    encoder.save(tmp_path / "model")
    with pytest.raises(TypeError, match=rf"without the parameters \['{name}'\].*load\(path, {name}=\.\.\.\)"):
        AutoEncoder.load(tmp_path / "model")
    loaded = AutoEncoder.load(tmp_path / "model", **params)
    np.testing.assert_array_equal(loaded.transform(X), encoder.transform(X))
    assert loaded.get_params()[name] is params[name]


def test_given_parameters_replace_saved_ones(tmp_path):
    tiny_gan().fit(X).save(tmp_path / "model")
    loaded = GAN.load(tmp_path / "model", n_iter=7, random_state=3, device="cpu", lr=0.5)
    assert (loaded.n_iter, loaded.random_state, loaded.device, loaded.lr) == (7, 3, "cpu", 0.5)
    assert not np.array_equal(loaded.sample(), tiny_gan().fit(X).sample())  # drawn with the new seed
    assert loaded.n_latent == 2
    with pytest.raises(TypeError, match="n_steps"):
        GAN.load(tmp_path / "model", n_steps=7)


def test_networks_that_do_not_fit_the_weights(tmp_path):
    tiny_gan().fit(X).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="do not fit the networks"):
        GAN.load(tmp_path / "model", critic_params={"hidden": (5,)})


# Other files


def test_another_class_is_named(tmp_path):
    tiny_vae().fit(X).save(tmp_path / "vae")
    with pytest.raises(TypeError, match=r"holds an estimator of class VAE, not GAN; use VAE\.load"):
        GAN.load(tmp_path / "vae")
    assert isinstance(NetworkEstimator.load(tmp_path / "vae"), VAE)  # a base class loads what is one
    clf, _ = fitted("cnn")
    clf.save(tmp_path / "cnn")
    assert type(BaseNetClassifier.load(tmp_path / "cnn")) is CNNClassifier
    with pytest.raises(TypeError, match=r"use CNNClassifier\.load"):
        LinearClassifier.load(tmp_path / "cnn")


def test_foreign_and_damaged_files(tmp_path):
    path = tmp_path / "model"
    tiny_gan(checkpoint=tmp_path / "checkpoint").fit(X).save(path)
    with pytest.raises(ModelFileError, match="checkpoint"):
        GAN.load(tmp_path / "checkpoint")
    write_file(tmp_path / "other", {"weight": torch.zeros(2)}, {"some": "thing"})
    with pytest.raises(ModelFileError, match="holds no estimator"):
        GAN.load(tmp_path / "other")
    torch.save(MLP((3,), 2).state_dict(), tmp_path / "torch")
    with pytest.raises(ModelFileError, match="not a model file of skal"):
        GAN.load(tmp_path / "torch")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[: rng.integers(len(whole))] for _ in range(8)]
    for _ in range(25):
        flipped = bytearray(whole)
        flipped[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(ModelFileError, match=str(path)):
            GAN.load(path)
    with pytest.raises(FileNotFoundError):
        GAN.load(tmp_path / "missing")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda content: content.update(estimator=np.array(["VAE", "VAE"])), "holds no estimator"),
        (lambda content: content["params"].update(beta=10**400), "64 bits"),
        (lambda content: content["params"].update(image_shape=[0]), "image_shape must hold positive"),
        (lambda content: content["params"].update(image_shape=[2**70]), "64 bits"),
    ],
    ids=["array of names", "wide integer", "no image", "wide integer in a list"],
)
def test_what_no_estimator_has_is_refused(change, match, tmp_path):
    path = tmp_path / "model"
    fitted("vae")[0].save(path)
    tensors, content = read_file(path)
    change(content)
    write_file(path, tensors, content)
    with pytest.raises(ModelFileError, match=match):
        VAE.load(path)


def test_an_unfitted_estimator_is_not_saved(tmp_path):
    for estimator, _ in ESTIMATORS.values():
        with pytest.raises(NotFittedError):
            clone(estimator).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


# Devices


@each_estimator
@pytest.mark.parametrize("device", ["cuda", torch.device("cuda", 7)])
def test_a_network_of_a_gpu_loads_without_one(name, device, tmp_path, monkeypatch):
    """What is written says nothing of where the tensors were, so a parameter makes a GPU's file."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    estimator, rows = fitted(name)
    expected = outputs(estimator, rows)
    estimator = copy.deepcopy(estimator).set_params(device=device)
    estimator.save(tmp_path / "model")
    assert all(tensor.device.type == "cpu" for tensor in read_file(tmp_path / "model")[0].values())
    loaded = type(estimator).load(tmp_path / "model")
    assert loaded.device_ == torch.device("cpu")
    assert loaded.device == device
    for method, answer in outputs(loaded, rows).items():
        np.testing.assert_array_equal(answer, expected[method])


def test_graphs_of_a_gpu_load_without_one(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gan = tiny_gan().fit(X)
    gan.set_params(cuda_graph=True, device="cuda").save(tmp_path / "model")
    loaded = GAN.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.sample(3), gan.sample(3))


def test_a_device_that_is_asked_for_must_be_there(tmp_path):
    tiny_gan().fit(X).save(tmp_path / "model")
    with pytest.raises(ValueError, match='use "auto" or "cpu"'):
        GAN.load(tmp_path / "model", device="cuda:99")
