"""DiffusionSampling against dense matrices in float64, as DGAL's second stage, and beside random rows."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner, SimulatedLearner
from skal.labels import Labels
from skal.pool import Candidates, as_pool
from skal.strategies import DGAL, DiffusionSampling, Query, RandomSampling, RandomSubset, Switch
from skal.strategies.query import Samples

X, TRUTH = load_digits(return_X_y=True)
X = X / 16
Y = np.where(np.arange(300) < 30, TRUTH[:300], -1)
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X[:30], TRUTH[:30])


def walks(rows, n_neighbors, kernel, symmetric):
    """Equation 2 with dense matrices; of rows that are equally near the first are neighbours."""
    n = len(rows)
    k = min(n_neighbors, n - 1)
    if not k:
        return np.zeros((n, n))
    distances = np.sqrt(((rows[:, None] - rows) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    scales = distances[np.arange(n), nearest[:, -1]]
    weights = np.zeros((n, n))
    for i, j in zip(np.repeat(np.arange(n), k), nearest.ravel(), strict=True):
        product = scales[i] * scales[j] if kernel == "self_tuning" else scales[i] ** 2 / 4
        with np.errstate(divide="ignore", invalid="ignore"):  # duplicates
            weights[i, j] = np.exp(-min(distances[i, j] ** 2 / product, 80)) if distances[i, j] else 1
    if symmetric:
        weights = (weights + weights.T) / 2
    return weights / weights.sum(axis=1, keepdims=True)


def signals(transitions, labels, n_classes, n_steps):
    """Equations 7 and 8: the labels are set again after each step."""
    known = labels >= 0
    start = np.where(known[:, None], np.where(np.arange(n_classes) == labels[:, None], 1.0, -1.0), 0.0)
    chi = start
    for _ in range(n_steps):
        chi = np.where(known[:, None], start, transitions @ chi)
    return chi


def check(strategy, chosen, rows, labels, free, n_steps=None):
    """The chosen rows are the least certain of the free ones, up to rounding, and the report says how certain."""
    k = strategy.n_neighbors
    if n_steps is None:
        n_steps = max(1, int(np.ceil(np.log(len(rows)) / np.log(max(k, 2)) - 1e-9)))
    chi = signals(
        walks(rows, k, strategy.kernel, strategy.symmetric), labels, max(2, labels.max() + 1), n_steps
    )
    certain = np.abs(chi).min(axis=1)
    assert_allclose(certain[chosen], np.sort(certain[free])[: len(chosen)], atol=1e-5)
    assert_allclose(strategy.query_report_.uncertainty, certain[chosen], atol=1e-5)
    assert strategy.query_report_.n_unreached == np.count_nonzero((chi[free] == 0).all(axis=1))


@st.composite
def small_pools(draw):
    """Rows on a grid, where distances are exact and duplicates common, with labels of no class or some."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, n_classes = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    rows = rng.integers(0, draw(st.sampled_from([2, 5, 1000])), (n, draw(st.integers(1, 3)))).astype(float)
    share = draw(st.sampled_from([0, 0.1, 0.5]))
    labels = np.where(rng.random(n) < share, rng.integers(n_classes, size=n), -1)
    labels[rng.integers(n)] = -1
    labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)[1]
    return rows, labels


@given(
    small_pools(),
    st.integers(1, 12),
    st.sampled_from(["auto", 1, 3, 9]),
    st.sampled_from(["self_tuning", "graph_learning"]),
    st.booleans(),
    st.integers(1, 8),
)
def test_small_pools(pool, n_neighbors, n_steps, kernel, symmetric, n_queries):
    rows, labels = pool
    params = {"n_neighbors": n_neighbors, "n_steps": n_steps, "kernel": kernel, "symmetric": symmetric}
    strategy = DiffusionSampling("input", **params, random_state=0).fit(rows)
    free = np.flatnonzero(labels < 0)
    chosen = strategy.query(rows, labels, min(n_queries, len(free)))
    assert (labels[chosen] < 0).all()
    check(strategy, chosen, rows, labels, free, None if n_steps == "auto" else n_steps)


