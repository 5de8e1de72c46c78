"""Every loader reads back what the test wrote in the documented layout; then the real data, where they are."""

import errno
import functools
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from skal import datasets
from skal.datasets import (
    load_celeba,
    load_cifar10,
    load_cifar100,
    load_emnist,
    load_fashion_mnist,
    load_image_folder,
    load_lsun,
    load_mini_imagenet,
    load_mnist,
    load_stl10,
    load_svhn,
    load_tiny_imagenet,
)
from skal.utils._torchvision import import_torchvision

from .conftest import read_idx

RNG = np.random.default_rng(0)
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_mnist(home, name="MNIST", n_train=20, n_test=10):
    """Returns images and labels of both parts."""
    written = {}
    for part, n in {"train": n_train, "t10k": n_test}.items():
        images, labels = pixels(n, 28, 28), np.arange(n) % 10
        write_idx(home / name / "raw" / f"{part}-images-idx3-ubyte", images)
        write_idx(home / name / "raw" / f"{part}-labels-idx1-ubyte", labels)
        written[part] = images, labels
    return written


def write_image(path, image, **options):
    """An image (H, W) or (H, W, 3); lossless in any file that is no real JPEG, because decoders go by content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, **({"format": "PNG"} | options))


@pytest.fixture
def any_checksum(monkeypatch):
    """torchvision's own loaders, but for the check that the files are the published ones."""
    folder = import_torchvision().datasets.__name__
    for module in ("cifar", "svhn", "stl10", "celeba"):
        monkeypatch.setattr(f"{folder}.{module}.check_integrity", lambda path, md5=None: os.path.isfile(path))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data home of the test's own, named by the environment variable."""
    monkeypatch.setenv("SKAL_DATA", str(tmp_path))
    return tmp_path


# Whole data sets


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


def test_last_training_rows_are_the_validation_rows(home):
    images, labels = write_mnist(home)["train"]
    X, y = load_mnist(n_validation=6, return_X_y=True)
    np.testing.assert_array_equal(X[:, 0], images[:14])
    np.testing.assert_array_equal(y, labels[:14])
    X, y = load_mnist(split="validation", n_validation=6, return_X_y=True)
    np.testing.assert_array_equal(X[:, 0], images[14:])
    np.testing.assert_array_equal(y, labels[14:])
    assert len(load_mnist(split="test", n_validation=6).data) == 10


def test_subset_keeps_rows_of_its_classes_in_order(home):
    images, _ = write_mnist(home)["train"]  # labels 0 ... 9, 0 ... 9
    for subset in [(5, 7), (7, 5, 5), ("7", 5), np.array([5, 7]), iter([5, 7])]:
        X, y = load_mnist(subset=subset, return_X_y=True)
        np.testing.assert_array_equal(y, [5, 7, 5, 7])
        np.testing.assert_array_equal(X[:, 0], images[[5, 7, 15, 17]])
    X, y = load_mnist(subset=5, n_validation=8, return_X_y=True)
    np.testing.assert_array_equal(X[:, 0], images[[5]])
    assert load_mnist(subset="3", return_X_y=True)[1].tolist() == [3, 3]


@given(data=st.data())
def test_splits_of_a_subset_are_its_parts(tmp_path_factory, data):
    home = tmp_path_factory.mktemp("mnist")
    n = data.draw(st.integers(2, 40))
    written = write_mnist(home, n_train=n, n_test=1)
    n_validation = data.draw(st.integers(1, n - 1))
    images, labels = written["train"]
    in_both = sorted({*labels[:-n_validation]} & {*labels[-n_validation:]})
    assume(in_both)
    subset = data.draw(st.sets(st.sampled_from(in_both), min_size=1))
    options = {"subset": subset, "data_home": home, "return_X_y": True}
    parts = [load_mnist(split=s, n_validation=n_validation, **options) for s in ("train", "validation")]
    kept = np.isin(labels, list(subset))
    np.testing.assert_array_equal(np.concatenate([X for X, _ in parts])[:, 0], images[kept])
    np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), labels[kept])
    assert len(parts[1][1]) == kept[n - n_validation :].sum()


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


