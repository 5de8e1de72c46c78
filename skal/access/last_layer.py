"""The last layer of a classifier, which predicts from embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answers import opened


def linear_head(estimator: Any) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Weights and intercepts of a fitted classifier's last linear layer, whose input is what `embed` returns.

    Linear models, linear SVMs of two classes, `MLPClassifier` and networks that end in a `torch.nn.Linear` answer, and
    classifiers with a method ``linear_head()``. Pipelines, `FrozenEstimator`, searches and learners are opened.

    Parameters
    ----------
    estimator : fitted classifier

    Returns
    -------
    weights : ndarray of shape (n_classes, n_embedding)
        Two rows for two classes. The largest of ``embeddings @ weights.T + intercepts`` tells the class.
    intercepts : ndarray of shape (n_classes,)

    Raises
    ------
    TypeError
        If the classifier has no such layer. The error names the classifiers that have.
    NotFittedError
        If the classifier is not fitted.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from skal.access import linear_head
    >>> linear_head(RidgeClassifier(alpha=0).fit([[-1.0], [1.0]], [0, 1]))[0]
    array([[0.],
           [1.]])
    """
    weights, intercepts = opened("linear_head", estimator)[2]()
    return np.asarray(weights, dtype=np.float64), np.asarray(intercepts, dtype=np.float64)
