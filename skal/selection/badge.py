"""BADGE: k-means++ on gradient embeddings (Ash et al., 2020)."""

import numpy as np

from ..utils.threads import one_blas_thread
from .points import Floats, Points, Positions, check_k, pending_first, sq_norms


@one_blas_thread
def badge_kmeans_plusplus(
    embeddings: Floats,
    probabilities: Floats,
    k: int,
    rng: np.random.Generator,
    candidates: Positions | None = None,
    pending: Positions | None = None,
) -> Positions:
    """Choose the batch of BADGE: k-means++ seeding of the rows' gradient embeddings.

    The gradient embedding of a row is the outer product of its residual (one-hot predicted class minus
    probabilities) and its penultimate features. The first pick has the largest gradient. Each next one is
    drawn with probability proportional to the squared distance to its nearest pick.

    Parameters
    ----------
    embeddings : ndarray of shape (n_samples, n_features)
        Penultimate features.
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted class probabilities.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that may be picked, by default all.
    pending : ndarray of int of shape (n_pending,), default=None
        Rows that were picked before, none of them a candidate: the next picks are drawn far from them, too.

    Returns
    -------
    rows : ndarray of shape (k,), dtype intp
        In order of choice. Once every row equals a pick, the rest is drawn uniformly from the rows left.

    Raises
    ------
    ValueError
        If the two arrays have different lengths, or k is not between 1 and the number of candidates.

    Notes
    -----
    The outer products are never formed: the inner product of two of them is the product of the inner products of their
    residuals and of their features. The draw is exact rejection sampling: a row is proposed with its last known squared
    distance, an upper bound, and accepted with the ratio of the present distance to this bound. After too many refusals
    one matrix product with the latest picks brings all distances up to date. This takes at most O(n_samples * k *
    (n_features + n_classes)) operations, and memory for two numbers per row beyond the input.

    References
    ----------
    .. [1] Ash, Zhang, Krishnamurthy, Langford & Agarwal, Deep Batch Active Learning by Diverse, Uncertain
       Gradient Lower Bounds, ICLR 2020, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import badge_kmeans_plusplus
    >>> features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 9.0]])
    >>> proba = np.array([[0.5, 0.5], [0.6, 0.4], [0.6, 0.4]])
    >>> badge_kmeans_plusplus(features, proba, 1, np.random.default_rng(0))
    array([2])
    """
    if len(embeddings) != len(probabilities):
        raise ValueError(
            f"{len(embeddings)} rows of embeddings and {len(probabilities)} of probabilities; "
            "give both for the same rows."
        )
    rows, n_before = pending_first(pending, candidates, len(embeddings))
    points = GradientEmbeddings(embeddings, probabilities, rows)
    check_k(k, len(points) - n_before)
    first = range(n_before) if n_before else [int(points.sq_norms.argmax())]
    return points.positions(points.plus_plus(first, n_before + k, rng)[n_before:])


class GradientEmbeddings(Points):
    """Outer products of residuals and features, measured only by the inner products of the two factors."""

    def __init__(self, embeddings: Floats, probabilities: Floats, candidates: Positions | None) -> None:
        super().__init__(len(embeddings), embeddings.shape[1], candidates)
        self.embeddings, self.probabilities = embeddings, probabilities
        self.sq_norms = np.empty(len(self))
        for block, _ in self.blocks(None, probabilities.shape[1]):
            residuals, features = self._take(block)
            self.sq_norms[block] = sq_norms(residuals) * sq_norms(features)
        if not np.isfinite(2 * self.sq_norms).all():
            raise ValueError(
                f"The embeddings go from {embeddings.min():g} to {embeddings.max():g}, and squared distances between "
                "their gradients overflow; scale the rows that they are computed from."
            )

    def _take(self, rows: Positions | slice) -> tuple[Floats, Floats]:
        rows = self.positions(rows)
        residuals = -self.probabilities[rows].astype(np.float64)
        residuals[np.arange(len(residuals)), residuals.argmin(axis=1)] += 1
        return residuals, self.embeddings[rows].astype(np.float64)

    def min_sq_distances(self, rows: Positions | None, centers: Positions) -> Floats:
        residuals_c, features_c = self._take(centers)
        residuals_c *= -2
        norms = self.sq_norms[centers, np.newaxis]
        sq_distances = np.empty(len(self if rows is None else rows))
        for block, chosen in self.blocks(rows, 2 * len(centers)):
            residuals, features = self._take(chosen)
            products = residuals_c @ residuals.T
            products *= features_c @ features.T
            products += norms
            own = self.sq_norms[chosen]
            nearest = products.min(axis=0) + own
            # What is rounding only is zero.
            sq_distances[block] = np.where(nearest > 1e-13 * own, nearest, 0)
        return sq_distances
