"""ALCG: the rows about which the classifier is most certain (Xie and Huang, 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from ..access import predict_proba
from ..pool import Rows
from .predicted import predicted_codes
from .query import Query
from .score import ScoreStrategy
from .uncertainty import entropy


def most_confidence(probabilities: NDArray[Any]) -> NDArray[Any]:
    """The largest probability of each row minus one, of shape (n_samples,).

    It is minus the sum of the other probabilities, which distinguishes rows whose largest probability rounds to one.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies.alcg import most_confidence
    >>> most_confidence(np.array([[1e-30, 1.0], [1e-40, 1.0]]))
    array([-1.e-30, -1.e-40])
    """
    return -np.sort(probabilities, axis=1)[:, :-1].sum(axis=1)


def large_margin(probabilities: NDArray[Any]) -> NDArray[Any]:
    """The difference of the two largest probabilities of each row minus one, of shape (n_samples,).

    As in `most_confidence`, it is computed from the other probabilities.
    """
    others = np.sort(probabilities, axis=1)[:, :-1]
    return -others.sum(axis=1) - others[:, -1]


_CRITERIA: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "most_confidence": most_confidence,
    "large_margin": large_margin,
    "least_entropy": lambda probabilities: -entropy(probabilities),
}


@dataclass(eq=False, repr=False, kw_only=True)
class ALCG(ScoreStrategy):
    r"""Choose the rows about which the classifier is most certain.

    Such rows tend to be clean examples of their classes, and a class-conditional GAN learns from them with little
    disturbance ([1]_, section 3.3). With :class:`skal.classifiers.ACGANClassifier`, whose training uses adversarial
    sampling, this is the paper's ALCG; with ``ACGANClassifier(candidates=1)`` it is CS_MC, CS_LM or CS_LE. Any other
    classifier with `predict_proba` works, too.

    Parameters
    ----------
    criterion : {"most_confidence", "large_margin", "least_entropy"}, default="most_confidence"
        What makes a row certain, given the probabilities p of its classes:

        - ``"most_confidence"``: :math:`\max_j p_j` is large (Equation 6);
        - ``"large_margin"``: the difference of the two largest is large (Equation 7);
        - ``"least_entropy"``: :math:`-\sum_j p_j \log p_j` is small (Equation 8).
    {random_state}

    Attributes
    ----------
    query_report_ : Bunch
        About the latest query: ``classes``, the labels that the classifier knows, and ``counts``, the number of chosen
        rows for which it predicts each of them.

    See Also
    --------
    UncertaintySampling : The opposite.
    skal.classifiers.ACGANClassifier : The classifier of the paper.

    Notes
    -----
    The scores are :math:`\max_j p_j - 1` and the margin minus one. Both distinguish rows whose largest probability
    rounds to one, of which a network has many.

    The most certain rows may all belong to the easiest classes; ``query_report_.counts`` shows it. The paper has no
    remedy.

    References
    ----------
    .. [1] Xie and Huang, "Learning Class-Conditional GANs with Active Sampling", KDD 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import ALCG
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X, y)
    >>> strategy = ALCG("large_margin", random_state=0).fit(X)
    >>> rows = strategy.query(X, n_queries=4, estimator=classifier)
    >>> classifier.predict_proba(X[rows]).max(axis=1) > 0.95
    array([ True,  True,  True,  True])
    >>> strategy.query_report_.counts.shape
    (3,)
    """

    requires = ("predict_proba",)

    criterion: str = field(default="most_confidence", kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {"criterion": [StrOptions(set(_CRITERIA))]}

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        return _CRITERIA[self.criterion](predict_proba(estimator, X))

    def _query(self, query: Query) -> Rows:
        rows = super()._query(query)
        classes = getattr(query.estimator, "classes_", None)
        if classes is None:
            classes = range(predict_proba(query.estimator, query.pool, rows).shape[1])
        counts = np.bincount(predicted_codes(query.estimator, query.pool, rows), minlength=len(classes))
        query.report.update(classes=np.asarray(classes), counts=counts)
        return rows