def test_svhn(home, any_checksum):
    (home / "SVHN").mkdir()
    for split in ("train", "test", "extra"):
        images = pixels(7, 3, 32, 32)
        y = np.array([10, 1, 2, 9, 10, 5, 5])
        content = {"X": images.transpose(2, 3, 1, 0), "y": y[:, np.newaxis].astype(np.uint8)}
        savemat(home / "SVHN" / f"{split}_32x32.mat", content)
        bunch = load_svhn(split=split)
        np.testing.assert_array_equal(bunch.data, images)
        np.testing.assert_array_equal(bunch.target, y % 10)
        assert bunch.data.flags.c_contiguous
        X, y = load_svhn(split=split, subset=(0, 5), return_X_y=True)
        np.testing.assert_array_equal(X, images[[0, 4, 5, 6]])
        assert y.tolist() == [0, 0, 5, 5]


def test_stl10(home, any_checksum):
    folder = home / "stl10_binary"
    folder.mkdir()
    images = {part: pixels(4, 3, 96, 96) for part in ("train", "test", "unlabeled")}
    labels = {"train": [1, 10, 3, 4], "test": [5, 5, 2, 1]}
    for part, array in images.items():  # columns first
        (folder / f"{part}_X.bin").write_bytes(array.transpose(0, 1, 3, 2).tobytes())
    for part, values in labels.items():
        (folder / f"{part}_y.bin").write_bytes(bytes(values))
    for part, values in labels.items():
        bunch = load_stl10(split=part)
        np.testing.assert_array_equal(bunch.data, images[part])
        np.testing.assert_array_equal(bunch.target, np.array(values) - 1)
    assert bunch.target_names[[0, 9]].tolist() == ["airplane", "truck"]
    X, y = load_stl10(split="unlabeled", return_X_y=True)
    np.testing.assert_array_equal(X, images["unlabeled"])
    assert y.tolist() == [-1] * 4
    X, y = load_stl10(split="train+unlabeled", image_size=32, return_X_y=True)
    resized = [
        np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize((32, 32), Image.Resampling.BICUBIC))
        for image in np.concatenate([images["train"], images["unlabeled"]])
    ]
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), resized)
    assert y.tolist() == [0, 9, 2, 3, -1, -1, -1, -1]
    assert load_stl10(split="train+unlabeled", subset="truck").target.tolist() == [9]
    with pytest.raises(ValueError, match="allowed are none: the rows have no labels"):
        load_stl10(split="unlabeled", subset="truck")


# Image files


def write_folder(root, classes=("ant", "bee"), n=3, shape=(6, 8, 3)):
    """Folders of PNG files; returns the images (class, file, H, W[, 3])."""
    images = pixels(len(classes), n, *shape)
    for name, group in zip(classes, images, strict=True):
        for i, image in enumerate(group):
            write_image(root / name / f"{i}.png", image)
    return images


def test_image_folder(home):
    images = write_folder(home / "zoo")
    for cache in (True, False, home / "elsewhere"):
        bunch = load_image_folder(home / "zoo", cache=cache)
        np.testing.assert_array_equal(bunch.data.transpose(0, 2, 3, 1), images.reshape(6, 6, 8, 3))
        assert bunch.target.tolist() == [0, 0, 0, 1, 1, 1]
        assert bunch.target_names.tolist() == ["ant", "bee"]
        assert isinstance(bunch.data, np.memmap) == (cache is not False)
        assert bunch.data.flags.writeable == (cache is False)
    assert len(list((home / "skal-cache").iterdir())) == len(list((home / "elsewhere").iterdir())) == 1
    X, y = load_image_folder(str(home / "zoo"), subset="bee", return_X_y=True)
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), images[1])
    assert y.tolist() == [1, 1, 1]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_modes_of_images(tmp_path, mode, channels):
    image = Image.fromarray(pixels(6, 8, 3)).convert(mode)
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "0.tiff")
    X = load_image_folder(tmp_path, channels=channels, cache=False).data
    expected = np.asarray(image.convert("RGB" if channels == 3 else "L")).reshape(6, 8, channels)
    np.testing.assert_array_equal(X[0].transpose(1, 2, 0), expected)


def test_jpeg_is_decoded_as_pillow_does(tmp_path):
    write_image(tmp_path / "a" / "deep" / "0.JPEG", pixels(32, 32, 3), format="JPEG", quality=75)
    write_image(tmp_path / "a" / "1.webp", pixels(32, 32, 3), format="WEBP")
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    X = load_image_folder(tmp_path, cache=False).data
    for image, path in zip(X, [tmp_path / "a" / "1.webp", tmp_path / "a" / "deep" / "0.JPEG"], strict=True):
        np.testing.assert_array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(path).convert("RGB")))


def test_images_are_cut_about_their_centre(tmp_path):
    wide, tall = pixels(6, 10), pixels(12, 6)
    write_image(tmp_path / "a" / "0.png", wide)
    write_image(tmp_path / "a" / "1.png", tall)
    load = functools.partial(load_image_folder, tmp_path, channels=1, cache=False)
    X = load(image_size=6).data
    np.testing.assert_array_equal(X[:, 0], [wide[:, 2:8], tall[3:9]])
    np.testing.assert_array_equal(load(image_size=(12, 6)).data[1, 0], tall)
    bicubic = {"size": (4, 2), "resample": Image.Resampling.BICUBIC}  # width, height
    expected = [
        Image.fromarray(wide).resize(box=(0, 0.5, 10, 5.5), **bicubic),
        Image.fromarray(tall).resize(box=(0, 4.5, 6, 7.5), **bicubic),
    ]
    np.testing.assert_array_equal(load(image_size=(np.int64(2), 4)).data[:, 0], expected)


@pytest.mark.parametrize("n_jobs", [None, 3, -1])
@pytest.mark.parametrize("cache", [True, False])
def test_blocks_and_threads_keep_the_order(home, monkeypatch, n_jobs, cache):
    images = write_folder(home / "zoo", classes="abc", n=5)
    monkeypatch.setattr(datasets, "_BLOCK_BYTES", 2 * images[0, 0].nbytes)
    X = load_image_folder(home / "zoo", n_jobs=n_jobs, cache=cache).data
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), images.reshape(15, 6, 8, 3))


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_images_of_several_sizes(tmp_path, monkeypatch, n_jobs):
    write_folder(tmp_path, n=5)
    monkeypatch.setattr(datasets, "_BLOCK_BYTES", 1)
    write_image(tmp_path / "ant" / "3.png", pixels(5, 8, 3))
    write_image(tmp_path / "bee" / "0.png", pixels(4, 4, 3))
    with pytest.raises(ValueError, match=r"ant.0\.png has 6x8 and .*ant.3\.png has 5x8; .*image_size"):
        load_image_folder(tmp_path, cache=False, n_jobs=n_jobs)


