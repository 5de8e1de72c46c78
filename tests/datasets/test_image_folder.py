"""Image files are read back from a folder per class."""

import numpy as np
import pytest

from skal.datasets import load_image_folder

from .conftest import write_folder


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


def test_image_folder_arguments(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(ValueError, match=r"channels=4 was given; allowed are 1"):
        load_image_folder(tmp_path, channels=4)
    with pytest.raises(ValueError, match=r"no class 'cow'; allowed are 0 \('ant'\), 1 \('bee'\)"):
        load_image_folder(tmp_path, subset="cow")
    with pytest.raises(ValueError, match=r"n_jobs == 0"):
        load_image_folder(tmp_path, n_jobs=0, cache=False)
