"""The predictions of each member of an ensemble, as probabilities of the ensemble's classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, VotingClassifier
from sklearn.ensemble._forest import ForestClassifier
from sklearn.utils.validation import validate_data
from skorch import NeuralNet

from .raw_nets import net_predict_proba
from .wrappers import overrides, own_method


def committee(classifier: Any) -> Callable[[Any], NDArray[Any]] | None:
    """Return the function of rows that gives the probabilities of all members, or None for a single classifier.

    A subclass of an ensemble that overrides `predict_proba` needs a method `committee_proba`.

    Parameters
    ----------
    classifier : classifier
        Fitted or not, without wrappers.

    Returns
    -------
    answer : callable or None
        Its values have the shape (n_rows, n_members, n_classes). A member without probabilities counts as certain of
        its prediction.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import VotingClassifier
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access.committees import committee
    >>> X, y = np.array([[-1.0], [1.0]]), ["a", "b"]
    >>> ensemble = VotingClassifier([("weak", LinearSVC(C=0.1)), ("strong", LinearSVC())]).fit(X, y)
    >>> committee(ensemble)(X[:1])
    array([[[1., 0.],
            [1., 0.]]])
    """
    if own := own_method(classifier, "committee_proba"):
        return own
    for kind, answer in _ANSWERS.items():
        # With other probabilities than those of its members, it has to say what theirs are.
        if isinstance(classifier, kind) and not overrides(classifier, kind, "predict_proba"):
            return partial(answer, classifier)
    return None


def _forest(forest: Any, X: Any) -> NDArray[Any]:
    X = forest._validate_X_predict(X)  # once, as every tree would convert the rows again
    return _filled(forest, (tree.predict_proba(X, check_input=False) for tree in forest.estimators_), X)


def _bagging(ensemble: Any, X: Any) -> NDArray[Any]:
    X = _validated(ensemble, X)
    pairs = zip(ensemble.estimators_, ensemble.estimators_features_, strict=True)
    answers = (_among(len(ensemble.classes_), member, X[:, features]) for member, features in pairs)
    return _filled(ensemble, answers, X)


def _voting(ensemble: Any, X: Any) -> NDArray[Any]:
    answers = (_among(len(ensemble.classes_), member, X) for member in ensemble.estimators_)
    return _filled(ensemble, answers, X)


def _boosting(ensemble: Any, X: Any) -> NDArray[Any]:
    X, classes = _validated(ensemble, X), ensemble.classes_
    answers = (_among(len(classes), member, X, classes) for member in ensemble.estimators_)
    return _filled(ensemble, answers, X)


_ANSWERS: dict[type, Callable[[Any, Any], NDArray[Any]]] = {
    ForestClassifier: _forest,
    BaggingClassifier: _bagging,
    VotingClassifier: _voting,
    AdaBoostClassifier: _boosting,
}


def _validated(ensemble: Any, X: Any) -> Any:
    return validate_data(
        ensemble, X, accept_sparse=["csr", "csc"], dtype=None, ensure_all_finite=False, reset=False
    )


def _filled(ensemble: Any, answers: Any, X: Any) -> NDArray[Any]:
    """Return the answers of members, one after another, in one array."""
    n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
    probabilities = np.empty((n_rows, len(ensemble.estimators_), len(ensemble.classes_)))
    for place, answer in enumerate(answers):
        probabilities[:, place] = answer
    return probabilities


def _among(n_classes: int, member: Any, X: Any, classes: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return a member's probabilities in columns of all classes, of which it may have seen only some.

    It was fitted on the positions of the classes, or on the `classes` themselves.
    """

    def positions(labels: Any) -> NDArray[np.intp]:
        found = labels if classes is None else np.searchsorted(classes, labels)
        return np.asarray(found).astype(np.intp)

    if isinstance(member, NeuralNet):
        return net_predict_proba(member, X)
    if hasattr(member, "predict_proba"):
        answer = np.asarray(member.predict_proba(X))
        probabilities = np.zeros((len(answer), n_classes))
        probabilities[:, positions(member.classes_)] = answer
        return probabilities
    return np.eye(n_classes)[positions(member.predict(X))]
