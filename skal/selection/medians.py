"""k-medians: rows in the middle of clusters (Sener and Savarese, 2018)."""

from collections.abc import Iterable

import numpy as np

from ..utils.progress import counted
from ..utils.threads import one_blas_thread
from .points import EuclideanPoints, Floats, Positions, check_k, pending_first, sq_norms

_N_WEISZFELD = 5
_PARTS = 16  # a cluster that is kept has one such part of the rows at most,
_MOST_KEPT = 2**22  # and so many numbers, 32 MiB


@one_blas_thread
def k_medians(
    X: Floats,
    k: int,
    rng: np.random.Generator,
    candidates: Positions | None = None,
    pending: Positions | None = None,
    *,
    max_iter: int = 100,
) -> Positions:
    """Choose rows of X that locally minimise the sum of all rows' distances to the nearest chosen row.

    The K-median baseline of Sener & Savarese (2018): a k-medoids search over Euclidean distances. Rows
    are assigned to their nearest median. The member nearest to the geometric median of each cluster (by Weiszfeld's
    iteration) replaces the old median if this lowers the cluster's sum of distances. The objective never rises.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
        Draws the start, k-means++ with distances in place of their squares.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that take part, by default all.
    pending : ndarray of int of shape (n_pending,), default=None
        Rows that were chosen before, none of them a candidate: they are medians of clusters, too, but do not move.
    max_iter : int, default=100
        Rounds of assignment and update; fewer when nothing changes.

    Returns
    -------
    rows : ndarray of shape (k,), dtype intp
        Distinct rows in order of the size of their cluster, largest first, ties by position.

    Raises
    ------
    ValueError
        If k is not between 1 and the number of candidates.

    Notes
    -----
    A round takes O(n_samples * k * n_features) operations in blocked matrix products. Memory beyond X is O(n_samples).
    While a median is searched, its cluster is also kept in float64 if it has at most a sixteenth of the rows and 32
    MiB.

    References
    ----------
    .. [1] Sener & Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018,
       section 5.
    .. [2] Weiszfeld, Sur le point pour lequel la somme des distances de n points donnes est minimum, 1937.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import k_medians
    >>> X = np.array([[9.0], [0.0], [1.0], [2.0]])
    >>> k_medians(X, 2, np.random.default_rng(0))
    array([2, 0])
    """
    rows, n_before = pending_first(pending, candidates, len(X))
    points = EuclideanPoints(X, rows)
    check_k(k, len(points) - n_before)
    first = range(n_before) if n_before else [int(rng.integers(len(points)))]
    n_medians = n_before + k
    medians = points.plus_plus(first, n_medians, rng, weight=np.sqrt)
    labels = _assign(points, medians)
    settled = np.arange(n_medians) < n_before
    for _ in counted(range(max_iter), "rounds of medians"):
        order = np.argsort(labels, kind="stable")
        clusters = np.split(order, np.cumsum(np.bincount(labels, minlength=n_medians))[:-1])
        previous = medians.copy()
        for cluster in np.flatnonzero(~settled):
            medians[cluster] = _better_median(points, clusters[cluster], medians[cluster])
        if np.array_equal(medians, previous):
            break
        before, labels = labels, _assign(points, medians)
        # The proposal depends on the members alone: an unchanged cluster has nothing new to try.
        moved = labels != before
        settled[:] = True
        settled[labels[moved]] = settled[before[moved]] = False
        settled[:n_before] = True
    sizes, medians = np.bincount(labels, minlength=n_medians)[n_before:], medians[n_before:]
    return points.positions(medians[np.lexsort((medians, -sizes))])


def _assign(points: EuclideanPoints, medians: Positions) -> Positions:
    """Return which median is nearest to each point; each median to itself, even where it has duplicates."""
    labels = points.nearest(None, medians)[0]
    labels[medians] = np.arange(len(medians))
    return labels


def _better_median(points: EuclideanPoints, members: Positions, median: int) -> int:
    """Return the member nearest to the cluster's geometric median where its sum of distances is smaller."""

    def blocks() -> Iterable[tuple[slice, Floats]]:
        return ((block, points.take(rows)) for block, rows in points.blocks(members, 0))

    # The members are read a dozen times, but only once from the pool unless they are too many to keep.
    is_small = len(members) <= len(points) // _PARTS and len(members) * points.width <= _MOST_KEPT
    kept = list(blocks()) if is_small else None

    def distances_to(center: Floats) -> Floats:
        return np.sqrt(np.concatenate([sq_norms(part - center) for _, part in kept or blocks()]))

    center = sum(part.sum(axis=0) for _, part in kept or blocks()) / len(members)
    for _ in range(_N_WEISZFELD):
        distances = distances_to(center)
        smallest = 1e-9 * distances.max()
        if smallest == 0:
            return median
        weights = 1 / np.maximum(distances, smallest)
        weights /= weights.sum()
        center = sum(weights[block] @ part for block, part in kept or blocks())
    proposed = int(members[distances_to(center).argmin()])
    old, new = (distances_to(points.take([row])).sum() for row in (median, proposed))
    return proposed if new < old else median
