"""LURE, against all sequences of draws from small pools."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skal.evaluation import lure_estimate, lure_weights
from skal.selection import successive_sample

LOSSES = st.lists(st.floats(0, 2), min_size=2, max_size=5)


def probability_of(row, drawn, left):
    """Of a row to be the next one: any rule will do that goes by what was drawn before."""
    weights = {i: 1 + (i * 7 + sum(drawn) * 3 + len(drawn)) % 5 for i in left}
    return weights[row] / sum(weights.values())


def sequences(n_rows, n_drawn, leaves=None):
    """All sequences of draws: their probability, rows, probabilities of draws, and rows left before each.

    Before the draw number `leaves`, the smallest row that was not drawn leaves, as for training.
    """
    for drawn in permutations(range(n_rows), n_drawn):
        left, q, n_left, known = set(range(n_rows)), [], [], []
        for m, row in enumerate(drawn):
            if m == leaves:
                left.discard(min(left))
            if row not in left:
                break
            known.append(left | set(drawn[:m]))
            q.append(probability_of(row, drawn[:m], left))
            n_left.append(len(left))
            left.discard(row)
        else:
            yield np.prod(q), list(drawn), q, n_left, known


@settings(max_examples=20)
@given(losses=LOSSES, data=st.data())
def test_the_estimate_has_no_bias(losses, data):
    losses = np.array(losses)
    n_drawn = data.draw(st.integers(1, len(losses)))
    total = mean = 0.0
    for chance, rows, q, n_left, _ in sequences(len(losses), n_drawn):
        estimate = lure_estimate(losses[rows], q, n_left).value
        assert_allclose(estimate, lure_weights(q, n_left) @ losses[rows] / n_drawn, atol=1e-13)
        total, mean = total + chance, mean + chance * estimate
    assert_allclose(total, 1)
    assert_allclose(mean, losses.mean(), atol=1e-13)


@pytest.mark.parametrize("n_rows", [4, 5])
@pytest.mark.parametrize("leaves", [1, 2])
def test_rows_that_leave_between_draws(n_rows, leaves):
    losses = np.random.default_rng(0).random(n_rows)
    mean = expected = total = 0.0
    for chance, rows, q, n_left, known in sequences(n_rows, 3, leaves):
        n = np.array(n_left)
        counts = 1 / (n * (n - 1)) if n[-1] > 1 else np.eye(3)[-1]
        population = [losses[sorted(each)].mean() for each in known]
        mean += chance * lure_estimate(losses[rows], q, n_left).value
        expected += chance * np.average(population, weights=counts)
        total += chance
    assert_allclose(total, 1)
    assert_allclose(mean, expected, atol=1e-13)


@pytest.mark.parametrize(("n_rows", "n_drawn"), [(9, 1), (9, 4), (9, 9), (60_000, 100)])
def test_the_weights_are_those_of_the_paper(n_rows, n_drawn):
    q = successive_sample(
        np.random.default_rng(0).uniform(0.5, 1.5, n_rows), n_drawn, np.random.default_rng(1)
    )[1]
    m = np.arange(1, n_drawn + 1)
    with np.errstate(invalid="ignore"):
        share = np.nan_to_num((n_rows - n_drawn) / (n_rows - m))
    paper = 1 + share * (1 / ((n_rows - m + 1) * q) - 1)
    assert_allclose(lure_weights(q, n_rows - m + 1), paper, rtol=1e-10)


def test_uniform_draws_weigh_one_and_all_rows_leave_no_doubt():
    n_left = 10 - np.arange(4)
    assert_allclose(lure_weights(1 / n_left, n_left), 1)
    assert_allclose(lure_estimate([1, 0, 0, 1], 1 / n_left, n_left).value, 0.5)
    q = successive_sample([1.0, 2.0, 5.0], 3, np.random.default_rng(0))[1]
    value, variance = lure_estimate([1.0, 0.0, 0.0], q, [3, 2, 1])
    assert value == pytest.approx(1 / 3)
    assert variance == pytest.approx(0, abs=1e-30)
    assert np.isnan(lure_estimate([1.0], [0.1], [20]).variance)
    n_left = np.array([10**9, 10**9 - 1])  # as good as independent: 1/2 is the variance, 1/4 that of the mean
    assert lure_estimate([0.0, 1.0], 1 / n_left, n_left).variance == pytest.approx(1 / 4)


def test_the_variance_is_that_of_the_estimates():
    rng = np.random.default_rng(0)
    losses = rng.random(60)
    weights = 0.3 + losses + 0.3 * rng.random(60)
    found = []
    for _ in range(2000):
        rows, q = successive_sample(weights, 25, rng)
        found.append(lure_estimate(losses[rows], q, 60 - np.arange(25)))
    values, variances = np.transpose(found)
    assert abs(values.mean() - losses.mean()) < 4 * values.std() / np.sqrt(2000)
    assert variances.mean() == pytest.approx(values.var(), rel=0.15)
    uniform = losses.var() / 25 * 35 / 59
    assert values.var() < 0.5 * uniform, "nothing was gained over uniform draws"


def test_a_pool_that_was_all_drawn_and_grew():
    value, variance = lure_estimate([1.0, 0.0, 1.0], [0.5, 1.0, 0.25], [2, 1, 4])
    assert np.isfinite([value, variance]).all()
    # What each draw says alone of the 2, 2 and 6 rows that it knows of.
    alone, counts = [1 / 0.5 / 2, 1 / 2, (1 + 1 / 0.25) / 6], [1 / 2, 2, 1 / 12]
    assert value == pytest.approx(np.average(alone, weights=counts))


@pytest.mark.parametrize(
    ("q", "n_left"),
    [
        ([], []),
        ([0.0], [3]),
        ([1.1], [3]),
        ([np.nan], [3]),
        ([0.5], [0]),
        ([0.5], [3, 2]),
        ([0.5], [2.0]),
        ([[0.5]], [[2]]),
    ],
)
def test_draws_that_are_none(q, n_left):
    with pytest.raises(ValueError, match="one of each per row"):
        lure_weights(q, n_left)
