"""The classes that there are, labelled or not: how a classifier is told of them, and answers about all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from ..classifiers.base import BaseNetClassifier
from ..labels import Labels, encode, is_numeric, plain, read_labels

# What stands for a class that the classifier has not seen: as scikit-learn's `cross_val_predict` has it.
_UNSEEN = {"predict_proba": 0.0, "predict_log_proba": -np.inf, "decision_function": np.finfo(np.float64).min}


def known_classes(classes: Any, labels: Labels) -> NDArray[Any]:
    """Check the classes that there are.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
    labels : Labels
        Those so far.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        In increasing order.

    Raises
    ------
    ValueError
        If a class is repeated or missing, or a label is not among the classes.
    """
    if len(labels.classes) and is_numeric(labels.classes) != is_numeric(read_labels(classes)[0]):
        raise ValueError(
            f"classes={list(classes)!r} was given, and y has labels like {labels.classes[:1].tolist()[0]!r}; give both "
            "as numbers, or both as strings."
        )
    checked = labels.check_new(classes, len(classes))
    known, _ = encode(checked)
    if len(known) < max(2, len(checked)):
        raise ValueError(f"classes={list(classes)!r} was given; give two distinct classes or more.")
    others = sorted(set(labels.in_use.tolist()) - set(known.tolist()))
    if others:
        raise ValueError(
            f"y has the labels {others[:5]}, which are not in classes={known.tolist()}; correct them, or give more "
            "classes."
        )
    return known


def tell_classes(estimator: Any, classes: NDArray[Any]) -> None:
    """Give skal's networks the classes that there are, as far as they were given none.

    A network is told alone, as the last step of a pipeline, or inside a search that scores by accuracy, its default.
    Ensembles and other wrappers give their parts codes of the labels, or count on the classes that these were trained
    on. So do scorers of probabilities in a search.

    Parameters
    ----------
    estimator : classifier
        Changed in place.
    classes : ndarray of shape (n_classes,)
    """
    path, part = "", estimator
    while isinstance(part, Pipeline) or (isinstance(part, BaseSearchCV) and part.scoring is None):
        name, part = part.steps[-1] if isinstance(part, Pipeline) else ("estimator", part.estimator)
        path += f"{name}__"
    if isinstance(part, BaseNetClassifier) and part.classes is None:
        estimator.set_params(**{f"{path}classes": plain(classes)})


def for_all_classes(
    answer: Any, method: str, seen: NDArray[Any], known: NDArray[Any], *, is_one_vs_one: bool = False
) -> Any:
    """A classifier's answer with a column for each class that there is.

    Parameters
    ----------
    answer : object
        What its method returned.
    method : str
    seen : ndarray of shape (n_seen,)
        Its classes.
    known : ndarray of shape (n_classes,)
    is_one_vs_one : bool, default=False
        Whether decisions have a column for each pair of classes; they stay what they are.

    Returns
    -------
    answer : object
        Of shape (n_samples, n_classes), where the answer is one value per row and class.
    """
    if method not in _UNSEEN or np.array_equal(seen, plain(known)):
        return answer
    if method == "decision_function" and len(seen) > 2 and is_one_vs_one:
        return answer
    was_one_column = np.ndim(answer) == 1 and len(seen) == 2
    if was_one_column:  # a decision between two classes
        answer = np.column_stack([-answer, answer])
    if np.ndim(answer) != 2 or answer.shape[1] != len(seen):
        return answer
    answer = np.asarray(answer)  # of a frame, too
    full = np.full((len(answer), len(known)), _UNSEEN[method], dtype=answer.dtype)
    full[:, np.searchsorted(plain(known), seen)] = answer
    # A decision between two classes is that for the second one.
    return full[:, 1] if was_one_column and len(known) == 2 else full
