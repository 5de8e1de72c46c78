"""check_strategy passes a sound strategy and catches each kind of broken one."""

import numpy as np
import pytest

from skal.access import predict_proba
from skal.strategies import QueryStrategy, ScoreStrategy
from skal.testing import check_strategy


class SecondGuess(ScoreStrategy):
    """The strategy of docs/write_your_own_strategy.md."""

    requires = ("predict_proba",)

    def _score(self, X, estimator):
        return np.sort(predict_proba(estimator, X), axis=1)[:, -2]


def test_a_sound_strategy_passes():
    check_strategy(SecondGuess())


class GlobalRandom(QueryStrategy):
    def _query(self, query):
        return np.random.permutation(query.candidates.rows)[: query.n_queries]  # noqa: NPY002


class CallCounting(QueryStrategy):
    calls = 0

    def _query(self, query):
        self.calls += 1
        return np.roll(query.candidates.rows, self.calls)[: query.n_queries]


class Remembering(QueryStrategy):
    """Right answers, and an attribute that several threads would share."""

    def _query(self, query):
        self.asked_ = query.n_queries
        return query.candidates.rows[: query.n_queries]


class Failing(QueryStrategy):
    def _query(self, query):
        raise ZeroDivisionError("the author's own")


class Scaling(QueryStrategy):
    def _query(self, query):
        query.pool.X[-1] *= 2
        return query.candidates.rows[: query.n_queries]


class Clipping(QueryStrategy):
    """Overwrites the pool with what a second query would not change."""

    reads_rows = True

    def _query(self, query):
        rows = query.pool.dense(slice(None))
        np.maximum(rows, 0, out=rows)
        candidates = query.candidates.rows
        return candidates[np.argsort(-rows[candidates].sum(axis=1), kind="stable")[: query.n_queries]]


class ClippingInFit(Clipping):
    def _prepare(self, pool):
        rows = pool.dense(slice(None))
        np.maximum(rows, 0, out=rows)


class OfTheFittedRows(QueryStrategy):
    """Keeps what belongs to the rows of one pool, and answers for another with it."""

    def _fit(self, X, y):
        self.norms_ = np.linalg.norm(X, axis=1)

    def _query(self, query):
        rows = query.candidates.rows
        return rows[np.argsort(-self.norms_[rows], kind="stable")[: query.n_queries]]


class Refitting(QueryStrategy):
    requires = ("predict_proba",)

    def _query(self, query):
        query.estimator.coef_ = query.estimator.coef_ * 2
        return query.candidates.rows[: query.n_queries]


class Batchwise(SecondGuess):
    """Scores that depend on the other rows of the block."""

    def _score(self, X, estimator):
        return super()._score(X, estimator) * np.arange(len(X))


class Centred(ScoreStrategy):
    """Scores that stay with their rows in any order, and yet depend on the block."""

    requires = ("predict_proba",)

    def _score(self, X, estimator):
        p = predict_proba(estimator, X)
        return (p - p.mean(axis=0)).max(axis=1)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (GlobalRandom(), "differs|random state"),
        (CallCounting(), "a second query differs"),
        (Remembering(), "a query set the attribute 'asked_'"),
        (Scaling(), "changed: X|changed in place|differs"),
        (Clipping(), "changed: X|changed in place"),
        (ClippingInFit(), "fit changed X|changed in place"),
        (Refitting(), "changed: classifier"),
        (Batchwise(), "check_query_permutation"),
        (
            Centred(),
            r"(?s)check_score_of_each_row.*scores depend on how the pool is cut into blocks: the X of _score",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_strategies_are_caught(strategy, message):
    with pytest.raises((AssertionError, ValueError), match=message):
        check_strategy(strategy)


def test_values_of_the_fitted_rows_do_not_do_for_another_pool():
    with pytest.raises(IndexError) as caught:
        check_strategy(OfTheFittedRows())
    assert "check_other_pool" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda candidates, n: candidates[: n - 1], "must return 5 integer positions"),
        (lambda candidates, n: candidates[:n].astype(float), "must return 5 integer positions"),
        (lambda candidates, n: candidates[:1].repeat(n), "repeated or not among the candidates"),
        (lambda candidates, n: candidates[:n] - candidates[0], "repeated or not among the candidates"),
        (lambda candidates, n: candidates[:n] + 1_000, "repeated or not among the candidates"),
    ],
)
def test_the_base_class_refuses_a_wrong_answer(answer, message, monkeypatch):
    def _answer(self, query):
        return answer(query.candidates.rows, query.n_queries)

    monkeypatch.setattr(CallCounting, "_query", _answer)
    X, y = np.eye(20), np.where(np.arange(20) < 10, 0, -1)
    with pytest.raises(RuntimeError, match=message):
        CallCounting().fit(X).query(X, y, 5)


def test_an_error_of_the_strategy_says_where_it_came_up():
    with pytest.raises(ZeroDivisionError, match="own") as caught:
        check_strategy(Failing())
    assert "check_query_result for Failing() on the pool 'blobs'" in caught.value.__notes__[0]
