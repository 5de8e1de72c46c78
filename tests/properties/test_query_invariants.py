"""The query invariants, over every strategy and generated pools."""

import warnings

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skal.exceptions import PoolExhaustedWarning
from skal.testing.strategy import CHECKS, Problem

from .strategies import PROBLEMS, STRATEGIES, check_examples

ONE_LEFT = st.tuples(PROBLEMS, st.integers(1, 3))
over_strategies = pytest.mark.parametrize("strategy", STRATEGIES, ids=str)


@over_strategies
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_invariants(check, strategy):
    check_examples(PROBLEMS, lambda problem: check(strategy, problem))


@over_strategies
def test_one_row_left(strategy):
    check_examples(ONE_LEFT, lambda example: check_one_row_left(strategy, *example))


def check_one_row_left(strategy, problem, n_queries):
    y = np.where(problem.y < 0, 0, problem.y)
    y[-1] = -1
    if len(set(y.tolist())) < 3:
        y[:2] = 0, 1
    learner = Problem(problem.X, y, n_queries, problem.classifier).learner(strategy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoolExhaustedWarning)
        assert_array_equal(learner.query(), [len(y) - 1])
