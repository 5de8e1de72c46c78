"""What all strategies inherit: parameters, checks, seeds, reports, prepared pools."""

import inspect
import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skal import ActiveLearner, strategies
from skal.exceptions import PoolExhaustedWarning
from skal.generators import VAE
from skal.labels import Labels
from skal.pool import as_pool
from skal.strategies import (
    ASAL,
    CoreSet,
    CostAware,
    Query,
    QueryStrategy,
    RandomSampling,
    RandomSubset,
    ScoreStrategy,
    UncertaintySampling,
)
from tests.networks import AffineGenerator

X = np.random.default_rng(0).normal(size=(40, 3))
TRUTH = (X[:, 0] > 0).astype(int)
Y = np.where(np.arange(40) < 10, TRUTH, -1)
CLASSIFIER = LogisticRegression().fit(X[:10], TRUTH[:10])
PUBLIC = [getattr(strategies, name) for name in strategies.__all__ if name != "Query"]


class Drawing(QueryStrategy):
    """Random candidates, and a report of the random numbers."""

    def _query(self, query):
        query.report.update(number=query.rng.random(), n=query.n_queries)
        return query.candidates.sample(query.n_queries, query.rng)


class Sized(ScoreStrategy):
    """The length of a row, with a constructor as in scikit-learn."""

    def __init__(self, order=2, *, random_state=None):
        super().__init__(random_state=random_state)
        self.order = order

    def _score(self, X, estimator):
        return np.linalg.norm(X, self.order, axis=1)


@dataclass(eq=False, repr=False, kw_only=True)
class Weighted(ScoreStrategy):
    """The weighted sum of a row, as a dataclass.

    Parameters
    ----------
    weight : float, default=1.0
        The weight.
    {random_state}
    """

    weight: float = 1.0

    _parameter_constraints = {"weight": [float]}

    def _score(self, X, estimator):
        return self.weight * X.sum(axis=1)


@pytest.mark.parametrize(
    ("strategy", "text"),
    [
        (RandomSampling(), "RandomSampling()"),
        (Drawing(random_state=3), "Drawing(random_state=3)"),
        (Sized(1), "Sized(order=1)"),
        (Weighted(weight=2.0), "Weighted(weight=2.0)"),
        (CoreSet("input"), "CoreSet(embedding='input')"),
        (RandomSubset(5, CoreSet()), "RandomSubset(criterion=CoreSet(), n_candidates=5)"),
    ],
)
def test_parameters(strategy, text):
    assert repr(strategy) == text
    assert repr(clone(strategy)) == text
    assert "random_state" in strategy.get_params()
    assert not {"requires", "query_report_"} & set(strategy.get_params())
    assert strategy != clone(strategy)
    assert len(strategy.fit(X, Y).query(X, Y, 4, estimator=CLASSIFIER)) == 4


@pytest.mark.parametrize(
    ("name", "positional"),
    {
        "ADBA": ["decoder"],
        "ALCG": ["criterion"],
        "ASAL": ["generator", "features"],
        "BADGE": [],
        "BALD": ["n_passes", "measure"],
        "CoreSet": ["embedding"],
        "DGAL": ["encoder"],
        "DeepFool": ["max_iter"],
        "GAAL": ["generator", "objective"],
        "KMedian": ["embedding"],
        "LearningLoss": [],
        "RandomSampling": [],
        "RandomSubset": ["n_candidates", "criterion"],
        "SEALS": ["embedding"],
        "UncertaintySampling": ["measure"],
        "VAAL": [],
        "WAAL": ["coefficient"],
    }.items(),
)
def test_positional_parameters(name, positional):
    parameters = inspect.signature(getattr(strategies, name)).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert all(p.default is not p.empty for p in parameters)


