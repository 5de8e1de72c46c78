"""Exact neighbours by matrix products against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.neighbors import products
from skal.neighbors.products import nearest_by_products

from .pools import brute_force, pools, spectrum_pool


def others_by_brute_force(X, rows, k):
    """The nearest other rows of some rows."""
    distances, found = brute_force(X, X[rows], len(X))
    others = found != rows[:, None]
    return tuple(part[others].reshape(len(rows), -1)[:, :k] for part in (distances, found))


@given(pools(150), st.data())
def test_neighbors_are_those_of_brute_force(pool, data):
    X, _ = pool
    if len(X) == 1:
        return
    rows = np.array(data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=40)))
    k = data.draw(st.integers(1, len(X) - 1))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(products, "_QUERIES", 7)
        patched.setattr(products, "_CANDIDATES", 50)
        sq, found = nearest_by_products(X, rows, k)
    distances, expected = others_by_brute_force(X, rows, k)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.sqrt(sq), distances)


@pytest.mark.parametrize("offset", [0, 100, 1e5])
def test_rounding_passes_no_row_over(offset):
    # Far from their mean, rows of two clusters have products that tell nothing of the distances within a cluster.
    X = spectrum_pool(2000)
    X[1000:] += np.float32(offset)
    rows = np.arange(0, 2000, 7)
    np.testing.assert_array_equal(nearest_by_products(X, rows, 10)[1], others_by_brute_force(X, rows, 10)[1])
