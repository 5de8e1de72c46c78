"""What every kind of pool does: known again, changes noticed, scanned once."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from skal.pool import as_pool
from skal.pool.base import as_slice
from skal.pool.equality import same_values

X = np.random.default_rng(0).normal(size=(30, 4)) * (np.arange(30)[:, None] % 3 > 0)

KINDS = {
    "array": lambda X: X.copy(),
    "fortran": np.asfortranarray,
    "images": lambda X: X.reshape(len(X), 1, 2, -1).copy(),
    "csr": sparse.csr_array,
    "pandas": lambda X: pd.DataFrame(X.copy(), columns=list("abcd")),
    "polars": lambda X: pl.DataFrame(X.copy(), schema=list("abcd")),
}


def change(pool, row, column, value):
    if isinstance(pool, pd.DataFrame):
        pool.iloc[row, column] = value
    elif isinstance(pool, pl.DataFrame):
        pool[row, column] = value
    elif sparse.issparse(pool):
        pool.data[pool.indptr[row] + column] = value
    else:
        pool.reshape(len(pool), -1)[row, column] = value


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_are_the_same_pool(kind):
    pool = as_pool(KINDS[kind](X))
    assert pool.same_as(pool)
    assert pool.same_as(as_pool(KINDS[kind](X)))
    assert pool.same_as(as_pool(KINDS[kind](X.astype(np.float32))))
    assert not pool.same_as(as_pool(KINDS[kind](X.astype(np.float16).astype(np.float32))))
    assert not as_pool(KINDS[kind](X.astype(np.float32))).same_as(pool)
    assert not pool.same_as(as_pool(KINDS[kind](X[:-1])))
    assert not pool.same_as(as_pool(KINDS[kind](X[::-1].copy())))
    assert pickle.loads(pickle.dumps(pool)).same_as(pool)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", [1, 16, 29])
def test_one_other_number_makes_another_pool(kind, row):
    other = KINDS[kind](X)
    change(other, row, 2, 7.0)
    assert not as_pool(KINDS[kind](X)).same_as(as_pool(other))
    assert not as_pool(other).same_as(as_pool(KINDS[kind](X)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", [1, 16, 29])
def test_a_change_in_place_is_noticed(kind, row):
    rows = KINDS[kind](X)
    pool = as_pool(rows)
    assert pool.is_unchanged()  # nobody asked it to watch
    pool.watch(1 << 20)
    assert pool.is_unchanged()
    change(pool.X, row, 2, 7.0)
    assert not pool.is_unchanged()
    pool.watch(1 << 20)  # the first look counts
    assert not pool.is_unchanged()


@pytest.mark.parametrize("kind", ["array", "csr", "pandas", "polars"])
def test_a_large_pool_is_watched_by_some_of_its_rows(kind):
    rows = np.arange(40_000.0).reshape(10_000, 4) + 1
    pool = as_pool(KINDS[kind](rows))
    pool.watch(10_000)
    read = []
    for row in range(0, 10_000, 7):
        change(pool.X, row, 2, -1.0)
        read.append(not pool.is_unchanged())
        change(pool.X, row, 2, rows[row, 2])
    assert 0.02 < np.mean(read) < 0.05  # 10,000 of 320,000 bytes
    assert pool.is_unchanged()
    change(pool.X, 9_999 if kind not in ("pandas", "polars") else 0, 2, -1.0)
    assert not pool.is_unchanged()


def test_images_frames_and_arrays_with_the_same_values_are_the_same_pool():
    array = as_pool(X)
    for kind in ("fortran", "images", "csr", "pandas", "polars"):
        other = as_pool(KINDS[kind](X))
        assert array.same_as(other)
        assert other.same_as(array)
    integers = np.arange(12).reshape(4, 3)
    assert as_pool(integers).same_as(as_pool(integers.astype(float)))
    assert not as_pool(integers).same_as(as_pool(integers + 0.5))
    assert not as_pool(integers + 0.5).same_as(as_pool(integers))
    huge = np.full((2, 2), 1e300)  # infinite once it is rounded
    assert as_pool(huge).same_as(as_pool(np.full((2, 2), np.inf, dtype=np.float32)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "csr"])
def test_missing_numbers_equal_one_another(kind):
    holes = X.copy()
    holes[3, 1] = np.nan
    pool = as_pool(KINDS[kind](holes))
    assert pool.same_as(as_pool(KINDS[kind](holes)))
    assert not pool.same_as(as_pool(KINDS[kind](X)))


@pytest.mark.parametrize("kind", KINDS)
def test_flaws_are_found_in_one_scan(kind, monkeypatch):
    def pool(value):
        rows = KINDS[kind](X)
        change(rows, 29, 2, value)
        return as_pool(rows)

    assert pool(1.0).flaw is None
    assert pool(1.0).is_finite
    assert pool(np.nan).flaw == "NaN"
    assert pool(np.inf).flaw == "infinity"
    assert pool(-np.inf).flaw == "infinity"
    assert not pool(np.nan).is_finite
    scanned = pool(1.0)
    assert scanned.is_finite
    monkeypatch.setattr(type(scanned), "_numbers", None)
    assert scanned.is_finite
    assert pickle.loads(pickle.dumps(scanned)).is_finite


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_infinity_together_are_infinity(kind):
    rows = KINDS[kind](X)
    change(rows, 2, 1, np.nan)
    change(rows, 28, 1, np.inf)
    assert as_pool(rows).flaw == "infinity"


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, bool, "U3"])
def test_other_types_have_no_flaw(dtype):
    assert as_pool(np.ones((3, 2), dtype=dtype)).is_finite


@given(
    n_rows=st.integers(1, 50),
    max_bytes=st.integers(1, 500),
    rows=st.none() | st.lists(st.integers(0, 0)),
)
def test_blocks_cover_all_rows_once(n_rows, max_bytes, rows):
    pool = as_pool(np.arange(3.0 * n_rows).reshape(n_rows, 3))
    blocks = list(pool.blocks(rows, max_bytes))
    expected = pool.X if rows is None else pool.X[np.array(rows, dtype=int)]
    if blocks:
        assert_array_equal(np.concatenate([block for block, _ in blocks]), expected)
    assert all(len(block) <= max(1, max_bytes // 24) for block, _ in blocks)


def test_nothing_here_copies_the_pool():
    large = np.random.default_rng(0).normal(size=(200_000, 20))
    same = large.copy()
    tracemalloc.start()
    pool = as_pool(large)
    pool.watch(1 << 18)
    assert pool.is_finite
    assert pool.is_unchanged()
    assert pool.same_as(as_pool(same))
    assert pool.same_as(as_pool(same.reshape(-1, 4, 5)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < large.nbytes / 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_pool_that_begins_with_the_same_rows_is_another_one(kind, monkeypatch):
    monkeypatch.setattr("skal.pool.base._COMPARED_BYTES", 1)  # a block per row
    short, long = as_pool(KINDS[kind](X[:20])), as_pool(KINDS[kind](X))
    assert short.same_as(as_pool(KINDS[kind](X[:20])))
    assert not short.same_as(long)
    assert not long.same_as(short)


def test_missing_objects_are_the_same():
    cells = [np.array([["a", missing]], dtype=object) for missing in (np.nan, float("nan"), None)]
    assert same_values(cells[0], cells[1])
    assert not same_values(cells[0], cells[2])
    assert not same_values(cells[0], np.array([["a", 1.0]], dtype=object))


def test_narrow_rows_come_in_bounded_numbers():
    sizes = [len(block) for block, _ in as_pool(np.broadcast_to(np.int8(0), (150_000, 1))).blocks()]
    assert sizes == [65_536, 65_536, 18_928]


@pytest.mark.parametrize("rows", [[0, 2, 1, 3], [3, 2, 1, 0], [1, 1, 3], [1, 2, 3]])
def test_only_consecutive_positions_are_a_slice(rows):
    rows = np.array(rows)
    assert_array_equal(np.arange(5)[as_slice(rows)], rows)
    assert isinstance(as_slice(rows), slice) == (rows.tolist() == [1, 2, 3])
