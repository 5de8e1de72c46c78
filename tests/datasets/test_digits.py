"""MNIST, Fashion-MNIST and EMNIST are read back."""

import numpy as np
import pytest

from skal.datasets import load_emnist, load_fashion_mnist, load_mnist

from ..conftest import read_idx
from .conftest import pixels, real_folder, write_idx, write_mnist


@pytest.mark.parametrize(("load", "name"), [(load_mnist, "MNIST"), (load_fashion_mnist, "FashionMNIST")])
def test_mnist(home, load, name):
    written = write_mnist(home, name)
    for split, part in {"train": "train", "test": "t10k"}.items():
        bunch = load(split=split)
        np.testing.assert_array_equal(bunch.data, written[part][0][:, np.newaxis])
        np.testing.assert_array_equal(bunch.target, written[part][1])
        assert (bunch.data.dtype, bunch.target.dtype) == (np.uint8, np.int64)
        assert bunch.data.flags.c_contiguous
        X, y = load(split=split, return_X_y=True)
        np.testing.assert_array_equal(X, bunch.data)
        np.testing.assert_array_equal(y, bunch.target)
    assert bunch.target_names.shape == (10,)
    assert bunch.target_names[9] == {"MNIST": "9", "FashionMNIST": "Ankle boot"}[name]


def test_emnist_is_upright(home):
    images, labels = pixels(6, 28, 28), np.array([1, 26, 2, 3, 4, 5])
    for split in ("train", "test"):
        stored = images.transpose(0, 2, 1) if split == "train" else 255 - images.transpose(0, 2, 1)
        write_idx(home / "EMNIST" / "raw" / f"emnist-letters-{split}-images-idx3-ubyte", stored)
        write_idx(home / "EMNIST" / "raw" / f"emnist-letters-{split}-labels-idx1-ubyte", labels)
    bunch = load_emnist("letters")
    np.testing.assert_array_equal(bunch.data[:, 0], images)
    assert "".join(bunch.target_names[bunch.target]) == "azbcde"
    np.testing.assert_array_equal(load_emnist("letters", split="test").data[:, 0], 255 - images)
    assert load_emnist("letters", subset=("b", "z")).target.tolist() == [26, 2]
    with pytest.raises(FileNotFoundError, match=r"emnist-digits-train.*EMNIST\(.*split='digits'"):
        load_emnist("digits")
    with pytest.raises(ValueError, match=r"variant='symbols'.*'byclass', 'bymerge'"):
        load_emnist("symbols")


@pytest.mark.parametrize(("load", "name"), [(load_mnist, "MNIST"), (load_fashion_mnist, "FashionMNIST")])
def test_real_mnist(load, name):
    folder = real_folder(name, "raw")
    for split, part, n in [("train", "train", 60_000), ("test", "t10k", 10_000)]:
        X, y = load(split=split, return_X_y=True)
        assert (X.shape, y.shape) == ((n, 1, 28, 28), (n,))
        np.testing.assert_array_equal(X[:, 0], read_idx(folder / f"{part}-images-idx3-ubyte"))
        np.testing.assert_array_equal(y, read_idx(folder / f"{part}-labels-idx1-ubyte"))


def test_real_mnist_digits():
    real_folder("MNIST", "raw")
    _, y = load_mnist(return_X_y=True)
    assert np.bincount(y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    X, y = load_mnist(subset=(5, 7), return_X_y=True)
    assert np.unique(y, return_counts=True)[1].tolist() == [5421, 6265]
    assert X.shape == (11_686, 1, 28, 28)
    pool, held_out = (
        load_mnist(subset=(5, 7), split=s, n_validation=10_000) for s in ("train", "validation")
    )
    assert len(pool.data) == 9681  # about 9.7k, as in ASAL
    assert len(held_out.data) == 11_686 - 9681
    np.testing.assert_array_equal(np.concatenate([pool.data, held_out.data]), X)


def test_real_fashion_mnist_classes():
    real_folder("FashionMNIST", "raw")
    bunch = load_fashion_mnist(subset=("Sandal", "Sneaker"))
    assert np.unique(bunch.target, return_counts=True)[1].tolist() == [6000, 6000]
    assert set(bunch.target_names[bunch.target]) == {"Sandal", "Sneaker"}
