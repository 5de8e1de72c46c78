"""On how many data sets one learner is better than another."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skal.evaluation import area_under_curve, final_score, win_rates

from .common import history, noisy

EXPERIMENTS = {i: {name: noisy(10 * i + j) for j, name in enumerate("abc")} for i in range(1, 6)}


@pytest.mark.parametrize(("measure", "function"), [("area", area_under_curve), ("final", final_score)])
def test_win_rates_are_those_of_loops(measure, function):
    found = win_rates(EXPERIMENTS, measure=measure)
    for i, first in enumerate("abc"):
        for j, second in enumerate("abc"):
            wins = [function(e[first]).mean() > function(e[second]).mean() for e in EXPERIMENTS.values()]
            assert_allclose(found.rates[i, j], np.nan if i == j else np.mean(wins))
    others = found.rates[~np.eye(3, dtype=bool)].reshape(3, 2)
    assert_allclose(found.mean_rates, others.mean(axis=1))
    assert found.n_experiments == 5
    assert_allclose(found.to_frame()["a"], found.rates[:, 0])


def test_a_tie_counts_half():
    tie = {"a": history([[0.5, 0.7]]), "b": history([[0.5, 0.7]])}
    win = {"a": history([[0.5, 0.8]]), "b": history([[0.5, 0.7]])}
    assert_allclose(win_rates({"tie": tie, "win": win}).rates, [[np.nan, 0.75], [0.25, np.nan]])


def test_what_rounding_leaves_of_a_tie_is_one():
    scores = np.array([[0.5, 0.1], [0.5, 0.2], [0.5, 0.3]])
    assert scores[:, 1].mean() != scores[::-1, 1].mean()
    experiments = {"a": history(scores), "b": history(scores[::-1])}
    assert_allclose(win_rates(experiments, measure="final").rates, [[np.nan, 0.5], [0.5, np.nan]])


@pytest.mark.parametrize("names", [("learner", "a"), (1, "1")])
def test_names_that_are_no_columns(names):
    rates = win_rates({name: history([[0.5, 0.7]]) for name in names})
    with pytest.raises(ValueError, match="give each another name"):
        rates.to_frame()


def test_a_repeat_that_lacks_a_number_does_not_count():
    first = history([[0.5, 0.9], [0.5, np.nan]])
    second = history([[0.5, 0.8], [1, 1]])
    assert_allclose(win_rates({"a": first, "b": second}).rates, [[np.nan, 1], [0, np.nan]])
    with pytest.raises(ValueError, match="No repeat on None has a number for every learner"):
        win_rates({"a": history([[0.5, np.nan]]), "b": history([[0.5, 0.5]])})
