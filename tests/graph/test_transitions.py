"""The random walk against its formulas, entry by entry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.graph import KERNELS, cover_steps, nearest_neighbors, transition_matrix
from tests.neighbors.pools import pools


def dense_transitions(distances, indices, kernel, symmetric=True):
    """M and the row sums of W, entry by entry."""
    d, n = distances.astype(np.float64), len(distances)
    A = np.zeros((n, n))
    for i in range(n):
        for d_ij, j in zip(d[i], indices[i], strict=True):
            scale, factor = {"self_tuning": (d[j, -1], 1), "graph_learning": (d[i, -1], 4)}[kernel]
            if d_ij == 0:
                A[i, j] = 1
            elif scale == 0:
                A[i, j] = np.exp(-80)
            else:
                A[i, j] = np.exp(-min(factor * (d_ij / d[i, -1]) * (d_ij / scale), 80))
    W = (A + A.T) / 2 if symmetric else A
    sums = W.sum(axis=1)
    return W / np.where(sums > 0, sums, 1)[:, None], sums


@given(pools(30), st.integers(1, 12), st.sampled_from(sorted(KERNELS)))
def test_transitions_are_those_of_the_formulas(pool, k, kernel):
    distances, indices = nearest_neighbors(pool[0], k)
    walks = transition_matrix(distances, indices, kernel=kernel)
    expected, sums = dense_transitions(distances, indices, kernel)
    assert walks.dtype == np.float32
    M = walks.toarray().astype(np.float64)
    np.testing.assert_allclose(M, expected, rtol=1e-4)
    np.testing.assert_allclose(sums[:, None] * M, (sums[:, None] * M).T, rtol=1e-4)
    np.testing.assert_allclose(M.sum(axis=1), len(M) > 1, atol=1e-6)
    np.testing.assert_array_equal(M.diagonal(), 0)
    np.testing.assert_array_equal(M > 0, (M > 0).T)


@given(pools(30), st.integers(1, 12), st.sampled_from(sorted(KERNELS)))
def test_rows_walk_to_their_own_neighbours_alone(pool, k, kernel):
    distances, indices = nearest_neighbors(pool[0], k)
    M = transition_matrix(distances, indices, kernel=kernel, symmetric=False).toarray()
    np.testing.assert_allclose(
        M, dense_transitions(distances, indices, kernel, symmetric=False)[0], rtol=1e-4
    )
    assert ((M > 0).sum(axis=1) == indices.shape[1]).all()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_transitions_do_not_depend_on_the_scale(kernel, scale):
    X = np.random.default_rng(0).normal(size=(40, 3))
    expected = transition_matrix(*nearest_neighbors(X, 5), kernel=kernel).toarray()
    scaled = transition_matrix(*nearest_neighbors(X * scale, 5), kernel=kernel).toarray()
    np.testing.assert_allclose(scaled, expected, rtol=1e-4)


def test_a_sparse_region_beside_a_dense_one_is_not_cut_off():
    X = np.concatenate([np.linspace(0, 1e-9, 5), [1.0]])[:, None]  # exponents of 1e9 and more
    walks = transition_matrix(*nearest_neighbors(X, 2))
    assert walks[[0], [5]] + walks[[1], [5]] + walks[[2], [5]] + walks[[3], [5]] + walks[[4], [5]] > 0
    np.testing.assert_allclose(walks.sum(axis=1), 1, rtol=1e-6)


def test_duplicates_and_clusters():
    X = np.repeat([0.0, 100.0], [4, 3])[:, None]
    M = transition_matrix(*nearest_neighbors(X, 2)).toarray()
    np.testing.assert_array_equal(M[:4, 4:], 0)
    np.testing.assert_array_equal(M[4:, :4], 0)
    np.testing.assert_allclose(M[4:, 4:], (1 - np.eye(3)) / 2)


def test_bad_neighbors():
    with pytest.raises(ValueError, match=r"kernel='rbf'.*graph_learning.*self_tuning"):
        transition_matrix([[1.0], [1.0]], [[1], [0]], kernel="rbf")
    for distances, indices in (([[1.0], [1.0]], [[1, 0], [0, 1]]), ([1.0, 1.0], [1, 0])):
        with pytest.raises(ValueError, match="give both as"):
            transition_matrix(distances, indices)


@pytest.mark.parametrize(
    ("distances", "indices", "message"),
    [
        ([[np.nan], [1.0]], [[1], [0]], "not finite"),
        ([[-1.0], [1.0]], [[1], [0]], "negative"),
        ([[1.0], [1.0]], [[-1], [0]], "from -1 to 0"),
        ([[1.0], [1.0]], [[1], [2]], "from 1 to 2; they must be positions of the 2 rows"),
    ],
)
def test_neighbors_that_are_none(distances, indices, message):
    with pytest.raises(ValueError, match=message):
        transition_matrix(distances, indices)


@pytest.mark.parametrize("k", [1, 2, 3, 10, 1000])
def test_cover_steps(k):
    base = max(k, 2)
    for n in {1, 2, 3, 5, *(base**t + more for t in range(1, 6) for more in (-1, 0, 1)), 60_000, 10**6}:
        expected = next(t for t in range(1, 99) if base**t >= n)
        assert cover_steps(n, k) == expected
