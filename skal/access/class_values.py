"""Checked values of classes: probabilities, and decision values with a column per class."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.feature_selection import RFE
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.multiclass import _ovr_decision_function
from skorch import NeuralNet

from .wrappers import open_pipeline

# How far the sum of a row may be from one: networks compute in float16, and services round.
_SUM_TOLERANCE = 1e-2
_ROUNDING = 1e-6


def as_probabilities(values: NDArray[Any]) -> NDArray[Any] | None:
    """Return probabilities, or None if the values are not probabilities: not finite, negative, or not summing to one.

    Parameters
    ----------
    values : ndarray of shape (n_rows, ..., n_classes)

    Returns
    -------
    values : ndarray of shape (n_rows, ..., n_classes) or None
        Values that rounding made negative become zero, because an entropy takes their logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.access.class_values import as_probabilities
    >>> as_probabilities(np.array([[0.5, 0.25]])) is None
    True
    """
    if not values.size:
        return values
    off, least = _distance_from_one(values), values.min()
    if not (off.max() <= _SUM_TOLERANCE and least >= -_ROUNDING):
        return None
    return values if least >= 0 else np.maximum(values, 0)


def _distance_from_one(values: NDArray[Any]) -> NDArray[Any]:
    # A product with ones, as `sum` takes four times as long over few columns.
    with np.errstate(invalid="ignore", over="ignore"):
        return np.abs(values @ np.ones(values.shape[-1], np.result_type(values, np.float32)) - 1)


def no_probabilities(values: NDArray[Any], classifier: Any, returned: str) -> ValueError:
    """Return the error for values that are not probabilities.

    Parameters
    ----------
    values : ndarray of shape (n_rows, ..., n_classes)
        Finite.
    classifier : classifier
        The one that answered.
    returned : str
        The beginning of the error message.

    Returns
    -------
    error : ValueError
    """
    wrong = (_distance_from_one(values) > _SUM_TOLERANCE) | (values < -_ROUNDING).any(axis=-1)
    row = values[wrong][0]
    given = ", ".join(f"{value:.3g}" for value in row[:5]) + (", ..." if len(row) > 5 else "")
    return ValueError(
        f"{returned} [{given}] for a row, which are no probabilities: none may be negative, and those of a row must "
        f"sum to 1. {_remedy(classifier)}"
    )


def _remedy(classifier: Any) -> str:
    if isinstance(classifier, NeuralNet):
        criterion = getattr(classifier.criterion, "__name__", type(classifier.criterion).__name__)
        return (
            f"With {criterion} skorch wants a module that ends in a softmax. Use criterion=torch.nn.CrossEntropyLoss "
            "for a module that returns logits, or wrap the module in skal.classifiers.NetClassifier."
        )
    return (
        "Divide each row by its sum in predict_proba, wrap the classifier in CalibratedClassifierCV if it has "
        "decision_function, or use a strategy that does without probabilities, such as CoreSet()."
    )


def decision_function(classifier: Any) -> Any:
    """Return the function of rows that gives a classifier's decision values, one column per class for more than two.

    Parameters
    ----------
    classifier : classifier
        Its decision values may be for pairs of classes, as with ``SVC(decision_function_shape="ovo")``: they are then
        combined into values of classes, as scikit-learn does for ``"ovr"``.

    Returns
    -------
    answer : callable or None
        None without `decision_function`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> from skal.access.class_values import decision_function
    >>> X, y = np.arange(8.0)[:, None], np.arange(8) // 2
    >>> svm = SVC(decision_function_shape="ovo").fit(X, y)
    >>> svm.decision_function(X).shape, decision_function(svm)(X).shape
    ((8, 6), (8, 4))
    """
    return partial(_decisions, classifier) if hasattr(classifier, "decision_function") else None


def _decisions(classifier: Any, X: Any) -> Any:
    values = classifier.decision_function(X)
    n_classes = len(getattr(classifier, "classes_", ()))
    if not n_classes or sparse.issparse(values):  # which is refused later
        return values
    values = np.asarray(values)
    if n_classes > 2 and _compares_pairs(classifier):
        values = _ovr_decision_function(values < 0, -values, n_classes)
    if values.shape[1:] != (n_classes,) and (n_classes > 2 or values.ndim != 1):
        raise ValueError(
            f"{type(classifier).__name__}.decision_function returned an array of shape {values.shape} for {n_classes} "
            "classes; it must have a column for each of more than two, and one value per row for two. With values of "
            "pairs of classes use decision_function_shape='ovr'."
        )
    return values


# Those that hand on the decision values of the classifier in an attribute.
_HAND_ON = {
    BaggingClassifier: "estimator_",
    RFE: "estimator_",
    SelfTrainingClassifier: "estimator_",
    StackingClassifier: "final_estimator_",
}


def _compares_pairs(classifier: Any) -> bool:
    for kind, name in _HAND_ON.items():
        if isinstance(classifier, kind):
            return _compares_pairs(open_pipeline(getattr(classifier, name))[1])
    return getattr(classifier, "decision_function_shape", None) == "ovo"
