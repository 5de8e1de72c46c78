"""VAAL: the rows that look least like labelled ones (Sinha, Ebrahimi and Darrell, 2019)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..access import labeled_proba
from .score import ScoreStrategy


class VAAL(ScoreStrategy):
    """Variational adversarial active learning: choose the rows that a discriminator takes for unlabelled.

    The discriminator works in the latent space of an autoencoder. Both are trained together with the classifier,
    :class:`skal.classifiers.VAALClassifier`. The query itself does not use the predicted labels ([1]_, Algorithm 2).

    Parameters
    ----------
    {random_state}

    See Also
    --------
    skal.classifiers.VAALClassifier : The classifier that it needs.

    Notes
    -----
    The score of a row is minus the probability p that it is labelled. The score 1 - p would round many small
    probabilities to the same number.

    DGAL's experiments [2]_ call this strategy "GANVAE".

    References
    ----------
    .. [1] Sinha, Ebrahimi and Darrell, "Variational Adversarial Active Learning", ICCV 2019.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal import ActiveLearner
    >>> from skal.classifiers import VAALClassifier
    >>> from skal.strategies import VAAL
    >>> X, y = load_iris(return_X_y=True)
    >>> y[5:50] = y[55:] = -1
    >>> classifier = VAALClassifier(max_epochs=5, vae_epochs=5, n_latent=2)
    >>> learner = ActiveLearner(classifier, VAAL(), n_queries=3, random_state=0).fit(X, y)
    >>> learner.query().shape
    (3,)
    """

    requires = ("labeled_proba",)

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        return -labeled_proba(estimator, X)
