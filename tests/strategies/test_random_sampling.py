"""Random sampling: uniform, without replacement, without a look at the rows."""

import numpy as np
from numpy.testing import assert_array_equal

from skal.strategies import RandomSampling

X = np.zeros((12, 1))
Y = np.array([0, 1, *[-1] * 10])


def test_every_unlabelled_row_is_as_likely():
    counts = np.zeros(12)
    for seed in range(300):
        counts[RandomSampling(random_state=seed).fit(X).query(X, Y, 3)] += 1
    assert_array_equal(counts[:2], 0)
    assert counts.sum() == 900
    assert np.abs(counts[2:] - 90).max() < 4 * np.sqrt(300 * 0.3 * 0.7)


def test_rows_are_those_of_the_generator():
    rows = RandomSampling(random_state=5).fit(X).query(X, Y, 4)
    assert_array_equal(rows, 2 + np.random.default_rng([5, 2]).choice(10, 4, replace=False))


def test_missing_values_are_no_matter():
    holes = np.full((12, 1), np.nan)
    assert set(RandomSampling().fit(holes).query(holes, Y, 10)) == set(range(2, 12))
