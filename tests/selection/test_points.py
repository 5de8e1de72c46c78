"""What the selectors share: any dtype and memory, no copies, candidates, and threads."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_info

from skal.selection import FarthestFirst, badge_kmeans_plusplus, k_medians, top_k
from skal.selection.points import EuclideanPoints, measure_close, middle, sq_norms
from skal.utils.threads import Kept
from tests.threads import check_threads

from .rows import embedding, grids


@pytest.mark.parametrize(
    "select", [lambda X, k: FarthestFirst(X).pick(k), lambda X, k: k_medians(X, k, np.random.default_rng(0))]
)
def test_integer_rows(select):
    X = np.random.default_rng(0).integers(0, 255, (200, 4), dtype=np.uint8)
    assert select(X, 7).tolist() == select(X.astype(np.float64), 7).tolist()


@pytest.mark.parametrize("n_features", [1, 4])
def test_read_only_memmap(tmp_path, n_features):
    X = np.random.default_rng(0).normal(size=(500, n_features)).astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert FarthestFirst(mapped).pick(9).tolist() == FarthestFirst(X).pick(9).tolist()
    medians = [k_medians(data, 9, np.random.default_rng(0)).tolist() for data in (mapped, X)]
    assert medians[0] == medians[1]


@pytest.mark.parametrize(
    "select",
    [lambda X: FarthestFirst(X).pick(5), lambda X: k_medians(X, 5, np.random.default_rng(0), max_iter=2)],
    ids=["k_center", "k_medians"],
)
def test_no_copy_of_the_rows(select):
    X = np.random.default_rng(0).normal(size=(20_000, 200)).astype(np.float32)
    tracemalloc.start()
    select(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


@given(grids(), st.data())
def test_candidates_equal_a_copy_of_them(X, data):
    chosen = np.array(data.draw(st.lists(st.integers(0, len(X) - 1), unique=True, min_size=1)))
    k = data.draw(st.integers(1, len(chosen)))
    proba = np.random.default_rng(0).dirichlet(np.ones(3), len(X))
    fresh = np.random.default_rng
    badge = badge_kmeans_plusplus(X, proba, k, fresh(0), chosen)
    assert badge.tolist() == chosen[badge_kmeans_plusplus(X[chosen], proba[chosen], k, fresh(0))].tolist()
    medians = k_medians(X, k, fresh(0), chosen)
    assert set(medians.tolist()) <= set(chosen.tolist())
    assert len(set(medians.tolist())) == k


def test_threads_choose_what_one_thread_chooses():
    X = embedding(400, 0, "clusters")
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(X))
    kept = Kept()
    kept.value = FarthestFirst(X)
    limits = [library["num_threads"] for library in threadpool_info()]

    def choose(seed):
        rng = np.random.default_rng(seed)
        candidates = np.sort(rng.choice(len(X), 200, replace=False))
        with kept:
            farthest = kept.value.pick(9, candidates)
        badge = badge_kmeans_plusplus(X, probabilities, 9, rng, candidates)
        return farthest, badge, k_medians(X, 4, rng, candidates, max_iter=2), top_k(X[:, 0], 9, rng)

    check_threads(choose)
    assert [library["num_threads"] for library in threadpool_info()] == limits


@given(grids(), st.sampled_from([0.0, 1e6, 1e9]), st.integers(0, 100))
def test_what_products_drown_is_measured_by_differences(X, far, seed):
    rng = np.random.default_rng(seed)
    X = X.astype(np.float64) + far * (rng.random((len(X), 1)) < 0.5)
    norms = sq_norms(X)
    found = norms[:, np.newaxis] + norms - 2 * X @ X.T
    measure_close(found, X, norms, X)
    assert_allclose(found, cdist(X, X, "sqeuclidean"), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 3), (2000, 3), (20, 2**18)])
def test_the_middle_is_among_the_rows_whatever_the_far_ones(shape, dtype):
    X = np.random.default_rng(0).integers(0, 9, shape).astype(dtype)
    X[: len(X) // 3] = 200
    assert middle(X).dtype == np.float32
    assert middle(X).max() < 9 or len(X) == 1
    assert_array_equal(EuclideanPoints(X).shift, middle(X))


def test_numbers_beyond_float32_have_a_middle():
    assert_array_equal(
        middle(np.array([[1e100, -1e100]])), np.finfo(np.float32).max * np.array([1, -1], np.float32)
    )
