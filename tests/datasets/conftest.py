"""Data sets of a few random images, written in the documented layouts."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skal.utils.torchvision import import_torchvision

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


def write_folder(root, classes=("ant", "bee"), n=3, shape=(6, 8, 3)):
    """Folders of PNG files; returns the images (class, file, H, W[, 3])."""
    images = pixels(len(classes), n, *shape)
    for name, group in zip(classes, images, strict=True):
        for i, image in enumerate(group):
            write_image(root / name / f"{i}.png", image)
    return images


@pytest.fixture
def any_checksum(monkeypatch):
    """torchvision's own loaders, except for the check that the files are the published ones."""
    folder = import_torchvision().datasets.__name__
    for module in ("cifar", "svhn", "stl10", "celeba"):
        monkeypatch.setattr(f"{folder}.{module}.check_integrity", lambda path, md5=None: os.path.isfile(path))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data home of the test's own, named by the environment variable."""
    monkeypatch.setenv("SKAL_DATA", str(tmp_path))
    return tmp_path


def real_folder(*parts):
    folder = Path(os.environ.get("SKAL_DATA", ""), *parts)
    if "SKAL_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"SKAL_DATA names no folder with {'/'.join(parts)}")
    return folder
