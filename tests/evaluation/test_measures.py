"""One number for a learning curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skal.evaluation import area_under_curve, final_score, penalty_matrix

from .common import history


@given(
    start=st.floats(-1, 1),
    slope=st.floats(-1, 1),
    steps=st.lists(st.integers(1, 50), min_size=2, max_size=6),
)
def test_the_area_of_a_straight_line_is_its_mean_height(start, slope, steps):
    n_labeled = np.cumsum(steps)
    line = history([start + slope * n_labeled], n_labeled)
    assert_allclose(area_under_curve(line), [start + slope * (n_labeled[0] + n_labeled[-1]) / 2], atol=1e-9)
    low, high = n_labeled[0], n_labeled[0] + 0.7 * (n_labeled[-1] - n_labeled[0])
    assert_allclose(
        area_under_curve(line, between=(low, high)), [start + slope * (low + high) / 2], atol=1e-9
    )


def test_areas_by_hand():
    two = history([[0.0, 1.0, 1.0], [1.0, 0.0, 0.5]], [10, 20, 40])
    assert_allclose(area_under_curve(two), [(5 + 20) / 30, (5 + 5) / 30])
    assert_allclose(
        area_under_curve(two, between=(15, 30)), [(0.75 * 5 + 10) / 15, (0.25 * 5 + 0.125 * 10) / 15]
    )
    single = {name: values[0] for name, values in two.items()}
    assert_allclose(area_under_curve(single), [25 / 30])
    assert_allclose(area_under_curve(single | {"f1": np.ones(3)}, metric="f1"), [1])


def test_the_rounds_beyond_a_range_do_not_matter():
    curve = history([[0.0, 1.0, 0.5, 0.0, 1.0, 0.0]])
    assert_allclose(area_under_curve(curve, between=(25, 35)), [(0.75 + 0.5) / 4 + (0.5 + 0.25) / 4])
    assert_allclose(area_under_curve(curve, between=(10, 20)), [0.5])


def test_rounds_without_a_score_do_not_count():
    """There is no classifier at first, or a criterion has ended the repeat."""
    padded = history([[np.nan, 0.2, 0.4], [0.2, 0.4, np.nan], [0.5, np.nan, np.nan], [np.nan] * 3])
    padded["n_labeled"] = np.array([[10, 20, 30], [10, 20, np.nan], [10, np.nan, np.nan], [10, 20, 30]])
    assert_allclose(area_under_curve(padded), [0.3, 0.3, np.nan, np.nan])
    assert_allclose(area_under_curve(padded, between=(10, 20)), [np.nan, 0.3, np.nan, np.nan])
    assert_allclose(area_under_curve(padded, between=(20, 30)), [0.3, np.nan, np.nan, np.nan])
    assert_array_equal(final_score(padded), [0.4, 0.4, 0.5, np.nan])


def test_bad_input():
    with pytest.raises(ValueError, match="has no 'f1'; it has"):
        area_under_curve(history([[1, 2]]), metric="f1")
    with pytest.raises(ValueError, match="has no 'f1'; it has"):
        final_score(history([[1, 2]]), metric="f1")
    with pytest.raises(ValueError, match=r"between=\(20, 20\) was given"):
        area_under_curve(history([[1, 2]]), between=(20, 20))
    for between, told in (
        (np.array([30, 10]), r"\(30, 10\)"),
        (20, "20"),
        ((10, 20, 30), r"\[10, 20, 30\]"),
    ):
        for call in (area_under_curve, penalty_matrix):
            with pytest.raises(ValueError, match=f"between={told} was given; give two numbers of labels"):
                call(history([[1, 2]]), between=between)
