"""Damaged and forged files, and writers that are killed."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from sklearn.base import clone
from torch import nn

from skal.classifiers import NetClassifier
from skal.exceptions import ModelFileError
from skal.generators import GAN
from skal.training.files import map_file, read_file, write_file
from skal.training.fitted import fitted_attributes

from ..fuzzing import forge, fuzz
from ..networks import X, tiny_gan
from .test_saving import Y

THOROUGH = settings.get_current_profile_name() == "thorough"
CASES = "tests.training.fuzz_cases:"
needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="forks")


@needs_fork
@pytest.mark.parametrize(
    "names",
    [
        ("gan", "vae", "ali", "images", "net", "bytes_of_images", "acgan"),
        ("gan_checkpoint", "vae_checkpoint"),
    ],
    ids=["models", "checkpoints"],
)
def test_mutants_raise_documented_errors_and_take_little_memory(names, tmp_path):
    report = fuzz(*[CASES + name for name in names], folder=tmp_path)
    print(report)
    assert report["found"]["ModelFileError"] > 0.5 * report["files"]
    assert report["found"]["loaded"] > 0.02 * report["files"]


@needs_fork
def test_kills_leave_whole_files_and_no_litter(tmp_path):
    command = [sys.executable, "-m", "tests.training.kills", str(tmp_path), "300" if THOROUGH else "8", "0"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    print(report)
    assert report["after the next save"] == 0
    assert report["files left by kills"] > 0 or not THOROUGH


@pytest.fixture(scope="module")
def gan():
    return tiny_gan().fit(X)


@pytest.fixture(scope="module")
def clf():
    return NetClassifier(module_params={"hidden": (4,)}, max_epochs=1, random_state=0).fit(X, Y)


# Attributes


@pytest.mark.parametrize(
    "name",
    [
        "predict",
        "_make_net",
        "__class__",
        "__dict__",
        "checkpoint",
        "n_iter",
        "module_",
        "device_",
        "other_",
    ],
)
def test_only_fitted_attributes_can_be_set(name, clf, tmp_path):
    clf.save(tmp_path / "model")
    forge(tmp_path / "model", lambda header, content: content["attributes"].update({name: 1}))
    with pytest.raises(
        ModelFileError, match=rf"model is malformed \(TypeError: .*declares no fitted attribute {name}"
    ):
        NetClassifier.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes_", [0, 1, 2]),
        ("classes_", "abc"),
        ("classes_", np.array([[0, 1, 2]])),
        ("classes_", np.array([2, 1, 0])),
        ("classes_", np.array([0, 1, 1])),
        ("classes_", np.array([0.5, 1.5, 2.5])),
        ("classes_", np.array([None, "a", 1], dtype=object)),
        ("classes_", np.array([{}, {}, {}], dtype=object)),
        ("input_shape_", [3]),
        ("input_shape_", (3.0,)),
        ("input_shape_", (3, 1, 0)),
        ("input_shape_", (4,)),
        ("dtype_", "float64"),
        ("dtype_", torch.float16),
        ("n_features_in_", "3"),
        ("n_features_in_", True),
        ("n_features_in_", 4),
        ("feature_names_in_", np.array(["a", "b"], dtype=object)),
        ("feature_names_in_", np.array(["a", "b", 3], dtype=object)),
        ("scale_", 1.0),
        ("scale_", (0.0,)),
        ("scale_", ("0", "1")),
        ("scale_", (0.0, 0.0)),
        ("scale_", (0.0, (1.0, 1.0))),
        ("takes_bytes_", 0),
        ("net_", 1),
    ],
    ids=lambda value: str(value)[:40],
)
def test_values_of_attributes_that_no_fit_sets(name, value, clf, tmp_path):
    clf.save(tmp_path / "model")
    tensors, content = read_file(tmp_path / "model")
    write_file(tmp_path / "model", tensors, {**content, "attributes": {**content["attributes"], name: value}})
    with pytest.raises(ModelFileError, match="model is malformed"):
        NetClassifier.load(tmp_path / "model")


@pytest.mark.parametrize(
    "name", ["classes_", "input_shape_", "dtype_", "n_features_in_", "scale_", "takes_bytes_"]
)
def test_attributes_that_are_missing(name, clf, tmp_path):
    clf.save(tmp_path / "model")
    forge(tmp_path / "model", lambda header, content: content["attributes"].pop(name))
    with pytest.raises(ModelFileError, match=f"model is malformed .*{name}"):
        NetClassifier.load(tmp_path / "model")


class Calibrated(NetClassifier):
    """A classifier of a user, with a fitted attribute of its own."""

    temperature_: float

    def fit(self, X, y):
        super().fit(X, y)
        self.temperature_ = 2.0
        return self


class Undeclared(NetClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self.temperature_ = 2.0
        return self


def test_attributes_of_a_subclass_are_declared(tmp_path):
    fitted = Calibrated(max_epochs=1, random_state=0).fit(X, Y)
    fitted.save(tmp_path / "model")
    assert Calibrated.load(tmp_path / "model").temperature_ == 2.0
    fitted.temperature_ = "hot"
    with pytest.raises(
        TypeError, match="temperature_ of Calibrated is a str, and its class declares a float"
    ):
        fitted.save(tmp_path / "other")
    with pytest.raises(TypeError, match=r"declares no fitted attribute temperature_; .* temperature_: float"):
        Undeclared(max_epochs=1).fit(X, Y).save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


@dataclass(eq=False, repr=False, kw_only=True)
class UndeclaredField(NetClassifier):
    lr: float = 0.01

    def fit(self, X, y):
        super().fit(X, y)
        self.temperature_ = 2.0
        return self


@dataclass(eq=False, repr=False, kw_only=True)
class DeclaredField(UndeclaredField):
    temperature_: float = field(init=False)


def test_attributes_of_a_dataclass_are_declared_as_the_error_says(tmp_path):
    with pytest.raises(TypeError) as caught:
        UndeclaredField(max_epochs=1).fit(X, Y).save(tmp_path / "model")
    assert str(caught.value).endswith("such as temperature_: float = field(init=False)")
    fitted = clone(DeclaredField(max_epochs=1, random_state=0)).fit(X, Y)
    fitted.save(tmp_path / "model")
    assert DeclaredField.load(tmp_path / "model").temperature_ == 2.0
    assert "temperature_" not in fitted.get_params()


def test_the_declared_attributes():
    assert fitted_attributes(NetClassifier).keys() == {
        *(
            "classes_",
            "input_shape_",
            "dtype_",
            "n_features_in_",
            "feature_names_in_",
            "scale_",
            "takes_bytes_",
        ),
        "net_",
    }
    assert fitted_attributes(GAN).keys() == {
        *("input_shape_", "row_shape_", "dtype_", "n_features_in_", "feature_names_in_", "net_")
    }


# Parameters


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("lr", "fast", "InvalidParameterError"),
        ("no_param", 1, "has no parameter 'no_param'"),
        ("n_latent", 10**9, "instead of"),
        ("critic_params", {"hidden": {"!tuple": [30000, 30000]}}, "tensor"),
        ("critic_params", {"hidden": [1] * 5000}, "far more parts"),
        ("architecture", {"!tuple": [{"!class": "torch.nn.Linear"}] * 2}, "TypeError"),
        ("optimizer", {"!class": "torch.nn.Linear"}, "do not fit"),
        ("random_state", -5, "InvalidParameterError"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_parameters_that_no_estimator_has(name, value, reason, gan, tmp_path):
    gan.save(tmp_path / "model")
    forge(tmp_path / "model", lambda header, content: content["params"].update({name: value}))
    with pytest.raises(ModelFileError, match=f"{tmp_path}.*{reason}"):
        GAN.load(tmp_path / "model")


def test_faults_of_the_caller_keep_their_errors(gan, tmp_path):
    gan.save(tmp_path / "model")
    for params, error, reason in (
        ({"no_param": 1}, TypeError, "no_param"),
        ({"architecture": (nn.Linear(1, 1), nn.Linear)}, TypeError, "is an instance"),
        ({"critic_params": {"no_param": 1}}, TypeError, "no_param"),
        ({"device": "cuda:99"}, ValueError, "cuda:99"),
    ):
        with pytest.raises(error, match=reason) as caught:
            GAN.load(tmp_path / "model", **params)
        assert not isinstance(caught.value, ModelFileError)


# Networks


def test_weights_of_another_type_or_name(gan, tmp_path):
    gan.save(tmp_path / "model")
    tensors, content = read_file(tmp_path / "model")
    name = next(iter(tensors))
    for forged, reason in (
        ({**tensors, name: tensors[name].float()}, "instead of .* torch.float64"),
        ({**tensors, "more": torch.zeros(1)}, "unknown tensor 'more'"),
        ({key: tensor for key, tensor in tensors.items() if key != name}, f"lacks tensor '{name}'"),
        ({**tensors, "scaling/scale": torch.zeros(3, dtype=torch.float64)}, "map of the rows"),
        ({**tensors, "scaling/shift": torch.zeros(2, dtype=torch.float64)}, "map of the rows"),
        ({**tensors, name: torch.full_like(tensors[name], torch.nan)}, "NaN"),
    ):
        write_file(tmp_path / "model", forged, content)
        with pytest.raises(ModelFileError, match=reason):
            GAN.load(tmp_path / "model")


class Own(nn.Module):
    """What each of these has, beside a layer, is nothing that a state dict knows."""

    def __init__(self, n_classes):
        super().__init__()
        self.layer = nn.Linear(3, n_classes).double()

    def forward(self, x):
        return self.layer(self.before(x))


class Tied(Own):
    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def before(self, x):
        return self.second(self.first(x))


class Constant(Own):
    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.register_buffer("constant", torch.arange(3.0) + 1, persistent=False)

    def before(self, x):
        return x * self.constant


class Hidden(Own):
    def __init__(self, n_classes):
        super().__init__(n_classes)
        factor = torch.rand(3)
        self.before = lambda x: x * factor


class Looks(Own):
    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.largest = self.layer.weight.abs().max().item()
        self.before = nn.Identity()


class OwnLoading(Own):
    def __init__(self, n_classes):
        super().__init__(n_classes)
        self.before = nn.Identity()

    def load_state_dict(self, state, strict=True):
        return super().load_state_dict(state, strict)


class Lazy(nn.Sequential):
    def __init__(self, n_classes):
        super().__init__(nn.LazyLinear(5), nn.LazyBatchNorm1d(), nn.LazyLinear(n_classes))


class Parametrized(nn.Sequential):
    def __init__(self, n_classes):
        super().__init__(nn.utils.parametrizations.spectral_norm(nn.Linear(3, n_classes)))


class Frozen(nn.Sequential):
    def __init__(self, n_classes):
        super().__init__(nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, n_classes))


@pytest.mark.parametrize(
    ("module", "devices"),
    [
        *((module, ["meta"]) for module in (Lazy, Parametrized, Frozen)),
        *((module, ["meta", "cpu"]) for module in (Tied, Constant, Hidden, OwnLoading)),
        (Looks, ["meta", "meta", "cpu"]),
    ],
)
def test_networks_that_are_built_in_their_own_way(module, devices, tmp_path, monkeypatch):
    fitted = NetClassifier(module, max_epochs=2, random_state=0).fit(X, Y)
    fitted.save(tmp_path / "model")
    found, initialize = [], type(fitted.net_).initialize
    monkeypatch.setattr(
        type(fitted.net_), "initialize", lambda net: [found.append(net.device), initialize(net)][1]
    )
    loaded = NetClassifier.load(tmp_path / "model", module=module)
    assert found == devices
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    for own, other in zip(fitted.module_.parameters(), loaded.module_.parameters(), strict=True):
        assert (own.requires_grad, own.stride()) == (other.requires_grad, other.stride())


class InThreads(nn.Linear):
    devices: list

    def __init__(self, n_classes):
        super().__init__(3, n_classes)
        with ThreadPoolExecutor(1) as pool:
            self.devices.append(pool.submit(lambda: torch.zeros(1).device.type).result())
        self.devices.append(str(torch.utils._device.CURRENT_DEVICE))


def test_tensors_of_other_threads_have_numbers(tmp_path):
    InThreads.devices = []
    NetClassifier(InThreads, max_epochs=1).fit(X, Y).save(tmp_path / "model")
    InThreads.devices.clear()
    NetClassifier.load(tmp_path / "model", module=InThreads)
    assert InThreads.devices == ["cpu", "None"]


# Files


def test_empty_texts_take_no_memory(tmp_path):
    for text in (
        '{"!array":["<U0",[300000000],""]}',
        '{"!array":["<U300000000",[1],""]}',
        '{"!scalar":["<S0",[9],""]}',
    ):
        write_file(tmp_path / "f", {}, {"a": 0})
        forge(tmp_path / "f", lambda header, content, text=text: content.update(a=json.loads(text)))
        for read in (read_file, map_file):
            with pytest.raises(ModelFileError, match="f "):
                read(tmp_path / "f")
    write_file(tmp_path / "f", {}, {"a": np.str_("")})
    assert read_file(tmp_path / "f")[1] == {"a": np.str_("")}


def test_what_would_be_refused_is_not_written(tmp_path):
    for content, reason in (
        ({"a": [[]] * 600_000}, "values"),
        ({"a": "a" * 2_000_000 + "\u4e00"}, "not all ASCII"),
    ):
        with pytest.raises(ValueError, match=reason):
            write_file(tmp_path / "f", {}, content)
    rows = [{"epoch": n, "train_loss": 0.123456789, "step": n, "dur": 0.1234} for n in range(20_000)]
    write_file(tmp_path / "f", {}, {"history": rows, "name": "\u4e00"})
    assert read_file(tmp_path / "f")[1] == {"history": rows, "name": "\u4e00"}
