"""Confidence intervals of a proportion."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isnan

import numpy as np
from scipy.stats import beta, norm, t

from ..utils.checks import check_share
from .risk import Risk

_MOST_PER_ROW = 1.5  # uniform rows that a row drawn by its expected loss may stand for
_N_DRAWS = 20_000  # of which a quantile is known to about a thousandth


def binomial_interval(n_right: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of Clopper and Pearson for a proportion [1]_.

    Whatever the proportion is, the interval contains it with at least the probability `confidence`. Rows drawn without
    replacement vary less than binomial ones.

    Parameters
    ----------
    n_right : float
        How many of `n`, from 0 to `n`; not an integer where `n` is an effective number.
    n : float
        Above 0.
    confidence : float, default=0.95
        Between 0 and 1.

    Returns
    -------
    low, high : float

    Raises
    ------
    ValueError
        If a number is out of its range.

    References
    ----------
    .. [1] Clopper, Pearson. The use of confidence or fiducial limits illustrated in the case of the binomial.
       Biometrika 26, 1934.

    Examples
    --------
    >>> from skal.evaluation import binomial_interval
    >>> low, high = binomial_interval(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.555, 0.997)
    """
    if not (0 <= n_right <= n and n > 0):
        raise ValueError(f"n_right={n_right} of n={n} was given; n must be above 0, and n_right from 0 to n.")
    check_share("confidence", confidence)
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, n_right, n - n_right + 1)) if n_right > 0 else 0.0
    high = float(beta.ppf(1 - tail, n_right + 1, n - n_right)) if n_right < n else 1.0
    return low, high


def mean_interval(
    n_right: Sequence[int], n: Sequence[int], *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """The interval of the mean of several proportions, melded from their exact ones [1]_.

    The exact lower limits of a proportion at all confidences are a beta distribution, and so are the upper ones. The
    interval goes from a quantile of the mean of draws from the former to one of draws from the latter. Of a single
    proportion it is the exact one, as far as the draws tell; a proportion of no rows may be anything from 0 to 1.

    Parameters
    ----------
    n_right, n : sequence of int
        For each proportion how many of how many, 0 of 0 included.
    confidence : float, default=0.95
    seed : int, default=0
        Of the draws.

    Returns
    -------
    low, high : float

    References
    ----------
    .. [1] Fay, Proschan, Brittain. Combining one-sample confidence procedures for inference in the two-sample case.
       Biometrics 71, 2015.
    """
    rng = np.random.default_rng(seed)
    low, high = np.zeros(_N_DRAWS), np.zeros(_N_DRAWS)
    for right, of in zip(n_right, n, strict=True):
        low += rng.beta(right, of - right + 1, _N_DRAWS) if right else 0
        high += rng.beta(right + 1, of - right, _N_DRAWS) if right < of else 1
    tail = (1 - confidence) / 2
    return float(np.quantile(low, tail)) / len(n), float(np.quantile(high, 1 - tail)) / len(n)


def weighted_interval(
    share: Risk, n: int, effective_n: float, *, confidence: float = 0.95
) -> tuple[float, float]:
    r"""The interval of a proportion that was estimated from weighted rows, in the manner of Korn and Graubard [1]_.

    It is the exact one for as many rows as would vary like the estimate :math:`\hat R`,

    .. math:: n^* = \frac{\hat R (1 - \hat R)}{\mathrm{var}(\hat R)}
       \Big( \frac{z_{1 - \alpha/2}}{t_{1 - \alpha/2, n - 1}} \Big)^2,

    1.5 n at most, as a variance that was estimated from few errors may be small by luck. That bound and the last factor
    are not theirs: they make the interval wider where rows are few.

    Parameters
    ----------
    share : Risk
        The estimate and its variance.
    n : int
        Number of rows.
    effective_n : float
        How many rows of equal weight there are, for an estimate of 0 or 1, which has no variance.
    confidence : float, default=0.95

    Returns
    -------
    low, high : float

    References
    ----------
    .. [1] Korn, Graubard. Confidence intervals for proportions with small expected number of positive counts
       estimated from survey data. Survey Methodology 24, 1998.
    """
    value = min(max(round(share.value, 12), 0.0), 1.0)  # a sum of weights may be 1 but for rounding
    if 0 < value < 1 and not isnan(share.variance):
        upper = (1 + confidence) / 2
        smaller = float(norm.ppf(upper) / t.ppf(upper, n - 1)) ** 2
        # Rows that are all wrong, and of equal weight, do not vary.
        effective_n = value * (1 - value) / share.variance * smaller if share.variance else inf
    effective_n = min(effective_n, _MOST_PER_ROW * n)
    return binomial_interval(value * effective_n, effective_n, confidence=confidence)
