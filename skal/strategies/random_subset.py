"""A criterion on a random subset: the cheapest query that does not scan the pool."""

from __future__ import annotations

from typing import Any, ClassVar

from ..pool import Rows
from .base import POSITIVE_INTEGER, QueryStrategy
from .candidates import CandidateStrategy
from .query import Query


class RandomSubset(CandidateStrategy):
    """Run a criterion on a random subset of the unlabelled rows.

    With ``criterion=UncertaintySampling("margin")`` it is the RSMG baseline of DGAL.

    Parameters
    ----------
    n_candidates : int, default=1000
        How many unlabelled rows the criterion sees (never fewer than are asked for).
    criterion : QueryStrategy, default=None
        The strategy that chooses among them; margin sampling by default.
    {random_state}

    Attributes
    ----------
    {criterion_}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import RandomSubset, UncertaintySampling
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X, y)
    >>> strategy = RandomSubset(20, UncertaintySampling("entropy"), random_state=0).fit(X)
    >>> strategy.query(X, n_queries=5, estimator=classifier).shape
    (5,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"n_candidates": POSITIVE_INTEGER}

    def __init__(
        self, n_candidates: int = 1000, criterion: QueryStrategy | None = None, *, random_state: Any = None
    ) -> None:
        super().__init__(criterion=criterion, random_state=random_state)
        self.n_candidates = n_candidates

    def _restrict(self, query: Query) -> Rows:
        n_seen = min(max(self.n_candidates, query.n_queries), len(query.candidates))
        return query.candidates.sample(n_seen, query.rng)
