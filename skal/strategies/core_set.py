"""CoreSet: k-centre greedy on embeddings (Sener and Savarese, 2018)."""

from __future__ import annotations

import numpy as np

from ..pool import Rows
from ..selection import FarthestFirst
from ..utils.threads import Kept
from .embedding import EmbeddingStrategy, are_few, newly_labeled
from .query import Query


class CoreSet(EmbeddingStrategy):
    r"""Choose rows that cover the pool: each is the one farthest from all rows labelled or chosen before.

    .. math:: u = \arg\max_{i \in U} \min_{j \in L \cup S} \lVert h(x_i) - h(x_j) \rVert

    where L are the labelled rows, U the unlabelled rows and S those chosen so far ([1]_, Algorithm 1). It needs no
    classifier unless ``embedding="classifier"``. While the embedding stays the same, the distances to the labelled
    rows are kept from query to query.

    Parameters
    ----------
    {embedding}
    random_state : int, RandomState instance or None, default=None
        Seeds the transformer; the choice itself is deterministic.

    Attributes
    ----------
    {encoder_}

    References
    ----------
    .. [1] Sener, Savarese. Active learning for convolutional neural networks: a core-set approach. ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import CoreSet
    >>> X = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> CoreSet("input").fit(X).query(X, y=[0, -1, -1, -1], n_queries=2)
    array([3, 2])
    """

    def _query(self, query: Query) -> Rows:
        labeled, candidates, pending = query.labels.rows, query.candidates.rows, query.pending
        centers = np.concatenate([labeled, pending])
        seen = np.concatenate([centers, candidates])
        if are_few(seen, query.pool):
            traversal = FarthestFirst(self._embed(query, seen, keep_integers=True)[0])
            traversal.add(np.arange(len(centers)))
            return seen[traversal.pick(query.n_queries, np.arange(len(centers), len(seen)))]

        embedding, stays = self._embed(query, keep_integers=True)
        with self._kept if stays else Kept() as kept:
            known, new = newly_labeled(kept, labeled)
            traversal = known or FarthestFirst(embedding)
            traversal.add(new)
            kept.value = labeled, traversal
            return traversal.pick(query.n_queries, candidates, pending)  # which are not kept
