"""Blocks of rows: any container, any subset in any order, bounded size."""

from __future__ import annotations

from tempfile import TemporaryFile

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from skal.pool import as_pool, blockwise, first_flawed, row_blocks


def as_memmap(X):
    with TemporaryFile() as file:  # the mapping outlives it
        mapped = np.memmap(file, dtype=X.dtype, shape=X.shape, mode="w+")
    mapped[:] = X
    return mapped


CONTAINERS = {
    "array": np.asarray,
    "memmap": as_memmap,
    "images": lambda X: X.reshape(len(X), 1, 2, 2),
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "coo": sparse.coo_array,
    "csc": sparse.csc_array,
    "pandas": lambda X: pd.DataFrame(X, columns=list("abcd"), index=np.arange(len(X))[::-1]),
    "polars": lambda X: pl.DataFrame(X, schema=list("abcd")),
}


def dense(block):
    block = block.toarray() if sparse.issparse(block) else np.asarray(block)
    return block.reshape(len(block), -1)


@st.composite
def pools(draw):
    n = draw(st.integers(1, 40))
    positions = st.integers(0, n - 1)
    rows = draw(
        st.none()
        | st.lists(positions, max_size=2 * n)
        | st.permutations(range(n))
        | st.lists(positions, unique=True, min_size=max(1, n - 3)).map(sorted)
    )
    return n, rows


