"""Random sampling: the baseline that every other strategy must beat."""

from __future__ import annotations

from ..pool import Rows
from .base import QueryStrategy
from .query import Query


class RandomSampling(QueryStrategy):
    """Choose rows uniformly at random, without replacement.

    It needs no classifier, so it can start from a pool without labels.

    Parameters
    ----------
    {random_state}

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import RandomSampling
    >>> X = np.arange(20.0).reshape(10, 2)
    >>> RandomSampling(random_state=0).fit(X).query(X, n_queries=3).shape
    (3,)
    """

    def _query(self, query: Query) -> Rows:
        return query.candidates.sample(query.n_queries, query.rng)
