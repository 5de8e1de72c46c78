"""k-means: clusters of rows, in blocks and without a copy of the rows."""

import numpy as np
from scipy.sparse import csr_matrix

from ..utils.threads import one_blas_thread
from .points import EuclideanPoints, Floats, Positions, check_k, sq_norms

_TOLERANCE = 1e-4  # of the sum of squares: what a round must take off it


@one_blas_thread
def k_means(
    X: Floats, k: int, rng: np.random.Generator, candidates: Positions | None = None, *, max_iter: int = 100
) -> tuple[Positions, Floats]:
    """Cluster rows of X: a local minimum of the sum of their squared distances to the nearest center.

    Lloyd's algorithm [1]_ from the seeds of k-means++ [2]_.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
        Draws the seeds.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that take part, by default all.
    max_iter : int, default=100
        The most rounds; fewer when one takes less than a ten-thousandth off the sum.

    Returns
    -------
    labels : ndarray of shape (n_candidates,), dtype intp
        The cluster of each row. Where rows have duplicates, some clusters may be empty.
    sq_distances : ndarray of shape (n_candidates,)
        Of each row to the center of its cluster.

    Raises
    ------
    ValueError
        If k is not between 1 and the number of candidates.

    Notes
    -----
    A round takes O(n_samples * k * n_features) operations in blocked matrix products, in float64. Memory beyond X is
    O(n_samples + k * n_features).

    References
    ----------
    .. [1] Lloyd, Least squares quantization in PCM, 1982.
    .. [2] Arthur & Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import k_means
    >>> labels, sq_distances = k_means(np.array([[0.0], [2.0], [9.0]]), 2, np.random.default_rng(0))
    >>> bool(labels[0] == labels[1] != labels[2]), sq_distances
    (True, array([1., 1., 0.]))
    """
    points = EuclideanPoints(X, candidates)
    check_k(k, len(points))
    centers = points.take(points.plus_plus([int(rng.integers(len(points)))], k, rng))
    labels, sq_distances, means = _round(points, centers)
    total = sq_distances.sum()
    for _ in range(max_iter):
        labels, sq_distances, means = _round(points, means)
        before, total = total, sq_distances.sum()
        if total >= (1 - _TOLERANCE) * before:
            break
    return labels, sq_distances


def _round(points: EuclideanPoints, centers: Floats) -> tuple[Positions, Floats, Floats]:
    """Return the nearest center of each point, the squared distance to it, and the means of the new clusters."""
    labels, sq_distances = np.empty(len(points), np.intp), np.empty(len(points))
    norms, sums = sq_norms(centers), np.zeros_like(centers)
    for block, chosen in points.blocks(None, len(centers)):
        rows = points.take(chosen)
        labels[block] = nearest = (norms - 2 * rows @ centers.T).argmin(axis=1)
        sq_distances[block] = sq_norms(rows - centers[nearest])
        members = (np.ones(len(rows)), nearest, np.arange(len(rows) + 1))
        sums += csr_matrix(members, shape=(len(rows), len(centers))).T @ rows
    sizes = np.bincount(labels, minlength=len(centers))[:, None]
    return labels, sq_distances, np.where(sizes > 0, sums / np.maximum(sizes, 1), centers)
