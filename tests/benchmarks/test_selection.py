"""CoreSet, BADGE and KMedian selection: 100 rows of 60,000 x 50, beside scikit-activeml and the memory bound.

Run with ``pytest tests/benchmarks/test_selection.py -s``. Contestants take turns, so that a slow moment of the machine
meets all of them; the printed figures are medians. The bound is one pass over the rows, a sum in float32: no selector
that looks at every row once can be faster.
"""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.decomposition import PCA

from skal.selection import FarthestFirst, badge_kmeans_plusplus, k_medians

from .timing import in_turns, report

N_ROWS, N_FEATURES, N_CLASSES, N_PICKS = 60_000, 50, 10, 100


def mixture():
    """Thirty gaussian clusters whose variances fall like the spectrum of real embeddings."""
    rng = np.random.default_rng(0)
    scales = 1 / np.sqrt(1 + np.arange(N_FEATURES))
    centers = 2 * scales * rng.normal(size=(30, N_FEATURES))
    X = centers[rng.integers(30, size=N_ROWS)] + scales * rng.normal(size=(N_ROWS, N_FEATURES))
    return X.astype(np.float32)


@pytest.fixture(scope="module", params=["gaussian", "mixture", "mnist"])
def X(request):  # noqa: N802 - the fixture is the data
    if request.param == "gaussian":
        return np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES)).astype(np.float32)
    if request.param == "mixture":
        return mixture()
    pixels = request.getfixturevalue("mnist")[0].reshape(N_ROWS, -1)
    pca = PCA(N_FEATURES, svd_solver="covariance_eigh")
    return pca.fit_transform(pixels / np.float32(255)).astype(np.float32)


def softmax_probabilities(X):
    """Those of a random linear classifier, fairly sure of itself."""
    logits = X @ np.random.default_rng(0).normal(size=(N_FEATURES, N_CLASSES)).astype(np.float32)
    return softmax(3 / logits.std() * logits, axis=1)


@pytest.mark.parametrize("n_labeled", [0, 100, 5_000])
def test_core_set(benchmark, X, n_labeled):
    peers = pytest.importorskip("skactiveml.pool")
    labeled = np.random.default_rng(0).choice(N_ROWS, n_labeled, replace=False)
    y = np.full(N_ROWS, np.nan)
    y[labeled] = 0

    def from_scratch():
        traversal = FarthestFirst(X)
        traversal.add(labeled)
        return traversal.pick(N_PICKS)

    kept = FarthestFirst(X)
    kept.add(labeled[: n_labeled - N_PICKS])
    kept.pick(N_PICKS)
    kept.add(labeled[n_labeled - N_PICKS :])
    peer = peers.CoreSet(missing_label=np.nan, random_state=0)
    contestants = {
        "FarthestFirst": from_scratch,
        "kept between rounds": lambda: kept.pick(N_PICKS),
        "scikit-activeml": lambda: peer.query(X, y, batch_size=N_PICKS),
        "bound: one pass": lambda: X.sum(axis=0),
    }
    report(benchmark, f"CoreSet, {n_labeled} labelled rows", in_turns(contestants, rounds=3))
    benchmark.pedantic(from_scratch, rounds=3)


def test_badge(benchmark, X):
    peers = pytest.importorskip("skactiveml.pool")
    from skactiveml.base import SkactivemlClassifier

    probabilities = softmax_probabilities(X)

    class Given(SkactivemlClassifier):
        """A classifier whose answers cost nothing, so that only the selection is timed."""

        def fit(self, X, y, sample_weight=None):
            return self

        def predict_proba(self, X, return_embeddings=True):
            return probabilities, X

    def ours():
        return badge_kmeans_plusplus(X, probabilities, N_PICKS, np.random.default_rng(0))

    y = np.full(N_ROWS, np.nan)
    peer = peers.Badge(missing_label=np.nan, random_state=0, clf_embedding_flag_name="return_embeddings")
    clf = Given(classes=np.arange(N_CLASSES), missing_label=np.nan)
    contestants = {
        "badge_kmeans_plusplus": ours,
        "scikit-activeml": lambda: peer.query(X, y, clf, fit_clf=False, batch_size=N_PICKS),
        "bound: one pass": lambda: X.sum(axis=0),
    }
    report(benchmark, "BADGE", in_turns(contestants, rounds=3))
    tracemalloc.start()
    ours()
    print(f"  {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB beyond the inputs (goal 60)")
    tracemalloc.stop()
    benchmark.pedantic(ours, rounds=3)


def test_k_median(benchmark, X):
    def mean_distance(rows):
        return cdist(X[::20], X[rows]).min(axis=1).mean()

    chosen = benchmark.pedantic(lambda: k_medians(X, N_PICKS, np.random.default_rng(0)), rounds=2)
    random = np.random.default_rng(0).choice(N_ROWS, N_PICKS, replace=False)
    print(f"\nKMedian: {1e3 * benchmark.stats.stats.median:.0f} ms")
    print(
        f"  mean distance to the nearest of 100: {mean_distance(chosen):.3f}, random {mean_distance(random):.3f}"
    )


def test_core_set_scales(benchmark):
    """A pool of half a million rows: time over that of 60,000, linear is 8.3."""
    X = np.tile(mixture(), (9, 1))[:500_000]
    X += np.random.default_rng(1).normal(scale=0.1, size=X.shape).astype(np.float32)
    small, large = lambda: FarthestFirst(X[:N_ROWS]).pick(N_PICKS), lambda: FarthestFirst(X).pick(N_PICKS)
    report(benchmark, "CoreSet, growth", in_turns({"60,000": small, "500,000": large}, rounds=3))
    benchmark.pedantic(large, rounds=1)
