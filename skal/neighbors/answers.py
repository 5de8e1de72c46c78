"""Checks of the answers of third-party indexes, before they are used."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def checked_answer(
    answer: Any, n_queries: int, k: int, n_samples: int
) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    """Return the neighbours that an index has found, in order of distance.

    Parameters
    ----------
    answer : tuple of array-like
        Distances and positions, as from `kneighbors`.
    n_queries, k : int
        The shape of both.
    n_samples : int
        Rows of the pool.

    Returns
    -------
    distances : ndarray of shape (n_queries, k)
    found : ndarray of int of shape (n_queries, k)

    Raises
    ------
    ValueError
        If the answer is not a pair of such arrays, distances are negative or not finite, or positions are missing,
        repeated or not in the pool.

    Examples
    --------
    >>> from skal.neighbors.answers import checked_answer
    >>> checked_answer(([[2.0, 0.5]], [[3, 1]]), n_queries=1, k=2, n_samples=4)
    (array([[0.5, 2. ]]), array([[1, 3]]))
    """
    try:
        distances, found = (np.asarray(part) for part in answer)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the index answered with {type(answer).__name__}; kneighbors must return distances and positions"
        ) from error
    shape = (n_queries, k)
    if distances.shape != shape or found.shape != shape:
        raise ValueError(
            f"the index answered with shapes {distances.shape} and {found.shape} to {n_queries} queries for {k} "
            f"neighbours; it must find {k} for each, of the {n_samples} rows that it was fitted on"
        )
    if distances.dtype.kind not in "fiu" or found.dtype.kind not in "iu":
        raise ValueError(
            f"the index answered with types {distances.dtype} and {found.dtype}; distances must be numbers and "
            "positions integers"
        )
    if not (np.isfinite(distances).all() and (distances >= 0).all()):
        n_bad = np.count_nonzero(~(np.isfinite(distances) & (distances >= 0)).all(axis=1))
        raise ValueError(
            f"the index gave {n_bad} of {n_queries} rows distances that are negative or not finite; let it look at "
            "more rows, or use a metric"
        )
    if found.size and not 0 <= found.min() <= found.max() < n_samples:
        raise ValueError(
            f"the index found positions from {found.min()} to {found.max()} in a pool of {n_samples} rows; fit it on "
            "the pool, and let it look at more rows where -1 means that it found too few"
        )
    in_order = np.sort(found, axis=1)
    if (in_order[:, 1:] == in_order[:, :-1]).any():
        raise ValueError("the index found a row twice for one query; it must find distinct rows")
    if (distances[:, 1:] < distances[:, :-1]).any():
        order = np.argsort(distances, axis=1, kind="stable")
        distances, found = (np.take_along_axis(part, order, axis=1) for part in (distances, found))
    return distances, found
