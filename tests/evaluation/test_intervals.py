"""Intervals of proportions, against exact coverage."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binom, hypergeom, norm, t

from skal.evaluation import Risk, binomial_interval
from skal.evaluation.intervals import mean_interval, weighted_interval


def test_known_values():
    # R: binom.test(9, 10), binom.test(0, 10), binom.test(15, 20, conf.level = 0.9)
    assert_allclose(binomial_interval(9, 10), [0.5549839, 0.9974714], atol=1e-7)
    assert_allclose(binomial_interval(0, 10), [0, 0.3084971], atol=1e-7)
    assert_allclose(binomial_interval(10, 10), [0.6915029, 1], atol=1e-7)
    assert_allclose(binomial_interval(15, 20, confidence=0.9), [0.5444176, 0.8959192], atol=1e-7)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_interval_covers_whatever_the_proportion_is(confidence):
    n = 25
    low, high = np.transpose([binomial_interval(k, n, confidence=confidence) for k in range(n + 1)])
    for p in np.linspace(0, 1, 101):
        covers = (low <= p) & (p <= high)
        assert binom.pmf(np.arange(n + 1), n, p)[covers].sum() >= confidence - 1e-12
    for n_right in range(61):  # of a pool of 60 rows
        covers = (low <= n_right / 60) & (n_right / 60 <= high)
        assert hypergeom.pmf(np.arange(n + 1), 60, n_right, n)[covers].sum() >= confidence - 1e-12


def test_the_mean_of_one_proportion_has_the_exact_interval():
    for right, of in ((9, 10), (0, 10), (10, 10), (130, 400)):
        found = mean_interval([right], [of], confidence=0.9)
        assert_allclose(found, binomial_interval(right, of, confidence=0.9), atol=0.005)
    assert mean_interval([0], [0]) == (0, 1)
    assert mean_interval([3, 5], [4, 9], seed=1) == mean_interval([3, 5], [4, 9], seed=1)
    low, high = mean_interval([95, 0], [95, 0])
    assert 0.48 < low < 0.5
    assert high == 1, "a proportion of no rows may be anything"


@pytest.mark.parametrize("recall", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(
    ("n", "shares"),
    [(100, [0.95] + [0.01] * 5), (300, [0.95] + [0.01] * 5), (100, [0.9, 0.1]), (200, [0.25] * 4)],
    ids=["hardly any", "few", "two classes", "many"],
)
def test_the_interval_of_a_mean_covers_with_rare_classes(n, shares, recall):
    rng, recalls = np.random.default_rng(0), np.array([0.97] + [recall] * (len(shares) - 1))
    covered = []
    for seed in range(100):
        counts = rng.multinomial(n, shares)
        low, high = mean_interval(rng.binomial(counts, recalls), counts, seed=seed)
        covered.append(low <= recalls.mean() <= high)
    assert np.mean(covered) >= 0.95


def test_weighted_rows_count_for_as_many_as_vary_like_them():
    n = 400
    smaller = (norm.ppf(0.975) / t.ppf(0.975, n - 1)) ** 2
    for n_like in (100, 300, 550):
        found = weighted_interval(Risk(0.2, 0.2 * 0.8 / n_like), n, n)
        assert_allclose(found, binomial_interval(0.2 * n_like * smaller, n_like * smaller))
    assert_allclose(weighted_interval(Risk(0.2, 1e-9), n, n), binomial_interval(0.2 * 600, 600))
    assert_allclose(weighted_interval(Risk(0.0, 0.0), n, 250.0), binomial_interval(0, 250))
    assert_allclose(weighted_interval(Risk(1.2, 0.1), n, 250.0), binomial_interval(250, 250))
    assert_allclose(weighted_interval(Risk(1.0, np.nan), 1, 1.0), binomial_interval(1, 1))
    assert weighted_interval(Risk(0.3, 0.0), 3, 3.0) == binomial_interval(0.3 * 4.5, 4.5)
    wide, narrow = (weighted_interval(Risk(0.2, 1e-3), n, n, confidence=each) for each in (0.99, 0.9))
    assert wide[0] < narrow[0] < 0.2 < narrow[1] < wide[1]


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [((0.4, 0.0), (0.4, 1e-33)), ((1.0, 0.0), (1 - 2e-16, 1e-33)), ((1.0, 1e-3), (1 - 2e-16, 1e-3))],
    ids=["no variance", "all of them", "all of them, of strata"],
)
def test_rounding_changes_no_interval(exact, rounded):
    expected = weighted_interval(Risk(*exact), 40, 30.0)
    assert_allclose(weighted_interval(Risk(*rounded), 40, 30.0), expected)
    value, _ = exact
    assert_allclose(weighted_interval(Risk(1 - value, rounded[1]), 40, 30.0), 1 - np.array(expected[::-1]))


@pytest.mark.parametrize(
    ("given", "message"),
    [((3, 2), "n_right=3"), ((-1, 2), "n_right=-1"), ((0, 0), "n=0"), ((1, 2, 1.0), "confidence=1.0")],
)
def test_numbers_that_are_none(given, message):
    n_right, n, *confidence = given
    with pytest.raises(ValueError, match=message):
        binomial_interval(n_right, n, **dict(zip(["confidence"], confidence, strict=False)))
