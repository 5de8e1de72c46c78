"""Indexes and matching against brute force in float64; integer features make ties and duplicates exact."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors

from skal.exceptions import ModelFileError
from skal.graph import nearest_neighbors
from skal.neighbors import CellIndex, GraphIndex, make_index, match
from skal.training.files import write_file


def brute_force(X, queries, k):
    """All distances in float64, column by column; equal ones in order of position."""
    total = np.zeros((len(queries), len(X)))
    for j in range(X.shape[1]):
        total += (queries[:, j, None].astype(np.float64) - X[:, j].astype(np.float64)) ** 2
    rows = np.argsort(total, axis=1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(total, rows, axis=1)), rows


@st.composite
def pools(draw, max_rows=120):
    """Float32 rows and queries of some scale: grids (ties, duplicates), clusters, constant columns, an offset."""
    n, d = draw(st.integers(1, max_rows)), draw(st.sampled_from([1, 2, 7, 8, 9, 17]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.integers(0, draw(st.integers(1, 4)), (n + 5, d), endpoint=True).astype(np.float64)
    if draw(st.booleans()):
        X += draw(st.sampled_from([1e-7, 0.1])) * rng.normal(size=X.shape)
    X[:, rng.random(d) < draw(st.sampled_from([0, 0.5]))] = 1
    X = X * draw(st.sampled_from([1e-30, 1e-3, 1, 1e30])) + draw(st.sampled_from([0, 0, 1e4]))
    X = X.astype(np.float32)
    queries = X[n:].copy()
    queries[0] = X[0]
    return X[:n], queries


@given(pools(), st.data())
def test_exact_neighbors_are_those_of_brute_force(pool, data):
    X, queries = pool
    k = data.draw(st.integers(1, len(X)))
    index = CellIndex(data.draw(st.sampled_from(["auto", 1, 3, 40])), random_state=0).fit(X)
    expected_distances, expected = brute_force(X, queries, k)
    distances, rows = index.kneighbors(queries, k)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(distances, expected_distances)
    assert rows.dtype == np.intp


def spectrum_pool(n_rows=5000, n_features=50, seed=0):
    """A mixture whose variance falls from the first column on."""
    rng = np.random.default_rng(seed)
    scale = 1 / np.sqrt(1 + np.arange(n_features))
    means = rng.normal(size=(20, n_features))
    X = (means[rng.integers(20, size=n_rows)] + rng.normal(size=(n_rows, n_features))) * scale
    return X.astype(np.float32)


@pytest.mark.parametrize("n_neighbors", [1, 10, 700])
def test_exact_neighbors_of_a_larger_pool(n_neighbors):
    X = spectrum_pool()
    X[3000:3100] = X[:100]
    queries = np.concatenate([spectrum_pool(70, seed=1), X[:10]])
    distances, rows = CellIndex(random_state=0).fit(X).kneighbors(queries, n_neighbors)
    expected_distances, expected = brute_force(X, queries, n_neighbors)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(distances, expected_distances)


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
    cells = np.repeat(np.arange(30), np.diff(index.first_chunk_))
    n_spoiled = 0
    for query, distance, row in zip(queries, distances, expected, strict=True):
        to_center = np.sqrt(((query - index.centers_.astype(np.float64)) ** 2).sum(1))
        gap = np.abs(to_center[cells][:, None] - index.shells_).min(1)
        inside = (index.shells_[:, 0] <= to_center[cells]) & (to_center[cells] <= index.shells_[:, 1])
        # A copy of the query would be found wherever it is read. The nearest cells are read before any bound is known.
        beyond = ~inside & (gap > 1.001 * distance) & (np.argsort(np.argsort(to_center))[cells] >= 8)
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


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_save_and_load(tmp_path, mmap_mode):
    X = spectrum_pool(500)
    index = CellIndex(9, random_state=3).fit(X)
    index.save(tmp_path / "index.skal")
    loaded = CellIndex.load(tmp_path / "index.skal", mmap_mode=mmap_mode)
    assert loaded.get_params() == index.get_params()
    for ours, theirs in zip(loaded.kneighbors(X[:9], 7), index.kneighbors(X[:9], 7), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert isinstance(loaded.features_.base, np.memmap) == (mmap_mode == "r")
    again = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(again.kneighbors(X[:9], 7)[1], index.kneighbors(X[:9], 7)[1])


@pytest.mark.parametrize("mmap_mode", [None, "r"])
@pytest.mark.parametrize("damage", ["empty", "foreign", "header", "cut", "longer", "other", "list"])
def test_damaged_files(tmp_path, damage, mmap_mode):
    path = tmp_path / "index.skal"
    CellIndex(random_state=0).fit(spectrum_pool(500)).save(path)
    data = path.read_bytes()
    if damage == "other":
        write_file(path, {}, {"estimator": "VAE"})
    elif damage == "list":
        write_file(path, {}, [1])
    else:
        changed = {
            "empty": b"",
            "foreign": bytes(999),
            "header": data[:200],
            "cut": data[:-1],
            "longer": data + b"1",
        }
        path.write_bytes(changed[damage])
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        CellIndex.load(path, mmap_mode=mmap_mode)


def test_altered_bytes_are_noticed(tmp_path):
    path = tmp_path / "index.skal"
    CellIndex(random_state=0).fit(spectrum_pool(500)).save(path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        CellIndex.load(path)
    with pytest.raises(ValueError, match="mmap_mode='w'"):
        CellIndex.load(path, mmap_mode="w")


@pytest.fixture(scope="module")
def graph():
    X = spectrum_pool(6000)
    return X, GraphIndex(random_state=0).fit(X)


def test_recall_of_the_approximate_index(graph):
    X, index = graph
    queries = spectrum_pool(500, seed=1)
    distances, rows = index.kneighbors(queries)
    assert (rows == brute_force(X, queries, 1)[1]).mean() >= 0.95
    for query, row, distance in zip(queries, rows, distances, strict=True):
        np.testing.assert_array_equal(brute_force(X[row], query[None], 1)[0][0], distance)
    np.testing.assert_array_equal(index.kneighbors(queries)[1], rows)


def test_the_approximate_index_finds_as_many_as_are_asked(graph):
    X, index = graph
    _, rows = index.kneighbors(X[:2], len(X))
    np.testing.assert_array_equal(rows, brute_force(X, X[:2], len(X))[1])


def test_recall_of_an_approximate_graph(graph):
    # Here and not in test_graph.py: pynndescent compiles for tens of seconds, once for these tests side by side.
    X = np.concatenate([graph[0], graph[0][:5]])
    distances, rows = nearest_neighbors(X, 10, method="approximate", random_state=0)
    _, expected = nearest_neighbors(X, 10, method="exact")
    assert (rows[:, :, None] == expected[:, None]).any(axis=2).mean() >= 0.97
    assert (rows != np.arange(len(X))[:, None]).all()
    assert (np.diff(np.sort(rows, axis=1)) > 0).all()
    np.testing.assert_array_equal(rows[:5, 0], np.arange(6000, 6005))
    true_distances = np.linalg.norm(X[:, None].astype(np.float64) - X[rows], axis=2)
    np.testing.assert_allclose(distances, true_distances, atol=1e-5)
    assert (np.diff(distances, axis=1) >= 0).all()
    again = nearest_neighbors(X, 10, method="approximate", random_state=0)[1]
    np.testing.assert_array_equal(again, rows)


def test_no_global_random_state_is_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    CellIndex().fit(spectrum_pool(300)).kneighbors(spectrum_pool(2))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def brute_force_match(X, queries, available, n_neighbors):
    free, rows, n_collisions = available.copy(), [], 0
    for order in brute_force(X, queries, len(X))[1]:
        n_collisions += (~free[order[available[order]][:n_neighbors]]).sum()
        taken = order[free[order]][:n_neighbors]
        free[taken] = False
        rows.append(np.pad(taken, (0, n_neighbors - len(taken)), constant_values=-1))
    return np.array(rows), n_collisions


@given(pools(40), st.integers(1, 6), st.floats(0, 1), st.booleans())
def test_matching_is_that_of_brute_force(pool, n_neighbors, share, ours):
    X, queries = pool
    queries = np.concatenate([queries, queries, X[:3]])
    available = np.random.default_rng(0).random(len(X)) < share
    index = CellIndex(random_state=0).fit(X) if ours else _BruteForce(X)
    rows, distances, n_collisions = match(index, queries, available, n_neighbors)
    expected, expected_collisions = brute_force_match(X, queries, available, n_neighbors)
    np.testing.assert_array_equal(rows, expected)
    assert n_collisions == expected_collisions
    np.testing.assert_array_equal(np.isinf(distances), rows < 0)
    i, j = np.nonzero(rows >= 0)
    np.testing.assert_array_equal(
        distances[i, j],
        [brute_force(X[[r]], queries[[q]], 1)[0][0, 0] for q, r in zip(i, rows[i, j], strict=True)],
    )


class _BruteForce:
    """A user's index: two methods and nothing else."""

    def __init__(self, X=None):
        self.X = X

    def fit(self, X):
        self.X = X
        return self

    def kneighbors(self, X, n_neighbors=1):
        assert n_neighbors <= len(self.X)
        return brute_force(self.X, np.asarray(X), n_neighbors)


