"""The batch selectors against brute force in float64; integer grids make distances, and so ties, exact."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import chisquare

from skal.selection import (
    FarthestFirst,
    badge_kmeans_plusplus,
    k_medians,
    top_k,
)


@st.composite
def grids(draw, max_rows=30):
    """Few rows of few small integers, float32 or float64: duplicates and ties abound."""
    shape = draw(st.integers(1, max_rows)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.integers(0, draw(st.integers(1, 5)), shape, endpoint=True)
    return (X + draw(st.sampled_from([0, 10_000]))).astype(draw(st.sampled_from([np.float32, np.float64])))


def embedding(n_rows, seed, kind, dtype=np.float32):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 8))
    if kind == "clusters":
        X = 0.05 * X + 5 * rng.normal(size=(12, 8))[rng.integers(12, size=n_rows)]
    if kind == "offset":
        X += 1e4
    if kind == "heavy":
        X /= rng.uniform(0.001, 1, size=(n_rows, 1))
    return X.astype(dtype)


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


def gradients(embeddings, probabilities):
    """The outer products that BADGE never forms."""
    residuals = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)] - probabilities
    return np.einsum("ic,id->icd", residuals, embeddings).reshape(len(embeddings), -1)


# -- top_k ------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([-np.inf, -1.5, 0.0, -0.0, 2.0, np.inf]), max_size=30), st.data())
def test_top_k_is_a_stable_descending_sort(scores, data):
    k = data.draw(st.integers(0, len(scores)))
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
    chosen = top_k(np.array(scores, dtype=float), k)
    assert chosen.tolist() == expected
    assert chosen.dtype == np.intp


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8, bool])
def test_top_k_of_any_dtype(dtype):
    assert top_k(np.array([0, 1, 0, 1, 1], dtype=dtype), 4).tolist() == [1, 3, 4, 0]


def test_top_k_refuses_nan():
    with pytest.raises(ValueError, match="1 of 3 scores are NaN"):
        top_k([0.0, np.nan, 1.0], 1)


@pytest.mark.parametrize("k", [-1, 4])
def test_top_k_refuses_more_than_there_are(k):
    with pytest.raises(ValueError, match=f"k={k}"):
        top_k([1.0, 2.0, 3.0], k)


# -- k-center greedy --------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("k", [-1, 3])
def test_k_center_refuses_more_than_there_are(k):
    with pytest.raises(ValueError, match=f"k={k} rows asked of 2 candidates"):
        FarthestFirst(np.eye(4)).pick(k, [1, 2])


# -- BADGE ------------------------------------------------------------------------------------------------------


def badge_inputs(n_rows, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, 3)).astype(dtype), rng.dirichlet(np.ones(4), n_rows).astype(dtype)


@pytest.mark.parametrize("n_recent", [1, 2])
def test_badge_follows_the_sequential_distribution(n_recent):
    """Second and third pick, chi-square against k-means++ on the materialised gradients."""
    embeddings, probabilities = badge_inputs(6, 0)
    sq_distances = cdist(*[gradients(embeddings, probabilities)] * 2, "sqeuclidean")
    first = int(np.square(gradients(embeddings, probabilities)).sum(axis=1).argmax())
    expected = np.zeros((6, 6))
    for second in range(6):
        p_second = sq_distances[first, second] / sq_distances[first].sum()
        nearest = np.minimum(sq_distances[first], sq_distances[second])
        expected[second] = p_second * nearest / nearest.sum()
    counts, n_draws = np.zeros((6, 6)), 6_000
    rng = np.random.default_rng(n_recent)
    for _ in range(n_draws):
        # Later picks must not disturb earlier ones.
        picks = badge_kmeans_plusplus(embeddings, probabilities, 2 + n_recent, rng)
        assert picks[0] == first
        counts[picks[1], picks[2]] += 1
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible], n_draws * expected[possible]).pvalue > 0.01


def test_badge_distances_stay_exact_through_refreshes():
    """The last of many picks, after several passes, is still drawn by its distance: chi-square in bins."""
    embeddings, probabilities = badge_inputs(40, 1)
    vectors = gradients(embeddings, probabilities)
    sq_distances = cdist(vectors, vectors, "sqeuclidean")
    ranks, rng = [], np.random.default_rng(0)
    for _ in range(1_500):
        *former, last = badge_kmeans_plusplus(embeddings, probabilities, 30, rng)
        cumulative = np.cumsum(sq_distances[former].min(axis=0))
        # The probability integral transform, with the jump of the discrete draw filled in.
        low = cumulative[last - 1] if last else 0.0
        ranks.append((low + rng.random() * (cumulative[last] - low)) / cumulative[-1])
    assert chisquare(np.histogram(ranks, bins=10, range=(0, 1))[0]).pvalue > 0.01


@given(
    st.integers(1, 25), st.integers(1, 25), st.integers(0, 1000), st.sampled_from([np.float32, np.float64])
)
def test_badge_rows_are_distinct_and_duplicates_come_last(n_distinct, n_copies, seed, dtype):
    embeddings, probabilities = badge_inputs(n_distinct, seed, dtype)
    order = np.random.default_rng(seed).permutation(np.tile(np.arange(n_distinct), n_copies))
    n_rows = len(order)
    chosen = badge_kmeans_plusplus(
        embeddings[order], probabilities[order], n_rows, np.random.default_rng(seed)
    )
    assert sorted(chosen.tolist()) == list(range(n_rows))
    assert sorted(order[chosen[:n_distinct]].tolist()) == list(range(n_distinct))
    again = badge_kmeans_plusplus(
        embeddings[order], probabilities[order], n_rows, np.random.default_rng(seed)
    )
    assert again.tolist() == chosen.tolist()


def test_badge_fallback_is_uniform():
    """Nothing to tell the rows apart: the first by position, the others evenly."""
    rng = np.random.default_rng(0)
    ones, certain = np.ones((5, 2)), np.tile([1.0, 0.0], (5, 1))
    picks = np.array([badge_kmeans_plusplus(ones, certain, 2, rng) for _ in range(2_000)])
    assert not picks[:, 0].any()
    assert chisquare(np.bincount(picks[:, 1], minlength=5)[1:]).pvalue > 0.01


def test_badge_memory():
    n_rows = 60_000
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(n_rows, 50)).astype(np.float32)
    probabilities = rng.dirichlet(np.ones(10), n_rows).astype(np.float32)
    tracemalloc.start()
    badge_kmeans_plusplus(embeddings, probabilities, 30, rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6


def test_badge_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="3 rows of embeddings and 2 of probabilities"):
        badge_kmeans_plusplus(np.eye(3), np.full((2, 2), 0.5), 1, np.random.default_rng(0))


# -- k-medians --------------------------------------------------------------------------------------------------


def objective(X, rows):
    return cdist(X.astype(np.float64), X[rows].astype(np.float64)).min(axis=1).sum()


@given(grids(), st.integers(0, 1000), st.data())
def test_k_medians_never_gets_worse(X, seed, data):
    k = data.draw(st.integers(1, len(X)))
    values = []
    for max_iter in (1, 2, 3, 100):
        rows = k_medians(X, k, np.random.default_rng(seed), max_iter=max_iter)
        assert len(set(rows.tolist())) == k
        assert np.isin(rows, np.arange(len(X))).all()
        values.append(objective(X, rows))
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(values))


@pytest.mark.parametrize("kind", ["gaussian", "clusters", "offset", "heavy"])
def test_k_medians_improves_on_random_rows(kind):
    X = embedding(1_000, 0, kind)
    rng = np.random.default_rng(0)
    random = min(objective(X, rng.choice(1_000, 12, replace=False)) for _ in range(20))
    assert objective(X, k_medians(X, 12, rng)) < random


def test_k_medians_finds_the_best_rows_of_separate_clusters():
    rng = np.random.default_rng(0)
    sizes = [9, 25, 16]
    X = np.concatenate([rng.normal(20 * i, 1, (size, 2)) for i, size in enumerate(sizes)])
    chosen = k_medians(X, 3, rng)
    assert chosen.tolist() == sorted(chosen, key=lambda row: -sizes[round(X[row, 0] / 20)])
    edges = np.cumsum([0, *sizes])
    best = sum(cdist(X[a:b], X[a:b]).sum(axis=1).min() for a, b in pairwise(edges))
    assert objective(X, chosen) <= 1.05 * best


@pytest.mark.parametrize(
    "X", [np.zeros((1, 1)), np.ones((6, 2)), np.arange(6.0)[:, None]], ids=["one", "equal", "line"]
)
def test_k_medians_of_all_rows(X):
    assert sorted(k_medians(X, len(X), np.random.default_rng(0)).tolist()) == list(range(len(X)))


@pytest.mark.parametrize("k", [0, 4])
def test_k_medians_refuses_more_than_there_are(k):
    with pytest.raises(ValueError, match=f"k={k} rows asked of 3"):
        k_medians(np.eye(3), k, np.random.default_rng(0))


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
