"""How a learner trains its classifier on what is labelled."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.semi_supervised._label_propagation import BaseLabelPropagation
from skorch import NeuralNet

from ..access.raw_training import fit_raw_net
from ..access.wrappers import rows_for
from ..labels import plain
from ..pool import assuming_finite
from ..training.estimator import NetworkEstimator
from ..utils.random import seed_random_states
from .state import State


def refitted(state: State, estimator: Any, seed: int, *, seeds: bool) -> State:
    """The state with a clone of the classifier, fitted on all that is labelled.

    Parameters
    ----------
    state : State
        Left as it is.
    estimator : classifier
        Cloned.
    seed : int
    seeds : bool
        Whether `seed` becomes that of every ``random_state`` of the clone that is None.

    Returns
    -------
    state : State
    """
    if is_prefitted(estimator):
        return replace(state, estimator=clone(estimator), can_guide=True)
    classes = state.classes
    if not len(classes):
        return replace(state, estimator=None, can_guide=False)
    if len(classes) == 1:  # most classifiers refuse a single class, which is how many loops begin
        only = DummyClassifier(strategy="most_frequent")
        only.fit(np.zeros((1, int(np.prod(state.pool.row_shape)))), plain(classes))
        return replace(state, estimator=only, can_guide=False)
    estimator = clone(estimator)
    if seeds:
        seed_random_states(estimator, seed)
    _warm_start(estimator, state.estimator, classes)
    X, y, params = state.training_set(with_unlabeled=uses_unlabeled(estimator))
    X = rows_for(estimator, X)
    if isinstance(estimator, NeuralNet):
        fit_raw_net(estimator, X, y, params, seed)
    else:
        # Rows that were scanned reach a network as they are; what a pipeline makes of them is to be checked.
        scanned = isinstance(estimator, NetworkEstimator) and X is state.pool.X
        with assuming_finite(state.pool) if scanned else nullcontext():
            estimator.fit(X, y, **params)
    return replace(state, estimator=estimator, can_guide=True)


def last_step(estimator: Any) -> Any:
    """The last step of a pipeline, or the estimator itself."""
    return last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def is_prefitted(estimator: Any) -> bool:
    """Whether a clone of the estimator comes fitted and `fit` leaves it alone."""
    if isinstance(estimator, Pipeline):
        return all(step in (None, "passthrough") or is_prefitted(step) for _, step in estimator.steps)
    return isinstance(estimator, FrozenEstimator)


def _is_alone(estimator: Any) -> bool:
    """Whether nothing but the last step of a pipeline is fitted with it."""
    if not isinstance(estimator, Pipeline):
        return True
    return is_prefitted(estimator[:-1]) and _is_alone(estimator.steps[-1][1])


def uses_unlabeled(estimator: Any) -> bool:
    """Whether `fit` wants the unlabelled rows too, marked by -1."""
    last = last_step(estimator)
    return getattr(last, "uses_unlabeled", isinstance(last, SelfTrainingClassifier | BaseLabelPropagation))


def _warm_start(estimator: Any, fitted: Any, classes: NDArray[Any]) -> None:
    """Give a clone what its warm start continues from: what the last `fit` set, where it knows the same classes.

    Only for skal's networks, whose `fit` reads it and makes a net of its own; a forest of scikit-learn would grow
    no tree for the new labels.
    """
    last, before = last_step(estimator), last_step(fitted)
    if (
        isinstance(last, NetworkEstimator)
        and getattr(last, "warm_start", False)
        and _is_alone(estimator)
        and type(before) is type(last)
        and np.array_equal(before.classes_, plain(classes))
    ):
        for name, value in vars(before).items():
            if name not in vars(last):
                setattr(last, name, value)
