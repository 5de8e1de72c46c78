"""DropQuery: rows whose prediction changes when embedded features are dropped, spread out (Gupte et al., 2024)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from ..access import embed, linear_head, predict_proba, provides
from ..pool import Rows
from ..selection import k_means
from .base import POSITIVE_INTEGER, QueryStrategy
from .embedding import rows_to_embed
from .query import Query

_TOGETHER = 256  # rows whose masks are drawn together
_CHECKED = 256  # rows whose predictions tell whether the layer is the last


@dataclass(eq=False, repr=False, kw_only=True)
class DropQuery(QueryStrategy):
    r"""Choose rows whose prediction changes when most of their embedded features are dropped, one per cluster.

    Candidates are the rows for which more than half of M predictions from dropped features differ from the prediction,

    .. math:: \sum_{m=1}^M \Big[ \arg\max_c f_c\big(h(x) \odot \mu_m / (1 - \rho)\big)
        \ne \arg\max_c f_c\big(h(x)\big) \Big] > M / 2

    with a mask :math:`\mu_m` that is zero at each feature with probability :math:`\rho`, and the classifier's last
    layer f. k-means divides the candidates into as many clusters as rows are asked for, and the row nearest to the
    center of each cluster is chosen ([1]_). It is meant for a linear model on the frozen embeddings of a pretrained
    network.

    Parameters
    ----------
    n_masks : int, default=3
        M, the number of masks.
    dropout : float, default=0.75
        :math:`\rho`, at least 0 and below 1.
    max_iter : int, default=100
        The maximum number of k-means rounds.
    random_state : int, RandomState instance or None, default=None
        Seeds masks and k-means, and decides between rows that are equally near.

    Attributes
    ----------
    query_report_ : Bunch
        About the latest query: ``n_uncertain``, the number of candidates that were clustered, and ``n_changes``, how
        many of the M predictions differ at least for each of them.

    Notes
    -----
    The paper was not at hand: the rule is the published one, but details of its experiments may differ.

    If there are fewer candidates than rows asked for, fewer predictions need to differ: the threshold falls until there
    are enough rows. Pending rows that would be candidates take part in the clustering, with one more cluster for each;
    clusters without a pending row come first.

    The masks of a row depend only on its position in the pool and on `random_state`, so they are the same in all
    queries.

    References
    ----------
    .. [1] Gupte, Aklilu, Nirschl, Yeung-Levy. Revisiting active learning in the era of vision foundation models. TMLR
       2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import DropQuery
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X[::10], y[::10])
    >>> DropQuery(random_state=0).fit(X).query(X, n_queries=4, estimator=classifier).shape
    (4,)
    """

    requires = ("embed", "linear_head")

    n_masks: int = field(default=3, kw_only=False)
    dropout: float = 0.75
    max_iter: int = 100

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_masks": POSITIVE_INTEGER,
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_iter": POSITIVE_INTEGER,
    }

    def _query(self, query: Query) -> Rows:
        n_queries, n_pending = query.n_queries, len(query.pending)
        seen = np.concatenate([query.pending, query.candidates.rows])
        embedded, places = rows_to_embed(seen, query.pool)
        embedding = embed(query.estimator, query.pool, embedded, keep_integers=True)
        changes = self._changes(query, seen, embedding, places)
        least = min(self.n_masks // 2 + 1, int(np.partition(changes[n_pending:], -n_queries)[-n_queries]))
        taken = np.flatnonzero(changes >= least)
        is_pending = taken < n_pending
        n_clusters = n_queries + int(is_pending.sum())
        query.report.update(n_uncertain=int((~is_pending).sum()), n_changes=least)
        clusters, distances = k_means(embedding, n_clusters, query.rng, places[taken], max_iter=self.max_iter)

        is_covered = np.bincount(clusters[is_pending], minlength=n_clusters) > 0
        clusters, distances, taken = clusters[~is_pending], distances[~is_pending], taken[~is_pending]
        sizes = np.bincount(clusters, minlength=n_clusters)
        order = np.lexsort((query.rng.random(len(taken)), distances, clusters))
        is_nearest = np.zeros(len(taken), dtype=bool)
        is_nearest[order[np.flatnonzero(np.diff(clusters[order], prepend=-1))]] = True
        ranks = np.lexsort((distances, -sizes[clusters], ~is_nearest, is_covered[clusters]))
        return seen[taken[ranks[:n_queries]]]

    def _changes(self, query: Query, seen: Rows, embedding: NDArray[Any], places: Rows) -> NDArray[np.int64]:
        """Return how many predictions differ for each of the rows seen, which are at some places of an embedding."""
        head = _head(query, seen[:_CHECKED], embedding[places[:_CHECKED]].astype(np.float64))
        width, changes = embedding.shape[1], np.zeros(len(seen), dtype=np.int64)
        order = np.argsort(seen, kind="stable")
        parts = seen[order] // _TOGETHER
        for inside in np.split(order, np.flatnonzero(np.diff(parts)) + 1):
            part, offset = divmod(seen[inside], _TOGETHER)
            rng = np.random.default_rng([self._seed, int(part[0])])
            rows = embedding[places[inside]].astype(np.float64)
            predicted = head(rows).argmax(axis=1)
            for _ in range(self.n_masks):
                kept = rng.random((_TOGETHER, width), dtype=np.float32)[offset] >= self.dropout
                changes[inside] += head(rows * kept / (1 - self.dropout)).argmax(axis=1) != predicted
        return changes


def _head(query: Query, rows: Rows, features: NDArray[np.float64]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the last layer as a function of features, unless a network does more with those of some rows than that."""
    weights, intercepts = linear_head(query.estimator)

    def head(features: NDArray[Any]) -> NDArray[Any]:
        return features @ weights.T + intercepts

    is_last = weights.shape[1] == features.shape[1]
    if is_last and provides(query.estimator, "predict_proba"):
        probabilities = predict_proba(query.estimator, query.pool, rows)
        likely = probabilities >= probabilities.max(axis=1, keepdims=True) - 1e-3
        is_last = likely[np.arange(len(rows)), head(features).argmax(axis=1)].mean() > 0.95
    if not is_last:
        raise TypeError(
            "DropQuery predicts from embeddings by the classifier's last layer, and the last torch.nn.Linear here is "
            "not that. End the module in one, or give the classifier a method linear_head() that returns weights and "
            "intercepts."
        )
    return head
