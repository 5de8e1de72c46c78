"""The rows with the highest scores."""

import numpy as np
from numpy.typing import ArrayLike

from .points import Positions, check_k


def top_k(scores: ArrayLike, k: int, rng: np.random.Generator | None = None) -> Positions:
    """Return the positions of the k highest scores, best first; equal scores in order of position, or at random.

    A partition finds the k-th score in O(n). Only scores that are at least as high are sorted.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Infinities are allowed, NaN is not.
    k : int
        Between 0 and n.
    rng : numpy.random.Generator, default=None
        Orders equal scores at random; by default they stay in order of position.

    Returns
    -------
    positions : ndarray of shape (k,), dtype intp

    Raises
    ------
    ValueError
        If a score is NaN or k is not between 0 and n.

    Examples
    --------
    >>> from skal.selection import top_k
    >>> top_k([0.1, 0.7, 0.3, 0.7, 0.3], 3)
    array([1, 3, 2])
    """
    scores = np.asarray(scores)
    if scores.ndim != 1:
        raise ValueError(f"scores has shape {scores.shape}; give one score per row, shape (n,).")
    check_k(k, len(scores), least=0)
    if np.isnan(scores).any():
        raise ValueError(
            f"{np.isnan(scores).sum()} of {len(scores)} scores are NaN and have no rank; "
            "check the classifier's probabilities or the strategy's formula."
        )
    if k == 0:
        return np.empty(0, dtype=np.intp)
    # The partition is arbitrary among scores equal to the k-th, so only its value is used.
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    above, equal = np.flatnonzero(scores > kth), np.flatnonzero(scores == kth)
    if rng is not None:
        above, equal = rng.permutation(above), rng.choice(equal, k - len(above), replace=False)
    # A stable sort of the reversed list, reversed: descending, ties in their order.
    order = np.argsort(scores[above][::-1], kind="stable")[::-1]
    return np.concatenate([above[::-1][order], equal[: k - len(above)]])
