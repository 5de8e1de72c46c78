"""One strategy for the first labels, another one afterwards."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from ..labels import Labels
from ..pool import Pool, Rows
from ..utils.random import seed_random_states
from .base import POSITIVE_INTEGER, QueryStrategy, can_guide
from .query import Query
from .typi_clust import TypiClust
from .uncertainty import UncertaintySampling


@dataclass(eq=False, repr=False, kw_only=True)
class Switch(QueryStrategy):
    """Ask one strategy for the first labels of a pool, and another one afterwards.

    Typical rows teach a classifier more while it knows little, uncertain ones later. Both strategies are prepared in
    `fit`; which of them answers a query depends only on the query, so if labels are taken back, `first` may answer
    again.

    Parameters
    ----------
    first : QueryStrategy, default=None
        Asked at the beginning; `TypiClust` by default. If it needs no classifier, queries can start without any label.
    then : QueryStrategy, default=None
        Asked from the switch on; margin sampling by default.
    when : int, float, "classes", "covered" or callable, default=50
        When `then` takes over; a batch is never divided.

        - an integer: once this many labels are known, including those of samples outside the pool;
        - ``"classes"``: once each class that the learner was told by ``classes=`` has a label. Classes that were not
          named are not waited for;
        - a float below 1: once `first` reports that it reaches this share of the rows that it looks at;
        - ``"covered"``: once it reaches all of them. `ProbCover` and `DGAL` report that, and so does any strategy with
          ``tells_unreached = True``;
        - a function of the :class:`~skal.strategies.Query` that returns whether `then` is to answer it.

        If `then` needs a classifier and there is none yet, because all labels are of one class, `first` continues.
    random_state : int, RandomState instance or None, default=None
        Seeds both.

    Attributes
    ----------
    first_, then_ : QueryStrategy
        The fitted strategies.
    query_report_ : Bunch
        The report of the strategy that answered the latest query, and ``stage``, which is ``"first"`` or ``"then"``.

    Notes
    -----
    It has no scores, because the scores of two strategies cannot be compared. With a float or ``"covered"``, `first` is
    asked at every query, also after the switch.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.strategies import Switch, TypiClust, UncertaintySampling
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [5.4]])
    >>> strategy = Switch(TypiClust("input"), UncertaintySampling(), when=2)
    >>> learner = ActiveLearner(LogisticRegression(), strategy, n_queries=2, random_state=0).fit(X, [-1] * 7)
    >>> rows = learner.query()
    >>> learner = learner.teach(rows, X[rows, 0] > 5)
    >>> sorted((X[rows, 0] > 5).tolist()), learner.query(n_queries=1)  # one of each side, then the one between
    ([False, True], array([6]))
    """

    first: QueryStrategy | None = field(default=None, kw_only=False)
    then: QueryStrategy | None = field(default=None, kw_only=False)
    when: Any = field(default=50, kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "first": [QueryStrategy, None],
        "then": [QueryStrategy, None],
        "when": [
            *POSITIVE_INTEGER,
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"classes", "covered"}),
            callable,
        ],
    }

    def _stages(self) -> tuple[QueryStrategy, QueryStrategy]:
        first = TypiClust() if self.first is None else self.first
        return first, UncertaintySampling("margin") if self.then is None else self.then

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(dict.fromkeys(need for stage in self._stages() for need in stage.requires))

    @property
    def reads_rows(self) -> bool:
        return any(stage.reads_rows for stage in self._stages())

    @property
    def _prepares(self) -> bool:
        return any(stage._prepares for stage in self._stages())

    @property
    def _asks_first(self) -> bool:
        """Whether `first` reports when it has done its part."""
        return (
            isinstance(self.when, str | Real)
            and not isinstance(self.when, Integral)
            and self.when != "classes"
        )

    def check_params(self) -> None:
        super().check_params()
        first = self._stages()[0]
        if self._asks_first and not first.tells_unreached:
            raise ValueError(
                f"when={self.when!r} was given, and {type(first).__name__} does not report which rows it has not "
                "reached, as ProbCover and DGAL do; give one of these, a number of labels, or a function of the query."
            )

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        for stage in self._stages():  # first: their errors say what to do
            stage.check(pool, estimator)
        super()._check_pool(pool, estimator)

    def _take_up(self, pool: Pool, labels: Labels | None) -> None:
        self.first_, self.then_ = (clone(stage) for stage in self._stages())
        for stage in (self.first_, self.then_):
            seed_random_states(stage, self._seed)
            stage.fit(pool, labels)
        super()._take_up(pool, labels)

    def _prepare(self, pool: Pool) -> None:
        self.first_, self.then_ = self.first_.prepared_for(pool), self.then_.prepared_for(pool)

    def _grow(self, pool: Pool) -> None:
        self.first_, self.then_ = self.first_.grown(pool), self.then_.grown(pool)

    def _check_asked(self, pool: Pool, estimator: Any) -> None:
        """Refuse another pool that a strategy cannot read; only the chosen strategy checks the classifier."""
        if pool is not self._pool:
            self._check_pool(pool, estimator)

    def _query(self, query: Query) -> Rows:
        if not can_guide(query.estimator) and self.then_.requires:
            return self._answer("first", query)
        if not self._asks_first:
            return self._answer("then" if self._is_over(query) else "first", query)
        rows = self._answer("first", query)
        if "n_unreached" not in query.report:
            raise RuntimeError(
                f"{type(self.first_).__name__} has tells_unreached=True and reported no n_unreached, by which "
                f"when={self.when!r} decides; its _query must call query.report.update(n_unreached=...) each time."
            )
        n_seen = len(query.labels.rows) + len(query.pending) + len(query.candidates)
        share = 1.0 if isinstance(self.when, str) else self.when
        if (n_seen - query.report.n_unreached) / n_seen < share:
            return rows
        query.report.clear()
        return self._answer("then", query)

    def _is_over(self, query: Query) -> bool:
        """Whether `then` is to answer, if that does not depend on a report of `first`."""
        if callable(self.when):
            return bool(self.when(query))
        if isinstance(self.when, str):
            return not query.unseen
        return bool(query.n_labels >= self.when)

    def _answer(self, stage: str, query: Query) -> Rows:
        """Return the answer of a strategy, which is the same whether the other was asked before."""
        strategy = self.first_ if stage == "first" else self.then_
        strategy._check_asked(query.pool, query.estimator)
        rows = strategy._query(replace(query, rng=deepcopy(query.rng)))
        query.report.update(stage=stage)
        return rows
