"""Positions in a pool: what is refused, and candidates against plain sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skal.pool import Candidates, check_positions


@st.composite
def candidates(draw):
    """Candidates of a pool, given or as a complement, and the plain array that they stand for."""
    n_rows = draw(st.integers(1, 30))
    rows = np.array(sorted(draw(st.sets(st.integers(0, n_rows - 1)))), dtype=np.intp)
    if draw(st.booleans()):
        return n_rows, Candidates(rows), rows
    return n_rows, Candidates(rows, complement_in=n_rows), np.setdiff1d(np.arange(n_rows), rows)


@given(candidates(), st.data())
def test_candidates_are_the_set_that_they_stand_for(drawn, data):
    n_rows, given_, expected = drawn
    assert len(given_) == len(expected)
    assert_array_equal(given_.rows, expected)
    assert_array_equal(np.asarray(given_), expected)
    assert_array_equal(given_.mask(n_rows), np.isin(np.arange(n_rows), expected))
    asked = data.draw(st.lists(st.integers(0, n_rows - 1)))
    assert_array_equal(given_.isin(np.array(asked, dtype=int)), [row in expected for row in asked])
    gone = np.array(data.draw(st.lists(st.integers(0, n_rows - 1))), dtype=np.intp)
    assert_array_equal(given_.without(gone).rows, np.setdiff1d(expected, gone))
    assert_array_equal(given_.rows, expected)


@given(candidates(), st.integers(0, 2**32), st.data())
def test_a_sample_is_the_draw_from_the_plain_array(drawn, seed, data):
    _, given_, expected = drawn
    n_drawn = data.draw(st.integers(0, len(expected)))
    sample = given_.sample(n_drawn, np.random.default_rng(seed))
    assert_array_equal(sample, np.random.default_rng(seed).choice(expected, n_drawn, replace=False))


@given(drawn=candidates(), data=st.data())
def test_candidates_by_rank(drawn, data):
    _, given_, expected = drawn
    ranks = data.draw(st.lists(st.integers(0, len(expected) - 1)) if len(expected) else st.just([]))
    assert_array_equal(given_.at(np.array(ranks, dtype=np.intp)), expected[np.array(ranks, dtype=np.intp)])


def test_a_sample_of_a_large_complement_needs_no_array_of_its_size():
    few = np.array([3, 10**9])
    sample = Candidates(few, complement_in=10**12).sample(1000, np.random.default_rng(0))
    assert len(set(sample.tolist()) - set(few.tolist())) == 1000
    assert sample.max() > 9e11


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0, 1]], "1-D array"),
        ([0.5], "dtype float64"),
        ([True, False], "flatnonzero"),
        ([0, 5], r"rows \[5\] are out of range; positions in a pool of 5 rows go from 0 to 4"),
        ([-1], r"rows \[-1\] are out of range"),
        ([2, 1, 2], r"rows \[2\] are given more than once"),
    ],
)
def test_bad_positions(rows, message):
    with pytest.raises(ValueError, match=message):
        check_positions(rows, 5, distinct=True)


def test_positions_are_integers_of_one_type():
    assert check_positions([], 5).dtype == np.intp
    assert check_positions(np.array([4, 4], dtype=np.uint8), 5).dtype == np.intp
    assert_array_equal(check_positions(np.array([4, 4]), 5), [4, 4])
