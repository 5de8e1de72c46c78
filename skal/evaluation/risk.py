"""Estimates of a mean from rows that were drawn with known probabilities: active testing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Risk(NamedTuple):
    """An estimate of a mean by :func:`lure_estimate`.

    Parameters
    ----------
    value : float
    variance : float
        The estimated variance of `value`; NaN for a single row out of several.

    Examples
    --------
    >>> from skal.evaluation import Risk
    >>> Risk(0.1, 0.0025).value
    0.1
    """

    value: float
    variance: float


def lure_weights(probability: ArrayLike, n_left: ArrayLike) -> NDArray[np.float64]:
    r"""The weights of rows that were drawn one by one without replacement, for an unbiased mean (LURE).

    With N rows in all and M drawn, of which the m-th had the probability :math:`q_m` to be the next one,

    .. math:: v_m = 1 + \frac{N - M}{N - m} \Big( \frac{1}{(N - m + 1) q_m} - 1 \Big), \qquad
       \hat R = \frac{1}{M} \sum_{m=1}^{M} v_m L_m

    ([1]_), where :math:`N - m + 1` rows are left before the m-th. It is a weighted mean of the unbiased estimates that
    each draw gives alone,

    .. math:: \hat R = \sum_m c_m Z_m, \quad Z_m = \frac{\sum_{t < m} L_t + L_m / q_m}{n_m + m - 1}, \quad
       c_m \propto \frac{1}{n_m (n_m - 1)}

    with :math:`n_m` rows left. In this form rows may be removed between two draws, for training, or added: then
    :math:`\hat R` estimates the mean over :math:`m` of what was there.

    Parameters
    ----------
    probability : array-like of shape (n_drawn,)
        :math:`q_m`, in the order of the draws.
    n_left : array-like of int of shape (n_drawn,)
        :math:`n_m`.

    Returns
    -------
    weights : ndarray of shape (n_drawn,)
        None is negative. The weights of uniform draws are one.

    Raises
    ------
    ValueError
        If there is no draw, a probability is not above 0 and at most 1, or no row is left.

    References
    ----------
    .. [1] Farquhar, Gal, Rainforth. On statistical bias in active learning: how and when to fix it. ICLR 2021.

    Examples
    --------
    >>> from skal.evaluation import lure_weights
    >>> lure_weights([0.5, 0.2], [4, 3])
    array([0.66666667, 1.66666667])
    """
    q, n_left, combined, n_known = _checked(probability, n_left)
    later = np.cumsum((combined / n_known)[::-1])[::-1]
    return len(q) * (combined / (q * n_known) + later - combined / n_known)


def lure_estimate(values: ArrayLike, probability: ArrayLike, n_left: ArrayLike) -> Risk:
    """Estimate the mean of a value over all rows, from some that were drawn with known probabilities.

    Parameters
    ----------
    values : array-like of shape (n_drawn,)
        Such as losses, in the order of the draws.
    probability, n_left : array-like of shape (n_drawn,)
        As in :func:`lure_weights`.

    Returns
    -------
    risk : Risk
        The variance is computed from the estimates of the single draws, which are uncorrelated.

    Raises
    ------
    ValueError
        As in :func:`lure_weights`.

    Examples
    --------
    >>> from skal.evaluation import lure_estimate
    >>> lure_estimate([1.0, 0.0, 1.0, 0.0], [0.25, 1 / 3, 0.5, 1.0], [4, 3, 2, 1])
    Risk(value=0.5, variance=0.0)
    """
    q, n_left, combined, n_known = _checked(probability, n_left)
    values = np.asarray(values, dtype=np.float64)
    alone = (np.cumsum(values) - values + values / q) / n_known
    value = float(combined @ alone)
    spread = float(combined**2 @ (alone - value) ** 2)
    if len(q) == 1 and n_left[0] > 1:
        return Risk(value, float("nan"))
    return Risk(value, spread * len(q) / max(len(q) - 1, 1))


def _checked(
    probability: ArrayLike, n_left: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """The draws, how much each counts, and how many rows each knows of."""
    q, left = np.asarray(probability, dtype=np.float64), np.asarray(n_left)
    are_draws = q.ndim == 1 and q.shape == left.shape and len(q) > 0 and left.dtype.kind in "iu"
    if not are_draws or not ((q > 0) & (q <= 1)).all() or (left < 1).any():
        raise ValueError(
            f"probability of shape {q.shape} and n_left of shape {left.shape} were given; give probabilities above 0 "
            "and the numbers of rows they were drawn from, one of each per row."
        )
    if left[-1] == 1:  # all are known
        combined = np.zeros(len(q))
        combined[-1] = 1
    else:
        combined = 1 / (left * np.maximum(left - 1, 0.5))  # one row was left, and the pool has grown
        combined /= combined.sum()
    return q, left, combined, left + np.arange(len(q))
