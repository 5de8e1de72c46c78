"""Rows drawn one after the other, with probabilities that are known."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .points import Positions, check_k


def successive_sample(
    weights: ArrayLike, k: int, rng: np.random.Generator
) -> tuple[Positions, NDArray[np.float64]]:
    r"""Draw k rows one by one without replacement, each with a probability proportional to its weight.

    .. math:: q(i_m) = \frac{w_{i_m}}{\sum_{i \notin \{i_1, \dots, i_{m-1}\}} w_i}

    Exponential clocks, one per row with its weight as the rate, ring in an order of this distribution: that takes O(n)
    and a sort instead of k draws of O(n) each [1]_.

    Parameters
    ----------
    weights : array-like of shape (n,)
        Positive and finite.
    k : int
        Between 0 and n.
    rng : numpy.random.Generator

    Returns
    -------
    positions : ndarray of int of shape (k,)
        In the order in which they were drawn.
    probabilities : ndarray of shape (k,)
        The probability of each position, given those before it.

    Raises
    ------
    ValueError
        If a weight is not positive and finite, or k is not between 0 and n.

    References
    ----------
    .. [1] Efraimidis, Spirakis. Weighted random sampling with a reservoir. Information Processing Letters 97, 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import successive_sample
    >>> positions, probabilities = successive_sample([1.0, 3.0], 2, np.random.default_rng(0))
    >>> positions, probabilities
    (array([1, 0]), array([0.75, 1.  ]))
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 1 or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(
            f"weights of shape {weights.shape} were given; give positive, finite ones, one per row."
        )
    check_k(k, len(weights), least=0)
    order = np.argsort(rng.standard_exponential(len(weights)) / weights, kind="stable")
    drawn = weights[order[:k]]
    rest = weights[order[k:]].sum()  # summed from the end: nothing cancels
    left = rest + np.cumsum(drawn[::-1])[::-1]
    return order[:k].astype(np.intp, copy=False), drawn / left
