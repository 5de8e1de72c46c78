"""Stop when no row is worth asking for."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from ..strategies import ScoreStrategy, UncertaintySampling
from .base import Look, StoppingCriterion


@dataclass(eq=False, repr=False, kw_only=True)
class MaximumUtility(StoppingCriterion):
    """Stop when even the highest utility of an unlabelled row is not above a bound.

    With entropy this is the method of maximum uncertainty [1]_. The mean over all rows depends less than the maximum on
    a single row that nobody can classify.

    Parameters
    ----------
    criterion : ScoreStrategy, default=None
        Strategy that scores the rows; ``UncertaintySampling("entropy")`` by default.
    statistic : {"max", "mean"}, default="max"
        Which statistic of the utilities of the unlabelled rows to use.
    threshold : float, default=0.1
        How low the statistic has to be, in the unit of the criterion: nats for entropy.
    n_rounds : int, default=1
        How many rounds are averaged.
    {n_rows, random_state}

    Attributes
    ----------
    {should_stop_, labels_left_, history_, report_}

    References
    ----------
    .. [1] Zhu, Wang and Hovy, "Multi-Criteria-Based Strategy to Stop Active Learning for Data Annotation", COLING 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.stopping import MaximumUtility
    >>> from skal.strategies import UncertaintySampling
    >>> X, y = load_iris(return_X_y=True)
    >>> learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), random_state=0)
    >>> learner = learner.fit(X, np.where(np.arange(150) % 50, -1, y))  # three labels
    >>> criterion = MaximumUtility(threshold=0.5).update(learner)
    >>> criterion.should_stop_, criterion.history_["value"].round(1)
    (False, array([1.1]))
    """

    measures_unlabeled = True

    criterion: Any = field(default=None, kw_only=False)
    statistic: str = "max"
    threshold: float = 0.1

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "criterion": [ScoreStrategy, None],
        "statistic": [StrOptions({"max", "mean"})],
        "threshold": [Interval(Real, None, None, closed="neither")],  # utilities may be negative
    }

    @property
    def _scorer(self) -> ScoreStrategy:
        return UncertaintySampling("entropy") if self.criterion is None else clone(self.criterion)

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return self._scorer.requires

    def check(self, learner: Any) -> None:
        if isinstance(self.criterion, ScoreStrategy):
            self.criterion.check_utility()
        super().check(learner)
        self._scorer.check_params()

    def _value(self, look: Look) -> float:
        if not look.is_open.any():
            return -np.inf
        utilities = self._scorer.fit(look.X).utility(look.X, estimator=look.learner.estimator_)[look.is_open]
        return float(utilities.max() if self.statistic == "max" else utilities.mean())
