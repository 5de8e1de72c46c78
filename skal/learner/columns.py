"""The classes of a raw skorch net are its columns, however many of them it has seen."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from skorch import NeuralNetClassifier

from ..access.wrappers import open_pipeline, rows_for
from ..pool import Pool
from .delegation import answer


def with_columns_as_classes(estimator: Any, pool: Pool) -> Any:
    """The fitted classifier, in which a raw net's `classes_` have an entry for each column of its probabilities.

    Parameters
    ----------
    estimator : fitted classifier
        What a ``FrozenEstimator`` holds stays as it is.
    pool : Pool
        A net is tried on its first rows.

    Returns
    -------
    estimator : fitted classifier
        The one given, unless a raw net in it has seen fewer classes than it has columns.

    Raises
    ------
    ValueError
        If the net was given other `classes` than those of its columns.
    """
    transformers, net = open_pipeline(estimator)
    if not isinstance(net, NeuralNetClassifier):
        return estimator
    X = rows_for(estimator, pool.read(slice(2)))
    for transformer in transformers:
        X = transformer.transform(X)
    columns = np.arange(np.shape(answer(net, "predict_proba", X))[1])
    if np.array_equal(getattr(net, "classes_", ()), columns):  # it has none where its weights were loaded
        return estimator
    if net.classes is not None:
        raise ValueError(
            f"{type(net).__name__} was given classes={list(net.classes)}, and its module has {len(columns)} outputs, "
            f"which are the labels 0 to {len(columns) - 1}; leave classes out."
        )
    other = object.__new__(type(net))  # skorch's copy is one of the weights, too
    vars(other).update(vars(net), classes_inferred_=columns)
    return _exchanged(estimator, net, other)


def _exchanged(estimator: Any, net: Any, other: Any) -> Any:
    """An estimator with another net at its end."""
    if estimator is net:
        return other
    changed = copy(estimator)
    if isinstance(estimator, FrozenEstimator):
        return FrozenEstimator(_exchanged(estimator.estimator, net, other))
    if isinstance(estimator, Pipeline):
        *first, (name, last) = estimator.steps
        changed.steps = [*first, (name, _exchanged(last, net, other))]
    elif hasattr(estimator, "best_estimator_"):
        changed.best_estimator_ = _exchanged(estimator.best_estimator_, net, other)
    return changed