@given(
    pool=pools(),
    container=st.sampled_from(sorted(CONTAINERS)),
    max_bytes=st.sampled_from([1, 100, 333, 2**20]),
)
@example(pool=(4, [0, 2, 1, 3]), container="array", max_bytes=2**20)  # ends like a slice, but is none
@example(pool=(4, [1, 1, 3]), container="pandas", max_bytes=2**20)
def test_blocks_are_direct_indexing(pool, container, max_bytes):
    n, rows = pool
    X = np.arange(1.0, 4 * n + 1).reshape(n, 4)
    expected = X if rows is None else X[np.asarray(rows, dtype=int)]
    seen = 0
    for block, where in row_blocks(CONTAINERS[container](X), rows, max_bytes=max_bytes):
        assert where.start == seen
        seen = where.stop
        assert_array_equal(dense(block), expected[where])
        assert where.stop - where.start <= max(1, max_bytes // 32)
    assert seen == len(expected)


@given(pool=pools(), container=st.sampled_from(sorted(CONTAINERS)))
def test_blockwise_is_the_function_of_the_indexed_rows(pool, container):
    n, rows = pool
    X = np.arange(1.0, 4 * n + 1).reshape(n, 4)
    expected = X if rows is None else X[np.asarray(rows, dtype=int)]
    doubled, sums = blockwise(
        lambda block: (2 * dense(block), dense(block).sum(axis=1)), CONTAINERS[container](X), rows
    )
    assert_array_equal(doubled, 2 * expected)
    assert_array_equal(sums, expected.sum(axis=1))


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 7 rows in `blockwise`, so that a pool has several."""
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 7)


@given(pool=pools())
def test_blockwise_over_several_blocks(pool):
    n, rows = pool
    X = np.arange(1.0, 4 * n + 1).reshape(n, 4)
    expected = X if rows is None else X[np.asarray(rows, dtype=int)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skal.pool.base._BLOCK_ROWS", 7)
        assert_array_equal(blockwise(lambda block: block + 1, X, rows), expected + 1)


def test_blocks_of_an_array_are_views(tmp_path):
    X = np.memmap(tmp_path / "pool.dat", dtype=np.float32, shape=(1000, 8), mode="w+")
    for rows in (None, np.arange(100, 900)):
        for block, _ in row_blocks(X, rows, max_bytes=32 * 64):
            assert np.shares_memory(block, X)
            assert len(block) <= 64


def test_narrow_rows_come_in_bounded_numbers():
    sizes = [len(block) for block, _ in row_blocks(np.zeros((140_000, 1), dtype=np.int8))]
    assert sizes == [65_536, 65_536, 140_000 - 2 * 65_536]


@pytest.mark.parametrize(
    ("dtype", "n_rows"),
    [(np.float64, 100), (np.float32, 200), (np.float16, 100), (np.uint8, 100), (bool, 100)],
)
def test_blocks_are_bounded_as_floats(dtype, n_rows, monkeypatch):
    monkeypatch.setattr("skal.pool.base.BLOCK_BYTES", 100 * 8 * 16)
    sizes = []
    blockwise(lambda block: sizes.append(len(block)) or np.zeros(len(block)), np.zeros((500, 16), dtype))
    assert max(sizes) == n_rows
    sizes.clear()
    blockwise(lambda block: sizes.append(len(block)) or block, np.zeros((500, 16), dtype), row_bytes=8 * 32)
    assert max(sizes) == 50


def test_sparse_integers_count_as_floats():
    X = sparse.csr_array(np.eye(100, 1000, dtype=np.int8))
    assert as_pool(X).float_bytes == 8 + X.indices.itemsize


def test_sparse_subsets_are_copied_in_bounded_pieces():
    X = np.zeros((1000, 8))
    blocks = [block for block, _ in row_blocks(X, np.arange(0, 1000, 2), max_bytes=64 * 100)]
    assert [len(block) for block in blocks] == [100] * 5
    assert not any(np.shares_memory(block, X) for block in blocks)


@pytest.mark.parametrize("container", ["csr_array", "csr_matrix"])
def test_sparse_blocks_count_stored_values(container):
    X = CONTAINERS[container](sparse.csr_array(np.eye(100, 1000)))
    bound = (X.data.nbytes + X.indices.nbytes) // 4
    assert len(list(row_blocks(X, max_bytes=bound))) == 4


@pytest.mark.usefixtures("small_blocks")
def test_dense_subset_sees_views_and_drops_the_rest():
    X = np.arange(40.0).reshape(20, 2)
    rows = np.delete(np.arange(20), [3, 11])[::-1]
    seen = []

    def function(block):
        assert np.shares_memory(block, X)
        seen.append(len(block))
        return block[:, 0]

    assert_array_equal(blockwise(function, X, rows), X[rows, 0])
    assert seen == [7, 7, 6]


@pytest.mark.usefixtures("small_blocks")
def test_sparse_subset_computes_no_other_row():
    X = np.arange(40.0).reshape(20, 2)
    seen = []
    blockwise(lambda block: seen.extend(block[:, 0]) or block, X, [18, 3, 5])
    assert seen == [36.0, 6.0, 10.0]
    seen.clear()
    blockwise(lambda block: seen.extend(block[:, 0]) or block, X, np.arange(14))
    assert seen == X[:14, 0].tolist()


def test_no_rows_gives_an_empty_answer_of_the_right_shape():
    answers = blockwise(lambda block: block.astype(np.float32), np.zeros((5, 3)), [])
    assert answers.shape == (0, 3)
    assert answers.dtype == np.float32
    assert list(row_blocks(np.zeros((5, 3)), [])) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([-1], r"\[-1\] are out of range; positions in a pool of 4 rows go from 0 to 3"),
        ([0, 4], r"\[4\] are out of range"),
        ([0.5], "dtype float64"),
        ([True, False, True, True], "flatnonzero"),
        ([[0, 1]], r"shape \(1, 2\)"),
    ],
)
def test_bad_rows(rows, message):
    with pytest.raises(ValueError, match=message):
        list(row_blocks(np.zeros((4, 2)), rows))
    with pytest.raises(ValueError, match=message):
        blockwise(lambda block: block, np.zeros((4, 2)), rows)


def test_a_function_must_answer_for_every_row():
    with pytest.raises(ValueError, match="4 rows were given and 1 answers came back"):
        blockwise(lambda block: block[:1], np.zeros((4, 2)))


def test_empty_pool():
    with pytest.raises(ValueError, match=r"X has no rows \(shape=\(0, 2\)\)"):
        blockwise(lambda block: block, np.zeros((0, 2)))


def test_lists_that_hold_more_than_numbers_stay_as_they_are():
    rows = [[1, "x"], [2, "y"]]
    assert as_pool(rows).X is rows


@pytest.mark.parametrize("row", range(7))
def test_the_first_flawed_row(row):
    X = np.zeros((7, 2))
    X[row:, 1] = np.nan
    assert first_flawed(as_pool(X)) == row


def test_a_dask_data_frame_is_refused_with_the_remedy():
    class DaskFrame:  # dask's own needs pyarrow
        shape, columns = (3, 2), ("a", "b")

        def to_dask_array(self, lengths=None):
            raise AssertionError("it is not read")

    with pytest.raises(TypeError, match=r"A dask DaskFrame was given.* X\.to_dask_array\(lengths=True\)"):
        as_pool(DaskFrame())
