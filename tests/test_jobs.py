"""Two jobs, which are two other processes, find what one finds. They take seconds to start: these tests share them."""

import warnings

import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal

from skal import simulate
from skal.exceptions import PoolExhaustedWarning
from skal.strategies import CoreSet, RandomSampling

from .properties.strategies import PROBLEMS, STRATEGIES, examples
from .simulation.common import X, Y, learner


def rows_of(strategy, problem):
    """What a fresh learner answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PoolExhaustedWarning)
        return problem.learner(strategy).query()


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_strategies(strategy):
    tasks = [delayed(rows_of)(strategy, problem) for problem in examples(PROBLEMS)]
    for one, two in zip(Parallel(n_jobs=1)(tasks), Parallel(n_jobs=2)(tasks), strict=True):
        assert_array_equal(one, two)


def test_simulate(capsys):
    learners = {"random": learner(RandomSampling()), "core set": learner(CoreSet("input"))}
    data = {"X_val": X[1::2], "y_val": Y[1::2], "n_repeats": 3, "random_state": 0}
    one = simulate(learners, X[::2], Y[::2], **data)
    two = simulate(learners, X[::2], Y[::2], **data, n_jobs=2, verbose=1)
    for name in learners:
        assert_array_equal(one[name]["score"], two[name]["score"])
    ends = [line.partition("] ")[2].partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert ends == [f"{name}, repeat {repeat}" for name in learners for repeat in range(3)]
