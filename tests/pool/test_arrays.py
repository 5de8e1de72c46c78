"""Pools of arrays, and of arrays that are mapped from a file."""

import os
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skal.pool import as_pool

X = np.arange(60.0).reshape(20, 3)


@pytest.fixture
def mapped(tmp_path):
    file = np.memmap(tmp_path / "pool.dat", dtype=X.dtype, mode="w+", shape=X.shape)
    file[:] = X
    file.flush()
    return lambda mode="r", **params: np.memmap(
        tmp_path / "pool.dat", dtype=X.dtype, mode=mode, **{"shape": X.shape, **params}
    )


def test_rows_are_views_where_that_is_possible():
    pool = as_pool(X)
    assert (len(pool), pool.row_shape, pool.row_bytes) == (20, (3,), 24)
    assert np.shares_memory(pool.take(slice(2, 5)), X)
    assert_array_equal(pool.take(np.array([7, 2])), X[[7, 2]])
    assert np.shares_memory(pool.dense(), X)
    assert as_pool(X.astype(np.float32)).row_bytes == 12
    assert as_pool(np.zeros((4, 0))).row_bytes == 1


def test_like_and_stack():
    pool = as_pool(X.astype(np.float32).reshape(20, 1, 3))
    like = pool.like(np.ones((2, 3)))
    assert like.shape == (2, 1, 3)
    assert like.dtype == np.float32
    assert_array_equal(pool.stack([like, np.ones((1, 3))])[19:, 0], [X[19], *np.ones((3, 3))])
    like = as_pool(np.zeros((2, 3), dtype=np.uint8)).like(np.array([[-3.0, 1.6, 300.0]]))
    assert like.dtype == np.uint8
    assert_array_equal(like, [[0, 2, 255]])


@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("part", [slice(None), slice(4, 9), slice(19, 20)], ids=str)
def test_a_mapped_pool_pickles_as_the_name_of_its_file(mapped, mode, part):
    pool = as_pool(mapped(mode)[part])
    data = pickle.dumps(pool)
    assert len(data) < 600
    copy = pickle.loads(data)
    assert isinstance(copy.X, np.memmap)
    assert copy.X.mode == mode
    assert_array_equal(copy.X, X[part])


def test_an_offset_in_the_file_is_kept(mapped):
    pool = as_pool(mapped(offset=24 * 5, shape=(15, 3)))
    assert_array_equal(pickle.loads(pickle.dumps(pool)).X, X[5:])
    assert_array_equal(pickle.loads(pickle.dumps(as_pool(pool.X[2:4]))).X, X[7:9])


def test_columns_that_lie_one_after_another_in_the_file_pickle_by_name(mapped):
    pool = as_pool(mapped(order="F"))
    data = pickle.dumps(pool)
    assert len(data) < 600
    assert_array_equal(pickle.loads(data).X, X.ravel().reshape(20, 3, order="F"))
    assert pool.storage != as_pool(mapped()).storage


@pytest.mark.parametrize(
    "change",
    [
        lambda mapped: mapped("c"),
        lambda mapped: mapped()[[3, 1]],
        lambda mapped: mapped() + 1,
        lambda mapped: mapped()[:0],
    ],
    ids=["copy on write", "some rows", "computed", "none"],
)
def test_what_the_file_does_not_hold_pickles_by_value(mapped, change):
    part = change(mapped)
    if getattr(part, "mode", None) == "c":
        part[0] = -1
    copy = pickle.loads(pickle.dumps(as_pool(part)))
    assert_array_equal(copy.X, part)


def test_a_file_that_is_gone_pickles_by_value(mapped, tmp_path):
    part = mapped()
    os.remove(tmp_path / "pool.dat")
    pool = as_pool(part)
    assert pool.storage is None
    assert_array_equal(pickle.loads(pickle.dumps(pool)).X, X)


def test_the_same_file_is_the_same_pool_unread(mapped, monkeypatch):
    pool = as_pool(mapped())
    pool.watch(100)

    def unread(*_):
        raise AssertionError("rows were read")

    monkeypatch.setattr("skal.pool.arrays.checksum", unread)
    monkeypatch.setattr("skal.pool.base.same_values", unread)
    assert pool.same_as(as_pool(mapped()))
    assert pool.is_unchanged()
    with pytest.raises(AssertionError, match="read"):
        pool.same_as(as_pool(X.copy()))


def test_the_same_object_is_the_same_pool_unread(monkeypatch):
    monkeypatch.setattr("skal.pool.base.same_values", None)
    assert as_pool(X).same_as(as_pool(X))


def test_objects_and_complex_numbers_may_be_missing_or_infinite():
    assert as_pool(np.array([[1, np.nan]], dtype=object)).flaw == "NaN"
    assert as_pool(np.array([[1, "x"]], dtype=object)).flaw is None
    assert as_pool(np.array([[1, np.inf * 1j]])).flaw is not None
    assert as_pool(np.array([[1, 2j]])).is_finite


def test_other_parts_of_the_file_are_other_pools(mapped):
    pool = as_pool(mapped()[:10])
    assert not pool.same_as(as_pool(mapped()[10:]))
    assert pool.same_as(as_pool(mapped()[:10]))
    assert pool.same_as(as_pool(X[:10]))


def test_a_file_that_was_written_to_is_noticed(mapped, tmp_path):
    pool = as_pool(mapped())
    pool.watch(1 << 20)
    writer = mapped("r+")
    writer[3] = -1
    writer.flush()
    os.utime(tmp_path / "pool.dat", ns=(0, 12345))
    assert not pool.is_unchanged()


def test_a_copied_file_is_known_by_its_content(mapped, tmp_path):
    pool = as_pool(mapped())
    pool.watch(1 << 20)
    os.utime(tmp_path / "pool.dat", ns=(0, 12345))
    assert pool.is_unchanged()


def test_what_this_process_may_write_has_no_storage(mapped):
    assert as_pool(mapped("r+")).storage is None
    assert as_pool(X).storage is None
    assert as_pool(mapped()).storage is not None


def test_numbers_too_large_for_the_pool_do_not_become_infinite():
    pool = as_pool(np.zeros((2, 2), np.float16))
    with pytest.raises(ValueError, match="do not fit the float16 of the pool"):
        pool.matching(as_pool([[1e6, 0.0]]))
    assert pool.matching(as_pool([[np.inf, 0.1]])).X.dtype == np.float16


def test_another_file_of_the_same_name_is_another_pool(mapped, tmp_path):
    pool = as_pool(mapped())
    pool.watch(1 << 20)
    (X + 1).tofile(tmp_path / "new.dat")
    os.replace(tmp_path / "new.dat", tmp_path / "pool.dat")
    assert not pool.same_as(as_pool(mapped()))
    assert pool.is_unchanged()  # it reads the old one
    copy = pickle.loads(pickle.dumps(pool))  # by value: the name is another file's
    assert_array_equal(copy.X, X)
    assert copy.is_unchanged()


def test_the_same_memory_is_not_compared(monkeypatch):
    monkeypatch.setattr("skal.pool.base.same_values", None)
    assert as_pool(X[:]).same_as(as_pool(X[:]))
