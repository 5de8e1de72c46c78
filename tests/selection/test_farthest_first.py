"""k-center greedy against the naive algorithm in float64."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from skal.selection import FarthestFirst, farthest_first

from .rows import embedding, grids


def naive_k_center(X, k, centers=(), candidates=None):
    """Algorithm 1 of Sener and Savarese, one pass a pick over all float64 distances."""
    X = X.astype(np.float64)
    allowed = np.zeros(len(X), dtype=bool)
    allowed[slice(None) if candidates is None else candidates] = True
    allowed[list(centers)] = False
    covered, picks = list(centers), []
    for _ in range(k):
        if covered:
            distances = cdist(X, X[covered], "sqeuclidean").min(axis=1)
        else:
            distances = cdist(X, X.mean(axis=0)[None], "sqeuclidean")[:, 0]
        picks.append(int(np.where(allowed, distances, -1).argmax()))
        covered.append(picks[-1])
        allowed[picks[-1]] = False
    return picks


@given(grids(), st.data())
def test_k_center_breaks_ties_as_the_naive_algorithm(X, data):
    n_rows = len(X)
    centers = data.draw(st.lists(st.integers(0, n_rows - 1), unique=True, max_size=n_rows - 1))
    free = np.setdiff1d(np.arange(n_rows), centers)
    candidates = data.draw(st.lists(st.sampled_from(free.tolist()), unique=True, min_size=1))
    k = data.draw(st.integers(0, len(candidates)))
    expected = naive_k_center(X, k, centers, candidates)
    traversal = FarthestFirst(X)
    # A tiny active block makes rows come and go in so few rows.
    traversal._n_active, traversal._n_rough = data.draw(st.sampled_from([(4, 1), (8, 4), (512, 64)]))
    traversal.add(centers)
    assert traversal.pick(k, candidates).tolist() == expected
    mask = np.isin(np.arange(n_rows), candidates)
    assert traversal.pick(k, mask).tolist() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["gaussian", "clusters", "offset", "heavy"])
@pytest.mark.parametrize("n_centers", [0, 1, 700])
def test_k_center_equals_brute_force(kind, n_centers, dtype):
    X = embedding(3_000, 0, kind, dtype)
    centers = np.random.default_rng(1).choice(len(X), n_centers, replace=False)
    traversal = FarthestFirst(X)
    traversal.add(centers)
    assert traversal.pick(60).tolist() == naive_k_center(X, 60, centers)


def test_k_center_between_rounds():
    """Centers added round by round give what they give all at once, and picking leaves no trace."""
    X = embedding(2_000, 0, "clusters")
    kept, known = FarthestFirst(X), []
    for _ in range(5):
        picks = kept.pick(20)
        assert kept.pick(20).tolist() == picks.tolist()
        fresh = FarthestFirst(X)
        fresh.add(known)
        assert fresh.pick(20).tolist() == picks.tolist()
        kept.add(picks)
        known += picks.tolist()
    assert len(set(known)) == 100


def test_k_center_is_within_twice_the_optimum():
    """The 2-approximation of Gonzalez, against all pairs of centers."""
    X = np.random.default_rng(0).normal(size=(25, 2))
    distances = cdist(X, X)
    optimum = min(np.minimum(distances[i], distances[j]).max() for i in range(25) for j in range(i))
    assert distances[FarthestFirst(X).pick(2)].min(axis=0).max() <= 2 * optimum


def test_k_center_of_equal_rows_goes_by_position():
    assert FarthestFirst(np.ones((5_000, 3), dtype=np.float32)).pick(4).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("n_centers", [0, 3_000])
@pytest.mark.parametrize("kind", ["gaussian", "clusters"])
def test_k_center_visits_few_rows(kind, n_centers, monkeypatch):
    """The lazy bounds must pay: the naive algorithm visits every row for every center and every pick."""
    X, n_visits, n_distances = embedding(20_000, 0, kind), 0, 0
    traversal = FarthestFirst(X)

    def counting(method):
        def counted(rows, targets):
            nonlocal n_visits, n_distances
            n_rows = len(X) if rows is None else len(rows)
            n_visits += n_rows
            n_distances += n_rows * len(targets)
            return method(rows, targets)

        return counted

    traversal.add(np.arange(n_centers))
    for name in ("min_sq_distances", "rough_sq_distances"):
        monkeypatch.setattr(traversal._points, name, counting(getattr(traversal._points, name)))
    traversal.pick(200)
    assert n_visits < 0.1 * 200 * len(X)
    if n_centers:
        assert n_distances < 0.4 * (n_centers + 200) * len(X)


@pytest.mark.parametrize("k", [-1, 3])
def test_k_center_refuses_more_than_there_are(k):
    with pytest.raises(ValueError, match=f"k={k} rows asked of 2 candidates"):
        FarthestFirst(np.eye(4)).pick(k, [1, 2])


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "heavy"])
def test_k_center_with_rows_that_leave_the_active_block_and_come_back(kind):
    X = embedding(600, 0, kind)
    traversal = FarthestFirst(X)
    traversal._n_active = 6
    traversal.add([5, 77])
    assert traversal.pick(300).tolist() == naive_k_center(X, 300, [5, 77])


@pytest.mark.parametrize("candidates", [None, np.ones(5, dtype=bool), np.arange(5)])
def test_k_center_never_picks_a_center(candidates):
    traversal = FarthestFirst(np.array([[0.0], [0.0], [0.0], [9.0], [0.0]]))
    traversal.add([3, 1])
    assert traversal.pick(3, candidates).tolist() == [0, 2, 4]
    with pytest.raises(ValueError, match="k=4 rows asked of 3 candidates"):
        traversal.pick(4, candidates)


def test_k_center_beyond_the_range_of_float32():
    X = np.array([[0.0], [1e39], [3e39], [-2e39]])
    assert FarthestFirst(X).pick(3).tolist() == naive_k_center(X, 3)


@given(X=grids(), data=st.data())
def test_picks_go_on_from_those_that_are_pending(X, data):
    """Two batches are one of twice the size, and what is pending does not become a center."""
    rows = data.draw(st.permutations(range(len(X))))
    n_centers = data.draw(st.integers(0, len(X) - 1))
    traversal = FarthestFirst(X)
    traversal.add(rows[:n_centers])
    n_first = data.draw(st.integers(0, len(X) - n_centers))
    both = traversal.pick(len(X) - n_centers)
    first = traversal.pick(n_first)
    for _ in range(2):
        second = traversal.pick(len(both) - n_first, pending=first)
        np.testing.assert_array_equal(np.r_[first, second], both)
    np.testing.assert_array_equal(traversal.pick(len(both)), both)


@pytest.mark.parametrize("kind", ["clusters", "heavy"])
@pytest.mark.parametrize("n_centers", [0, 30])
def test_many_pending_rows(kind, n_centers):
    X = embedding(5000, 0, kind)
    traversal = FarthestFirst(X)
    traversal.add(np.arange(n_centers))
    both = traversal.pick(300)
    np.testing.assert_array_equal(traversal.pick(100, pending=both[:200]), both[200:])
    with pytest.raises(ValueError, match="k=4701 rows asked of 4700 candidates"):
        traversal.pick(4701, np.arange(n_centers, 5000), pending=both[: 300 - n_centers])


@given(grids())
def test_rows_that_are_too_many_to_be_kept_are_measured_in_blocks(X):
    k = min(5, len(X))
    expected = FarthestFirst(X).pick(k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farthest_first, "_MOST_KEPT", 0)
        np.testing.assert_array_equal(FarthestFirst(X).pick(k), expected)


@pytest.mark.parametrize("centers", [[], [7]], ids=str)
def test_equal_rows_are_not_copied(centers):
    X = np.zeros((80_000, 200), dtype=np.uint8)
    traversal = FarthestFirst(X)
    traversal.add(centers)
    tracemalloc.start()
    assert traversal.pick(3).tolist() == [0, 1, 2]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes
