"""CelebA is read back by attribute."""

import numpy as np
import pytest
from PIL import Image

from skal.datasets import load_celeba

from .conftest import pixels, write_image


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
