"""BADGE: k-means++ on gradient embeddings (Ash et al., 2020)."""

from __future__ import annotations

import numpy as np

from ..access import embed_and_predict_proba
from ..pool import Rows
from ..selection import badge_kmeans_plusplus
from .base import QueryStrategy
from .embedding import are_few
from .query import Query


class BADGE(QueryStrategy):
    r"""Choose rows whose loss gradients are large and diverse.

    The gradient of the last layer's cross-entropy at the predicted label is an outer product,

    .. math:: g_i = (p_i - \mathrm{onehot}(\arg\max p_i)) \otimes h_i

    and the rows are chosen by k-means++ on it: first the row with the largest gradient, then each row with
    probability proportional to its squared distance to the nearest row chosen so far ([1]_, Algorithm 1). The outer
    product is never formed: distances are computed from its two factors.

    Parameters
    ----------
    {random_state}

    References
    ----------
    .. [1] Ash, Zhang, Krishnamurthy, Langford, Agarwal. Deep batch active learning by diverse, uncertain
       gradient lower bounds. ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import BADGE
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X, y)
    >>> BADGE(random_state=0).fit(X).query(X, n_queries=4, estimator=classifier).shape
    (4,)
    """

    requires = ("predict_proba", "embed")

    def _query(self, query: Query) -> Rows:
        candidates, pending = query.candidates.rows, query.pending
        seen = np.concatenate([pending, candidates])
        if are_few(seen, query.pool):
            factors = embed_and_predict_proba(query.estimator, query.pool, seen, keep_integers=True)
            before = np.arange(len(pending))
            return seen[badge_kmeans_plusplus(*factors, query.n_queries, query.rng, pending=before)]
        # A linear model's embedding is the pool itself, which is not to be copied.
        factors = embed_and_predict_proba(query.estimator, query.pool, keep_integers=True)
        return badge_kmeans_plusplus(*factors, query.n_queries, query.rng, candidates, pending)
