"""STL-10 is read back, resized, and without labels."""

import numpy as np
import pytest
from PIL import Image

from skal.datasets import load_stl10

from .conftest import pixels


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
