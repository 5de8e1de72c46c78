"""The rows with the highest scores."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .points import Positions, check_k

_ODD = np.uint64(0x9E3779B97F4A7C15)
# One score in so many tells which may be among the highest, and how many of them more than are needed are looked at.
_STEP, _MORE = 16, 8


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
    check_k(k, len(scores), least=0)
    return Best.of(scores, np.arange(len(scores)), k, None if rng is None else drawn_key(rng)).positions


def drawn_key(rng: np.random.Generator) -> int:
    """Draw the key that decides the order of equal scores.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    key : int
        A number of 63 bits.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import drawn_key
    >>> drawn_key(np.random.default_rng(0)) == drawn_key(np.random.default_rng(0))
    True
    """
    return int(rng.integers(2**63))


class Best(NamedTuple):
    """The k best of some rows, in order: those of a block, or of several blocks once they are merged.

    Equal scores are ordered by a hash of position and key, so that the best rows of a pool are the same however it is
    cut into blocks and in whatever order these are merged; without a key they are ordered by position.

    Parameters
    ----------
    scores : ndarray of shape (n_best,)
        The highest first.
    positions : ndarray of int of shape (n_best,)

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import Best
    >>> first = Best.of(np.array([0.5, 0.9]), np.array([0, 1]), k=2)
    >>> second = Best.of(np.array([0.9, 0.7]), np.array([2, 3]), k=2)
    >>> first.merged(second, k=2).positions
    array([1, 2])
    """

    scores: NDArray[Any]
    positions: Positions

    @classmethod
    def of(cls, scores: NDArray[Any], positions: Positions, k: int, key: int | None = None) -> Self:
        """The best of some rows.

        Parameters
        ----------
        scores : ndarray of shape (n,)
        positions : ndarray of int of shape (n,)
            Distinct.
        k : int
            The maximum number of rows.
        key : int, default=None
            Orders equal scores; by default they are in order of position.

        Returns
        -------
        best : Best

        Raises
        ------
        ValueError
            If a score is NaN, or if there is not one score per row.
        """
        if scores.shape != positions.shape:
            raise ValueError(
                f"scores has shape {scores.shape}; give one score per row, shape {positions.shape}."
            )
        if np.isnan(scores).any():
            raise ValueError(
                f"{np.isnan(scores).sum()} of {len(scores)} scores are NaN and have no rank; "
                "check the classifier's probabilities or the strategy's formula."
            )
        if k == 0 or not len(scores):
            return cls(scores[:0], positions[:0])
        some, n_some = scores[::_STEP], 2 * k // _STEP + _MORE
        if n_some < len(some) // 2:  # about 2 k scores reach what so many of these do
            high = np.flatnonzero(scores >= np.partition(some, -n_some)[-n_some])
            if len(high) >= k:
                scores, positions = scores[high], positions[high]
        kth = np.partition(scores, -k)[-k] if k < len(scores) else scores.min()
        above, equal = np.flatnonzero(scores > kth), np.flatnonzero(scores == kth)
        n_equal = min(k - len(above), len(equal))
        if n_equal < len(equal):
            nearest = np.argpartition(_ranks(positions[equal], key), n_equal - 1)[:n_equal]
            equal = equal[nearest]
        chosen = np.concatenate([above, equal])
        chosen = chosen[np.argsort(_ranks(positions[chosen], key))]
        # A stable sort of the reversed list, reversed: descending, ties in their order.
        order = len(chosen) - 1 - np.argsort(scores[chosen][::-1], kind="stable")[::-1]
        return cls(scores[chosen[order]], positions[chosen[order]])

    def merged(self, other: Best, k: int, key: int | None = None) -> Best:
        """The best of these rows and others.

        Parameters
        ----------
        other : Best
        k, key : int
            Those of both.

        Returns
        -------
        best : Best
        """
        scores, positions = (np.concatenate(pair) for pair in zip(self, other, strict=True))
        return Best.of(scores, positions, k, key)


def _ranks(positions: Positions, key: int | None) -> NDArray[Any]:
    """The order of equal scores: positions, or a bijection of theirs that looks random (as in SplitMix64)."""
    if key is None:
        return positions
    z = positions.astype(np.uint64) * _ODD + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
