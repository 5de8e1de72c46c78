"""LSUN is read back from folders and databases."""

import sys

import numpy as np
import pytest
from PIL import Image

from skal.datasets import load_lsun

from .conftest import pixels, write_folder, write_image


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
