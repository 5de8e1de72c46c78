"""ProbCover against a graph of all pairs, over rounds in which what it keeps could go stale."""

import numpy as np
import pytest
from hypothesis import given
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from skal import ActiveLearner
from skal.strategies import ProbCover, RandomSubset
from tests.properties.strategies import NearestMean, problems

X = np.random.default_rng(0).normal(size=(150, 3))
TRUTH = (X[:, 0] > 0).astype(int)


def check_greedy(near, centers, candidates, picks):
    """Each pick covers as many new rows as the best candidate does."""
    for pick in picks:
        graph = near.copy()
        graph[:, near[centers].any(axis=0)] = False  # no edges to what is covered
        left = np.setdiff1d(candidates, centers)
        assert graph[pick].sum() == graph[left].sum(axis=1).max()
        centers = [*centers, int(pick)]


@given(problems())
def test_small_pools(problem):
    candidates = np.flatnonzero(problem.y < 0)
    n_queries = min(problem.n_queries, len(candidates))
    if not n_queries:
        return
    rows = problem.X.astype(np.float64)
    radius = 1 + np.abs(rows).max() / 3  # an edge of no ball
    strategy = ProbCover("input", radius=radius, random_state=0).fit(problem.X)
    picks = strategy.query(problem.X, problem.y, n_queries)
    check_greedy(cdist(rows, rows) < radius, np.flatnonzero(problem.y >= 0).tolist(), candidates, picks)


@pytest.mark.parametrize("embedding", ["input", "auto", PCA(2)], ids=str)
@pytest.mark.parametrize("radius", [0.7, "auto"])
def test_every_round_is_greedy(embedding, radius):
    strategy = ProbCover(embedding, radius=radius, n_clusters=4)
    learner = ActiveLearner(NearestMean(), strategy, n_queries=6, random_state=0).fit(X, np.full(150, -1))
    radii = set()
    for round_ in range(5):
        picks = learner.query(pending=[149])
        rows = X if isinstance(embedding, str) else learner.strategy_.encoder_.transform(X).astype(np.float32)
        report = learner.strategy_.query_report_
        radii.add(report.radius)
        near = cdist(rows, rows) < report.radius * (1 - 1e-12)
        labeled = np.flatnonzero(learner.y_ >= 0).tolist()
        check_greedy(near, [*labeled, 149], np.setdiff1d(np.arange(149), labeled), picks)
        assert report.coverage == near[[*labeled, 149, *picks]].any(axis=0).mean()
        learner.teach(picks, TRUTH[picks])
        if round_ == 3:
            learner.forget(picks[:2])  # labels that are taken back cover nothing
    assert len(radii) == 1


def test_the_radius_of_separate_clusters_is_their_gap():
    rows = np.r_[np.arange(10.0), np.arange(30.0, 40)][:, None]
    strategy = ProbCover("input", n_clusters=2, purity=1.0, random_state=0).fit(rows)
    assert len({int(row) // 10 for row in strategy.query(rows, n_queries=2)}) == 2
    assert strategy.query_report_.radius == 21


def test_one_place_is_covered_by_any_row():
    rows = np.ones((8, 2))
    strategy = ProbCover("input", random_state=0).fit(rows)
    assert len(set(strategy.query(rows, n_queries=5).tolist())) == 5
    assert strategy.query_report_.coverage == 1
    strategy.set_params(radius=1e-200).query(rows)
    assert strategy.query_report_.coverage == 1


def test_a_restricted_query_sees_its_candidates_and_labels():
    y = np.where(np.arange(150) < 20, TRUTH, -1)
    strategy = RandomSubset(30, ProbCover("input", radius=1.0), random_state=0).fit(X, y)
    picks = strategy.query(X, y, 4)
    assert len(set(picks.tolist())) == 4
    assert picks.min() >= 20


def test_bad_parameters():
    for params in ({"radius": 0.0}, {"radius": "large"}, {"n_clusters": 0}, {"purity": 1.1}):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of ProbCover"):
            ProbCover(**params).fit(X)