@pytest.mark.parametrize("embedding", ["classifier", PCA(8, random_state=0)], ids=str)
@pytest.mark.parametrize("restricted", [False, True])
def test_the_graph_has_candidates_labels_and_pending_rows_alone(embedding, restricted):
    rng = np.random.default_rng(0)
    labeled, pending = np.flatnonzero(Y >= 0), np.array([290, 31])
    free = np.setdiff1d(np.arange(30, 300), pending)
    if restricted:
        free = np.sort(rng.choice(free, 100, replace=False))
    strategy = DiffusionSampling(embedding, n_neighbors=6, random_state=0).fit(X[:300])
    query = Query(
        pool=as_pool(X[:300]),
        labels=Labels.of(Y),
        n_queries=12,
        candidates=Candidates(free),
        pending=pending,
        estimator=PIPELINE,
    )
    chosen = strategy.answer(query)
    seen = np.sort(np.concatenate([labeled, pending, free]))
    space = PIPELINE[0] if embedding == "classifier" else strategy.encoder_
    rows = space.transform(X[:300])[seen]
    assert np.isin(chosen, free).all()
    places = np.searchsorted(seen, chosen)
    check(strategy, places, rows, Y[seen], np.searchsorted(seen, free))


def test_labels_outside_the_pool_count_as_much():
    pool, labels = X[30:300], Y[30:]
    other = Samples(as_pool(X[:40]), np.arange(30), TRUTH[:30].astype(np.int32))
    query = Query(
        pool=as_pool(pool),
        labels=Labels.of(labels).with_classes(np.arange(10)),
        n_queries=9,
        estimator=PIPELINE,
        outside=(other,),
    )
    strategy = DiffusionSampling(n_neighbors=5, random_state=0).fit(pool)
    chosen = strategy.answer(query)
    rows = PIPELINE[0].transform(np.concatenate([pool, X[:30]]))
    check(strategy, chosen, rows, np.concatenate([labels, TRUTH[:30]]), np.arange(270))


def test_it_is_the_second_stage_of_dgal(monkeypatch):
    """It embeds DGAL's candidates and the labelled rows, and nothing else of the pool."""
    seen = []
    embed = DiffusionSampling._embed

    def watched(self, query, rows=None, **params):
        seen.append(rows)
        return embed(self, query, rows, **params)

    monkeypatch.setattr(DiffusionSampling, "_embed", watched)
    strategy = DGAL(PCA(10), n_candidates=50, criterion=DiffusionSampling(n_neighbors=5), random_state=0)
    chosen = strategy.fit(X[:300], Y).query(X[:300], Y, 8, estimator=PIPELINE)
    candidates = strategy.query_report_.rows
    assert np.isin(chosen, candidates).all()
    (rows,) = seen
    assert_array_equal(rows, np.union1d(candidates, np.arange(30)))
    places = np.searchsorted(rows, chosen)
    embedded = PIPELINE[0].transform(X[rows])
    chi = signals(walks(embedded, 5, "self_tuning", True), Y[rows], 10, 3)
    certain = np.abs(chi).min(axis=1)
    assert_allclose(certain[places], np.sort(certain[Y[rows] < 0])[:8], atol=1e-5)


def test_on_digits_it_beats_random_rows():
    """90.8 % right with 100 labels, random rows 88.0 %: means of these five seeds."""
    pool, test, labels, test_labels = train_test_split(X, TRUTH, test_size=0.4, random_state=0)

    def mean_score(strategy):
        classifier = LogisticRegression(max_iter=1000)
        learners = (SimulatedLearner(classifier, strategy, random_state=seed) for seed in range(5))
        return np.mean([learner.fit(pool, labels).score(test, test_labels) for learner in learners])

    assert mean_score(DiffusionSampling()) > mean_score(RandomSampling()) + 0.015


def test_no_label_reaches_no_row_and_random_ones_are_chosen():
    few = X[:40]
    first, second = (
        DiffusionSampling("input", random_state=seed).fit(few).query(few, n_queries=10) for seed in (0, 1)
    )
    assert set(first) != set(second)
    strategy = DiffusionSampling("input", random_state=0).fit(few)
    assert_array_equal(strategy.query(few, n_queries=10), first)
    assert strategy.query_report_.n_unreached == 40
    assert_array_equal(strategy.query_report_.uncertainty, np.zeros(10))


