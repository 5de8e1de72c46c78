"""Draws of a file that can be none are told from others."""

from dataclasses import replace

import numpy as np
import pytest

from skal.learner.draws import Draws, are_arrivals

DRAWS = Draws().after(np.array([4, 1]), np.array([0.25, 1 / 3]), n_left=4, n_taken=1, is_active=True)


def test_draws_one_after_the_other():
    assert Draws().are_of(0)
    assert DRAWS.are_of(5)
    both = DRAWS.without(np.array([4])).after(
        np.array([4]), np.array([0.5]), n_left=2, n_taken=3, is_active=False
    )
    assert both.are_of(5)
    assert both.kept.tolist() == [1, 4]
    assert both.n_left.tolist() == [4, 3, 2]
    assert both.n_taken.tolist() == [1, 2, 3]
    assert both.is_active.tolist() == [True, True, False]
    assert both.is_withdrawn.tolist() == [True, False, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": np.array([4, 5])},
        {"rows": np.array([-1, 1])},
        {"rows": np.array([1, 1])},
        {"rows": np.array([1])},
        {"rows": np.array([1.0, 2.0])},
        {"rows": [4, 1]},
        {"rows": np.array([[4], [1]])},
        {"probability": np.array([0.0, 1.0])},
        {"probability": np.array([1.5, 1.0])},
        {"probability": np.array([np.nan, 1.0])},
        {"n_left": np.array([0, 1])},
        {"n_left": np.array([6, 1])},
        {"n_taken": np.array([-1, 1])},
        {"n_taken": np.array([6, 1])},
        {"is_active": np.array([0, 1])},
        {"is_withdrawn": None},
    ],
    ids=str,
)
def test_draws_that_are_none(changes):
    assert not replace(DRAWS, **changes).are_of(5)


@pytest.mark.parametrize("arrivals", [(), ((3, 0),), ((3, 1), (3, 1), (5, 2))], ids=str)
def test_pools_that_grew(arrivals):
    assert are_arrivals(arrivals, 5, 2)


@pytest.mark.parametrize(
    "arrivals",
    [None, [(3, 1)], (3, 1), ((3,),), ((6, 0),), ((3, 3),), ((4, 1), (3, 1)), ((3, 2), (4, 1)), ((-1, 0),), ((3.0, 0),),
     ((True, 0),), (("3", 0),)],
    ids=str,
)  # fmt: skip
def test_pools_that_cannot_have_grown_so(arrivals):
    assert not are_arrivals(arrivals, 5, 2)
