"""Paired tests, and Holm's correction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skal.evaluation import holm, paired_test


def test_p_values_are_those_of_scipy():
    rng = np.random.default_rng(0)
    for n in (2, 5, 12):
        first, second = rng.normal([[0.5], [0]], size=(2, n))
        assert_allclose(paired_test(first, second), stats.ttest_rel(first, second).pvalue)
        expected = stats.wilcoxon(first, second).pvalue
        assert_allclose(paired_test(first, second, test="wilcoxon"), expected)
        assert paired_test(second, first) == paired_test(first, second)


def test_wilcoxon_by_counting_signs():
    """All 2^5 signs of the ranks 1 to 5 are equally likely: a sum of 14 or more, or of 1 or less, is in 4 of 32."""
    assert_allclose(paired_test([-1, 2, 3, 4, 5], np.zeros(5), test="wilcoxon"), 4 / 32)
    assert_allclose(paired_test([0, -1, 2, 3, 4, 5], np.zeros(6), test="wilcoxon"), 4 / 32)
    assert_allclose(paired_test([1, 2, 3, 4, 5], np.zeros(5), test="wilcoxon"), 2 / 32)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=10))
def test_the_unit_of_scores_decides_no_ties(pairs):
    first, second = np.transpose(pairs).astype(float)
    p_value = paired_test(first, second, test="wilcoxon")
    assert paired_test(first / 20, second / 20, test="wilcoxon") == p_value
    if (first != second).any():
        assert_allclose(p_value, stats.wilcoxon((first - second)[first != second]).pvalue)


@pytest.mark.parametrize("outlier", [1e16, 1e300])
def test_a_large_score_makes_no_ties_among_the_others(outlier):
    differences = np.array([0.01, 0.02, 0.03, 0.04, 0.05, -0.06, outlier / 10])
    first = np.array([-0.1, -0.2, -0.3, -0.5, -0.4, -0.7, -outlier / 2])
    expected = stats.wilcoxon([1, 2, 3, 4, 5, -6, 7]).pvalue
    assert_allclose(paired_test(first, first - differences, test="wilcoxon"), expected)


@pytest.mark.parametrize("test", ["t", "wilcoxon"])
def test_edges(test):
    assert paired_test([1, 2, 3], [1, 2, 3], test=test) == 1
    assert paired_test([0.3, 0.3], [0.1 + 0.2, 0.1 + 0.2], test=test) == 1, "rounding is no difference"
    assert paired_test([1e-14, 3e-14], [0, 0], test=test) < 1
    assert np.isnan(paired_test([1, np.nan, 3], [0, 0, np.nan], test=test))
    first, second = [1, np.nan, 3, 5.5], [0.5, 0, 2, 4]
    without = paired_test([1, 3, 5.5], [0.5, 2, 4], test=test)
    assert paired_test(first, second, test=test) == without < 1
    with pytest.raises(ValueError, match="1 pairs were given, and a paired test needs two"):
        paired_test([1], [2], test=test)
    with pytest.raises(ValueError, match="give pairs"):
        paired_test([1, 2], [2, 3, 4], test=test)


def test_infinite_scores():
    """Two learners that are infinitely bad are equally bad; ranks go on beyond all numbers, means do not."""
    first, second = [-np.inf, -1, -2, -3, -np.inf], [-np.inf, -2, -3.5, -5, -4]
    assert_allclose(
        paired_test(first, second, test="wilcoxon"), paired_test([1, 1.5, 2, -9], [0] * 4, test="wilcoxon")
    )
    with pytest.raises(
        ValueError, match="1 of 5 differences are infinite, and have no mean; use test='wilcoxon'"
    ):
        paired_test(first, second)
    assert paired_test([np.inf, 1, 3], [np.inf, 0, 1]) == paired_test([5, 1, 3], [5, 0, 1])


def test_the_same_difference_everywhere():
    assert paired_test([2, 3, 4], [1, 2, 3]) == 0
    assert_allclose(paired_test([2, 3, 4], [1, 2, 3], test="wilcoxon"), 2 / 8)
    with pytest.raises(ValueError, match="test='sign' was given"):
        paired_test([1, 2], [1, 2], test="sign")


def test_holm_by_hand():
    """Times 4, 3, 2 and 1 in ascending order, and never below one before."""
    assert_allclose(holm([0.02, 0.01, 0.4, 0.02]), [0.06, 0.04, 0.4, 0.06])
    assert_allclose(holm([0.5, 0.6]), [1, 1])
    assert_allclose(holm([0.03, np.nan, 0.01]), [0.03, np.nan, 0.02])
    assert_array_equal(holm([]), [])
    assert_array_equal(holm([np.nan]), [np.nan])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_step_by_step(p_values, alpha):
    """What is below alpha is what Holm's procedure rejects: the smallest first, until one is kept."""
    rejected = set()
    for i, index in enumerate(np.argsort(p_values, kind="stable")):
        if min(1, (len(p_values) - i) * p_values[index]) > alpha:
            break
        rejected.add(int(index))
    assert {*np.flatnonzero(holm(p_values) <= alpha).tolist()} == rejected
