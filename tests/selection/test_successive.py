"""Successive sampling, against the law of draws one by one."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skal.selection import successive_sample

WEIGHTS = np.array([0.5, 1.0, 2.0, 4.0])


def chances(weights, sequence):
    """The probability of each row of a sequence to be the next one, one by one."""
    left = dict(enumerate(weights))
    found = []
    for position in sequence:
        found.append(left[position] / sum(left.values()))
        del left[position]
    return np.array(found)


def test_every_sequence_is_as_frequent_as_it_is_probable():
    rng = np.random.default_rng(0)
    n = 20_000
    drawn = [tuple(successive_sample(WEIGHTS, 2, rng)[0].tolist()) for _ in range(n)]
    for sequence in permutations(range(4), 2):
        expected = chances(WEIGHTS, sequence).prod()
        assert abs(drawn.count(sequence) / n - expected) < 4 * np.sqrt(expected / n), sequence


@pytest.mark.parametrize("k", range(5))
def test_probabilities_are_those_of_the_rows_that_are_left(k):
    positions, probabilities = successive_sample(WEIGHTS, k, np.random.default_rng(k))
    assert len(set(positions.tolist())) == k
    assert_allclose(probabilities, chances(WEIGHTS, positions), rtol=1e-14)
    again = successive_sample(WEIGHTS, k, np.random.default_rng(k))
    assert_array_equal(again[0], positions)


def test_the_last_row_of_all_is_certain_whatever_the_weights():
    weights = np.array([1e-300, 1e300, 1.0, 3e-200])
    positions, probabilities = successive_sample(weights, 4, np.random.default_rng(0))
    assert_array_equal(positions, [1, 2, 3, 0])
    assert_array_equal(probabilities, np.ones(4))


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0], [[1.0]]])
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match="positive, finite"):
        successive_sample(weights, 1, np.random.default_rng(0))


def test_more_than_there_are():
    with pytest.raises(ValueError, match="k=3"):
        successive_sample([1.0, 2.0], 3, np.random.default_rng(0))
