"""DensityWeighted against all pairs of rows, and what it keeps between queries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from scipy.special import entr
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skal import ActiveLearner
from skal.selection import density, mean_closeness, mean_cosine
from skal.strategies import (
    BADGE,
    DensityWeighted,
    QueryByCommittee,
    RandomSubset,
    UncertaintySampling,
)

X = np.random.default_rng(0).normal([3, 0, 0], size=(120, 3))
TRUTH = (X[:, 1] > 0).astype(int)
Y = np.where(np.arange(120) < 10, TRUTH, -1)


def similarities(rows, kind):
    if kind == "euclidean":
        return 1 / (1 + cdist(rows, rows))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return directions @ directions.T


@given(
    values=st.lists(st.integers(-3, 3), min_size=2, max_size=30),
    width=st.integers(1, 2),
    step=st.integers(1, 7),
)
def test_means_are_those_over_all_pairs(values, width, step):
    rows = np.array(values[: len(values) // width * width]).reshape(-1, width)
    before, density._BLOCK_NUMBERS = density._BLOCK_NUMBERS, 512 * step
    try:
        for dtype in (np.int8, np.float32, np.float64):
            for function, kind in ((mean_cosine, "cosine"), (mean_closeness, "euclidean")):
                expected = similarities(rows.astype(float), kind).mean(axis=1)
                assert_allclose(function(rows.astype(dtype)), expected, atol=1e-12)
    finally:
        density._BLOCK_NUMBERS = before


@pytest.mark.parametrize("function", [mean_cosine, mean_closeness])
def test_no_rows_have_no_means(function):
    means = function(np.zeros((0, 3), dtype=np.int8))
    assert (means.shape, means.dtype) == ((0,), np.float64)


def test_means_of_numbers_that_are_far_away_huge_or_tiny():
    rows = np.random.default_rng(0).integers(-9, 9, size=(50, 2)).astype(float)
    assert_allclose(mean_closeness(rows + 1e9), mean_closeness(rows))
    for scale in (1e-200, 1e200):
        assert_allclose(mean_cosine(rows * scale), mean_cosine(rows))


@pytest.mark.parametrize("far", [[0], [-1], [7], range(20)], ids=str)
@pytest.mark.parametrize("distance", [1e6, 1e9])
def test_far_rows_leave_the_closeness_of_the_others_whatever_the_order(far, distance):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[np.array(far)] += distance
    for order in (np.arange(60), np.arange(60)[::-1], np.random.default_rng(1).permutation(60)):
        expected = similarities(rows, "euclidean").mean(axis=1)
        assert_allclose(mean_closeness(rows[order]), expected[order], rtol=1e-7)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
@pytest.mark.parametrize("embedding", ["auto", "input", PCA(2)], ids=str)
def test_every_round_equals_the_product_by_hand(similarity, embedding):
    strategy = DensityWeighted(beta=2, similarity=similarity, embedding=embedding)
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=6, random_state=0).fit(X, Y)
    rows = X if isinstance(embedding, str) else learner.strategy_.encoder_.transform(X)
    weight = similarities(rows, similarity).mean(axis=1).clip(0) ** 2
    for _ in range(4):
        scores = entr(learner.predict_proba(X)).sum(axis=1) * weight
        left = np.setdiff1d(np.arange(120), np.flatnonzero(learner.y_ >= 0))
        expected = left[np.argsort(-scores[left])][:6]
        assert_array_equal(learner.query(), expected)
        learner.teach(expected, TRUTH[expected])


def test_scores_below_zero_are_counted_from_the_least():
    classifier = FrozenEstimator(GaussianNB().fit(X[:10], TRUTH[:10]))
    criterion = UncertaintySampling("margin")
    learner = ActiveLearner(classifier, DensityWeighted(criterion), n_queries=9, random_state=0).fit(X, Y)
    margins = ActiveLearner(classifier, criterion, random_state=0).fit(X, Y).score_samples(X)[10:]
    product = (margins - margins.min()) * mean_cosine(X)[10:].clip(0)
    assert_array_equal(learner.query(), 10 + np.argsort(-product)[:9])
    learner.set_params(strategy__beta=0).fit(X, Y)
    assert_array_equal(learner.query(), 10 + np.argsort(-margins)[:9])


def test_the_density_is_computed_once_where_the_embedding_stays(monkeypatch):
    sizes, known = [], DensityWeighted._density

    def watched(strategy, embedding):
        sizes.append(len(embedding))
        return known(strategy, embedding)

    monkeypatch.setattr(DensityWeighted, "_density", watched)
    learner = ActiveLearner(LogisticRegression(), DensityWeighted(), n_queries=4, random_state=0).fit(X, Y)
    for _ in range(3):
        rows = learner.query()
        learner.teach(rows, TRUTH[rows])
    assert sizes == [120]
    learner.query(X[:50] + 1)
    learner.set_params(strategy=RandomSubset(30, DensityWeighted())).fit(X, Y).query()
    assert sizes == [120, 50, 30]


def test_a_bootstrap_committee_is_a_criterion_and_a_batch_strategy_is_none():
    strategy = DensityWeighted(QueryByCommittee("kl", n_members=3))
    rows = ActiveLearner(GaussianNB(), strategy, n_queries=5, random_state=0).fit(X, Y).query(pending=[11])
    assert len(rows) == 5
    assert rows.min() >= 10
    assert 11 not in rows
    with pytest.raises(ValueError, match="'criterion' parameter of DensityWeighted"):
        DensityWeighted(BADGE()).fit(X)
