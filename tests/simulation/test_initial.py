"""The first rows, against what is asked of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skal.simulation.initial import DRAWS, draw_initial

SIZES = st.lists(st.integers(1, 8), min_size=2, max_size=5)


def drawn(kind, sizes, n_initial, seed):
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return codes, draw_initial(kind, codes, n_initial, rng)


@given(st.sampled_from(sorted(DRAWS)), SIZES, st.integers(0, 40), st.integers(0, 1000))
def test_rows_are_distinct_and_as_many_as_asked(kind, sizes, n_initial, seed):
    n_initial = min(n_initial, sum(sizes))
    if kind == "one_per_class" and n_initial < len(sizes):
        with pytest.raises(ValueError, match=f"n_initial={n_initial} rows cannot hold one of each"):
            drawn(kind, sizes, n_initial, seed)
        return
    codes, rows = drawn(kind, sizes, n_initial, seed)
    assert len(rows) == len(set(rows.tolist())) == n_initial
    counts = np.bincount(codes[rows], minlength=len(sizes))
    if n_initial >= 2:
        assert (counts > 0).sum() >= 2
    if kind == "one_per_class":
        assert counts.min() >= 1


def test_a_class_that_was_held_out_whole_needs_no_row():
    rows = draw_initial("one_per_class", np.array([0, 0, 2, 2, 2]), 2, np.random.default_rng(0))
    assert {*(rows >= 2).tolist()} == {False, True}


@given(SIZES, st.integers(0, 40), st.integers(0, 1000))
def test_balanced_counts(sizes, n_initial, seed):
    """Classes that have rows left differ by one at most, and those that are used up have no more than these."""
    n_initial = min(n_initial, sum(sizes))
    codes, rows = drawn("balanced", sizes, n_initial, seed)
    counts = np.bincount(codes[rows], minlength=len(sizes))
    has_more = counts < sizes
    if has_more.any():
        assert counts[has_more].max() - counts[has_more].min() <= 1
        assert counts.max() <= counts[has_more].min() + 1


@pytest.mark.parametrize("kind", sorted(DRAWS))
def test_every_row_is_drawn_as_often(kind):
    """Four of ten rows of two equal classes: 2 in 5 each, over 3000 seeds, within five deviations."""
    counts = np.zeros(10)
    for seed in range(3000):
        rows = draw_initial(kind, np.arange(10) % 2, 4, np.random.default_rng(seed))
        counts[rows] += 1
    assert np.abs(counts / 3000 - 0.4).max() < 5 * np.sqrt(0.4 * 0.6 / 3000)


def test_the_larger_share_goes_to_classes_at_random():
    codes, larger = np.arange(9) % 3, set()
    for seed in range(20):
        rows = draw_initial("balanced", codes, 4, np.random.default_rng(seed))
        larger.add(int(np.bincount(codes[rows]).argmax()))
    assert larger == {0, 1, 2}
    assert_array_equal(draw_initial("balanced", np.arange(9) % 3, 0, np.random.default_rng(0)), [])
