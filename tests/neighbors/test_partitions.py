"""Approximate neighbours against brute force; on small pools with narrow partitions."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from skal.neighbors import base, k_means_cells, partitions
from skal.neighbors.k_means_cells import KMeansCells
from skal.neighbors.partitions import nearest_by_partitions
from skal.neighbors.products import Centered, distances_by_products, nearest_by_products

from .pools import pools, spectrum_pool


@pytest.fixture
def narrow(monkeypatch):
    make_narrow(monkeypatch)


def make_narrow(patched, cell_rows=16, width=32):
    patched.setattr(k_means_cells, "CELL_ROWS", cell_rows)
    patched.setattr(partitions, "least_width", lambda k: max(width, 2 * k))


def check(X, k, distances, found, least):
    """Distinct other rows in order of distance, whose distances are right, and enough of the nearest."""
    n = len(X)
    assert distances.shape == found.shape == (n, k)
    assert (found != np.arange(n)[:, None]).all()
    assert (np.diff(np.sort(found, axis=1), axis=1) > 0).all()
    gaps = X[found].astype(np.float64) - X[:, None].astype(np.float64)
    sq = (gaps**2).sum(axis=2)
    np.testing.assert_allclose(distances, np.sqrt(sq), rtol=1e-6)
    assert (np.diff(sq, axis=1) >= -1e-12 * sq[:, 1:]).all()
    ties = np.diff(sq, axis=1) == 0
    assert (np.diff(found, axis=1)[ties] > 0).all()
    true = nearest_by_products(X, np.arange(n), k)[0]
    assert (sq <= true[:, -1:] * (1 + 1e-12)).mean() >= least


@pytest.mark.parametrize("k", [1, 10, 30])
def test_recall_on_digits(narrow, k):
    X = load_digits().data.astype(np.float32)
    check(X, k, *nearest_by_partitions(X, k, 0), 0.95)


def test_recall_with_the_widths_of_large_pools():
    X = spectrum_pool(9005)
    X[9000:] = X[:5]
    sq, found = nearest_by_partitions(X, 10, 0)
    check(X, 10, sq, found, 0.95)
    np.testing.assert_array_equal(found[:5, 0], np.arange(9000, 9005))
    np.testing.assert_array_equal(nearest_by_partitions(X, 10, 0)[1], found)
    assert (nearest_by_partitions(X, 10, 1)[1] != found).any()


def test_recall_after_a_projection(narrow, monkeypatch):
    rng = np.random.default_rng(0)
    X = spectrum_pool(3000, 40) @ rng.normal(size=(40, 300)).astype(np.float32)
    X += 0.1 * rng.normal(size=X.shape).astype(np.float32)
    seen = []
    projected = partitions._projected
    monkeypatch.setattr(partitions, "_projected", lambda *args: seen.append(projected(*args)) or seen[-1])
    check(X, 10, *nearest_by_partitions(X, 10, 0), 0.95)
    assert seen[0].X.shape == (3000, 64)


@given(pools(120), st.integers(1, 12))
def test_any_pool(pool, k):
    X, _ = pool
    if len(X) < 3:
        return
    k = min(k, len(X) - 1)
    with pytest.MonkeyPatch.context() as patched:
        make_narrow(patched, cell_rows=8, width=12)
        check(X, k, *nearest_by_partitions(X, k, 0), 0.9)


def test_more_duplicates_than_a_row_is_compared_with(narrow):
    X = spectrum_pool(1500, 5)
    X[:700] = X[0]
    X[700:720] = X[0] + np.float32(0.001)
    sq, found = nearest_by_partitions(X, 5, 0)
    check(X, 5, sq, found, 0.95)
    assert (sq[:700] == 0).all()
    assert (sq[700:720] == 0).all()


def test_rows_that_no_partition_separates_are_searched_exactly(narrow):
    X = np.random.default_rng(0).normal(size=(600, 60)).astype(np.float32)
    expected = distances_by_products(X, 10)
    for ours, theirs in zip(nearest_by_partitions(X, 10, 0), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_many_rows_that_no_partition_separates_are_told_of(narrow, monkeypatch):
    monkeypatch.setattr(partitions, "_MOST_COMPARED", 128)
    X = np.random.default_rng(0).normal(size=(600, 60)).astype(np.float32)
    with pytest.warns(UserWarning, match=r"About [1-8]\d% of the nearest.*PCA.*exact"):
        sq, found = nearest_by_partitions(X, 10, 0)
    check(X, 10, sq, found, 0.2)


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_numbers_of_any_size(narrow, scale):
    X = spectrum_pool(600, 10)
    scaled = X * np.float32(scale)
    check(scaled, 5, *nearest_by_partitions(scaled, 5, 0), 0.95)


def test_positions_of_64_bits_where_32_do_not_suffice(narrow, monkeypatch):
    X = spectrum_pool(700, 10)
    found = nearest_by_partitions(X, 5, 0)[1]
    monkeypatch.setattr(base, "MOST_INT32", 699)
    longer = nearest_by_partitions(X, 5, 0)[1]
    assert (found.dtype, longer.dtype) == (np.int32, np.int64)
    np.testing.assert_array_equal(found, longer)


def test_rows_that_met_too_few_others_are_searched_exactly(monkeypatch):
    make_narrow(monkeypatch, cell_rows=1, width=24)
    monkeypatch.setattr(KMeansCells, "compare", lambda *args: None)
    monkeypatch.setattr(partitions, "_MOST_COMPARED", 48)
    X = spectrum_pool(300, 4)
    with pytest.warns(UserWarning, match="About 0%"):
        found = nearest_by_partitions(X, 5, 0)[1]
    np.testing.assert_array_equal(found, nearest_by_products(X, np.arange(300), 5)[1])


@pytest.mark.parametrize("flat_cells", [4, 1000])
def test_cells_have_each_row_once_and_search_so_many(monkeypatch, flat_cells):
    monkeypatch.setattr(k_means_cells, "CELL_ROWS", 16)
    monkeypatch.setattr(k_means_cells, "_FLAT_CELLS", flat_cells)
    X = spectrum_pool(1000, 6)
    X[:200] = 1  # a cell that is larger than the width
    cells = KMeansCells(Centered(X), 64, np.random.default_rng(0))
    np.testing.assert_array_equal(np.sort(cells.order), np.arange(1000))
    starts = cells._starts
    assert starts[0] == 0
    assert starts[-1] == 1000
    assert (np.diff(starts) > 0).all()
    assert len(starts) > 30
    for cell, (start, stop) in enumerate(pairwise(starts)):
        for first in range(start, stop, 32):
            ids = cells._candidates(cell, first, min(first + 32, stop))
            assert len(ids) == 64
            assert len(np.unique(ids)) == 64
            assert np.isin(cells.order[first : min(first + 32, stop)], ids).all() or stop - start > 64
