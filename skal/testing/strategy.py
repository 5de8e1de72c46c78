"""The invariants that every query strategy keeps, as checks for anyone's own strategy."""

from __future__ import annotations

import pickle
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from ..exceptions import PoolExhaustedWarning, PoolWarning
from ..labels import UNLABELED, labeled_mask
from ..learner import ActiveLearner
from ..strategies import QueryStrategy, ScoreStrategy


@dataclass
class Problem:
    """A pool with partial labels, and how many rows to ask for."""

    X: NDArray[Any]
    y: NDArray[Any]
    n_queries: int
    classifier: Any

    def learner(self, strategy: QueryStrategy) -> ActiveLearner:
        """A fitted learner whose `random_state` seeds strategy and classifier."""
        return ActiveLearner(self.classifier, strategy, n_queries=self.n_queries, random_state=0).fit(
            self.X, self.y
        )

    @property
    def n_left(self) -> int:
        return int((~labeled_mask(self.y)).sum())


def _query(learner: ActiveLearner, X: Any = None, n_queries: int | None = None) -> NDArray[np.intp]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoolExhaustedWarning)
        warnings.simplefilter("ignore", PoolWarning)  # of another pool that happens to be nearly the same
        return learner.query(X, n_queries)


def check_query_result(strategy: QueryStrategy, problem: Problem) -> None:
    """A query gives distinct unlabelled positions, `min(n_queries, left)` of them."""
    rows = _query(problem.learner(strategy))
    assert isinstance(rows, np.ndarray), f"a query must return an array, not {type(rows)}"
    assert rows.dtype.kind == "i", f"a query must return integers, not {rows.dtype}"
    assert rows.shape == (min(problem.n_queries, problem.n_left),)
    assert len(set(rows.tolist())) == len(rows), "rows are repeated"
    assert not labeled_mask(problem.y)[rows].any(), "labelled rows are returned"


def check_query_repeatable(strategy: QueryStrategy, problem: Problem) -> None:
    """The same inputs and `random_state` give the same rows: again, after clone and refit, after pickling."""
    learner = problem.learner(strategy)
    rows = _query(learner)
    assert_array_equal(rows, _query(learner), err_msg="a second query differs")
    assert_array_equal(rows, _query(learner, problem.X), err_msg="a query with the fitted pool differs")
    refitted = clone(learner).fit(problem.X.copy(), problem.y.copy())
    assert_array_equal(rows, _query(refitted), err_msg="a query after clone and refit differs")
    unpickled = pickle.loads(pickle.dumps(learner))
    assert_array_equal(rows, _query(unpickled), err_msg="a query after pickling differs")
    assert_array_equal(
        rows, _query(unpickled, problem.X), err_msg="an unpickled learner does not know its pool"
    )


def check_query_changes_nothing(strategy: QueryStrategy, problem: Problem) -> None:
    """Fit leaves the pool as it was; a query also the labels, the classifier and the global random states."""
    X = problem.X.copy()
    learner = problem.learner(strategy)
    assert_array_equal(problem.X, X, err_msg="fit changed X")
    estimator = getattr(learner, "estimator_", None)

    def state() -> tuple[object, ...]:
        generators = np.random.get_state(), torch.get_rng_state().numpy()  # noqa: NPY002
        parts = problem.X, problem.y, learner.X_, learner.y_, estimator, generators
        # The 625 numbers of `random` are compared: a hash takes each on its own, and longer than the query.
        return *map(joblib.hash, parts), random.getstate()

    before, own = state(), vars(learner.strategy_).copy()
    _query(learner)
    for name, value in vars(learner.strategy_).items():
        assert name == "query_report_" or value is own.get(name), f"a query set the attribute {name!r}"
    names = "X", "y", "X_", "y_", "classifier", "random state", "random state"
    for part, old, new in zip(names, before, state(), strict=True):
        assert old == new, f"a query changed: {part}"


def check_query_permutation(strategy: QueryStrategy, problem: Problem) -> None:
    """A score strategy gives each row the same score wherever it stands in the pool."""
    if not isinstance(strategy, ScoreStrategy):
        return
    learner = problem.learner(strategy)
    order = np.random.default_rng(0).permutation(len(problem.X))
    scores = learner.score_samples(problem.X)
    assert scores.shape == (len(problem.X),)
    assert_allclose(scores[order], learner.score_samples(problem.X[order]), rtol=1e-6, atol=1e-9)
    rows = _query(learner)
    left = scores[~labeled_mask(problem.y)]
    assert_allclose(
        scores[rows], np.sort(left)[::-1][: len(rows)], err_msg="the rows are not the best, best first"
    )


