"""CoreSet against the naive algorithm, over rounds in which what it keeps could go stale."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skal import ActiveLearner
from skal.labels import Labels
from skal.pool import as_pool
from skal.strategies import CoreSet, Query, RandomSubset

X = np.random.default_rng(0).normal(size=(200, 6))
TRUTH = (X[:, 0] > 0).astype(int)


def first_two(X):
    return X[:, :2]


def naive(rows, labeled, n_queries):
    covered, picks = list(labeled), []
    for _ in range(n_queries):
        distances = cdist(rows, rows[covered]).min(axis=1)
        distances[covered] = -1
        picks.append(int(distances.argmax()))
        covered.append(picks[-1])
    return picks


@pytest.mark.parametrize(
    ("classifier", "strategy", "embed"),
    [
        (LogisticRegression(), CoreSet(), lambda learner: X),
        (LogisticRegression(), CoreSet("input"), lambda learner: X),
        (LogisticRegression(), CoreSet(PCA(2)), lambda learner: learner.strategy_.encoder_.transform(X)),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            CoreSet("classifier"),
            lambda learner: learner.estimator_[:-1].transform(X),
        ),
        # A view of the pool that is not the pool, after a round on the pool itself.
        (
            make_pipeline(FunctionTransformer(first_two), LogisticRegression()),
            CoreSet(),
            lambda learner: X[:, :2],
        ),
    ],
    ids=["auto", "input", "transformer", "pipeline", "columns"],
)
def test_every_round_equals_the_naive_algorithm(classifier, strategy, embed):
    y = np.full(200, -1)
    if strategy.embedding == "classifier":
        y[:10] = TRUTH[:10]
    learner = ActiveLearner(classifier, strategy, n_queries=8, random_state=0).fit(X, y)
    for _ in range(5):
        rows = learner.query(X)
        labeled = np.flatnonzero(learner.y_ >= 0)
        if len(labeled):
            assert_array_equal(rows, naive(embed(learner), labeled, 8))
        learner.teach(rows, TRUTH[rows])


def test_a_restricted_core_set_measures_the_distance_to_labelled_rows():
    y = np.where(np.arange(200) < 20, TRUTH, -1)
    strategy = RandomSubset(30, CoreSet("input"), random_state=0).fit(X, y)
    rows = strategy.query(X, y, 3)
    query = Query(
        pool=as_pool(X), labels=Labels.of(y), n_queries=3, rng=np.random.default_rng([strategy._seed, 20])
    )
    candidates = strategy._restrict(query)
    expected = naive(X[np.r_[:20, np.sort(candidates)]], range(20), 3)
    assert_array_equal(rows, np.r_[:20, np.sort(candidates)][expected])
