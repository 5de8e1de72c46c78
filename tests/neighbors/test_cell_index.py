"""The exact index against brute force in float64."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from skal.neighbors import CellIndex, cells

from .pools import brute_force, pools, spectrum_pool


@given(pools(), st.data())
def test_exact_neighbors_are_those_of_brute_force(pool, data):
    X, queries = pool
    k = data.draw(st.integers(1, len(X)))
    with mock.patch.object(cells, "_FLAT_CELLS", data.draw(st.sampled_from([2, 1024]))):
        index = CellIndex(data.draw(st.sampled_from(["auto", 1, 3, 40])), random_state=0).fit(X)
    expected_distances, expected = brute_force(X, queries, k)
    distances, rows = index.kneighbors(queries, k)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(distances, expected_distances)
    assert rows.dtype == np.intp


@pytest.mark.parametrize("n_neighbors", [1, 10, 700])
def test_exact_neighbors_of_a_larger_pool(n_neighbors):
    X = spectrum_pool()
    X[3000:3100] = X[:100]
    queries = np.concatenate([spectrum_pool(70, seed=1), X[:10]])
    distances, rows = CellIndex(random_state=0).fit(X).kneighbors(queries, n_neighbors)
    expected_distances, expected = brute_force(X, queries, n_neighbors)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(distances, expected_distances)


def test_cells_of_two_steps_are_nearly_as_narrow_as_those_of_one(monkeypatch):
    X, radii = spectrum_pool(), []
    for most in (1024, 8):
        monkeypatch.setattr(cells, "_FLAT_CELLS", most)
        centers, members, distances = cells.cut(X, 64, np.random.default_rng(0))
        assert 50 <= len(centers) <= 64
        np.testing.assert_allclose(distances, np.linalg.norm(X - centers[members], axis=1), rtol=1e-5)
        radii.append(distances.mean())
    assert radii[1] < 1.05 * radii[0]


@pytest.mark.parametrize("n_neighbors", [1, 40, 100])
def test_bounds_are_tight_on_a_line(n_neighbors):
    # One cell: on a line the distance to its center bounds the distance to a query without a gap.
    X = np.random.default_rng(0).normal(size=(400, 1)).astype(np.float32)
    queries = np.linspace(-3, 3, 41, dtype=np.float32)[:, None]
    _, rows = CellIndex(1, random_state=0).fit(X).kneighbors(queries, n_neighbors)
    np.testing.assert_array_equal(rows, brute_force(X, queries, n_neighbors)[1])


def test_neighbors_below_the_resolution_of_float32():
    # Squared distances 1 + 2e-9, 1 + 1e-9 and 1: equal in float32.
    X = np.array([[1, 4.5e-5], [1, 3.2e-5], [1, 0]], dtype=np.float32)
    _, rows = CellIndex().fit(X).kneighbors([[0, 0]], 3)
    np.testing.assert_array_equal(rows, [[2, 1, 0]])


def test_threads_give_the_same_answer(monkeypatch):
    X, queries = spectrum_pool(), spectrum_pool(150, seed=1)
    index = CellIndex(random_state=0).fit(X)
    answers = []
    for n_threads in (1, 3):
        monkeypatch.setattr("torch.get_num_threads", lambda n=n_threads: n)
        answers.append(index.kneighbors(queries, 3)[1])
    np.testing.assert_array_equal(*answers)


def test_what_no_row_can_be_near_in_is_not_read():
    X, queries = spectrum_pool(), spectrum_pool(5, seed=1)
    index = CellIndex(30, random_state=0).fit(X)
    distances, expected = index.kneighbors(queries)
    cell = np.repeat(np.arange(30), np.diff(index.first_chunk_))
    n_spoiled = 0
    for query, distance, row in zip(queries, distances, expected, strict=True):
        to_center = np.sqrt(((query - index.centers_.astype(np.float64)) ** 2).sum(1))
        gap = np.abs(to_center[cell][:, None] - index.shells_).min(1)
        inside = (index.shells_[:, 0] <= to_center[cell]) & (to_center[cell] <= index.shells_[:, 1])
        # A copy of the query would be found wherever it is read. The nearest cells are read before any bound is known.
        beyond = ~inside & (gap > 1.001 * distance) & (np.argsort(np.argsort(to_center))[cell] >= 8)
        spoiled = clone(index).fit(X)
        spoiled.features_[beyond] = query[:, None]
        assert spoiled.kneighbors(query[None])[1][0] == row
        n_spoiled += beyond.sum()
    assert n_spoiled > 50


@pytest.mark.parametrize("container", ["float64", "int", "list", "memmap", "fortran"])
def test_containers(container, tmp_path):
    X = np.random.default_rng(0).integers(0, 9, (60, 3))
    expected = brute_force(X, X, 4)[1]
    given_X = {
        "float64": lambda: X.astype(np.float64),
        "int": lambda: X,
        "list": lambda: X.tolist(),
        "fortran": lambda: np.asfortranarray(X, dtype=np.float32),
        "memmap": lambda: np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape),
    }[container]()
    if container == "memmap":
        given_X[:] = X
    np.testing.assert_array_equal(CellIndex(random_state=0).fit(given_X).kneighbors(given_X, 4)[1], expected)


def test_an_index_keeps_features_positions_and_cells_only():
    X = spectrum_pool(20_000)
    index = CellIndex(random_state=0).fit(X)
    size = sum(value.nbytes for value in vars(index).values() if isinstance(value, np.ndarray))
    n_cells = len(index.centers_)
    # 50 features and a position a row, up to 32 filled rows, centers and shells a cell.
    assert size <= 20_000 * 204 + n_cells * (32 * 204 + 50 * 4 + 8) + 8 * len(index.shells_) + 8


@pytest.mark.parametrize("n_cells", [0, 1.5, "many"])
def test_bad_parameters(n_cells):
    with pytest.raises(ValueError, match="n_cells"):
        CellIndex(n_cells).fit([[0.0]])


def test_sums_in_float32_leave_room_for_rounding():
    """Rows on a sphere, whose distances to its center differ by less than float32 can tell."""
    X = np.random.default_rng(0).normal(size=(3000, 50))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    queries = np.zeros((1, 50), np.float32)
    for n_neighbors in (1, 5):
        _, rows = CellIndex(random_state=0).fit(X).kneighbors(queries, n_neighbors)
        np.testing.assert_array_equal(rows, brute_force(X, queries, n_neighbors)[1])


@pytest.mark.parametrize("scale", [3e-23, 1e-22])
def test_sums_in_float32_leave_room_for_underflow(scale):
    X = (scale * np.random.default_rng(0).normal(size=(550, 9))).astype(np.float32)
    _, rows = CellIndex(random_state=0).fit(X[:500]).kneighbors(X[500:])
    np.testing.assert_array_equal(rows, brute_force(X[:500], X[500:], 1)[1])


def test_shells_hold_their_rows():
    X = spectrum_pool(2000)
    index = CellIndex(20, random_state=0).fit(X)
    assert index.rows_.dtype == np.int32
    cells = np.repeat(np.arange(len(index.centers_)), np.diff(index.first_chunk_))
    for cell, rows, (least, largest) in zip(cells, index.rows_, index.shells_, strict=True):
        offsets = X[rows[rows >= 0]].astype(np.float64) - index.centers_[cell]
        radii = np.sqrt(np.square(offsets).sum(axis=1))
        assert least <= radii.min() <= least * (1 + 1e-6)
        assert largest * (1 - 1e-6) <= radii.max() <= largest
