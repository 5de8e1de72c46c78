"""The class that a classifier predicts, which with a tuned threshold may not be the most probable one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skorch import NeuralNet

from ..access.answers import in_blocks, opened
from ..pool import Pool, Rows
from ..training.estimator import NetworkEstimator


def predicted_codes(estimator: Any, pool: Pool, rows: Rows) -> NDArray[np.intp]:
    """Return the classes that a classifier predicts for rows of a pool, as positions in its `classes_`.

    The classifier's own `predict` is called, in one pass; networks predict the most probable class.

    Parameters
    ----------
    estimator : fitted classifier
        It has `predict_proba`.
    pool : Pool
    rows : ndarray of int of shape (n_rows,)

    Returns
    -------
    codes : ndarray of int of shape (n_rows,)

    Raises
    ------
    ValueError
        If it predicts a label that is not in its `classes_`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import FixedThresholdClassifier
    >>> from skal.pool import as_pool
    >>> from skal.strategies.predicted import predicted_codes
    >>> X = np.array([[0.0], [1.0], [3.0], [4.0]])
    >>> classifier = FixedThresholdClassifier(LogisticRegression(), threshold=0.2).fit(X, ["no", "no", "yes", "yes"])
    >>> predicted_codes(classifier, as_pool(X), np.arange(4)), classifier.predict_proba(X).argmax(axis=1)
    (array([0, 1, 1, 1]), array([0, 0, 1, 1]))
    """
    question, classifier, proba = opened("predict_proba", estimator)
    classes = np.asarray(getattr(classifier, "classes_", ()))
    is_network = isinstance(classifier, NetworkEstimator | NeuralNet)
    predicts = len(classes) and hasattr(classifier, "predict") and not is_network

    def codes(block: Any) -> NDArray[np.intp]:
        if not predicts:
            return np.asarray(question.check(proba(block), classifier).argmax(axis=1))
        labels = np.ravel(classifier.predict(block))  # some return a column
        if labels.dtype.kind == classes.dtype.kind != "O":  # in a fourth of the time that a dict takes
            order = np.argsort(classes)
            found = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)]
            if (classes[found] == labels).all():
                return np.asarray(found)
        positions = {label: code for code, label in enumerate(classes.tolist())}
        if unknown := [label for label in labels.tolist() if label not in positions]:
            raise ValueError(
                f"{type(classifier).__name__}.predict returned {unknown[0]!r}, which is not one of its classes_, "
                f"{classes[:10].tolist()}; it must return one of them for each row."
            )
        return np.array([positions[label] for label in labels.tolist()], dtype=np.intp)

    return np.asarray(in_blocks(estimator, codes, pool, rows))
