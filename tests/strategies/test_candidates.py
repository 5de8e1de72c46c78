"""Two-stage strategies: what the criterion sees, on the pool of `fit` and on others."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.random_projection import GaussianRandomProjection

from skal.labels import Labels
from skal.pool import as_pool
from skal.strategies import (
    ASAL,
    SEALS,
    CandidateStrategy,
    CoreSet,
    CostAware,
    DensityWeighted,
    QueryStrategy,
    RandomSampling,
    RandomSubset,
    ScoreStrategy,
    UncertaintySampling,
)

X = np.random.default_rng(0).normal(size=(60, 4))
TRUTH = (X[:, 0] > 0).astype(int)
Y = np.where(np.arange(60) < 12, TRUTH, -1)


class Recording(QueryStrategy):
    """The first candidates; all that it is asked is in a list."""

    def __init__(self, seen=None, random_state=None):
        super().__init__(random_state=random_state)
        self.seen = seen

    def __deepcopy__(self, memo):
        return self

    def __sklearn_clone__(self):
        return type(self)(self.seen, self.random_state)

    def _query(self, query):
        self.seen.append(query)
        query.report.update(criterion="ran", rows="of the criterion")
        return query.candidates.rows[: query.n_queries]


class Given(CandidateStrategy):
    """The candidates that it is given."""

    def __init__(self, rows=(), criterion=None, random_state=None):
        super().__init__(criterion=criterion, random_state=random_state)
        self.rows = rows

    def _restrict(self, query):
        query.report.update(rows="restricted")
        return np.array(self.rows, dtype=int)


def test_the_criterion_sees_the_restricted_candidates_in_order():
    seen = []
    strategy = Given((50, 20, 30), Recording(seen), random_state=0).fit(X, Y)
    assert_array_equal(strategy.query(X, Y, 2), [20, 30])
    (query,) = seen
    assert_array_equal(query.candidates.rows, [20, 30, 50])
    assert query.n_queries == 2
    assert_array_equal(query.labels.rows, np.arange(12))
    assert strategy.query_report_ == {"rows": "restricted"}  # the criterion's report is its own
    assert not hasattr(strategy.criterion_, "query_report_")


@pytest.mark.parametrize("n_queries", [3, 4, 10])
def test_random_candidates_fill_up(n_queries):
    seen = []
    strategy = Given((50, 20, 30), Recording(seen), random_state=3).fit(X, Y)
    rows = strategy.query(X, Y, n_queries)
    assert_array_equal(np.sort(rows), seen[0].candidates.rows)
    assert {20, 30, 50} <= set(rows.tolist())
    assert len(rows) == n_queries == len(set(rows.tolist()))
    assert rows.min() >= 12
    others = np.setdiff1d(np.arange(12, 60), [20, 30, 50])
    expected = np.random.default_rng([3, 12]).choice(45, n_queries - 3, replace=False)
    assert set(rows.tolist()) == {20, 30, 50, *others[expected].tolist()}


def test_the_criterion_is_cloned_seeded_and_checked():
    criterion = CoreSet(GaussianRandomProjection(2))
    first, again, other = (RandomSubset(30, criterion, random_state=seed).fit(X, Y) for seed in (0, 0, 1))
    assert not hasattr(criterion, "encoder_")
    assert first.criterion_ is not criterion
    components = [strategy.criterion_.encoder_.components_ for strategy in (first, again, other)]
    assert_array_equal(components[0], components[1])
    assert not np.array_equal(components[0], components[2])
    fixed = RandomSubset(30, CoreSet(GaussianRandomProjection(2, random_state=5)), random_state=0).fit(X)
    expected = GaussianRandomProjection(2, random_state=5).fit(X).components_
    assert_array_equal(fixed.criterion_.encoder_.components_, expected)
    nested = RandomSubset(9, RandomSubset(5, CoreSet(GaussianRandomProjection(2))), random_state=0)
    inner = [nested.fit(X).criterion_.criterion_.encoder_.components_ for _ in range(2)]
    assert_array_equal(*inner)


def test_encoded_rows_of_the_criterion_are_those_of_the_pool_asked_about():
    strategy = RandomSubset(25, CoreSet(PCA(2)), random_state=0).fit(X, Y)
    own = strategy.query(X, Y, 4)
    other = np.random.default_rng(1).normal(size=(60, 4)) * [1, 5, 1, 1]
    rows = strategy.query(other, Y, 4)
    candidates = np.sort(np.random.default_rng([0, 12]).choice(48, 25, replace=False) + 12)
    for pool, found in ((X, own), (other, rows)):
        codes = strategy.criterion_.encoder_.transform(pool).astype(np.float32).astype(float)
        covered, picks = list(range(12)), []
        for _ in range(4):
            distances = cdist(codes[candidates], codes[covered]).min(axis=1)
            picks.append(candidates[distances.argmax()])
            covered.append(picks[-1])
        assert_array_equal(found, picks)
    assert_array_equal(strategy.query(X, Y, 4), own)


def test_a_criterion_is_prepared_once_for_a_grown_pool():
    prepared = []

    class Prepared(UncertaintySampling):
        def _prepare(self, pool):
            prepared.append(len(pool))

    strategies = [
        RandomSubset(30, RandomSubset(20, Prepared())),
        SEALS("input", criterion=Prepared()),
        CostAware(Prepared(), lambda block: np.ones(len(block))),
    ]
    longer = as_pool(np.concatenate([X, X[:5]]))
    for strategy in strategies:
        fitted = strategy.fit(X, Y)
        prepared.clear()
        fitted.grown(longer)
        assert prepared == [65]


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda criterion: CostAware(criterion, lambda block: np.ones(len(block))),
        lambda criterion: DensityWeighted(criterion, similarity="euclidean", beta=0),
    ],
)
def test_scores_of_minus_infinity_come_last(wrapped):
    class Scored(ScoreStrategy):
        def _score(self, block, estimator):
            return np.where(block[:, 0] > 0, -np.inf, block[:, 0] - 1)

    rows = wrapped(Scored()).set_params(random_state=0).fit(X).query(X, Y, 48)
    n_finite = (X[12:, 0] <= 0).sum()
    finite = 12 + np.flatnonzero(X[12:, 0] <= 0)
    assert_array_equal(
        rows[: n_finite - 1], finite[np.argsort(-X[finite, 0])][:-1]
    )  # the least ties with infinity
    assert len(set(rows.tolist())) == 48


def test_requirements_are_those_of_the_criterion():
    assert RandomSubset().requires == ("predict_proba",)
    assert RandomSubset(5, UncertaintySampling("min_distance")).requires == ("decision_function",)
    assert RandomSubset(5, CoreSet("classifier")).requires == ("embed",)
    assert RandomSubset(5, RandomSampling()).requires == ()
    assert isinstance(RandomSubset().fit(X, Y).criterion_, UncertaintySampling)
    with pytest.raises(ValueError, match="'criterion' parameter of RandomSubset"):
        RandomSubset(5, "margin").fit(X)
    with pytest.raises(TypeError, match="decision_function"):
        RandomSubset(5, UncertaintySampling("min_distance")).fit(X, Y).query(
            X, Y, estimator=type("Bare", (), {"predict_proba": None, "classes_": [0, 1]})()
        )


def test_a_criterion_that_cannot_read_the_pool_refuses_it():
    holes = np.where(X > 2, np.nan, X)
    strategy = Given((20,), CoreSet("input"))
    assert not np.isfinite(holes).all()
    with pytest.raises(ValueError, match="NaN"):
        strategy.check(as_pool(holes))
    with pytest.raises(TypeError, match="PCA has no torch_decoder"):
        Given((20,), RandomSubset(9, ASAL(PCA()))).check(as_pool(X))


def test_labels_reach_the_criterions_fit():
    class Learning(RandomSampling):
        def _fit(self, X, y):
            self.codes_ = y

    strategy = RandomSubset(5, Learning()).fit(X, Labels.of(Y))
    assert_array_equal(strategy.criterion_.codes_, Y)
    assert RandomSubset(5, Learning()).fit(X).criterion_.codes_ is None


def test_classifiers_choose_among_the_restricted():
    classifier = LogisticRegression().fit(X[:12], TRUTH[:12])
    rows = Given((20, 30, 40, 50)).fit(X, Y).query(X, Y, 2, estimator=classifier)
    distances = np.abs(classifier.decision_function(X[[20, 30, 40, 50]]))
    assert_array_equal(rows, np.array([20, 30, 40, 50])[np.argsort(distances)[:2]])


class Answering(CandidateStrategy):
    """What an author's `_restrict` returns."""

    def __init__(self, given=None, criterion=None, random_state=None):
        super().__init__(criterion=criterion, random_state=random_state)
        self.given = given

    def _restrict(self, query):
        return self.given


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([20, 3, 30], "repeated or not among the candidates"),  # row 3 is labelled
        ([20, 30, 20], "repeated or not among the candidates"),
        ([20, 60], "repeated or not among the candidates"),
        ([-1, 20], "repeated or not among the candidates"),
        ([20.0, 30.0], "1-D array of integer positions"),
        ([[20, 30]], "1-D array of integer positions"),
        (20, "1-D array of integer positions"),
        (np.arange(60) > 20, "1-D array of integer positions"),
    ],
    ids=str,
)
def test_a_wrong_restriction_is_refused_in_its_own_name(answer, message):
    strategy = Answering(answer, RandomSampling(), random_state=0).fit(X, Y)
    with pytest.raises(RuntimeError, match=rf"Answering\._restrict returned .*{message}"):
        strategy.query(X, Y, 1)


def test_an_empty_restriction_is_filled_up():
    rows = Answering([], RandomSampling(), random_state=0).fit(X, Y).query(X, Y, 4)
    assert len(set(rows.tolist())) == 4
    assert (Y[rows] == -1).all()
