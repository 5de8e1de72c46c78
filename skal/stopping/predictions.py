"""Stop when successive classifiers predict the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import cohen_kappa_score

from .base import Look, StoppingCriterion


@dataclass(eq=False, repr=False, kw_only=True)
class StabilizingPredictions(StoppingCriterion):
    r"""Stop when successive classifiers agree on a set of rows that need no labels [1]_.

    The value is one minus Cohen's kappa of the predictions before and after a round,

    .. math:: 1 - \kappa = \frac{1 - A_o}{1 - A_e},

    with the observed agreement :math:`A_o` and the one expected by chance, :math:`A_e`.

    Parameters
    ----------
    threshold : float, default=0.01
        How low the mean of :math:`1 - \kappa` has to be.
    n_rounds : int, default=3
        How many rounds are averaged.
    {n_rows, random_state}

    Attributes
    ----------
    {should_stop_, labels_left_, history_, report_}

    References
    ----------
    .. [1] Bloodgood and Vijay-Shanker, "A Method for Stopping Active Learning Based on Stabilizing Predictions and the
       Need for User-Adjustable Stopping", CoNLL 2009: kappa of 0.99 over three rounds and 2000 rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import SimulatedLearner
    >>> from skal.stopping import StabilizingPredictions
    >>> from skal.strategies import UncertaintySampling
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = SimulatedLearner(
    ...     LogisticRegression(max_iter=1000), UncertaintySampling(), n_queries=20, budget=1000,
    ...     stopping=StabilizingPredictions(), random_state=0,
    ... ).fit(X / 16, y)
    >>> learner.stopping_.should_stop_, len(learner.labeled_rows_) < 500
    (True, True)
    """

    threshold: float = 0.01
    n_rounds: int = 3

    def _value(self, look: Look) -> float:
        if look.before is None:
            return np.nan
        if (look.before == look.predicted).all():
            return 0.0  # also where kappa is not defined, with one class
        return 1 - cohen_kappa_score(look.before, look.predicted)


@dataclass(eq=False, repr=False, kw_only=True)
class ClassificationChange(StoppingCriterion):
    """Stop when no more than a given share of the unlabelled rows changes its predicted class [1]_.

    The value is this share among the unlabelled rows that the criterion looks at.

    Parameters
    ----------
    threshold : float, default=0.0
        How low the mean share has to be.
    n_rounds : int, default=1
        How many rounds are averaged.
    n_rows : int or None, default=2000
        Number of rows of the pool that the criterion looks at; they are drawn at random once. None uses all rows, as in
        the paper.
    {random_state}

    Attributes
    ----------
    {should_stop_, labels_left_, history_, report_}

    References
    ----------
    .. [1] Zhu, Wang and Hovy, "Learning a Stopping Criterion for Active Learning for Word Sense Disambiguation and Text
       Classification", IJCNLP 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.stopping import ClassificationChange
    >>> from skal.strategies import UncertaintySampling
    >>> X, y = load_iris(return_X_y=True)
    >>> learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), random_state=0)
    >>> learner = learner.fit(X, np.where(np.arange(150) % 50, -1, y))  # three labels
    >>> criterion = ClassificationChange().update(learner)
    >>> while not criterion.should_stop_:
    ...     rows = learner.query(n_queries=5)
    ...     criterion = criterion.update(learner.teach(rows, y[rows]))
    >>> round(learner.score(X, y), 2)
    0.97
    """

    measures_unlabeled = True

    def _value(self, look: Look) -> float:
        if look.before is None:
            return np.nan
        return float((look.before != look.predicted)[look.is_open].mean()) if look.is_open.any() else 0.0