@pytest.mark.parametrize("strategy", PUBLIC, ids=lambda strategy: strategy.__name__)
def test_every_parameter_has_its_text(strategy):
    assert not re.search(r"^\s*\{[\w, ]+\}$", strategy.__doc__, flags=re.MULTILINE)
    for name in inspect.signature(strategy).parameters:
        assert re.search(rf"^\s*{name} : .+\n\s+\S", strategy.__doc__, flags=re.MULTILINE), name


def test_texts_and_constraints_are_inherited():
    assert "Breaks ties." in Weighted.__doc__
    assert "fitted on the pool of `fit`" in CoreSet.__doc__
    assert "margin sampling by default" in strategies.SEALS.__doc__
    assert set(ASAL._parameter_constraints) == set(ASAL().get_params(deep=False))
    assert QueryStrategy._parameter_constraints == {"random_state": ["random_state"]}
    for strategy, name in ((Weighted(weight=1), "weight"), (Weighted(random_state="a"), "random_state")):
        with pytest.raises(ValueError, match=f"'{name}' parameter of Weighted"):
            strategy.fit(X)


@pytest.mark.parametrize("ask", ["learner", "strategy"])
def test_a_warning_points_to_the_line_that_asked(ask):
    learner = ActiveLearner(LogisticRegression(), UncertaintySampling(), random_state=0).fit(X, Y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if ask == "learner":
            rows = learner.query(n_queries=31)
        else:
            rows = learner.strategy_.query(X, Y, 31, estimator=CLASSIFIER)
    (warning,) = caught
    assert warning.category is PoolExhaustedWarning
    assert warning.filename == __file__
    assert str(warning.message) == "31 rows were asked for and 30 are unlabelled; all of them are returned."
    assert_array_equal(np.sort(rows), np.arange(10, 40))


def test_no_warning_where_there_are_enough():
    assert len(Drawing().fit(X).query(X, Y, 30)) == 30


def test_random_numbers_depend_on_the_seed_and_the_number_of_labels():
    def number(y, seed=0):
        strategy = Drawing(random_state=seed).fit(X)
        rows = strategy.query(X, y, 3)
        return rows.tolist(), strategy.query_report_.number

    ten = number(Y)
    assert ten == number(Y)
    assert ten != number(Y, seed=1)
    assert ten[1] == np.random.default_rng([0, 10]).random()
    eleven = Y.copy()
    eleven[20] = 0
    assert number(eleven)[1] == np.random.default_rng([0, 11]).random()
    other = np.roll(Y, 5)  # other labels, but as many
    assert number(other)[1] == ten[1]
    assert number(None)[1] == np.random.default_rng([0, 0]).random()


def test_a_query_without_candidates_leaves_no_report_of_another():
    strategy, silent = (Drawing(random_state=0).fit(X) for _ in range(2))
    strategy.query(X, Y, 2)
    full = np.where(Y < 0, 0, Y)
    for asked in (strategy, silent):
        with pytest.warns(PoolExhaustedWarning):
            assert len(asked.query(X, full, 2)) == 0
    assert strategy.query_report_ == {}
    assert not hasattr(silent, "query_report_")
    assert strategy.query(X, Y, 3) is not None
    assert strategy.query_report_.n == 3


def test_a_report_is_that_of_the_latest_query_that_reports():
    class Silent(Drawing):
        def _query(self, query):
            rows = super()._query(query)
            if query.n_queries == 1:
                query.report.clear()
            return rows

    strategy = Silent(random_state=0).fit(X)
    assert not hasattr(strategy, "query_report_")
    strategy.query(X, Y, 2)
    assert strategy.query_report_.n == 2
    strategy.query(X, Y, 1)
    assert strategy.query_report_.n == 2
    strategy.query(X, Y, 3)
    assert strategy.query_report_.n == 3


@dataclass(eq=False, repr=False, kw_only=True)
class Centred(QueryStrategy):
    """The rows farthest from the mean of the pool that it was prepared for."""

    shift: float = 0.0

    def _fit(self, X, y):
        self.fitted_on_, self.codes_ = X, y

    def _prepare(self, pool):
        self.center_ = pool.X.mean(axis=0) + self.shift

    def _query(self, query):
        distances = np.linalg.norm(query.pool.dense(query.candidates.rows) - self.center_, axis=1)
        return query.candidates.rows[np.argsort(-distances)[: query.n_queries]]


def test_another_pool_is_prepared_on_a_copy():
    strategy = Centred().fit(X, np.where(Y < 0, None, np.array(["a", "b"])[TRUTH]))
    assert strategy.fitted_on_ is X
    assert_array_equal(strategy.codes_, Y)
    other = X[::-1] * 2 + 5
    expected = np.linalg.norm(other - other.mean(axis=0), axis=1).argmax()
    assert strategy.query(other) == expected
    assert_array_equal(strategy.center_, X.mean(axis=0))
    own, new = strategy._pool, as_pool(other)
    assert strategy.prepared_for(own) is strategy
    prepared = strategy.prepared_for(new)
    assert prepared is not strategy
    assert prepared._pool is new
    assert prepared.prepared_for(new) is prepared
    assert_array_equal(prepared.center_, other.mean(axis=0))
    unprepared = Drawing().fit(X)
    assert unprepared.prepared_for(new) is unprepared


def test_what_is_watched():
    assert Centred().watched_bytes == RandomSubset(5, Centred()).watched_bytes == 2**26
    assert Drawing().watched_bytes == RandomSubset(5, Drawing()).watched_bytes == 2**18


def test_a_pool_changed_in_place_is_prepared_anew():
    pool = X.copy()
    strategy = Centred().fit(pool)
    before = strategy.query(pool)
    pool[7] += 100
    assert strategy.query(pool) == 7 != before


@pytest.mark.parametrize(
    "strategy",
    [UncertaintySampling("margin"), strategies.ALCG("large_margin"), strategies.ClassBalanced()],
    ids=str,
)
def test_a_classifier_of_one_class_cannot_guide(strategy):
    X = np.arange(8.0).reshape(4, 2)
    one = DummyClassifier().fit(X, ["only"] * 4)
    with pytest.raises(
        NotFittedError, match=r"of at least two classes, and the one given knows \['only'\]\."
    ):
        strategy.fit(X).query(X, estimator=one)
    with pytest.raises(NotFittedError, match=r"of at least two classes, and there is none yet\."):
        strategy.query(X)


def test_checks_come_before_training():
    class Untrainable(VAE):
        def fit(self, X, y=None):
            raise AssertionError("trained")

    with pytest.raises(ValueError, match="NaN"):
        CoreSet(Untrainable()).fit(np.where(X > 2, np.nan, X))
    with pytest.raises(TypeError, match=r"UncertaintySampling\(\) needs a classifier with predict_proba"):
        UncertaintySampling().check(as_pool(X), LinearSVC())
    with pytest.raises(NotFittedError, match="RandomSampling"):
        UncertaintySampling().fit(X).query(X)
    with pytest.raises(NotFittedError):
        UncertaintySampling().fit(X).query(X, estimator=LogisticRegression())
    assert UncertaintySampling().check(as_pool(X), LogisticRegression()) is None


def test_trained_parts_are_not_checked_again():
    pca = PCA(2).fit(X)
    pca.set_params(svd_solver="nonsense")
    assert len(CoreSet(FrozenEstimator(pca)).fit(X).query(X, n_queries=3)) == 3
    generator = FrozenEstimator(AffineGenerator().fit(X))
    with pytest.raises(ValueError, match="'svd_solver' parameter of PCA"):
        ASAL(generator, pca).fit(X)


def test_scores_of_all_rows_and_ties():
    strategy = Sized().fit(X)
    assert_array_equal(strategy.utility(X), np.linalg.norm(X, axis=1))
    rows = strategy.query(X, Y, 4)
    assert_array_equal(rows, 10 + np.argsort(-np.linalg.norm(X[10:], axis=1))[:4])
    equal = np.ones((40, 3))
    chosen = [tuple(Sized(random_state=seed).fit(equal).query(equal, Y, 4)) for seed in range(5)]
    assert len(set(chosen)) == 5
    assert min(map(min, chosen)) >= 10


class First(ScoreStrategy):
    """A column of a frame, changed as asked."""

    def __init__(self, change=None, *, random_state=None):
        super().__init__(random_state=random_state)
        self.change = change

    def _score(self, X, estimator):
        return X["a"] if self.change is None else self.change(X["a"])


def _frames():
    values, rng = X[:, 0], np.random.default_rng(1)
    for index in (np.arange(100, 140), rng.permutation(40), np.zeros(40, int), [f"r{i}" for i in range(40)]):
        yield pd.DataFrame({"a": values}, index=index)
    yield pd.DataFrame({"a": pd.array(values, dtype="Float64")})
    yield pl.DataFrame({"a": values})


def ones(block):
    return np.ones(len(block))


@pytest.mark.parametrize("change", [None, list, lambda column: torch.tensor(np.array(column))])
def test_scores_may_be_a_column_of_the_frame(change):
    expected = 10 + np.argsort(-X[10:, 0])[:4]
    for frame in _frames():
        strategy = First(change).fit(frame)
        assert_array_equal(strategy.query(frame, Y, 4), expected)
        assert type(strategy.utility(frame)) is np.ndarray
        assert_array_equal(strategy.utility(frame), X[:, 0])
        assert_array_equal(CostAware(First(change), ones).fit(frame).query(frame, Y, 4), expected)


@pytest.mark.parametrize(
    ("change", "returned"),
    [
        (pd.Series.to_frame, r"dtype float64 and shape \(40, 1\)"),
        (lambda column: column[:9], r"dtype float64 and shape \(9,\)"),
        (np.sum, r"dtype float64 and shape \(\)"),
        (lambda column: column.astype(object), "dtype object"),
        (lambda column: column.astype(str), "dtype"),
        (lambda column: np.array(column) + 1j, "dtype complex128"),
        (lambda column: np.ma.masked_less(column, 0), "masked values"),
        (lambda column: [[1.0], [1.0, 2.0]], "list"),
        (lambda column: torch.tensor(np.array(column), requires_grad=True), "Tensor"),
        (lambda column: None, "dtype object"),
    ],
)
def test_scores_that_are_no_numbers_per_row_are_refused(change, returned):
    frame = pd.DataFrame({"a": X[:, 0]})
    strategy = First(change).fit(frame)
    message = (
        rf"First\._score returned {returned}.*; it must return a 1-D array of 40 real numbers, one per row"
    )
    with pytest.raises(RuntimeError, match=message):
        strategy.query(frame, n_queries=4)
    with pytest.raises(RuntimeError, match=message):
        strategy.utility(frame)


def test_the_answer_of_an_author_may_be_any_integers():
    class Listing(QueryStrategy):
        def _query(self, query):
            return [int(row) for row in query.candidates.rows[: query.n_queries]]

    rows = Listing().fit(X).query(X, Y, 2)
    assert rows.dtype == np.intp
    assert_array_equal(rows, [10, 11])
    query = Query(pool=as_pool(X), labels=Labels.of(Y), n_queries=2)
    assert_array_equal(Listing().fit(X).answer(query), [10, 11])


def test_requires_is_a_tuple_of_names():
    class Forgetful(RandomSampling):
        requires = "predict_proba"

    X, y = np.eye(4), [0, 1, -1, -1]
    message = (
        r"Forgetful has requires='predict_proba'; it must be a tuple of names: write \('predict_proba',\)"
    )
    for strategy in (Forgetful(), RandomSubset(2, Forgetful())):
        with pytest.raises(TypeError, match=message):
            strategy.fit(X)
        with pytest.raises(TypeError, match=message):
            ActiveLearner(LogisticRegression(), strategy).fit(X, y)