def test_only_queries_that_miss_rows_ask_again():
    class Counting(_BruteForce):
        asked = []

        def kneighbors(self, X, n_neighbors=1):
            self.asked.append((len(X), n_neighbors))
            return super().kneighbors(X, n_neighbors)

    X = np.arange(9.0)[:, None]
    match(Counting(X), [[0.0], [0.1], [5.0], [5.1], [8.0]], np.ones(9, dtype=bool))
    assert Counting.asked == [(5, 1), (1, 2), (1, 2)]


def test_make_index():
    assert make_index("exact", 3).get_params() == CellIndex(random_state=3).get_params()
    assert isinstance(make_index("approximate", 3), GraphIndex)
    theirs = NearestNeighbors(algorithm="brute")
    assert make_index(theirs) is not theirs
    assert make_index(theirs).get_params() == theirs.get_params()
    own = _BruteForce()
    assert make_index(own) is own
    with pytest.raises(ValueError, match=r"'fast'.*exact"):
        make_index("fast")
    for wrong in (3, None, NearestNeighbors):
        with pytest.raises(TypeError, match="NearestNeighbors\\(\\)"):
            make_index(wrong)


@pytest.mark.parametrize("index", [CellIndex(4, random_state=0), GraphIndex(random_state=0)], ids=repr)
def test_bad_input(index):
    X = spectrum_pool(20, 3)
    for bad, message in (
        ([[np.nan, 1]], "NaN"),
        ([[np.inf, 1]], "infinity"),
        ([[1e300, 1]], "float32"),
        (np.ones(3), "2D"),
        (np.ones((0, 3)), "minimum of 1"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(index).fit(bad)
    with pytest.raises(NotFittedError):
        clone(index).kneighbors(X)
    fitted = clone(index).fit(X)
    for n_neighbors in (0, -1, True, 1.0, "1", None):
        with pytest.raises(ValueError, match="integer of at least 1"):
            fitted.kneighbors(X, n_neighbors)
    with pytest.raises(ValueError, match=r"n_neighbors = 21, n_samples_fit = 20"):
        fitted.kneighbors(X, 21)
    with pytest.raises(ValueError, match="3 features"):
        fitted.kneighbors(X[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        fitted.kneighbors(np.full((1, 3), np.nan))


@pytest.mark.parametrize("available", [np.ones(20), np.ones(19, dtype=bool), np.ones((20, 1), dtype=bool)])
def test_bad_masks(available):
    index = CellIndex(random_state=0).fit(spectrum_pool(20, 3))
    with pytest.raises(ValueError, match="available has"):
        match(index, np.zeros((1, 3)), available)


@pytest.mark.parametrize("n_cells", [0, 1.5, "many"])
def test_bad_parameters(n_cells):
    with pytest.raises(ValueError, match="n_cells"):
        CellIndex(n_cells).fit([[0.0]])
