"""ContrastiveAL against divergences computed pair by pair."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import rel_entr
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.strategies import ContrastiveAL, RandomSubset, contrastive

X = np.random.default_rng(0).normal(size=(120, 4))
TRUTH = np.digitize(X[:, 0], [-0.5, 0.5])
Y = np.where(np.arange(120) < 15, TRUTH, -1)


def naive(embedding, p, labeled, row, k):
    distances = np.linalg.norm(embedding[labeled] - embedding[row], axis=1)
    near = labeled[np.argsort(distances, kind="stable")[:k]]
    return np.mean([rel_entr(p[i], p[row]).sum() for i in near])


@given(seed=st.integers(0, 100), k=st.integers(1, 9), step=st.sampled_from([1, 40, 10**6]))
def test_scores_are_mean_divergences_from_the_nearest_labelled_rows(seed, k, step):
    rng = np.random.default_rng(seed)
    rows, p = rng.normal(size=(20, 2)) + 1e6, rng.dirichlet([0.5, 0.5, 0.5], size=20)
    before, contrastive._BLOCK_NUMBERS = contrastive._BLOCK_NUMBERS, step
    try:
        scores = ContrastiveAL(n_neighbors=k)._divergences(rows[:7], p[:7], rows, np.arange(7, 20), p[7:])
    finally:
        contrastive._BLOCK_NUMBERS = before
    expected = [naive(rows, p, np.arange(7), row, k) for row in range(7, 20)]
    assert_allclose(scores, expected, rtol=1e-6, atol=1e-12)


@given(seed=st.integers(0, 100), far=st.sampled_from([1e6, 1e9]))
def test_far_rows_do_not_hide_who_is_near(seed, far):
    rng = np.random.default_rng(seed)
    rows, p = rng.normal(size=(40, 2)), rng.dirichlet([0.5, 0.5, 0.5], size=40)
    rows[::4, 1] = far
    scores = ContrastiveAL(n_neighbors=3)._divergences(rows[:20], p[:20], rows, np.arange(20, 40), p[20:])
    expected = [naive(rows, p, np.arange(20), row, 3) for row in range(20, 40)]
    assert_allclose(scores, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("classifier", "strategy", "embed"),
    [
        (LogisticRegression(), ContrastiveAL(n_neighbors=3), lambda learner: X),
        (GaussianNB(), ContrastiveAL("input", n_neighbors=3), lambda learner: X),
        (
            GaussianNB(),
            ContrastiveAL(PCA(2), n_neighbors=3),
            lambda learner: learner.strategy_.encoder_.transform(X),
        ),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            ContrastiveAL("classifier", n_neighbors=3),
            lambda learner: learner.estimator_[:-1].transform(X),
        ),
    ],
    ids=["auto", "input", "transformer", "pipeline"],
)
def test_every_round_equals_the_naive_algorithm(classifier, strategy, embed):
    learner = ActiveLearner(classifier, strategy, n_queries=25, random_state=0).fit(X, Y)
    for _ in range(4):  # in the last two most rows are labelled
        labeled = np.flatnonzero(learner.y_ >= 0)
        left = np.setdiff1d(np.arange(120), labeled)
        p = learner.predict_proba(X)
        scores = [naive(embed(learner), p, labeled, row, 3) for row in left]
        expected = left[np.argsort(-np.array(scores))][:25]
        assert_array_equal(learner.query(), expected)
        learner.teach(expected, TRUTH[expected])


@pytest.mark.parametrize("embedding", ["input", "auto", PCA(2)], ids=str)
def test_samples_and_rows_of_the_fitted_pool_are_neighbours_in_another_pool(embedding):
    strategy = ContrastiveAL(embedding, n_neighbors=3)
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=6, random_state=0).fit(X, Y)
    learner.extend(X[15:20] + 0.01, TRUTH[15:20])
    rows = np.concatenate([X[:15], X[15:20] + 0.01, X[60:] + 0.5])
    shown = rows if isinstance(embedding, str) else learner.strategy_.encoder_.transform(rows)
    p = learner.predict_proba(rows)
    scores = [naive(shown, p, np.arange(20), row, 3) for row in range(20, 80)]
    assert_array_equal(learner.query(rows[20:]), np.argsort(-np.array(scores))[:6])


def test_a_restricted_query_is_one_among_its_candidates():
    criterion = ContrastiveAL(n_neighbors=4)
    learner = ActiveLearner(LogisticRegression(), RandomSubset(20, criterion), n_queries=20, random_state=0)
    rows = learner.fit(X, Y).query()
    whole = learner.set_params(strategy=criterion).fit(X, Y).query(n_queries=105)
    assert_array_equal(rows, whole[np.isin(whole, rows)])


def test_certain_predictions_and_huge_rows_and_no_labels():
    class Certain(GaussianNB):
        def predict_proba(self, X):
            return np.eye(3)[super().predict_proba(X).argmax(axis=1)]

    learner = ActiveLearner(Certain(), ContrastiveAL("input"), n_queries=9, random_state=0).fit(X, Y)
    assert len(set(learner.query().tolist())) == 9
    with pytest.raises(ValueError, match="overflow"):
        learner.query(X * 1e200)
    with pytest.raises(ValueError, match="none is labelled; give y"):
        ContrastiveAL().fit(X).query(X, estimator=learner.estimator_)