def check_score_of_each_row(strategy: QueryStrategy, problem: Problem) -> None:
    """A score strategy gives each row the same score whichever rows come with it in a block of the pool."""
    if not isinstance(strategy, ScoreStrategy):
        return
    learner, n_first = problem.learner(strategy), len(problem.X) // 3
    in_two = [learner.score_samples(part) for part in (problem.X[:n_first], problem.X[n_first:])]
    assert_allclose(
        np.concatenate(in_two),
        learner.score_samples(problem.X),
        rtol=1e-4,
        atol=1e-6,
        err_msg="scores depend on how the pool is cut into blocks: the X of _score is one of them, so each row must "
        "be scored by itself; what is common to all rows belongs into _prepare",
    )


def check_labeled_rows_never_return(strategy: QueryStrategy, problem: Problem) -> None:
    """Taught round by round, every row of the pool is queried exactly once."""
    learner = problem.learner(strategy)
    seen = set(np.flatnonzero(labeled_mask(problem.y)).tolist())
    while len(seen) < len(problem.X):
        rows = _query(learner).tolist()
        assert rows, "rows are left and none is returned"
        assert not seen & set(rows), "a labelled row is returned"
        seen |= set(rows)
        learner.teach(rows, np.arange(len(rows)) % 2)
    assert not len(_query(learner))


def check_other_pool(strategy: QueryStrategy, problem: Problem) -> None:
    """Every row of a pool that `fit` did not see is a candidate, and the fitted pool is not forgotten."""
    learner = problem.learner(strategy)
    rows = _query(learner)
    # Longer: values of the rows of `fit` that a strategy keeps outside of `_prepare` are too few.
    other = np.concatenate([problem.X[::-1] + 1.0, problem.X[::2] + 2.0])
    assert_array_equal(np.sort(_query(learner, other, len(other))), np.arange(len(other)))
    assert len(_query(learner, other, 2)) == 2
    assert_array_equal(_query(learner, other[:1]), [0], err_msg="a pool of one row is not answered")
    assert_array_equal(_query(learner), rows, err_msg="a query with another pool changed the fitted one")


def check_changed_pool(strategy: QueryStrategy, problem: Problem) -> None:
    """A pool that was changed in place is noticed."""
    X = problem.X.copy()
    learner = Problem(X, problem.y, problem.n_queries, problem.classifier).learner(strategy)
    X[-1] += 1
    try:
        learner.query(X)
    except ValueError:
        return
    raise AssertionError("a pool changed in place was not noticed")


CHECKS: tuple[Callable[[QueryStrategy, Problem], None], ...] = (
    check_query_result,
    check_query_repeatable,
    check_query_changes_nothing,
    check_query_permutation,
    check_score_of_each_row,
    check_labeled_rows_never_return,
    check_other_pool,
    check_changed_pool,
)


def _problems(classifier: Any) -> Iterator[tuple[str, Problem]]:
    X, truth = make_blobs(60, n_features=5, centers=3, cluster_std=3.0, random_state=0)
    y = np.where(np.arange(60) < 12, truth, UNLABELED)
    yield "blobs", Problem(X, y, 5, classifier)
    yield "more than left", Problem(X, y, 60, classifier)
    yield "float32", Problem(X.astype(np.float32), y, 5, classifier)
    yield "duplicate rows", Problem(np.repeat(X[:20], 3, axis=0), np.repeat(y[:20], 3), 7, classifier)
    yield "constant features", Problem(np.ones_like(X), y, 5, classifier)
    yield "one feature", Problem(X[:, :1], y, 5, classifier)
    yield "one row left", Problem(X[:13], y[:13], 1, classifier)


def check_strategy(strategy: QueryStrategy, classifier: Any = None) -> None:
    """Check that a query strategy keeps the invariants that learners and users rely on.

    Run it on your own strategies, alongside scikit-learn's ``check_estimator``.

    Parameters
    ----------
    strategy : QueryStrategy
        An instance; it is cloned, never fitted. The pools have 13 to 60 rows of 5 features, except one pool with a
        single feature: choose parts that work there, such as ``PCA(0.9)`` instead of ``PCA(2)``.
    classifier : classifier, default=None
        A classifier that has what the strategy requires; a logistic regression by default.

    Raises
    ------
    AssertionError
        If an invariant is broken; the message names the check, the pool and what was seen. Other errors of the strategy
        are raised unchanged, with a note that names the check and the pool.

    Examples
    --------
    >>> from skal.strategies import UncertaintySampling
    >>> from skal.testing import check_strategy
    >>> check_strategy(UncertaintySampling("entropy"))
    """
    # An ensemble that is not fitted has no length, and so no truth value.
    for name, problem in _problems(LogisticRegression(tol=0.1) if classifier is None else classifier):
        for check in CHECKS:
            try:
                # A strategy that overwrites the pool must not leave it so for the checks that follow.
                check(strategy, replace(problem, X=problem.X.copy(), y=problem.y.copy()))
            except AssertionError as error:
                raise AssertionError(
                    f"{check.__name__} fails for {strategy} on the pool {name!r}: {error}"
                ) from error
            except Exception as error:
                error.add_note(f"This came up in {check.__name__} for {strategy} on the pool {name!r}.")
                raise