@pytest.mark.parametrize("damage", ["text", "truncated JPEG", "truncated PNG", "16 bits", "empty"])
def test_damaged_image(home, damage):
    write_folder(home / "zoo")
    path = home / "zoo" / "bee" / "1.png"
    if damage == "16 bits":
        Image.fromarray(np.full((6, 8), 1000, dtype=np.uint16)).save(path)
    else:
        big = pixels(64, 64, 3)
        write_image(path, big, format="JPEG" if "JPEG" in damage else "PNG")
        content = path.read_bytes()
        path.write_bytes({"text": b"no image", "empty": b""}.get(damage, content[: len(content) // 2]))
    with pytest.raises(ValueError, match=r"bee.1\.png cannot be decoded \(.*replace or remove"):
        load_image_folder(home / "zoo", image_size=4)
    assert not list((home / "skal-cache").iterdir())  # nothing half-written


def test_image_folder_without_images(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is no folder; give one"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"has no folders; it must have a folder of images for each class"
    ):
        load_image_folder(tmp_path)
    write_folder(tmp_path)
    (tmp_path / "cow").mkdir()
    with pytest.raises(FileNotFoundError, match=r"lacks images.*class.* cow"):
        load_image_folder(tmp_path)


def not_called(*args):
    raise AssertionError("an image was decoded")


def test_images_are_decoded_once(home, monkeypatch):
    write_folder(home / "zoo")
    first = load_image_folder(home / "zoo").data
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "_pixels", not_called)
        np.testing.assert_array_equal(load_image_folder(home / "zoo").data, first)
    for options in ({"image_size": 4}, {"channels": 1}, {"subset": 0}):
        load_image_folder(home / "zoo", **options)
    assert len(list((home / "skal-cache").iterdir())) == 4


@pytest.mark.parametrize("change", ["content", "time", "another file", "a file less", "another name"])
def test_changed_images_are_decoded_again(home, change):
    images = write_folder(home / "zoo")[0]
    load_image_folder(home / "zoo")
    folder = home / "zoo" / "ant"
    expected = [*images]
    if change in ("content", "time"):
        expected[1] = pixels(6, 8, 3)
        size, time = (folder / "1.png").stat().st_size, (folder / "1.png").stat().st_mtime_ns
        write_image(folder / "1.png", expected[1])
        if change == "content":  # another size, the same time
            with (folder / "1.png").open("ab") as file:
                file.write(b"\0" * (size + 1))
            os.utime(folder / "1.png", ns=(time, time))
        else:
            os.utime(folder / "1.png", ns=(time, time + 1))
    elif change == "another file":
        expected.append(pixels(6, 8, 3))
        write_image(folder / "9.png", expected[-1])
    elif change == "a file less":
        (folder / "0.png").unlink()
        del expected[0]
    else:
        (folder / "0.png").rename(folder / "7.png")
        expected = [*images[1:], images[0]]
    X, y = load_image_folder(home / "zoo", return_X_y=True)
    np.testing.assert_array_equal(X[y == 0].transpose(0, 2, 3, 1), expected)
    assert len(list((home / "skal-cache").iterdir())) == 1  # the old one is gone


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", "half", "one image less"])
def test_damaged_cache_is_replaced(home, damage):
    images = write_folder(home / "zoo").reshape(6, 6, 8, 3)
    load_image_folder(home / "zoo")
    (file,) = (home / "skal-cache").iterdir()
    if damage == "half":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "one image less":
        np.save(file, np.zeros((5, 3, 6, 8), dtype=np.uint8))
    else:
        file.write_bytes(damage)
    X = load_image_folder(home / "zoo").data
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), images)


@pytest.mark.parametrize("moment", ["decoding", "renaming"])
def test_interrupted_decoding_leaves_nothing(home, monkeypatch, moment):
    write_folder(home / "zoo")
    decode, decoded = datasets._pixels, []

    def interrupt(*args):
        raise KeyboardInterrupt

    def interrupt_fourth(*args):
        decoded.append(args)
        return decode(*args) if len(decoded) < 4 else interrupt()

    with monkeypatch.context() as patch:
        if moment == "decoding":
            patch.setattr(datasets, "_pixels", interrupt_fourth)
        else:
            patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load_image_folder(home / "zoo")
    assert not list((home / "skal-cache").iterdir())
    assert len(load_image_folder(home / "zoo").data) == 6


def test_cache_that_cannot_be_written(home, monkeypatch):
    write_folder(home / "zoo")
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr(os, "fsync", mock.Mock(side_effect=full))
        with pytest.raises(OSError, match=r"cannot be kept in .*skal-cache .*No space left.*cache=False"):
            load_image_folder(home / "zoo")
    assert not list((home / "skal-cache").iterdir())
    (home / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot be kept in .*file.cache .*cache=False"):
        load_image_folder(home / "zoo", cache=home / "file" / "cache")


def test_folders_of_one_name_do_not_share_a_cache(home):
    for parent in "ab":
        images = write_folder(home / parent / "zoo").reshape(6, 6, 8, 3)
        X = load_image_folder(home / parent / "zoo").data
        np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), images)
    assert len(list((home / "skal-cache").iterdir())) == 2


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


