"""Checks of the input that every classifier refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite

from ..labels import is_missing


def check_classes(estimator: Any, classes: NDArray[Any]) -> None:
    """Raise ValueError if the rows to learn from have fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs rows of at least two classes, got one class: "
            f"{classes[:1].tolist()[0]!r}; add labelled rows of another class"
        )


def check_continues(estimator: Any, classes: NDArray[Any], input_shape: tuple[int, ...]) -> None:
    """Raise ValueError if a warm start gets other classes or rows than those of the last `fit`."""
    if not (np.array_equal(classes, estimator.classes_) and input_shape == estimator.input_shape_):
        raise ValueError(
            f"warm_start=True continues with the classes {estimator.classes_} and rows of shape "
            f"{estimator.input_shape_}, got {classes} and {input_shape}; fit with warm_start=False to start "
            "from scratch"
        )


def coded(labels: NDArray[Any], classes: Any) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the classes in increasing order, and the position of each label among them.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
    classes : array-like of shape (n_classes,) or None
        All existing classes; by default those of the labels.

    Raises
    ------
    ValueError
        If the classes cannot be labels, or a label is not in `classes`.
    """
    seen, codes = np.unique(labels, return_inverse=True)
    if classes is None:
        return seen, codes
    known = np.unique(_listed(classes))
    others = sorted(set(seen.tolist()) - set(known.tolist()))
    if others:
        raise ValueError(f"y has the labels {others[:5]}, which are not in classes={known.tolist()}")
    return known, np.searchsorted(known, seen)[codes]


def _listed(classes: Any) -> NDArray[Any]:
    """Return the given classes; values that cannot be labels are refused."""
    try:
        listed = np.asarray(classes)
        if listed.ndim != 1:
            raise ValueError(f"they have {listed.ndim} dimensions, give a list")
        if any(map(is_missing, classes)):
            raise ValueError("one is missing, leave it out")
        assert_all_finite(listed, input_name="classes")
        # Twice, as scikit-learn would warn of labels that are all different.
        check_classification_targets(np.repeat(listed, 2))
    except (TypeError, ValueError) as error:
        given = str(getattr(classes, "tolist", lambda: classes)())[:100]
        raise ValueError(f"classes={given} were given, which cannot be labels: {error}") from error
    return listed
