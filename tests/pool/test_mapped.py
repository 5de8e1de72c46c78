"""Pools that are mapped from a file pickle as their place in it, and are checked when they come back."""

import copy
import os
import pickle
import shutil

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skal.pool import as_pool

X = np.arange(60.0).reshape(20, 3)
VIEWS = {
    "some columns": lambda rows: rows[:, 1:],
    "every other row": lambda rows: rows[1::2],
    "backwards": lambda rows: rows[::-1, ::-1],
    "transposed": lambda rows: rows[:3].T,
    "images": lambda rows: rows.reshape(5, 3, 4),
    "a plain array": np.asarray,
    "a view of a plain array": lambda rows: np.asarray(rows)[4:, :2],
    "other numbers": lambda rows: rows.view(np.uint8),
    "the same row again": lambda rows: np.broadcast_to(rows[3], (7, 3)),
    "a row": lambda rows: rows[-1:],
}


@pytest.fixture
def file(tmp_path):
    np.concatenate([np.full(5, -1.0), X.ravel()]).tofile(tmp_path / "pool.dat")
    return tmp_path / "pool.dat"


def mapped(file, mode="r"):
    return np.memmap(file, np.float64, mode, offset=40, shape=X.shape)


@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("view", VIEWS)
def test_views_pickle_by_their_addresses(file, view, mode):
    pool = as_pool(VIEWS[view](mapped(file, mode)))
    pool.watch(1 << 20)
    data = pickle.dumps(pool)
    os.rename(file, file.with_name("moved.dat"))
    with pytest.raises(FileNotFoundError, match=r"pool\.dat.*put the file back"):
        pickle.loads(data)
    os.rename(file.with_name("moved.dat"), file)
    back = pickle.loads(data)
    assert_array_equal(back.X, VIEWS[view](X))
    assert back.X.dtype == pool.X.dtype
    assert back.X.flags.writeable == (mode == "r+")
    assert back.is_unchanged()
    assert back.same_as(pool)
    assert_array_equal(pickle.loads(pickle.dumps(back)).X, back.X)
    if mode == "r+":
        back.X[0, 0] += 1
        assert not back.is_unchanged()


def test_an_array_of_a_file_by_numpy_save_pickles_by_its_name(tmp_path):
    np.save(tmp_path / "rows.npy", np.asfortranarray(np.tile(X, (2000, 1))))
    pool = as_pool(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    assert len(pickle.dumps(pool)) < 1000
    assert_array_equal(pickle.loads(pickle.dumps(pool)).X, pool.X)


def replaced(file):
    np.concatenate([np.full(5, -1.0), X.ravel() + 1]).tofile(file.with_name("new"))
    os.replace(file.with_name("new"), file)


def changed(file):
    rows = mapped(file, "r+")
    rows[7] = -5
    rows.flush()
    os.utime(file, ns=(0, 12345))


def shrunk(file):
    os.truncate(file, 500)


@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (replaced, "holds other rows"),
        (changed, "holds other rows"),
        (shrunk, "has 500 bytes of the 520"),
    ],
)
def test_a_file_that_is_not_that_of_then_is_refused_by_name(file, change, error, mode):
    data = pickle.dumps(as_pool(mapped(file, mode)))
    change(file)
    size = os.path.getsize(file)
    with pytest.raises(ValueError, match=rf"pool\.dat.*{error}"):
        pickle.loads(data)
    assert os.path.getsize(file) == size  # numpy makes a short one longer


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_copy_of_the_file_and_a_longer_one_will_do(file, mode, monkeypatch):
    pool = as_pool(mapped(file, mode))
    pool.watch(1 << 20)
    data = pickle.dumps(pool)
    shutil.copy(file, file.with_name("copy"))
    os.replace(file.with_name("copy"), file)
    with open(file, "ab") as end:
        end.write(b"more")
    back = pickle.loads(data)
    assert back.is_unchanged()
    assert_array_equal(back.X, X)
    if mode == "r":  # known by the new file, which is not read again
        monkeypatch.setattr("skal.pool.arrays.checksum", None)
        assert back.is_unchanged()
        assert pickle.loads(pickle.dumps(back, 5)).is_unchanged()


def test_a_change_in_place_before_the_pickle_is_still_noticed_after_it(file):
    pool = as_pool(mapped(file, "r+"))
    pool.watch(1 << 20)
    pool.X[3] = 0
    assert not pickle.loads(pickle.dumps(pool)).is_unchanged()
    assert not copy.deepcopy(pool).is_unchanged()


def test_a_file_that_was_written_to_before_the_pickle_is_noticed_after_it(file):
    pool = as_pool(mapped(file))
    pool.watch(1 << 20)
    assert pickle.loads(pickle.dumps(pool)).is_unchanged()
    changed(file)
    back = pickle.loads(pickle.dumps(pool))
    assert_array_equal(back.X[7], np.full(3, -5))
    assert not back.is_unchanged()


def test_a_deep_copy_reads_the_same_file(file):
    back = copy.deepcopy(as_pool(mapped(file, "r+")))
    back.X[3] = 0
    assert_array_equal(mapped(file)[3], np.zeros(3))


def test_the_name_of_another_file_is_not_pickled(file):
    for mode in ("r", "r+"):
        pool = as_pool(mapped(file, mode))
        rows = np.array(pool.X)
        pool.watch(1 << 20)
        replaced(file)
        assert_array_equal(pickle.loads(pickle.dumps(pool)).X, rows)


def test_a_file_without_a_name_pickles_by_value(tmp_path):
    with open(tmp_path / "rows", "wb+", buffering=0) as stream:
        stream.write(X.tobytes())
        os.remove(tmp_path / "rows")
        rows = np.memmap(stream, np.float64, "r", shape=X.shape)
    assert_array_equal(pickle.loads(pickle.dumps(as_pool(rows))).X, X)