def write_celeba(home, n=6):
    folder = home / "celeba"
    images = pixels(n, 218, 178, 3)
    names = [f"{i + 1:06}.jpg" for i in range(n)]
    for name, image in zip(names, images, strict=True):
        write_image(folder / "img_align_celeba" / name, image)
    smiling = [1, -1, 1, 1, -1, 1]
    partition = [0, 0, 1, 2, 1, 2]
    rows = [f"{name}  {'-1' if s == 1 else ' 1'} {s:2}" for name, s in zip(names, smiling, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([f"{n}", "Bangs Smiling ", *rows, ""]))
    rows = [f"{name} {part}" for name, part in zip(names, partition, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join([*rows, ""]))
    (folder / "identity_CelebA.txt").write_text("\n".join([f"{name} 7" for name in names]))
    for name, columns in {"list_bbox_celeba": 4, "list_landmarks_align_celeba": 10}.items():
        rows = [f"{name} " + " ".join(["1"] * columns) for name in names]
        (folder / f"{name}.txt").write_text("\n".join([f"{n}", " ".join("x" * columns), *rows]))
    return images


def test_celeba(home, any_checksum):
    images = write_celeba(home)
    for split, rows in {"train": [0, 1], "validation": [2, 4], "test": [3, 5], "all": range(6)}.items():
        bunch = load_celeba("Smiling", split=split, image_size=None)
        np.testing.assert_array_equal(bunch.data.transpose(0, 2, 3, 1), images[list(rows)])
        np.testing.assert_array_equal(bunch.target, np.array([1, 0, 1, 1, 0, 1])[list(rows)])
        assert bunch.target_names.tolist() == ["not Smiling", "Smiling"]
    X, y = load_celeba("Bangs", return_X_y=True)
    assert y.tolist() == [0, 1]
    bicubic = {"resample": Image.Resampling.BICUBIC, "box": (0, 20, 178, 198)}
    squares = [Image.fromarray(image).resize((64, 64), **bicubic) for image in images[:2]]
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), squares)
    assert len(list((home / "skal-cache").glob("CelebA-train-*"))) == 2  # two sizes, whatever the attribute
    with pytest.raises(ValueError, match=r"attribute='Beard'.*'Bangs', 'Smiling'"):
        load_celeba("Beard")
    (home / "celeba" / "img_align_celeba" / "000002.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"CelebA lists .*000002\.jpg, which is not there"):
        load_celeba("Smiling")


def test_lsun_folders(home):
    images = {name: write_folder(home / "lsun", [f"{name}_train"], n=2)[0] for name in ("bridge", "tower")}
    bunch = load_lsun(subset=("tower", "bridge"), image_size=None)
    np.testing.assert_array_equal(bunch.data.transpose(0, 2, 3, 1), [*images["bridge"], *images["tower"]])
    assert bunch.target.tolist() == [1, 1, 9, 9]
    assert bunch.target_names[[0, 2, 9]].tolist() == ["bedroom", "church_outdoor", "tower"]
    assert load_lsun(subset=1).data.shape == (2, 3, 64, 64)
    with pytest.raises(FileNotFoundError, match=r"no lsun/bedroom_train or lsun/bedroom_train_lmdb\."):
        load_lsun()
    with pytest.raises(FileNotFoundError, match=r"no lsun/tower_val or"):
        load_lsun(split="validation", subset="tower")
    with pytest.raises(ValueError, match=r"no class 'garden'; allowed are 0 \('bedroom'\), 1 "):
        load_lsun(subset="garden")


def test_lsun_database(home):
    lmdb = pytest.importorskip("lmdb", reason="reading LSUN's databases needs lmdb")
    images = pixels(5, 12, 8, 3)
    folder = home / "lsun" / "kitchen_val_lmdb"
    folder.mkdir(parents=True)
    with lmdb.open(str(folder)) as database, database.begin(write=True) as transaction:
        for i, image in enumerate(images):
            write_image(home / "image", image)
            transaction.put(f"{i}".encode(), (home / "image").read_bytes())
    write_folder(home / "lsun", ["tower_val"], n=1)
    for cache in (True, False):
        X, y = load_lsun(
            split="validation", subset=("kitchen", "tower"), cache=cache, n_jobs=2, return_X_y=True
        )
        bicubic = {"resample": Image.Resampling.BICUBIC, "box": (0, 2, 8, 10)}
        squares = [Image.fromarray(image).resize((64, 64), **bicubic) for image in images]
        np.testing.assert_array_equal(X[:5].transpose(0, 2, 3, 1), squares)
        assert y.tolist() == [6] * 5 + [9]
    with lmdb.open(str(folder)) as database, database.begin(write=True) as transaction:
        transaction.put(b"3", b"no image")
    with pytest.raises(ValueError, match=r"data\.mdb, key b'3' cannot be decoded"):
        load_lsun(split="validation", subset="kitchen")
    (folder / "data.mdb").write_bytes(b"no database")
    with pytest.raises(ValueError, match=r"kitchen_val_lmdb is damaged"):
        load_lsun(split="validation", subset="kitchen")


def test_lsun_database_without_lmdb(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    (home / "lsun" / "kitchen_val_lmdb").mkdir(parents=True)
    with pytest.raises(ImportError, match=r"pip install lmdb.*folder kitchen_val "):
        load_lsun(split="validation", subset="kitchen")


@pytest.mark.parametrize("layout", ["folders", "lists"])
def test_mini_imagenet(home, layout):
    root = home / "mini-imagenet"
    classes = {"train": ["n03", "n01"], "val": ["n04"], "test": ["n02"]}
    images = {name: pixels(2, 84, 84, 3) for names in classes.values() for name in names}
    for part, names in classes.items():
        lines = ["filename,label"]
        for name in names:
            for i, image in enumerate(images[name]):
                file = f"{name}0000{i}.jpg"
                write_image(
                    root / part / name / file if layout == "folders" else root / "images" / file, image
                )
                lines.append(f"{file},{name}")
        if layout == "lists":
            (root / f"{part}.csv").write_text("\n".join(lines))
    bunch = load_mini_imagenet()
    assert bunch.target_names.tolist() == ["n01", "n02", "n03", "n04"]
    assert sorted(bunch.target.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    for image, number, i in zip(bunch.data, bunch.target, [0, 1] * 4, strict=True):
        np.testing.assert_array_equal(image.transpose(1, 2, 0), images[f"n0{number + 1}"][i])
    for split, numbers in {"train": {0, 2}, "validation": {3}, "test": {1}}.items():
        assert set(load_mini_imagenet(split=split).target.tolist()) == numbers
    assert load_mini_imagenet(subset=("n02", 3), image_size=8).target.tolist() == [3, 3, 1, 1]
    with pytest.raises(
        ValueError, match=r"split 'test' of Mini-ImageNet has no class 'n01'; allowed are 1 \('n02'\)$"
    ):
        load_mini_imagenet(split="test", subset="n01")


def test_mini_imagenet_with_a_part_missing_or_damaged(home):
    for part in ("train", "val"):
        write_folder(home / "mini-imagenet" / part, [part])
    with pytest.raises(FileNotFoundError, match=r"no mini-imagenet/test or mini-imagenet/test\.csv\. "):
        load_mini_imagenet(split="train")
    for text in ("", "file,class\n0.jpg,n01\n", "filename,label\n0.jpg\n"):
        (home / "mini-imagenet" / "test.csv").write_text(text)
        with pytest.raises(ValueError, match=r"test\.csv is damaged: it needs columns filename and label"):
            load_mini_imagenet()


def test_tiny_imagenet(home):
    root = home / "tiny-imagenet-200"
    classes = ["n01", "n02", "n03"]
    train = pixels(3, 2, 64, 64, 3)
    for name, group in zip(classes, train, strict=True):
        for i, image in enumerate(group):
            write_image(root / "train" / name / "images" / f"{name}_{i}.JPEG", image)
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
    val = pixels(4, 64, 64, 3)
    labels = [2, 0, 2, 1]
    for i, image in enumerate(val):
        write_image(root / "val" / "images" / f"val_{i}.JPEG", image)
    lines = [f"val_{i}.JPEG\t{classes[label]}\t0\t0\t62\t63\n" for i, label in enumerate(labels)]
    (root / "val" / "val_annotations.txt").write_text("".join(lines))

    bunch = load_tiny_imagenet()
    np.testing.assert_array_equal(bunch.data.transpose(0, 2, 3, 1), train.reshape(6, 64, 64, 3))
    assert bunch.target.tolist() == [0, 0, 1, 1, 2, 2]
    assert bunch.target_names.tolist() == classes
    X, y = load_tiny_imagenet(split="validation", return_X_y=True)
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), val)
    assert y.tolist() == labels
    X, y = load_tiny_imagenet(split="validation", subset=("n01", "n02"), image_size=32, return_X_y=True)
    assert (X.shape, y.tolist()) == ((2, 3, 32, 32), [0, 1])
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG n01\n")
    with pytest.raises(ValueError, match=r"val_annotations\.txt is damaged"):
        load_tiny_imagenet(split="validation")


# What may go wrong

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


def test_cifar10_names_both_layouts(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"cifar-10-batches-py/data_batch_1.*cifar10-images/\{train,test\}"
    ):
        load_cifar10(data_home=tmp_path)


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


def test_image_folder_arguments(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(ValueError, match=r"channels=4 was given; allowed are 1"):
        load_image_folder(tmp_path, channels=4)
    with pytest.raises(ValueError, match=r"no class 'cow'; allowed are 0 \('ant'\), 1 \('bee'\)"):
        load_image_folder(tmp_path, subset="cow")
    with pytest.raises(ValueError, match=r"n_jobs == 0"):
        load_image_folder(tmp_path, n_jobs=0, cache=False)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "fewer labels", "label 10", "wrong rank"])
