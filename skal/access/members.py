"""The predictions of the members of an ensemble for a pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils.docstrings import inherits_doc
from .answers import ask, in_blocks, opened

_LIKELY_MEMBERS = 32  # of a classifier with a `committee_proba` of its own
_COPIES = 24  # bytes of a probability, of its logarithm, and of what they are checked with


@inherits_doc(ask)
def committee_proba(
    estimator: Any,
    X: Any,
    rows: ArrayLike | None = None,
    *,
    summary: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
) -> NDArray[np.floating]:
    """Class probabilities by each member of an ensemble. It asks as `ask` does, with the same errors.

    Bagging, forests, `VotingClassifier` and `AdaBoostClassifier` answer, with equal weight for each member, and so do
    classifiers with a method ``committee_proba(X)``, which a subclass that overrides `predict_proba` needs. A member
    without probabilities counts as certain of its prediction.

    Parameters
    ----------
    {estimator, X, rows}
    summary : callable, default=None
        Maps the probabilities of a block, of shape (n_block, n_members, n_classes), to an array with one entry per row,
        so that the probabilities of all rows are never in memory together. By default they are returned.

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_members, n_classes)
        Columns in the order of `classes_`. With `summary`, its values for all rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skal.access import committee_proba
    >>> X, y = load_iris(return_X_y=True)
    >>> committee_proba(RandomForestClassifier(5, random_state=0).fit(X, y), X, rows=[0, 3]).shape
    (2, 5, 3)
    """
    question, classifier, answer = opened("committee_proba", estimator)
    n_members = len(getattr(classifier, "estimators_", ())) or _LIKELY_MEMBERS

    def members(block: Any) -> NDArray[Any]:
        probabilities = question.check(answer(block), classifier)
        return probabilities if summary is None else summary(probabilities)

    n_classes = np.size(getattr(classifier, "classes_", ()))
    return in_blocks(estimator, members, X, rows, beside=_COPIES * n_members * n_classes)
