"""The query invariants, over every strategy and generated pools."""

import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal

from skal.exceptions import PoolExhaustedWarning
from skal.testing import CHECKS, Problem

from .strategies import STRATEGIES, problems

over_strategies = pytest.mark.parametrize("strategy", STRATEGIES, ids=str)


@over_strategies
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@given(problem=problems())
def test_invariants(check, strategy, problem):
    check(strategy, problem)


@over_strategies
@given(problem=problems(), n_queries=st.integers(1, 3))
def test_one_row_left(strategy, problem, n_queries):
    y = np.where(problem.y < 0, 0, problem.y)
    y[-1] = -1
    if len(set(y.tolist())) < 3:
        y[:2] = 0, 1
    learner = Problem(problem.X, y, n_queries, problem.classifier).learner(strategy)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoolExhaustedWarning)
        assert_array_equal(learner.query(), [len(y) - 1])


def rows_of(strategy, problem):
    """What a fresh learner answers; run here and in other processes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoolExhaustedWarning)
        return problem.learner(strategy).query()


@pytest.fixture(scope="module")
def other_process():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


# A call of another process costs more than a query, so fewer examples have more problems.
def over_batches(size):
    def decorate(test):
        batches = st.lists(problems(), min_size=size, max_size=size)
        return settings(max_examples=settings().max_examples // size)(given(batch=batches)(test))

    return decorate


@over_strategies
@over_batches(10)
def test_equal_across_processes(strategy, batch, other_process):
    others = other_process.map(rows_of, [strategy] * len(batch), batch, chunksize=len(batch))
    for problem, other in zip(batch, others, strict=True):
        assert_array_equal(rows_of(strategy, problem), other)


@over_strategies
@over_batches(20)
def test_equal_with_one_and_two_jobs(strategy, batch):
    tasks = [delayed(rows_of)(strategy, problem) for problem in batch]
    for one, two in zip(Parallel(n_jobs=1)(tasks), Parallel(n_jobs=2)(tasks), strict=True):
        assert_array_equal(one, two)
