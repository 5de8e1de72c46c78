"""Two-stage strategies: restrict the candidates, then run a criterion on those that are left."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..labels import Labels
from ..pool import Pool, Rows
from ..utils.random import seed_random_states
from .base import QueryStrategy
from .query import Query
from .uncertainty import UncertaintySampling


@dataclass(eq=False, repr=False, kw_only=True)
class CriterionStrategy(QueryStrategy):
    """Base class of strategies with another strategy as a part, which is cloned, seeded, fitted and prepared with them.

    Parameters
    ----------
    criterion : QueryStrategy, default=None
        Margin sampling by default.
    {random_state}

    Attributes
    ----------
    criterion_ : QueryStrategy
        The fitted criterion.
    {requires, query_report_}
    """

    criterion: QueryStrategy | None = None

    _default_measure: ClassVar[str] = "margin"  # of uncertainty sampling, where no criterion is given
    _parameter_constraints: ClassVar[dict[str, Any]] = {"criterion": [QueryStrategy, None]}

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return self._criterion().requires

    def _criterion(self) -> QueryStrategy:
        return UncertaintySampling(self._default_measure) if self.criterion is None else self.criterion

    @property
    def _prepares(self) -> bool:
        own = type(self)._prepare is not CriterionStrategy._prepare
        return own or self._criterion()._prepares

    @property
    def reads_rows(self) -> bool:
        return super().reads_rows or self._criterion().reads_rows

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        self._criterion().check(pool, estimator)  # first: its errors say what to do
        super()._check_pool(pool, estimator)

    def _take_up(self, pool: Pool, labels: Labels | None) -> None:
        self.criterion_ = clone(self._criterion())
        seed_random_states(self.criterion_, self._seed)
        self.criterion_.fit(pool, labels)
        super()._take_up(pool, labels)

    def _prepare(self, pool: Pool) -> None:
        self.criterion_ = self.criterion_.prepared_for(pool)

    def _grow(self, pool: Pool) -> None:
        self.criterion_ = self.criterion_.grown(pool)  # first: `_prepare` finds it prepared
        self._prepare(pool)

    def _worths(self, query: Query, rows: Rows) -> NDArray[np.float64]:
        """Return the criterion's scores of rows, for products and ratios: none is negative."""
        scores = self.criterion_._query_scores(query, rows).astype(np.float64)
        is_lowest = np.isneginf(scores)
        least = scores.min(where=~is_lowest, initial=0.0)
        return np.where(is_lowest, 0.0, scores - least)


@dataclass(eq=False, repr=False, kw_only=True)
class CandidateStrategy(CriterionStrategy):
    """Base class of two-stage strategies: restrict the candidates, then run a criterion on those that are left.

    An author writes `_restrict(query)`, which returns some of ``query.candidates``. If they are fewer than
    ``query.n_queries``, random candidates are added.

    Parameters
    ----------
    criterion : QueryStrategy, default=None
        The strategy that chooses among the restricted candidates; margin sampling by default.
    {random_state}

    Attributes
    ----------
    criterion_ : QueryStrategy
        The fitted criterion.
    {requires, query_report_}
    """

    @abstractmethod
    def _restrict(self, query: Query) -> Rows:
        """Return the candidates that the criterion sees, in any order."""

    def _check_asked(self, pool: Pool, estimator: Any) -> None:
        """Leave it to a criterion that does not always need the classifier, as `Switch`, whether it is needed now."""
        decides = type(self.criterion_)._check_asked is not QueryStrategy._check_asked
        if not decides or self.requires != self.criterion_.requires:
            super()._check_asked(pool, estimator)
            return
        if pool is not self._pool:
            self._check_pool(pool, estimator)
        self.criterion_._check_asked(pool, estimator)

    def _query(self, query: Query) -> Rows:
        rows = self._checked(self._restrict(query), query, "_restrict")
        if len(rows) < query.n_queries:
            others = query.candidates.without(rows)
            rows = np.append(rows, others.sample(query.n_queries - len(rows), query.rng))
        return self.criterion_._query(query.restricted_to(np.sort(rows)))
