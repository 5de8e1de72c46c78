"""Pools of sparse rows: the same entries in any form are the same pool."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skal.pool import as_pool

DENSE = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0], [3.0, 0.0, 4.0]])


def csr(data, indices, indptr):
    return sparse.csr_array((np.array(data, dtype=float), indices, indptr), shape=(3, 3))


FORMS = {
    "in order": csr([1, 2, 3, 4], [1, 2, 0, 2], [0, 2, 2, 4]),
    "other order": csr([2, 1, 4, 3], [2, 1, 2, 0], [0, 2, 2, 4]),
    "a zero that is stored": csr([1, 2, 0, 3, 4], [1, 2, 1, 0, 2], [0, 2, 3, 5]),
    "in two parts": csr([1, 0.5, 1.5, 3, 4], [1, 2, 2, 0, 2], [0, 3, 3, 5]),
    "columns": sparse.csc_array(DENSE),
    "coordinates": sparse.coo_array(DENSE),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_entries_does_not_matter(form):
    pool = as_pool(FORMS["in order"])
    assert pool.same_as(as_pool(FORMS[form]))
    assert as_pool(FORMS[form]).same_as(pool)
    assert_array_equal(as_pool(FORMS[form]).dense(), DENSE)
    assert not pool.same_as(as_pool(FORMS[form] * 2))


@pytest.mark.parametrize("form", FORMS)
def test_a_digest_is_that_of_the_entries_in_any_form(form):
    pool, other = as_pool(FORMS["in order"]), as_pool(FORMS[form])
    assert pool.digest(1000) == other.digest(1000)
    assert other.has_digest(repr(pool.digest(1000)), 1000)
    for changed in (FORMS[form] * 2, sparse.csr_array(DENSE[::-1]), sparse.csr_array(DENSE[:, :2])):
        assert not as_pool(changed).has_digest(repr(pool.digest(1000)), 1000)
    assert pool.has_digest(repr(pool._look(1000)), 1000), "as files of earlier versions have it"


def test_comparing_changes_nothing():
    other = FORMS["in two parts"].copy()
    before = other.copy()
    assert as_pool(FORMS["in order"]).same_as(as_pool(other))
    assert as_pool(other).same_as(as_pool(FORMS["in order"]))
    assert_array_equal(other.data, before.data)
    assert_array_equal(other.indices, before.indices)


def test_the_same_entries_elsewhere_are_another_pool():
    moved = csr([1, 2, 3, 4], [0, 2, 0, 2], [0, 2, 2, 4])
    assert not as_pool(FORMS["in order"]).same_as(as_pool(moved))
    moved = csr([1, 2, 3, 4], [1, 2, 0, 2], [0, 2, 3, 4])
    assert not as_pool(FORMS["in order"]).same_as(as_pool(moved))
    wider = sparse.csr_array((FORMS["in order"].data, FORMS["in order"].indices, [0, 2, 2, 4]), shape=(3, 5))
    assert not as_pool(FORMS["in order"]).same_as(as_pool(wider))


def test_sparse_rows_become_dense_in_small_blocks():
    rows = np.zeros((4000, 1000))
    pool, other = as_pool(sparse.csr_array(rows)), as_pool(rows)
    tracemalloc.start()
    assert pool.same_as(other)
    assert other.same_as(pool)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows.nbytes / 2


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_rows_keep_their_kind(kind):
    pool = as_pool(kind(DENSE))
    assert isinstance(pool.take(np.array([2, 0])), kind)
    assert isinstance(pool.like(np.ones((2, 3))), kind)
    assert_array_equal(
        pool.stack([pool.like(np.ones((2, 3)))]).toarray(), np.vstack([DENSE, np.ones((2, 3))])
    )
    assert pool.stack([pool.X]).format == "csr"


def test_row_bytes_count_what_is_stored():
    pool = as_pool(sparse.csr_array(np.eye(100, 1000)))
    assert pool.row_bytes == (pool.X.data.nbytes + pool.X.indices.nbytes) / 100
    assert as_pool(sparse.csr_array((5, 3))).row_bytes == 1


def test_to_compare_leaves_the_rows_as_they_are():
    matrix = sparse.csr_array((np.array([1.0, 0, 2]), np.array([2, 1, 0]), np.array([0, 3])), shape=(1, 3))
    other = sparse.csr_array(np.array([[2.0, 0, 1]]))
    for pool, same in ((as_pool(matrix), as_pool(other)), (as_pool(other), as_pool(matrix))):
        assert pool.same_as(same)
    assert (matrix.data.tolist(), matrix.indices.tolist()) == ([1, 0, 2], [2, 1, 0])
