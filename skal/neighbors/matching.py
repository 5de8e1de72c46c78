"""Queries matched with rows of a pool."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..pool import Candidates, Rows
from ..utils.checks import check_integer
from .base import Answer
from .cell_index import CellIndex

_MAX_ANSWERS = 1 << 22  # numbers that are in memory at a time


def match(
    index: Any, queries: ArrayLike, available: ArrayLike | Candidates, n_neighbors: int = 1
) -> tuple[NDArray[np.intp], NDArray[np.float64], int]:
    """Match queries with rows of a pool, without replacement.

    One after another, the queries take their `n_neighbors` nearest rows among the available rows that no earlier
    query has taken. The index is never rebuilt: a query that finds too few such rows asks for twice as many.

    Parameters
    ----------
    index : object
        Fitted on the pool.
    queries : array-like of shape (n_queries, n_features)
    available : array-like of bool of shape (n_samples,), or Candidates
        False for rows that must not be taken, such as labelled rows. Candidates that are all rows except a few need no
        mask, and then the time does not grow with the pool.
    n_neighbors : int, default=1
        Rows per query.

    Returns
    -------
    rows : ndarray of shape (n_queries, n_neighbors), dtype intp
        Distinct positions in the pool, nearest first per query; -1 where no available row was left.
    distances : ndarray of shape (n_queries, n_neighbors), dtype float64
        The distances to them; infinite where no row was left.
    n_collisions : int
        How many of a query's `n_neighbors` nearest available rows an earlier query had taken, summed over the
        queries.

    Raises
    ------
    ValueError
        If `available` does not match the rows of the index, or `n_neighbors` is not an integer of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.neighbors import CellIndex, match
    >>> index = CellIndex(random_state=0).fit([[0.0], [1.0], [2.0], [5.0]])
    >>> rows, distances, n_collisions = match(index, [[0.9], [1.2], [0.4]], [False, True, True, True])
    >>> rows.ravel(), n_collisions
    (array([1, 2, 3]), 2)
    """
    excluded, n_samples = _excluded(index, available)
    n_available = n_free = n_samples - len(excluded)
    wanted = check_integer("n_neighbors", n_neighbors)
    ask: Callable[[Any, int], Answer]
    if isinstance(index, CellIndex):  # it skips rows that are not available
        asked, ask = index._check_queries(queries), lambda block, k: index._search(block, k, excluded)
    else:
        asked, ask = np.asarray(queries), lambda block, k: index.kneighbors(block, n_neighbors=k)
    taken: set[int] = set()
    rows = np.full((len(asked), wanted), -1, dtype=np.intp)
    distances = np.full((len(asked), wanted), np.inf)
    n_collisions = 0
    first_k = min(wanted, n_samples)
    step = max(1, _MAX_ANSWERS // first_k)
    for start in range(0, len(asked), step):
        for i, answer in enumerate(zip(*ask(asked[start : start + step], first_k), strict=True), start):
            k = first_k
            while True:
                found_distances, found = answer
                are_open = (found >= 0) & np.isin(found, excluded, invert=True)
                are_free = np.array([row not in taken for row in found.tolist()], dtype=bool)
                usable = are_open & are_free
                enough = are_open.sum() >= min(wanted, n_available) and usable.sum() >= min(wanted, n_free)
                if enough or k == n_samples:
                    break
                k = min(2 * k, n_samples)
                answer = tuple(part[0] for part in ask(asked[i : i + 1], k))
            n_collisions += int(np.count_nonzero(~are_free[are_open][:wanted]))
            own = np.flatnonzero(usable)[:wanted]
            rows[i, : len(own)] = found[own]
            distances[i, : len(own)] = found_distances[own]
            taken.update(found[own].tolist())
            n_free -= len(own)
    return rows, distances, n_collisions


def _excluded(index: Any, available: ArrayLike | Candidates) -> tuple[Rows, int]:
    """Return the rows of an index that are not available, in increasing order, and how many rows it has."""
    if isinstance(available, Candidates) and available.excluded is not None:
        excluded, n_entries = available.excluded, len(available) + len(available.excluded)
    else:
        mask = np.asarray(available)
        if mask.dtype != np.bool_ or mask.ndim != 1:
            raise ValueError(
                f"available has dtype {mask.dtype} and shape {mask.shape}; give one bool per row"
            )
        excluded, n_entries = np.flatnonzero(~mask), len(mask)
    n_samples = getattr(index, "n_samples_fit_", n_entries)
    if n_samples != n_entries:
        raise ValueError(
            f"available has {n_entries} entries and the index {n_samples} rows; give one per row"
        )
    return excluded, n_entries
