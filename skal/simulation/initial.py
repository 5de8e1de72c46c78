"""The rows whose labels a simulated learner has at the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pool import Rows, check_positions

Codes = NDArray[np.integer[Any]]


def draw_initial(kind: str, codes: Codes, n_initial: int, rng: np.random.Generator) -> Rows:
    """Draw rows at random.

    Parameters
    ----------
    kind : {"random", "one_per_class", "balanced"}
        As in :class:`SimulatedLearner`.
    codes : ndarray of int of shape (n_samples,)
        The class of each row, from 0 on.
    n_initial : int
    rng : numpy.random.Generator

    Returns
    -------
    rows : ndarray of int of shape (n_initial,)

    Raises
    ------
    ValueError
        If `n_initial` rows cannot hold one of each class, for "one_per_class".

    Examples
    --------
    >>> import numpy as np
    >>> from skal.simulation.initial import draw_initial
    >>> codes = np.repeat([0, 1, 2], [2, 50, 50])
    >>> rows = draw_initial("balanced", codes, 12, np.random.default_rng(0))
    >>> np.bincount(codes[rows])
    array([2, 5, 5])
    """
    return DRAWS[kind](codes, n_initial, rng)


def _random(codes: Codes, n_initial: int, rng: np.random.Generator) -> Rows:
    """At random, with two classes among them at least."""
    order = rng.permutation(len(codes))
    if n_initial >= 2 and (codes[order[:n_initial]] == codes[order[0]]).all():
        other = np.flatnonzero(codes[order] != codes[order[0]])[0]
        order[[n_initial - 1, other]] = order[[other, n_initial - 1]]
    return order[:n_initial]


def _one_per_class(codes: Codes, n_initial: int, rng: np.random.Generator) -> Rows:
    """One of each class, and the rest at random."""
    order = rng.permutation(len(codes))
    firsts = np.unique(codes[order], return_index=True)[1]
    if n_initial < len(firsts):
        raise ValueError(
            f"n_initial={n_initial} rows cannot hold one of each of {len(firsts)} classes; raise n_initial (and "
            "the budget), or use initial='random'."
        )
    return np.concatenate([order[firsts], np.delete(order, firsts)])[:n_initial]


def _balanced(codes: Codes, n_initial: int, rng: np.random.Generator) -> Rows:
    """Turn by turn one of each class, in random order; a class that has no more is left out."""
    order = rng.permutation(len(codes))
    by_class = order[np.argsort(codes[order], kind="stable")]
    sizes = np.bincount(codes)
    turns = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return by_class[np.lexsort([rng.random(len(codes)), turns])[:n_initial]]


DRAWS: dict[str, Callable[..., Rows]] = {
    "random": _random,
    "one_per_class": _one_per_class,
    "balanced": _balanced,
}


def named_initial(initial: Any, pool_rows: Rows, n_given: int) -> Rows:
    """Check rows that were named, and find them in the pool.

    Parameters
    ----------
    initial : array-like of int of shape (n_initial,)
        Positions in the rows that `fit` was given.
    pool_rows : ndarray of int of shape (n_pool,)
        Positions of the pool there, in increasing order.
    n_given : int
        How many rows there are.

    Returns
    -------
    rows : ndarray of int of shape (n_initial,)
        Positions in the pool.

    Raises
    ------
    ValueError
        If positions are not integers of the rows, are repeated, or held out.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.simulation.initial import named_initial
    >>> named_initial([5, 2], pool_rows=np.array([1, 2, 4, 5]), n_given=6)
    array([3, 1])
    """
    try:
        rows = check_positions(initial, n_given, distinct=True)
    except ValueError as error:
        raise ValueError(f"initial={initial!r} was given: {error}") from error
    held_out = rows[~np.isin(rows, pool_rows)]
    if len(held_out):
        raise ValueError(
            f"initial names {len(held_out)} rows that validation_fraction holds out (the first is {held_out[0]}); "
            "give the validation rows as X_val and y_val instead."
        )
    return np.searchsorted(pool_rows, rows)
