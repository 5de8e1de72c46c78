"""BatchBALD: the batch whose labels together tell most about the classifier (Kirsch et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from ..access import posterior_proba
from ..pool import Pool, Rows, blockwise
from ..selection import batch_bald
from .base import POSITIVE_INTEGER, QueryStrategy
from .bootstrap import bootstrap_scorer, check_trainable
from .query import Query


@dataclass(eq=False, repr=False, kw_only=True)
class BatchBALD(QueryStrategy):
    r"""Choose rows whose labels together tell most about which member of an ensemble is right.

    `BALD` counts the information of near duplicates once for each of them. Here the score of a batch S is the mutual
    information of all its labels with the member w,

    .. math:: I(y_S; w) = H\Big[\frac{1}{K} \sum_w \prod_{i \in S} p_w(y_i)\Big]
        - \frac{1}{K} \sum_w \sum_{i \in S} H[p_w(y_i)]

    and grows greedily by the row that adds most ([1]_). The K members are those of the learner's
    classifier, if that is an ensemble (see `QueryByCommittee`), passes with dropout through a network, or clones that
    are trained at each query.

    Parameters
    ----------
    n_passes : int, default=100
        K for a network with dropout. For an ensemble, K is the number of its members.
    n_members : int, default=None
        K, how many clones of the classifier are trained at each query, on labelled rows drawn with replacement. By
        default none: the classifier's own ensemble or dropout is used.
    max_combinations : int, default=1024
        The information is exact while the labels of the batch have at most this many combinations (ten rows with two
        classes, or three rows with ten). Beyond that, this many combinations are drawn at random.
    random_state : int, RandomState instance or None, default=None
        Seeds the dropout masks, the bootstrap and the draw of combinations, and breaks ties.

    Attributes
    ----------
    query_report_ : Bunch
        About the latest query: ``information``, how many nats of information the labels of the batch and of rows asked
        for before will give about the members, at most log(K); and ``is_exact``, whether this number is exact rather
        than an estimate.

    Notes
    -----
    The paper was not at hand: the rule is the published one, but details of its experiments may differ.

    The labels of a few rows are enough to tell a few members apart. Once less than a hundredth of log(K) is left
    open, what further rows add is noise, and the choice starts again among the remaining rows: a larger batch is in
    effect several batches.

    The probabilities of all candidates are kept in float32: 4 K bytes for each class and row. ``RandomSubset(10_000,
    BatchBALD())`` keeps only those of a subset.

    References
    ----------
    .. [1] Kirsch, van Amersfoort, Gal. BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
       learning. NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skal.strategies import BatchBALD
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(20, random_state=0).fit(X[::3], y[::3])
    >>> strategy = BatchBALD(random_state=0).fit(X)
    >>> sorted(y[strategy.query(X, n_queries=4, estimator=forest)].tolist())  # no tree doubts the first class
    [1, 1, 2, 2]
    >>> 0 < strategy.query_report_.information < 3.0  # log(20)
    True
    """

    n_passes: int = field(default=100, kw_only=False)
    n_members: int | None = None
    max_combinations: int = 1024

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_passes": POSITIVE_INTEGER,
        "n_members": [Interval(Integral, 2, None, closed="left"), None],
        "max_combinations": POSITIVE_INTEGER,
    }

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("posterior_proba",) if self.n_members is None else ("predict_proba",)

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        check_trainable(self.n_members, estimator)

    def _query(self, query: Query) -> Rows:
        n_awaited = len(query.awaited)
        seen = np.concatenate([query.awaited, query.candidates.rows])
        joint = batch_bald(
            self._probabilities(query, seen),
            query.n_queries,
            query.rng,
            np.arange(n_awaited, len(seen)),
            np.arange(n_awaited),
            max_combinations=self.max_combinations,
        )
        query.report.update(information=joint.information, is_exact=joint.is_exact)
        return seen[joint.rows]

    def _probabilities(self, query: Query, rows: Rows) -> NDArray[np.float32]:
        if self.n_members is not None:
            answer, row_bytes = bootstrap_scorer(query, self.n_members, _narrow)
            return blockwise(answer, query.pool, rows, row_bytes=row_bytes)  # type: ignore[no-any-return]
        return posterior_proba(
            query.estimator, query.pool, rows, n_passes=self.n_passes, seed=self._seed, summary=_narrow
        )


def _narrow(probabilities: NDArray[Any]) -> NDArray[np.float32]:
    return probabilities.astype(np.float32)
