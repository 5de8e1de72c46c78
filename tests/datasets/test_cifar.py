"""CIFAR-10 and CIFAR-100 are read back, from both layouts."""

import pickle

import numpy as np
import pytest
from PIL import Image

from skal.datasets import load_cifar10, load_cifar100

from .conftest import CIFAR10, RNG, pixels, real_folder, write_image


class Python2Pickler(pickle.Pickler):
    """Pickles dtypes as numpy did under Python 2, when CIFAR was made: with 0 and 1 for False and True."""

    def reducer_override(self, value):
        if isinstance(value, np.dtype):
            function, (name, *_), *rest = value.__reduce__()
            return (function, (name, 0, 1), *rest)
        return NotImplemented


def write_pickle(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(content)


def write_cifar10(home):
    folder = home / "cifar-10-batches-py"
    images = pixels(6, 4, 3, 32, 32)  # file, row, red green blue
    labels = RNG.integers(0, 10, (6, 4))
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        write_pickle(folder / name, {"data": images[i].reshape(4, -1), "labels": labels[i].tolist()})
    write_pickle(folder / "batches.meta", {"label_names": CIFAR10})
    return images, labels


def test_cifar10(home, any_checksum):
    images, labels = write_cifar10(home)
    bunch = load_cifar10()
    np.testing.assert_array_equal(bunch.data, images[:5].reshape(20, 3, 32, 32))
    np.testing.assert_array_equal(bunch.target, labels[:5].ravel())
    assert bunch.target_names.tolist() == CIFAR10
    X, y = load_cifar10(split="test", return_X_y=True)
    np.testing.assert_array_equal(X, images[5])
    np.testing.assert_array_equal(y, labels[5])


def test_published_checksums_are_checked(home):
    write_cifar10(home)
    with pytest.raises(
        ValueError, match=r"CIFAR10 in .* damaged .*CIFAR10\('.*', train=True, download=True\)"
    ):
        load_cifar10()


def test_cifar100(home, any_checksum):
    folder = home / "cifar-100-python"
    images, labels = pixels(2, 5, 3, 32, 32), np.array([[0, 99, 3, 3, 1], [5, 6, 7, 8, 9]])
    for i, name in enumerate(["train", "test"]):
        content = {
            "data": images[i].reshape(5, -1),
            "fine_labels": labels[i].tolist(),
            "coarse_labels": [0] * 5,
        }
        write_pickle(folder / name, content)
    write_pickle(folder / "meta", {"fine_label_names": [f"class {i}" for i in range(100)]})
    for i, split in enumerate(["train", "test"]):
        bunch = load_cifar100(split=split)
        np.testing.assert_array_equal(bunch.data, images[i])
        np.testing.assert_array_equal(bunch.target, labels[i])
    assert bunch.target_names[99] == "class 99"
    assert load_cifar100(subset="class 3").target.tolist() == [3, 3]
    with pytest.raises(ValueError, match=r"no class 'class 42'.*0 \('class 0'\)"):
        load_cifar100(subset=["class 42"])


def test_cifar10_as_image_files(home):
    images = pixels(10, 3, 32, 32, 3)
    for number, name in enumerate(CIFAR10):
        for i, image in enumerate(images[number]):
            write_image(home / "cifar10-images" / "train" / name / f"{i:04}.jpg", image)
    bunch = load_cifar10()
    assert bunch.target.tolist() == [*range(10)] * 3  # the classes take turns
    np.testing.assert_array_equal(
        bunch.data.transpose(0, 2, 3, 1), images.transpose(1, 0, 2, 3, 4).reshape(30, 32, 32, 3)
    )
    assert bunch.target_names.tolist() == CIFAR10
    held_out = load_cifar10(split="validation", n_validation=12, subset=("horse", "automobile"))
    assert held_out.target.tolist() == [1, 7]
    np.testing.assert_array_equal(held_out.data.transpose(0, 2, 3, 1), images[[1, 7], 2])
    assert len(load_cifar10(n_validation=12).data) == 18
    with pytest.raises(FileNotFoundError, match=r"test lacks images"):
        load_cifar10(split="test")


def test_cifar10_names_both_layouts(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"cifar-10-batches-py/data_batch_1.*cifar10-images/\{train,test\}"
    ):
        load_cifar10(data_home=tmp_path)


def test_real_cifar10(tmp_path):
    folder = real_folder("cifar10-images", "test")
    if real_folder().joinpath("cifar-10-batches-py").is_dir():
        pytest.skip("SKAL_DATA has torchvision's CIFAR-10")
    files = {name: sorted((folder / name).iterdir()) for name in CIFAR10}
    counts = [len(files[name]) for name in ("automobile", "horse")]
    X, y = load_cifar10(
        split="test", subset=("automobile", "horse"), cache=tmp_path, n_jobs=2, return_X_y=True
    )
    assert X.shape == (sum(counts), 3, 32, 32)
    assert [(y == number).sum() for number in (1, 7)] == counts
    for name, number in {"automobile": 1, "horse": 7}.items():
        for i in (0, 5, -1):
            decoded = np.asarray(Image.open(files[name][i]).convert("RGB"))
            np.testing.assert_array_equal(X[y == number][i].transpose(1, 2, 0), decoded)