def test_damaged_files(home, damage):
    write_mnist(home)
    images, labels = (
        home / "MNIST" / "raw" / f"train-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")
    )
    if damage == "fewer labels":
        write_idx(labels, np.arange(10))
    elif damage == "label 10":
        write_idx(labels, np.arange(20) % 11)
    elif damage == "wrong rank":
        write_idx(images, pixels(20, 28))
    else:
        content = {"truncated": images.read_bytes()[:-100], "text": b"no images", "empty": b""}
        images.write_bytes(content[damage])
    with pytest.raises(
        ValueError, match=r"the files of MNIST in .* are damaged \(.*get them again with torchvision"
    ):
        load_mnist()


def test_memory_error_is_no_damage(home, monkeypatch):
    write_mnist(home)

    def too_large(*args):
        raise MemoryError

    monkeypatch.setattr("torchvision.datasets.mnist.read_image_file", too_large)
    with pytest.raises(MemoryError):
        load_mnist()


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


# torchvision

IMPORT_TWICE = """
import sys
import skal.datasets
from skal.utils._torchvision import import_torchvision
assert not {"torchvision", "PIL"} & {*sys.modules}
try:
    import torchvision  # where its operators cannot load, this fails and leaves parts behind
except RuntimeError:
    pass
datasets = import_torchvision().datasets
assert datasets is import_torchvision().datasets is sys.modules["torchvision.datasets"]
import torchvision.models, torchvision.transforms
assert torchvision.datasets is datasets
"""


def test_torchvision_is_imported_late_and_everywhere():
    subprocess.run([sys.executable, "-W", "error", "-c", IMPORT_TWICE], check=True)


@pytest.mark.parametrize("error", [RuntimeError, ImportError])
def test_other_failures_of_torchvision_are_shown(monkeypatch, error):
    class Broken:
        def find_spec(self, name, *args):
            if name.startswith("torchvision"):
                raise error("broken")

    import_torchvision()  # now the operators are known
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(error, match="broken"):
        import_torchvision()


# Real data


def real_folder(*parts):
    folder = Path(os.environ.get("SKAL_DATA", ""), *parts)
    if "SKAL_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"SKAL_DATA names no folder with {'/'.join(parts)}")
    return folder


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
