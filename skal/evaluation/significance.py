"""Paired tests over repeats, and Holm's correction for several of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

_ROUNDING = 1e-12  # relative; means and areas of equal scores in another order differ by less


def paired_test(first: ArrayLike, second: ArrayLike, *, test: str = "t") -> float:
    """Two-sided p-value of the hypothesis that pairs do not differ.

    Parameters
    ----------
    first, second : array-like of shape (n_repeats,)
        Pairs: the i-th numbers belong to the same repeat. A pair with NaN is left out.
    test : {"t", "wilcoxon"}, default="t"
        Student's paired t-test, or Wilcoxon's signed rank test, which assumes no normal distribution. Its
        p-value is at least :math:`2^{1 - n}`: with five repeats none is below 0.0625.

    Returns
    -------
    p_value : float
        1 where no pair differs; NaN where fewer than two pairs are left.

    Raises
    ------
    ValueError
        If there are fewer than two pairs, or not equally many numbers, or no such test; for a t-test, if a difference
        is infinite.

    Examples
    --------
    >>> from skal.evaluation import paired_test
    >>> round(paired_test([0.9, 0.8, 0.9, 0.9], [0.7, 0.7, 0.6, 0.8]), 3)
    0.035
    >>> paired_test([0.9, 0.8, 0.9, 0.9], [0.7, 0.7, 0.6, 0.8], test="wilcoxon")
    0.125
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (first, second))
    if test not in ("t", "wilcoxon"):
        raise ValueError(f"test={test!r} was given; it must be 't' or 'wilcoxon'.")
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"Values of shapes {first.shape} and {second.shape} were given; give pairs.")
    if len(first) < 2:
        raise ValueError(
            f"{len(first)} pairs were given, and a paired test needs two at least, better five or more: "
            "simulate(..., n_repeats=5)."
        )
    differences = differences_of(first, second)
    is_pair = ~np.isnan(differences)
    differences = differences[is_pair]
    if test == "t" and not np.isfinite(differences).all():
        raise ValueError(
            f"{np.count_nonzero(np.isinf(differences))} of {len(differences)} differences are infinite, and have no "
            "mean; use test='wilcoxon', which compares ranks, or a score that is finite."
        )
    if len(differences) < 2:
        return np.nan
    if not differences.any():
        return 1.0
    if test == "wilcoxon":
        rounding, differs = _ROUNDING * _larger(first, second)[is_pair], differences != 0
        return float(stats.wilcoxon(_signed_levels(differences[differs], rounding[differs])).pvalue)
    n = len(differences)
    with np.errstate(divide="ignore"):  # infinite where all differ by the same
        t = differences.mean() / (differences.std(ddof=1) / np.sqrt(n))
    return float(2 * stats.t.sf(abs(t), n - 1))


def _signed_levels(differences: NDArray[np.float64], rounding: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return signed numbers whose sizes are in the same order, and equal where they differ by rounding alone.

    Neighbours in this order are equal within the larger of their roundings.
    """
    sizes = np.abs(differences)
    order = np.argsort(sizes)
    larger = np.maximum(rounding[order], np.roll(rounding[order], 1))
    with np.errstate(invalid="ignore"):  # two infinite ones
        is_larger = np.diff(sizes[order], prepend=-np.inf) > larger
    levels = np.empty(len(sizes))
    levels[order] = np.cumsum(is_larger)
    return np.sign(differences) * levels


def differences_of(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the first numbers are more than the second ones; zero where they differ by rounding alone."""
    with np.errstate(invalid="ignore"):  # equal infinite numbers
        differences = first - second
    differences[(first == second) | (np.abs(differences) <= _ROUNDING * _larger(first, second))] = 0
    return differences


def _larger(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The larger size of each pair, and 0 of one that is not finite, which no rounding has changed."""
    larger = np.maximum(np.abs(first), np.abs(second))
    return np.where(np.isfinite(larger), larger, 0)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values of several tests, adjusted so that an error among all of them is as rare as in a single one.

    Of m p-values in ascending order

    .. math:: \\tilde p_{(i)} = \\max_{j \\le i} \\, \\min(1, (m - j + 1) \\, p_{(j)})

    which is Holm's step-down correction, never less powerful than Bonferroni's.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        NaN stands for a test that could not be made, and does not count.

    Returns
    -------
    adjusted : ndarray of shape (n_tests,)

    References
    ----------
    S. Holm. "A simple sequentially rejective multiple test procedure". Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> from skal.evaluation import holm
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    order = np.argsort(p_values, kind="stable")[: np.count_nonzero(~np.isnan(p_values))]  # NaN comes last
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return adjusted
