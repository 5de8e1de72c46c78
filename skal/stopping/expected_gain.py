"""Stop when a label gains less accuracy than it is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Look, StoppingCriterion


@dataclass(eq=False, repr=False, kw_only=True)
class ExpectedGain(StoppingCriterion):
    r"""Stop when a label gains less accuracy than it is worth, as the newer classifier sees it.

    Rows whose predicted class stays the same gain nothing. If the predicted class changes from :math:`\hat y_{t-1}(x)`
    to :math:`\hat y_t(x)`, the newer classifier expects to have gained the difference of their probabilities. The value
    is the mean over the rows S, per label of the round:

    .. math:: \frac{1}{n_t - n_{t-1}} \frac{1}{|S|} \sum_{x \in S}
              p_t(\hat y_t(x) \mid x) - p_t(\hat y_{t-1}(x) \mid x).

    The threshold is the price of a label: with `threshold` 1e-4, a hundred labels have to raise the accuracy by one
    point. In [1]_, the change of the F measure is predicted from the predictions of successive classifiers in the same
    manner. A classifier that is overconfident overestimates its gain, and stops late. One that does not predict the
    most probable class, such as ``TunedThresholdClassifierCV``, may give up accuracy where its predictions change: the
    value is negative then, and labelling stops early. `StabilizingPredictions` looks at its predictions alone.

    Parameters
    ----------
    threshold : float, default=1e-4
        The accuracy, as a share of the rows, that a label has to gain to be worth its price.
    n_rounds : int, default=3
        How many rounds are averaged.
    {n_rows, random_state}

    Attributes
    ----------
    {should_stop_, labels_left_, history_, report_}

    References
    ----------
    .. [1] Altschuler and Bloodgood, "Stopping Active Learning Based on Predicted Change of F Measure for Text
       Classification", ICSC 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import SimulatedLearner
    >>> from skal.stopping import ExpectedGain
    >>> from skal.strategies import UncertaintySampling
    >>> X, y = load_digits(return_X_y=True)
    >>> learner = SimulatedLearner(
    ...     LogisticRegression(max_iter=1000), UncertaintySampling(), n_queries=20, budget=1000,
    ...     stopping=ExpectedGain(), random_state=0,
    ... ).fit(X / 16, y)
    >>> learner.stopping_.should_stop_, len(learner.labeled_rows_) < 500
    (True, True)
    """

    requires = ("predict_proba",)

    threshold: float = 1e-4
    n_rounds: int = 3

    def _value(self, look: Look) -> float:
        if look.before is None:
            return np.nan
        moved = np.flatnonzero(look.before != look.predicted)
        if not len(moved):
            return 0.0
        probabilities = look.learner.predict_proba(look.X)[moved]
        # A class whose labels were all taken back has no probability any more.
        now, then = (
            np.where(labels[moved][:, np.newaxis] == look.learner.classes_, probabilities, 0).sum(axis=1)
            for labels in (look.predicted, look.before)
        )
        return float((now - then).sum() / len(look.predicted) / look.n_new)
