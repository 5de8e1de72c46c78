"""Arguments are refused before data are needed, and missing data are explained."""

import functools
import inspect

import pytest

from skal import datasets
from skal.datasets import load_mnist
from skal.utils.torchvision import import_torchvision

from .conftest import write_mnist

LOADERS = {name: getattr(datasets, name) for name in datasets.__all__}


IN_THE_HOME = {name: load for name, load in LOADERS.items() if name != "load_image_folder"}


ARGUMENTS = {"load_celeba": ("Smiling",)}


@pytest.mark.parametrize("name", IN_THE_HOME)
def test_missing_data_set(name, tmp_path):
    load = functools.partial(LOADERS[name], *ARGUMENTS.get(name, ()), data_home=tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        load()
    message = str(error.value)
    assert f"not found in {tmp_path}: no " in message
    assert "download=True" in message or "get it with" in message
    assert "data_home" in message
    assert "SKAL_DATA" in message
    if name in (
        "load_mnist",
        "load_fashion_mnist",
        "load_emnist",
        "load_cifar100",
        "load_svhn",
        "load_stl10",
    ):
        call = message.partition("get it with torchvision.datasets.")[2].partition(", or name")[0]
        taken = inspect.signature(getattr(import_torchvision().datasets, call.partition("(")[0])).parameters
        given = [part.partition("=")[0] for part in call.partition("(")[2].rstrip(")").split(", ")[1:]]
        assert set(given) <= {*taken, "train", "download"}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", IN_THE_HOME)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "holdout"}, r"split='holdout' was given for .*; allowed are .*'train'"),
        ({"n_validation": -1}, r"n_validation=-1 .* at least 0"),
        ({"n_validation": 2.5}, r"n_validation=2\.5 .* at least 0"),
        ({"n_validation": True}, r"n_validation=True .* at least 0"),
        ({"subset": ()}, r"subset is empty; name a class"),
        ({"image_size": 0}, r"image_size=0 .*integer of at least 1, a pair"),
        ({"image_size": (32, -1)}, r"image_size=\(32, -1\) .*a pair"),
        ({"image_size": (32,)}, r"image_size=\(32,\) .*a pair"),
        ({"image_size": 28.0}, r"image_size=28\.0 .*a pair"),
        ({"image_size": "28"}, r"image_size='28' .*a pair"),
    ],
    ids=str,
)
def test_bad_arguments_need_no_data(name, options, message, tmp_path):
    if set(options) <= set(inspect.signature(LOADERS[name]).parameters):
        with pytest.raises(ValueError, match=message):
            LOADERS[name](*ARGUMENTS.get(name, ()), data_home=tmp_path, **options)


def test_validation_rows_need_a_number(home):
    write_mnist(home)
    with pytest.raises(ValueError, match=r"split='validation' of MNIST needs n_validation"):
        load_mnist(split="validation")
    with pytest.raises(ValueError, match=r"n_validation=20 was given; MNIST has 20 training rows"):
        load_mnist(n_validation=20)


def test_subset_that_is_not_there(home):
    write_mnist(home, n_test=3)
    with pytest.raises(
        ValueError, match=r"subset=\[5, 17, 'five'\] .*no class 17, 'five'; allowed are 0 \('0'\), 1"
    ):
        load_mnist(subset=(5, 17, "five"))
    with pytest.raises(
        ValueError, match=r"'test' of MNIST has no class 5; allowed are 0 \('0'\), 1 \('1'\), 2 \('2'\)$"
    ):
        load_mnist(split="test", subset=(1, 5))
    with pytest.raises(ValueError, match=r"no class 2\.5"):
        load_mnist(subset=(2.5,))


def test_data_home(tmp_path, monkeypatch):
    write_mnist(tmp_path / "given", n_train=1)
    write_mnist(tmp_path / "variable", n_train=2)
    write_mnist(tmp_path / "skal_data", n_train=3)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("SKAL_DATA", str(tmp_path / "variable"))
    assert len(load_mnist(data_home=tmp_path / "given").data) == 1
    assert len(load_mnist(data_home="~/given").data) == 1
    assert len(load_mnist().data) == 2
    monkeypatch.delenv("SKAL_DATA")
    assert len(load_mnist().data) == 3


def test_same_signature_everywhere():
    defaults = {
        "n_validation": 0,
        "subset": None,
        "cache": True,
        "n_jobs": None,
        "return_X_y": False,
        "data_home": None,
    }
    for load in LOADERS.values():
        parameters = inspect.signature(load).parameters
        assert all(
            parameters[name].default == value for name, value in defaults.items() if name in parameters
        )
