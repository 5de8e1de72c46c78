"""WAAL: rows that are uncertain and differ from the labelled ones (Shui, Zhou, Gagné and Wang, 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ..access import critic_scores_and_log_proba
from .score import ScoreStrategy


@dataclass(eq=False, repr=False, kw_only=True)
class WAAL(ScoreStrategy):
    r"""Wasserstein adversarial active learning: choose uncertain rows that a critic can tell from the labelled ones.

    The loss of an unlabelled row is at most that of the worst label (Eq. 10), and at most the sum over all labels
    (Eq. 11) [1]_. The rows chosen are those where a mixture of the two bounds is low and the critic g is high
    (Algorithm 1). They have the highest score

    .. math::

        c \, g(x) - m \max_k -\log h(x, k) - (1 - m) \sum_k -\log h(x, k)

    The critic is trained together with the classifier, :class:`skal.classifiers.WassersteinClassifier`.

    Parameters
    ----------
    coefficient : float, default=10.0
        :math:`c`, the weight of the critic. The paper uses 10 on CIFAR-10 and STL-10, and 5 on FashionMNIST and SVHN
        (Table 3).
    mixture : float, default=0.5
        :math:`m`, the share of the first bound, in [0, 1].
    bound : {"worst_case", "l2"}, default="worst_case"
        The first bound. "l2" is that of the authors' code: the Euclidean norm of the losses of all labels.
    normalize : bool, default=False
        Whether to take means over the K classes: a factor :math:`1 / K` before the sum, and under the root of "l2".
        Neither the paper nor its code has this factor. Without the factor, the sum grows with the number of classes (it
        is at least :math:`K \ln K`), so that the same coefficient has less weight where there are many.
    {random_state}

    See Also
    --------
    skal.classifiers.WassersteinClassifier : The classifier that it was made for.

    Notes
    -----
    Any classifier with `predict_proba` and `critic_scores` will do. If it does not compute logarithms of probabilities
    itself (see :func:`skal.access.critic_scores_and_log_proba`), a probability of zero counts as the smallest normal
    number.

    References
    ----------
    .. [1] Shui, Zhou, Gagné and Wang, "Deep Active Learning: Unified and Principled Method for Query and
       Training", AISTATS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal import ActiveLearner
    >>> from skal.classifiers import WassersteinClassifier
    >>> from skal.strategies import WAAL
    >>> X, y = load_iris(return_X_y=True)
    >>> y[5:50] = y[55:] = -1
    >>> classifier = WassersteinClassifier(max_epochs=5)
    >>> learner = ActiveLearner(classifier, WAAL(), n_queries=3, random_state=0).fit(X, y)
    >>> learner.query().shape
    (3,)
    """

    requires = ("predict_proba", "critic_scores")

    coefficient: float = field(default=10.0, kw_only=False)
    mixture: float = 0.5
    bound: str = "worst_case"
    normalize: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "coefficient": [Interval(Real, 0, None, closed="left")],
        "mixture": [Interval(Real, 0, 1, closed="both")],
        "bound": [StrOptions({"worst_case", "l2"})],
        "normalize": ["boolean"],
    }

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        critic, log_probabilities = critic_scores_and_log_proba(estimator, X)
        losses = -log_probabilities.astype(np.float64)
        n = losses.shape[1] if self.normalize else 1
        first = losses.max(axis=1) if self.bound == "worst_case" else np.sqrt((losses**2).sum(axis=1) / n)
        return self.coefficient * critic - self.mixture * first - (1 - self.mixture) * losses.sum(axis=1) / n
