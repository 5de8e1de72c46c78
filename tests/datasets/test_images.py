"""Image files are decoded once, completely, and again when they change."""

import errno
import os
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import skal.datasets.images
from skal.datasets import load_image_folder

from .conftest import pixels, write_folder, write_image


@pytest.mark.parametrize("n_jobs", [None, 3, -1])
@pytest.mark.parametrize("cache", [True, False])
def test_blocks_and_threads_keep_the_order(home, monkeypatch, n_jobs, cache):
    images = write_folder(home / "zoo", classes="abc", n=5)
    monkeypatch.setattr("skal.datasets.images._BLOCK_BYTES", 2 * images[0, 0].nbytes)
    X = load_image_folder(home / "zoo", n_jobs=n_jobs, cache=cache).data
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), images.reshape(15, 6, 8, 3))


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_images_of_several_sizes(tmp_path, monkeypatch, n_jobs):
    write_folder(tmp_path, n=5)
    monkeypatch.setattr("skal.datasets.images._BLOCK_BYTES", 1)
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


def not_called(*args):
    raise AssertionError("an image was decoded")


def test_images_are_decoded_once(home, monkeypatch):
    write_folder(home / "zoo")
    first = load_image_folder(home / "zoo").data
    with monkeypatch.context() as patch:
        patch.setattr("skal.datasets.images.pixels", not_called)
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
    decode, decoded = skal.datasets.images.pixels, []

    def interrupt(*args):
        raise KeyboardInterrupt

    def interrupt_fourth(*args):
        decoded.append(args)
        return decode(*args) if len(decoded) < 4 else interrupt()

    with monkeypatch.context() as patch:
        if moment == "decoding":
            patch.setattr("skal.datasets.images.pixels", interrupt_fourth)
        else:
            patch.setattr("os.replace", interrupt)
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
