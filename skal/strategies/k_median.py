"""K-median: the medoids of the unlabelled rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..pool import Rows
from ..selection import k_medians
from .base import POSITIVE_INTEGER
from .embedding import EmbeddingStrategy, are_few
from .query import Query


@dataclass(eq=False, repr=False, kw_only=True)
class KMedian(EmbeddingStrategy):
    r"""Choose medoids: rows to which the unlabelled rows have a small sum of distances.

    .. math:: \min_{S \subset U, |S| = k} \sum_{i \in U} \min_{j \in S} \lVert h(x_i) - h(x_j) \rVert

    A local solution is found by alternating assignment and median: the k-median baseline of [1]_ and [2]_. It needs
    no classifier unless ``embedding="classifier"``.

    Parameters
    ----------
    {embedding}
    max_iter : int, default=100
        The maximum number of alternations between assignment and median.
    random_state : int, RandomState instance or None, default=None
        Seeds the first medoids and the transformer.

    Attributes
    ----------
    {encoder_}

    References
    ----------
    .. [1] Sener, Savarese. Active learning for convolutional neural networks: a core-set approach. ICLR 2018.
    .. [2] Shui, Zhou, Gagné, Wang. Deep active learning: unified and principled method for query and
       training. AISTATS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import KMedian
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    >>> sorted(KMedian("input", random_state=0).fit(X).query(X, n_queries=2).tolist())
    [1, 4]
    """

    max_iter: int = 100

    _parameter_constraints: ClassVar[dict[str, Any]] = {"max_iter": POSITIVE_INTEGER}

    def _query(self, query: Query) -> Rows:
        candidates, pending = query.candidates.rows, query.pending
        seen = np.concatenate([pending, candidates])
        if are_few(seen, query.pool):
            embedding = self._embed(query, seen, keep_integers=True)[0]
            before = np.arange(len(pending))
            medians = k_medians(embedding, query.n_queries, query.rng, pending=before, max_iter=self.max_iter)
            return seen[medians]
        embedding = self._embed(query, keep_integers=True)[0]
        return k_medians(embedding, query.n_queries, query.rng, candidates, pending, max_iter=self.max_iter)
