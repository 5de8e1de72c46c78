"""Query by committee: the rows on which the members of an ensemble disagree (Seung, Opper and Sompolinsky, 1992)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ..access import committee_proba
from ..pool import Pool
from .bald import mutual_information
from .bootstrap import bootstrap_scorer, check_trainable
from .query import Query
from .score import ScoreStrategy
from .uncertainty import entropy


def vote_shares(probabilities: NDArray[Any]) -> NDArray[Any]:
    """Share of the members that vote for each class, of shape (n_samples, n_classes); a tie goes to the first class.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies.query_by_committee import vote_shares
    >>> vote_shares(np.array([[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]]]))
    array([[0.25, 0.75]])
    """
    n_samples, n_members, n_classes = probabilities.shape
    places = probabilities.argmax(axis=2) + n_classes * np.arange(n_samples)[:, np.newaxis]
    return np.bincount(places.ravel(), minlength=n_samples * n_classes).reshape(-1, n_classes) / n_members


_MEASURES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "vote_entropy": lambda p: entropy(vote_shares(p)),
    "kl": mutual_information,
    "consensus_entropy": lambda p: entropy(p.mean(axis=1, dtype=np.float64)),
    "variation_ratio": lambda p: 1 - vote_shares(p).max(axis=1),
}


@dataclass(eq=False, repr=False, kw_only=True)
class QueryByCommittee(ScoreStrategy):
    r"""Choose the rows on which the members of a committee disagree.

    The committee is the learner's classifier, if that is an ensemble: a `BaggingClassifier`, a forest, a
    `VotingClassifier`, an `AdaBoostClassifier`, or any classifier with a method ``committee_proba(X)``, also within
    pipelines and searches. Otherwise, with `n_members`, the committee is trained at each query on bootstrap samples of
    the labels, and the learner's classifier may be of any kind.

    Parameters
    ----------
    measure : {"vote_entropy", "kl", "consensus_entropy", "variation_ratio"}, default="vote_entropy"
        With the probabilities :math:`p_m(y)` of M members, their mean :math:`\bar p`, and the share v(y) of the
        members whose most probable class is y:

        - ``"vote_entropy"``: :math:`-\sum_y v(y) \log v(y)` [2]_;
        - ``"kl"``: the mean divergence from the mean, :math:`\frac{1}{M} \sum_m D(p_m \Vert \bar p)` [3]_;
        - ``"consensus_entropy"``: :math:`-\sum_y \bar p(y) \log \bar p(y)`;
        - ``"variation_ratio"``: :math:`1 - \max_y v(y)`, the share outvoted.
    n_members : int, default=None
        M, how many clones of the classifier are trained at each query, on labelled rows drawn with replacement. By
        default the members of the ensemble.
    random_state : int, RandomState instance or None, default=None
        Seeds the bootstrap, and breaks ties: with few members, many rows have equal votes.

    Notes
    -----
    Members have equal weight, whatever the ensemble's weights. A member without probabilities counts as certain of its
    prediction. Scores without a query (`utility`, ``learner.score_samples``) need an ensemble.

    References
    ----------
    .. [1] Seung, Opper, Sompolinsky. Query by committee. COLT 1992.
    .. [2] Dagan, Engelson. Committee-based sampling for training probabilistic classifiers. ICML 1995.
    .. [3] McCallum, Nigam. Employing EM and pool-based active learning for text classification. ICML 1998.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skal.strategies import QueryByCommittee
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(20, random_state=0).fit(X, y)
    >>> rows = QueryByCommittee("kl", random_state=0).fit(X).query(X, n_queries=4, estimator=forest)
    >>> sorted(y[rows].tolist())  # no tree doubts the first class
    [1, 1, 1, 2]
    """

    measure: str = field(default="vote_entropy", kw_only=False)
    n_members: int | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "measure": [StrOptions(set(_MEASURES))],
        "n_members": [Interval(Integral, 2, None, closed="left"), None],
    }

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("committee_proba",) if self.n_members is None else ("predict_proba",)

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        check_trainable(self.n_members, estimator)

    def check_utility(self) -> None:
        if self.n_members is not None:
            raise TypeError(
                f"A committee of n_members={self.n_members} is trained for a query, and has no scores without one; use "
                "query, or n_members=None and an ensemble such as BaggingClassifier."
            )

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        return committee_proba(estimator, X, summary=_MEASURES[self.measure])

    def _query_scorer(self, query: Query) -> tuple[Callable[[Any], NDArray[Any]], float]:
        if self.n_members is None:
            return super()._query_scorer(query)
        return bootstrap_scorer(query, self.n_members, _MEASURES[self.measure])