@pytest.mark.parametrize(
    "index", ["auto", "exact", "approximate", NearestNeighbors(), NearestNeighbors(metric="cosine")], ids=str
)
def test_few_rows(index):
    """One row, fewer than n_neighbors + 1, duplicates alone, labels of one class."""
    strategy = DiffusionSampling("input", index=index, random_state=0)
    assert_array_equal(strategy.fit(X[:1]).query(X[:1]), [0])
    assert sorted(strategy.fit(X[:4]).query(X[:4], [-1, 1, -1, -1], 3)) == [0, 2, 3]
    duplicates = np.ones((20, 3))
    chosen = strategy.fit(duplicates).query(duplicates, np.where(np.arange(20) < 2, 1, -1), 5)
    assert len(set(chosen.tolist()) - {0, 1}) == 5


@pytest.mark.parametrize("offset", [0, 1e7])
@pytest.mark.parametrize("scale", [1e-60, 1, 1e60])
def test_units_and_offsets_change_nothing(scale, offset):
    rows = np.random.default_rng(0).normal(size=(80, 3))
    labels = np.where(np.arange(80) < 10, rows[:, 0] > 0, -1)
    first, second = (
        DiffusionSampling("input", n_neighbors=5, random_state=0).fit(each).query(each, labels, 10)
        for each in (rows, scale * (rows + offset))
    )
    assert_array_equal(first, second)


def test_what_is_to_be_small_is_a_parameter():
    strategies = [
        DiffusionSampling("input", uncertainty=measure, random_state=0).fit(X[:300])
        for measure in ("min", "norm", "entropy")
    ]
    chosen = [frozenset(strategy.query(X[:300], Y, 10).tolist()) for strategy in strategies]
    assert len(set(chosen)) == 3


def test_a_query_leaves_nothing_behind():
    strategy = DiffusionSampling(random_state=0).fit(X[:300], Y)
    before = dict(vars(strategy))
    first = strategy.query(X[:300], Y, 5, estimator=PIPELINE)
    after = dict(vars(strategy))
    assert after.pop("query_report_").keys() == {"uncertainty", "n_unreached"}
    assert after == before
    strategy.query(X[:300], np.where(np.arange(300) < 60, TRUTH[:300], -1), 5, estimator=PIPELINE)
    assert_array_equal(strategy.query(X[:300], Y, 5, estimator=PIPELINE), first)


def test_in_a_learner_and_around():
    learner = ActiveLearner(LogisticRegression(), RandomSubset(50, DiffusionSampling()), random_state=0)
    rows = learner.fit(X[:300], Y).query(n_queries=7)
    assert len(set(rows)) == 7
    assert (Y[rows] < 0).all()
    Switch(DiffusionSampling("input"), when=0.9).fit(X[:300])  # it says which rows it has not reached


def test_memory_is_that_of_the_rows_it_sees():
    pool = np.random.default_rng(0).normal(size=(60_000, 100))
    y = np.where(np.arange(60_000) < 100, pool[:, 0] > 0, -1)
    strategy = RandomSubset(500, DiffusionSampling())
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=20, random_state=0)
    learner.fit(pool[:2000], y[:2000]).query()  # imports and compiles what it needs
    learner.fit(pool, y)
    tracemalloc.start()
    learner.query()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * 600 * 100  # copies in float64, the graph, and masks of the pool


@pytest.mark.parametrize(
    "params",
    [
        {"n_neighbors": 0},
        {"index": "exakt"},
        {"n_steps": 255},
        {"uncertainty": 0.5},
        {"kernel": "gauss"},
        {"symmetric": "yes"},
        {"embedding": "pixels"},
    ],
    ids=str,
)
def test_parameters_are_refused_before_any_training(params, monkeypatch):
    monkeypatch.setattr(PCA, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of DiffusionSampling"):
        DiffusionSampling(**{"embedding": PCA(2), **params}).fit(X)


@pytest.mark.parametrize("index", [NearestNeighbors, LogisticRegression()], ids=str)
def test_what_is_no_index_is_refused_before_any_training(index, monkeypatch):
    monkeypatch.setattr(PCA, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(TypeError, match="kneighbors"):
        DiffusionSampling(PCA(2), index=index).fit(X)
