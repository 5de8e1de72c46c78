"""TypiClust: the most typical row of each cluster without labels (Hacohen et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, StrOptions

from ..graph import nearest_neighbors
from ..neighbors import make_index
from ..pool import Pool, Rows
from ..selection import k_means, top_k
from ..selection.points import are_close, blocks, measure_close, middle, sq_norms
from ..utils.threads import one_blas_thread
from .base import POSITIVE_INTEGER
from .embedding import EmbeddingStrategy, rows_to_embed
from .query import Query

_SMALL = 5  # rows of a cluster that is asked last
_COMPARED = 4096  # rows of a cluster: all pairs take no longer than an index, which has to be imported


@dataclass(eq=False, repr=False, kw_only=True)
class TypiClust(EmbeddingStrategy):
    r"""Choose typical rows of the clusters that have no label, for the first labels of a pool.

    k-means makes as many clusters as there will be labels. Each of the largest clusters without a labelled or pending
    row gives the row of the highest typicality

    .. math:: \left( \frac{1}{K} \sum_{j \in N_K(i)} \lVert h(x_i) - h(x_j) \rVert \right)^{-1}

    where N_K(i) are the K nearest other rows of its cluster ([1]_, Algorithm 1). It needs no classifier unless
    ``embedding="classifier"``; the paper takes an embedding from self-supervised learning.

    Parameters
    ----------
    {embedding}
    n_neighbors : int, default=20
        K; all other rows of a cluster if there are fewer than K.
    index : {"auto", "exact", "approximate"} or object, default="auto"
        Finds the neighbours, see :func:`skal.graph.nearest_neighbors`. An object has ``fit(X)``, for each cluster, and
        ``kneighbors(X, n_neighbors)``, as scikit-learn's ``NearestNeighbors`` has.
    max_clusters : int, default=500
        The maximum number of clusters. If labels and queries together are more, clusters with the fewest labels come
        first.
    max_iter : int, default=100
        The maximum number of k-means rounds.
    random_state : int, RandomState instance or None, default=None
        Seeds k-means and the transformer, and decides between equally typical rows.

    Attributes
    ----------
    {encoder_}
    query_report_ : Bunch
        About the latest query: ``n_clusters``, and ``n_uncovered``, the number of clusters that had no labelled or
        pending row.

    Notes
    -----
    Neither the paper nor its code was at hand: the rule is the published one, but details of its experiments may
    differ.

    Clusters of fewer than 6 rows count as outliers: their rows are chosen when no other cluster has candidates left.

    References
    ----------
    .. [1] Hacohen, Dekel, Weinshall. Active learning on a budget: opposite strategies suit high and low budgets.
       ICML 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import TypiClust
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> TypiClust("input", random_state=0).fit(X).query(X, y=[0, -1, -1, -1, -1, -1])
    array([4])
    """

    n_neighbors: int = 20
    index: Any = "auto"
    max_clusters: int = 500
    max_iter: int = 100

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_neighbors": POSITIVE_INTEGER,
        "index": [StrOptions({"auto", "exact", "approximate"}), HasMethods(["fit", "kneighbors"])],
        "max_clusters": POSITIVE_INTEGER,
        "max_iter": POSITIVE_INTEGER,
    }

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if not isinstance(self.index, str):
            make_index(self.index)  # refuses a class in place of an index

    def _query(self, query: Query) -> Rows:
        covered = np.concatenate([query.labels.rows, query.pending])
        seen = np.sort(np.concatenate([covered, query.candidates.rows]))
        embedded, rows = rows_to_embed(seen, query.pool)
        embedding = self._embed(query, embedded, keep_integers=True)[0]
        n_clusters = min(len(covered) + query.n_queries, self.max_clusters, len(seen))
        labels = k_means(embedding, n_clusters, query.rng, rows, max_iter=self.max_iter)[0]

        free = np.ones(len(seen), dtype=bool)
        free[np.searchsorted(seen, covered)] = False
        sizes = np.bincount(labels, minlength=n_clusters)
        n_covered = np.bincount(labels[~free], minlength=n_clusters)
        uncovered = (n_covered == 0) & (sizes > 0)
        query.report.update(n_clusters=int((sizes > 0).sum()), n_uncovered=int(uncovered.sum()))
        members = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])
        queue = [
            (bool(sizes[each] <= _SMALL), int(n_covered[each]), -int(sizes[each]), each)
            for each in np.flatnonzero(sizes > n_covered).tolist()
        ]
        heapify(queue)
        typical: dict[int, list[int]] = {}  # the candidates of a cluster, best last
        picks: list[int] = []
        while len(picks) < query.n_queries:
            is_small, n_labels, size, cluster = queue[0]
            if cluster not in typical:
                inside = members[cluster]
                distances = self._mean_distances(embedding[rows[inside]])[free[inside]]
                n_best = min(len(distances), query.n_queries)
                typical[cluster] = inside[free[inside]][top_k(-distances, n_best, query.rng)][::-1].tolist()
            picks.append(typical[cluster].pop())
            # A cluster without candidates comes last.
            n_labels = n_labels + 1 if typical[cluster] else len(seen) + 1
            heapreplace(queue, (is_small or not typical[cluster], n_labels, size, cluster))
        return seen[picks]

    def _mean_distances(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean distance of each row to its nearest others, in units of the largest coordinate."""
        if len(rows) == 1:
            return np.zeros(1)
        rows = rows.astype(np.float64) - middle(rows)  # neither a common offset nor a far row takes digits
        rows /= max(rows.max(), -rows.min(), np.finfo(np.float64).tiny)
        if self.index in ("auto", "exact") and len(rows) <= _COMPARED:
            return _compared(rows, min(self.n_neighbors, len(rows) - 1))
        distances = nearest_neighbors(rows, self.n_neighbors, method=self.index, random_state=self._seed)[0]
        return distances.mean(axis=1, dtype=np.float64)


@one_blas_thread
def _compared(rows: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the mean distance of each row to the k nearest others, which are found among all of them."""
    squares, distances = sq_norms(rows), np.empty(len(rows))
    n_few = min(2 * k + 8, len(rows))  # products may have the k nearest in another order
    for block in blocks(len(rows), len(rows)):
        own = squares[block]
        sq_distances = own[:, None] + squares - 2 * rows[block] @ rows.T
        np.fill_diagonal(sq_distances[:, block], np.inf)
        if np.count_nonzero(are_close(sq_distances, own)) > n_few * len(own):  # to measure all takes long
            rest = np.argpartition(sq_distances, n_few - 1, axis=1)[:, n_few:]
            np.put_along_axis(sq_distances, rest, np.inf, axis=1)
        measure_close(sq_distances, rows[block], own, rows)
        sq_distances.partition(k - 1, axis=1)
        distances[block] = np.sqrt(sq_distances[:, :k]).mean(axis=1)
    return distances
