"""The lowest values against `Best` of the negative ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.selection import Best, bottom_k, drawn_key


@given(
    st.integers(1, 60),
    st.sampled_from([0, 1, 3, 1000]),
    st.sampled_from([0, 0.3, 0.9]),
    st.integers(0, 99),
    st.data(),
)
def test_the_lowest_are_the_best_of_negative_values(n, n_values, share, seed, data):
    rng = np.random.default_rng(seed)
    values = rng.integers(-n_values, n_values, n, endpoint=True).astype(np.float32)
    values *= np.float32(data.draw(st.sampled_from([1e-40, 1e-3, 1, 1e30])))
    values[rng.random(n) < 0.1] = data.draw(st.sampled_from([0, np.inf, -np.inf]))
    values[(values == 0) & (rng.random(n) < 0.5)] = -0.0
    without = np.flatnonzero(rng.random(n) < share)
    left = np.setdiff1d(np.arange(n), without)
    k = data.draw(st.integers(0, len(left)))
    found = bottom_k(values, k, np.random.default_rng(seed), without)
    expected = Best.of(-values[left], left, k, drawn_key(np.random.default_rng(seed))).positions
    np.testing.assert_array_equal(found, expected)


def test_more_than_there_are():
    with pytest.raises(ValueError, match="3"):
        bottom_k(np.zeros(4, np.float32), 4, np.random.default_rng(0), np.array([1]))
