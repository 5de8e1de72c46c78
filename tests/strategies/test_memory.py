"""No query copies the pool, its memory has a stated bound, and a two-stage strategy looks at its candidates alone."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner, strategies
from skal.access import torch_module
from skal.graph import nearest_neighbors
from skal.strategies import (
    ASAL,
    BADGE,
    BALD,
    DGAL,
    SEALS,
    VAAL,
    WAAL,
    ContrastiveAL,
    CoreSet,
    DeepFool,
    DensityWeighted,
    DiffusionSampling,
    DiscriminativeAL,
    ExpectedErrorReduction,
    KMedian,
    LearningLoss,
    MaxHerding,
    ProbCover,
    QueryByCommittee,
    RandomSampling,
    RandomSubset,
    TypiClust,
    UncertaintySampling,
)
from tests.memory import CASES, stated
from tests.networks import AffineGenerator, Discriminating

N_SAMPLES, N_FEATURES = 60_000, 100


@pytest.fixture(scope="module")
def pool():
    X = np.random.default_rng(0).normal(size=(N_SAMPLES, N_FEATURES))
    y = np.where(np.arange(N_SAMPLES) < 100, X[:, 0] > 0, -1)
    return X, y


@pytest.mark.parametrize(
    "strategy",
    [
        RandomSampling(),
        UncertaintySampling(),
        CoreSet(),
        KMedian(max_iter=2),
        TypiClust(max_iter=2),
        BADGE(),
        RandomSubset(500),
        VAAL(),
        WAAL(),
        BALD(5),
        QueryByCommittee(),
        DensityWeighted(),
        DiscriminativeAL(n_parts=2),
        ContrastiveAL(),
        ExpectedErrorReduction(n_candidates=20),
        LearningLoss(),
        DeepFool(2),
        SEALS(n_neighbors=10),
        SEALS(PCA(3), n_neighbors=10),
    ],
    ids=lambda strategy: type(strategy).__name__,
)
def test_no_copy_of_the_pool(strategy, pool):
    X, y = pool
    learner = ActiveLearner(Discriminating(), strategy, n_queries=20, random_state=0)
    learner.fit(X[:200], y[:200]).query()  # imports what it needs
    nearest_neighbors(X[:600], 2)  # and what it needs of more rows
    learner.fit(X, y)
    tracemalloc.start()
    learner.query(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


def watched():
    """A classifier, and a list of how many rows each of its predictions is about."""
    seen = []

    class Watched(LogisticRegression):
        def predict_proba(self, X):
            seen.append(len(X))
            return super().predict_proba(X)

    torch_module.register(Watched, torch_module.dispatch(LogisticRegression))  # its answers are the same
    return Watched(), seen


def test_asal_scans_nothing(pool):
    X, y = pool
    classifier, seen = watched()
    generator = FrozenEstimator(AffineGenerator().fit(X[:1000]))
    strategy = ASAL(generator, "pixels", n_components=5, n_steps=3, n_neighbors=2)
    learner = ActiveLearner(classifier, strategy, n_queries=20, random_state=0)
    learner.fit(X[:200], y[:200]).query()  # imports what it needs
    seen.clear()
    tracemalloc.start()
    learner.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    assert kept < 60 * N_SAMPLES  # five features and a position a row, the labels
    assert peak < X.nbytes
    tracemalloc.reset_peak()
    learner.query(X)
    assert tracemalloc.get_traced_memory()[1] - kept < 20 * N_SAMPLES  # masks of the pool
    tracemalloc.stop()
    assert not seen


def test_dgal_keeps_a_sparse_graph_and_scans_nothing(pool):
    X, y = pool
    classifier, seen = watched()
    strategy = DGAL(PCA(3), n_neighbors=5, n_candidates=500)
    learner = ActiveLearner(classifier, strategy, n_queries=20, random_state=0)
    learner.fit(X[:200], y[:200]).query()  # imports what it needs
    tracemalloc.start()
    learner.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    assert kept < 200 * N_SAMPLES  # up to ten transitions a row, and the labels
    assert peak < 1000 * N_SAMPLES
    seen.clear()
    learner.query(X)
    labels = learner.y_.copy()
    labels[N_SAMPLES - 1] = 1
    n_steps = learner.strategy_.diffusion_.n_steps
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    learner.strategy_.query(X, labels, 20, estimator=learner.estimator_)
    assert tracemalloc.get_traced_memory()[1] - before < 80 * N_SAMPLES  # masks and uncertainties of the pool
    assert (
        tracemalloc.get_traced_memory()[0] < kept + (16 * n_steps + 40) * N_SAMPLES
    )  # every step, of two classes
    tracemalloc.stop()
    assert seen == [500, 500]


@pytest.mark.parametrize(
    "criterion", [UncertaintySampling(), CoreSet(), CoreSet("classifier"), KMedian(), BADGE()], ids=str
)
def test_a_criterion_looks_at_its_candidates_alone(criterion, pool, monkeypatch):
    X, y = pool
    classifier, seen = watched()
    strategy = RandomSubset(500, criterion)
    learner = ActiveLearner(classifier, strategy, n_queries=20, random_state=0).fit(X, y)
    tracemalloc.start()
    rows = learner.query(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(seen) <= 500
    assert len(rows) == 20
    assert (
        peak < 40 * (500 + 100) * N_FEATURES
    )  # some copies of what it sees, in float64, and masks of the pool


def test_every_strategy_is_measured_and_in_the_docs():
    rows = np.zeros((2, 2))
    kinds = [getattr(strategies, name) for name in strategies.__all__]
    concrete = {each for each in kinds if hasattr(each, "fit") and not each.__abstractmethods__}
    assert {type(case.strategy(rows)) for case in CASES.values()} == concrete
    lines = (Path(__file__).parents[2] / "docs" / "memory.md").read_text().splitlines()
    for name in CASES:
        assert [line.startswith(stated(name)) for line in lines].count(True) == 1, name


@pytest.mark.parametrize(
    "strategy",
    [
        UncertaintySampling(),
        CoreSet(),
        CoreSet("input"),
        KMedian(max_iter=3),
        TypiClust(max_iter=3),
        DiffusionSampling(),
        ProbCover(),
        MaxHerding(),
        BADGE(),
        SEALS(n_neighbors=5),
        SEALS(n_neighbors=5, metric="cosine"),
        RandomSubset(100, BADGE()),
    ],
    ids=str,
)
def test_bytes_are_chosen_as_their_floats_are(strategy):
    X, y = load_digits(return_X_y=True)
    classifier = FrozenEstimator(LogisticRegression(max_iter=50).fit(X[:100], y[:100]))
    y[50:] = -1
    chosen = [
        ActiveLearner(classifier, strategy, n_queries=20, random_state=0).fit(X.astype(dtype), y).query()
        for dtype in (np.uint8, np.float32)
    ]
    assert_array_equal(*chosen)
