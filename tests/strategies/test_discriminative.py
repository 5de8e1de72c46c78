"""DiscriminativeAL against its algorithm written out, over labelled, pending and other rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skal import ActiveLearner
from skal.strategies import DiscriminativeAL, RandomSubset
from skal.strategies.discriminative import _sizes

X = np.random.default_rng(0).normal(size=(90, 3))
TRUTH = (X[:, 0] > 0).astype(int)
Y = np.where(np.arange(90) < 12, TRUTH, -1)
ALL = 10**6  # unlabelled rows per labelled one: nothing is drawn


def naive(rows, labeled, left, sizes, discriminator):
    labeled, left, picks = list(labeled), list(left), []
    for size in sizes:
        fitted = discriminator.fit(rows[labeled + left], [0] * len(labeled) + [1] * len(left))
        scores = fitted.decision_function(rows[left])
        best = [left[i] for i in np.argsort(-scores)[:size]]
        picks, labeled, left = picks + best, labeled + best, [row for row in left if row not in best]
    return picks


@pytest.mark.parametrize("embedding", ["input", "auto", PCA(2)], ids=str)
def test_every_round_equals_the_naive_algorithm(embedding):
    strategy = DiscriminativeAL(
        embedding, discriminator=LinearDiscriminantAnalysis(), n_parts=3, n_unlabeled=ALL
    )
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=8, random_state=0).fit(X, Y)
    rows = X if isinstance(embedding, str) else learner.strategy_.encoder_.transform(X)
    for _ in range(7):  # few are left at the end
        labeled = np.flatnonzero(learner.y_ >= 0)
        left = np.setdiff1d(np.arange(90), labeled)
        expected = naive(rows, labeled, left, [3, 3, 2], LinearDiscriminantAnalysis())
        assert_array_equal(learner.query(), expected)
        learner.teach(expected, TRUTH[expected])


@pytest.mark.parametrize("kind", [np.float16, np.uint8])
def test_rows_are_scored_in_the_numbers_that_the_discriminator_is_trained_on(kind):
    class Watched(LogisticRegression):
        def fit(self, X, y):
            seen.append(X.dtype)
            return super().fit(X, y)

        def decision_function(self, X):
            seen.append(X.dtype)
            return super().decision_function(X)

    seen, rows = [], (X * 20 + 100).astype(kind)
    DiscriminativeAL("input", discriminator=Watched(), n_parts=1).fit(rows).query(rows, Y)
    assert set(seen) == {np.dtype(np.float32)}


def test_pending_rows_and_samples_count_as_labelled():
    discriminator = LinearDiscriminantAnalysis()
    strategy = DiscriminativeAL("input", discriminator=discriminator, n_parts=1, n_unlabeled=ALL)
    learner = ActiveLearner(GaussianNB(), strategy, n_queries=4, random_state=0).fit(X, Y)
    pending = np.array([20, 50])
    known = np.r_[:12, pending]
    left = np.setdiff1d(np.arange(90), known)
    assert_array_equal(learner.query(pending=pending), naive(X, known, left, [4], discriminator))
    learner.extend(X[pending] + 0.1, [0, 1])
    more = np.concatenate([X, X[pending] + 0.1])
    expected = naive(more, np.r_[:12, 90, 91], np.arange(12, 90), [4], discriminator)
    assert_array_equal(learner.query(), expected)
    other = np.concatenate([X[:12], X[pending] + 0.1, X[30:60] + 1])
    expected = naive(other, np.arange(14), np.arange(14, 44), [4], discriminator)
    assert_array_equal(learner.query(other[14:]), np.array(expected) - 14)


def test_the_discriminator_is_trained_for_each_part_on_a_bounded_sample():
    class Watched(LogisticRegression):
        def fit(self, X, y):
            seen.append(np.bincount(y).tolist())
            return super().fit(X, y)

    seen = []
    strategy = DiscriminativeAL("input", discriminator=Watched(), n_parts=2, n_unlabeled=3)
    ActiveLearner(GaussianNB(), strategy, n_queries=5, random_state=0).fit(X, Y).query()
    assert seen == [[12, 36], [15, 45]]


def test_without_labels_a_random_row_comes_first():
    strategy = DiscriminativeAL(discriminator=GaussianNB(), random_state=0).fit(X)
    rows = strategy.query(X, n_queries=7)
    assert len(set(rows.tolist())) == 7
    assert_array_equal(rows, strategy.query(X, n_queries=7))
    assert len(RandomSubset(20, strategy, random_state=0).fit(X).query(X, n_queries=20)) == 20


@pytest.mark.parametrize(
    ("n_queries", "n_parts", "starts", "sizes"),
    [(8, 3, True, [3, 3, 2]), (2, 10, True, [1, 1]), (4, 2, False, [1, 2, 1]), (1, 5, False, [1])],
)
def test_sizes_of_parts(n_queries, n_parts, starts, sizes):
    assert _sizes(n_queries, n_parts, starts=starts) == sizes
