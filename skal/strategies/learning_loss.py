"""Learning loss: the rows with the largest predicted loss (Yoo and Kweon, 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..access import predicted_loss
from .score import ScoreStrategy


class LearningLoss(ScoreStrategy):
    """Learning loss for active learning: choose the rows for which the largest loss is predicted.

    The network that predicts the loss is trained together with the classifier,
    :class:`skal.classifiers.LearningLossClassifier` [1]_.

    Parameters
    ----------
    {random_state}

    See Also
    --------
    skal.classifiers.LearningLossClassifier : The classifier that it needs.

    Notes
    -----
    The paper queries a random subset of 10,000 unlabelled rows, so that the rows of a query are not all alike:
    ``RandomSubset(10_000, LearningLoss())``.

    References
    ----------
    .. [1] Yoo and Kweon, "Learning Loss for Active Learning", CVPR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal import ActiveLearner
    >>> from skal.classifiers import LearningLossClassifier
    >>> from skal.strategies import LearningLoss, RandomSubset
    >>> X, y = load_iris(return_X_y=True)
    >>> y[5:50] = y[55:] = -1
    >>> strategy = RandomSubset(100, LearningLoss())
    >>> learner = ActiveLearner(LearningLossClassifier(max_epochs=5), strategy, n_queries=3, random_state=0)
    >>> learner.fit(X, y).query().shape
    (3,)
    """

    requires = ("predicted_loss",)

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        return predicted_loss(estimator, X)
