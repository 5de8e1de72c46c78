"""Utility per cost, where labels have different costs (Settles, Craven and Friedland, 2008)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils.validation import _num_samples

from ..pool import Pool, Rows, assuming_finite, blockwise
from ..selection import top_k
from .base import QueryStrategy
from .candidates import CriterionStrategy
from .query import Query
from .score import ScoreStrategy


@dataclass(eq=False, repr=False, kw_only=True)
class CostAware(CriterionStrategy):
    r"""Choose the rows with the highest utility per cost.

    .. math:: \phi(x) / c(x)

    where :math:`\phi` is the criterion and c the cost of a row's label, in any unit: minutes, or words to read ([1]_).
    It knows no budget.

    Parameters
    ----------
    criterion : ScoreStrategy, default=None
        Entropy sampling by default. A ratio needs utilities that are not negative: if there are scores below zero, as
        margin sampling has, the least score of the candidates is subtracted from all scores, so that the utility of
        this row is zero.
    cost : callable, default=None
        Maps a block of rows, of the kind that the pool holds, to the cost of each, of shape (n_rows,). It is called
        once per pool, for every row. By default, the costs are given to `fit`, one for each row of its pool; for any
        other pool a function is needed.
    {random_state}

    Attributes
    ----------
    {criterion_}
    query_report_ : Bunch
        About the latest query: ``costs`` of the chosen rows, in their order.

    Notes
    -----
    A learner passes costs on by scikit-learn's metadata routing: ``sklearn.set_config(enable_metadata_routing=True)``,
    ``CostAware().set_fit_request(cost=True)`` as its strategy, and ``learner.fit(X, y, cost=costs)``; ``learner.grow``
    takes the costs of new rows. As a part of another strategy, `CostAware` accepts only a function.

    References
    ----------
    .. [1] Settles, Craven, Friedland. Active learning with real annotation costs. NIPS Workshop on Cost-Sensitive
       Learning 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import CostAware
    >>> X = np.array([[0.0], [1.0], [0.49], [0.4], [0.3]])
    >>> classifier = LogisticRegression().fit(X[:2], [0, 1])
    >>> strategy = CostAware(random_state=0).fit(X, cost=[1.0, 1.0, 3.0, 2.0, 1.0])
    >>> strategy.query(X, [0, 1, -1, -1, -1], n_queries=2, estimator=classifier)
    array([4, 3])
    >>> strategy.query_report_.costs
    array([1., 2.])
    """

    criterion: QueryStrategy | None = field(default=None, kw_only=False)
    cost: Callable[[Any], Any] | None = field(default=None, kw_only=False)

    _default_measure = "entropy"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "criterion": [ScoreStrategy, None],
        "cost": [callable, None],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, *, cost: ArrayLike | None = None) -> Self:
        """Prepare the strategy for a pool.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or Pool of shape (n_samples, ...)
            The pool, labelled rows included. A `Pool` has been validated.
        y : array-like of shape (n_samples,) or Labels, default=None
            Partial labels, with -1 or ``None`` where unlabelled.
        cost : array-like of shape (n_samples,), default=None
            The cost of each row's label, positive and finite, unless the parameter `cost` is given.

        Returns
        -------
        self : CostAware

        Raises
        ------
        ValueError
            If there are no costs, or if they are given both here and as the parameter, or if one is not positive and
            finite; otherwise as in other strategies.
        """
        self._fit_to(X, y, cost=cost)
        if cost is not None:
            self._costs: NDArray[np.float64] | None = _checked(cost, len(self._pool), "cost")
        return self

    def check(self, pool: Pool, estimator: Any = None, *, cost: ArrayLike | None = None) -> None:
        """Refuse input that the strategy cannot work with, as other strategies do, and invalid costs.

        Parameters
        ----------
        pool : Pool
        estimator : classifier, default=None
        cost : array-like of shape (n_samples,), default=None

        Raises
        ------
        ValueError, TypeError
        """
        super().check(pool, estimator)
        if (cost is None) == (self.cost is None):
            twice = "they were given twice, as cost= of fit and as a parameter"
            given = "none were given" if cost is None else twice
            raise ValueError(
                f"CostAware needs the costs of the rows, and {given}. Give a function of a block of rows, "
                "CostAware(cost=lambda block: ...), or pass cost= to fit, with a value per row of the pool. A learner "
                "passes it on after sklearn.set_config(enable_metadata_routing=True), with "
                "CostAware().set_fit_request(cost=True); other strategies do not, around whose criterion it is."
            )
        if cost is not None:
            _checked(cost, len(pool), "cost")
        else:  # on few rows now, before anything is trained
            with assuming_finite(pool):
                _computed(self.cost, pool.read(slice(2)))

    def grown(self, pool: Pool, *, cost: ArrayLike | None = None) -> Self:
        """The strategy for the pool of `fit` with new rows at its end: a copy that keeps everything trained.

        Parameters
        ----------
        pool : Pool
            Validated; its first rows are those of `fit`.
        cost : array-like of shape (n_new,), default=None
            The costs of the new rows, where `fit` was given any.

        Returns
        -------
        strategy : CostAware

        Raises
        ------
        ValueError
            If the costs are missing, or one is not positive and finite.
        """
        n_new = len(pool) - len(self._pool)
        if (cost is None) == (self.cost is None):
            given = "no cost" if cost is None else "a cost, which the parameter cost tells already"
            raise ValueError(
                f"{n_new} new rows were given {given}; give cost=, with a value for each of them, where fit was given "
                "costs, and only there."
            )
        new = None if cost is None else _checked(cost, n_new, "cost")
        other = super().grown(pool)
        if new is not None and self._costs is not None:
            other._costs = np.append(self._costs, new)
        return other

    def _prepare(self, pool: Pool) -> None:
        super()._prepare(pool)
        # What was given to fit are costs of its rows alone.
        self._costs = None if self.cost is None else blockwise(partial(_computed, self.cost), pool)

    def _query(self, query: Query) -> Rows:
        if self._costs is None:
            raise ValueError(
                "The costs that fit was given are those of its pool, and another pool was given. Give a function of a "
                "block of rows instead: CostAware(cost=lambda block: ...)."
            )
        rows = query.candidates.rows
        scores = self._worths(query, rows)
        costs = self._costs[rows]
        best = top_k(scores / costs, query.n_queries, query.rng)
        query.report.update(costs=costs[best])
        return rows[best]


def _computed(cost: Any, block: Any) -> NDArray[np.float64]:
    return _checked(cost(block), _num_samples(block), "The function cost returned")


def _checked(cost: Any, n_rows: int, given: str) -> NDArray[np.float64]:
    """Return a cost per row as floats, or refuse it."""
    if np.ma.is_masked(cost):
        raise ValueError(
            f"{given}: {np.ma.count_masked(cost)} of {n_rows} costs are masked; every row needs one. Rows that must "
            "not be chosen belong to exclude= of query."
        )
    try:
        costs = np.array(cost, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{given}: costs must be numbers, one per row, and numpy says: {error}") from error
    if costs.shape != (n_rows,):
        raise ValueError(
            f"{given}: costs of shape {costs.shape} for {n_rows} rows; there must be one per row, ({n_rows},)."
        )
    wrong = np.flatnonzero(~(np.isfinite(costs) & (costs > 0)))
    if len(wrong):
        raise ValueError(
            f"{given}: the cost of row {wrong[0]} is {costs[wrong[0]]:g}, and {len(wrong)} of "
            f"{n_rows} costs are not positive and finite numbers. A label that is free has a small cost; rows that "
            "must not be chosen belong to exclude= of query."
        )
    return costs
