"""The GAN-test of generated rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..labels import check_new_labels
from ..pool import blockwise
from .judges import as_rows, as_seen_by


@dataclass(frozen=True, eq=False)
class GANTestScore:
    """The result of :func:`gan_test_score`; ``float(result)`` is the accuracy.

    Parameters
    ----------
    accuracy : float
        Share of the generated rows for which the classifier predicts the class in `y`.
    classes : ndarray of shape (n_classes,)
        The classes in `y`, sorted.
    class_accuracy : ndarray of shape (n_classes,)
        The same share for the rows of each class.
    class_counts : ndarray of int of shape (n_classes,)
        Number of rows of each class.
    n_samples : int

    Examples
    --------
    >>> import numpy as np
    >>> from skal.metrics import GANTestScore
    >>> float(GANTestScore(0.75, np.array([0, 1]), np.array([1.0, 0.5]), np.array([2, 2]), 4))
    0.75
    """

    accuracy: float
    classes: NDArray[Any]
    class_accuracy: NDArray[np.float64]
    class_counts: NDArray[np.intp]
    n_samples: int

    def __float__(self) -> float:
        return self.accuracy


def gan_test_score(classifier: Any, generated: Any, y: ArrayLike) -> GANTestScore:
    """The GAN-test [1]_: the accuracy, on generated rows, of a classifier that was trained on real rows.

    Parameters
    ----------
    classifier : fitted classifier
        Trained on real rows only, preferably on all of them.
    generated : array-like, sparse matrix or data frame of shape (n_samples, ...)
    y : array-like of shape (n_samples,)
        The classes for which the rows were generated.

    Returns
    -------
    result : GANTestScore
        With `accuracy`, `classes`, `class_accuracy`, `class_counts` and `n_samples`.

    Raises
    ------
    ValueError
        If there is not one label per row, or a label is unknown to the classifier.
    TypeError
        If the classifier has no `predict`.

    References
    ----------
    .. [1] Shmelkov, Schmid and Alahari, "How good is my GAN?", ECCV 2018, section 3.2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skal.metrics import gan_test_score
    >>> X, y = load_iris(return_X_y=True)
    >>> gan_test_score(GaussianNB().fit(X, y), X + 0.1, y).class_accuracy
    array([1.  , 0.84, 0.96])
    """
    generated = as_rows(generated)
    tested = RecognizedRows(classifier, check_new_labels(y, generated.shape[0]))
    tested.update(generated)
    return tested.result()


class RecognizedRows:
    """Generated rows of known classes, and the classes that a classifier predicts for them."""

    name = "GAN-test accuracy"

    def __init__(self, classifier: Any, labels: NDArray[Any]) -> None:
        if not hasattr(classifier, "predict"):
            raise TypeError(f"{classifier!r} has no predict; give a classifier that was fitted on real rows.")
        classes = np.asarray(getattr(classifier, "classes_", labels)).tolist()
        unknown = sorted(set(labels.tolist()).difference(classes), key=str)
        if unknown:
            raise ValueError(
                f"The labels {unknown[:5]} are unknown to the classifier, whose classes are {classes}; give one that "
                "was trained on all classes."
            )
        self._classifier = classifier
        self._labels = labels
        self._predicted: list[Any] = []

    def update(self, rows: Any) -> None:
        """Take the next rows."""
        self._predicted.append(
            blockwise(lambda block: self._classifier.predict(as_seen_by(self._classifier, block)), rows)
        )

    def result(self) -> GANTestScore:
        """The accuracy on all rows."""
        hits = np.concatenate(self._predicted) == self._labels
        classes, codes, counts = np.unique(self._labels, return_inverse=True, return_counts=True)
        class_accuracy = np.bincount(codes, weights=hits) / counts
        return GANTestScore(float(hits.mean()), classes, class_accuracy, counts, len(hits))
