"""How a learner trains its classifier on what is labelled."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised._label_propagation import BaseLabelPropagation
from sklearn.utils._param_validation import InvalidParameterError
from skorch import NeuralNet

from ..access.raw_training import fit_raw_net, seeding_nets
from ..access.wrappers import first_step, last_step, rows_for, uses_unlabeled, works_in_place
from ..classifiers import LabelEncodedClassifier
from ..labels import UNLABELED, is_numeric, plain
from ..pool import Pool, as_pool, assuming_finite, check_texts, owned
from ..pool.frames import FramePool
from ..training.estimator import NetworkEstimator
from ..utils.random import seed_random_states
from ..utils.warnings import callers_level
from .columns import with_columns_as_classes
from .delegation import answer
from .known_classes import tell_classes
from .state import State

# What scikit-learn says of rows that it cannot read, however many they are.
_ABOUT_ROWS = (
    "inconsistent numbers of samples",
    "Found array with dim",
    "Expected 2D array",
    "could not convert string to float",
)
_FEW = 5  # labels of a class: scikit-learn's folds, and skorch's


def refitted(state: State, estimator: Any, seed: int, *, seeds: bool, n_queries: int) -> State:
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
    n_queries : int
        Becomes every ``n_queries`` of the clone that is None.

    Returns
    -------
    state : State
        With the last classifier that could be trained, where this one cannot be on so few labels.

    Raises
    ------
    BaseException
        Whatever its `fit` raises otherwise.

    Warns
    -----
    FitFailedWarning
        If the classifier cannot be trained on so few labels.
    """
    if is_prefitted(estimator):
        return replace(state, estimator=with_columns_as_classes(clone(estimator), state.pool), can_guide=True)
    classes = state.classes
    if not len(classes):
        return replace(state, estimator=None, can_guide=False, failure=None, basis=state.answers)
    if len(classes) == 1:  # most classifiers refuse a single class, which is how many loops begin
        only = DummyClassifier(strategy="most_frequent")
        only.fit(np.zeros((1, int(np.prod(state.pool.row_shape)))), plain(classes))
        return replace(state, estimator=only, can_guide=False, failure=None, basis=state.answers)
    estimator, coded = untrained(state, estimator, seed, seeds=seeds, n_queries=n_queries)
    _warm_start(estimator, state.estimator, classes)
    X, y, params = state.training_set(with_unlabeled=uses_unlabeled(estimator), coded=coded)
    X = rows_for(estimator, owned(X) if X is state.pool.X and works_in_place(estimator) else X)
    try:
        if isinstance(estimator, NeuralNet):
            fit_raw_net(estimator, X, y, params, seed)
        else:
            # Rows that were scanned reach a network as they are; what a pipeline makes of them is to be checked.
            scanned = isinstance(estimator, NetworkEstimator) and X is state.pool.X
            with assuming_finite(state.pool) if scanned else nullcontext(), seeding_nets(estimator, seed):
                estimator.fit(X, y, **params)
        if is_scarce(state, estimator):  # neighbours, for one, are missed in predictions only
            answer(estimator, "predict", as_pool(X).read(slice(1)))
    except ValueError as error:
        is_about_rows = any(words in str(error) for words in _ABOUT_ROWS)
        if is_about_rows and isinstance(state.pool, FramePool):
            error.add_note(
                "X is a table. What reads texts takes one column: table['text'] alone, and in a ColumnTransformer "
                "'text' instead of ['text']."
            )
        is_invalid = isinstance(error, InvalidParameterError | UnsetMetadataPassedError)
        more_labels_help = not (is_about_rows or is_invalid or as_pool(X).flaw is not None)
        if not (more_labels_help and is_scarce(state, estimator)):
            raise
        warnings.warn(
            f"{type(estimator).__name__} cannot be trained on so few labels yet, {state.counts}: {error} The labels "
            "are recorded; strategies that need no classifier go on.",
            FitFailedWarning,
            stacklevel=callers_level(),
        )
        return replace(state, failure=str(error))
    estimator = with_columns_as_classes(estimator, state.pool)
    if coded is not None:
        estimator = LabelEncodedClassifier.around(estimator, plain(coded))
    return replace(state, estimator=estimator, can_guide=True, failure=None, basis=state.answers)


def untrained(
    state: State, estimator: Any, seed: int, *, seeds: bool, n_queries: int
) -> tuple[Any, NDArray[Any] | None]:
    """The clone that `refitted` fits, and the classes whose positions it gets as labels, if it does."""
    estimator = clone(estimator)
    if seeds:
        seed_random_states(estimator, seed)
    _tell_n_queries(estimator, n_queries)
    coded = wanted_codes(estimator, state)
    if state.known is not None:
        tell_classes(estimator, state.known if coded is None else np.arange(len(coded)))
    return estimator, coded


def is_scarce(state: State, estimator: Any) -> bool:
    """Whether there are too few labels for a classifier to be blamed.

    Too few are less than 5 of some class, or than the largest ``cv`` or ``n_neighbors`` among the classifier's
    parameters, or so few that its early stopping cannot hold out one of each class.
    """
    numbers = [n for n in state.counts.values() if n]
    wanted, share = [_FEW], 1.0
    params = estimator.get_params(deep=True)
    for name, value in params.items():
        head, _, last = name.rpartition("__")
        if last in ("cv", "n_neighbors"):
            wanted.append(getattr(value, "n_splits", value))
        elif last in ("param_grid", "param_distributions"):
            wanted += _numbers_in(value)
        elif last == "validation_fraction" and isinstance(value, float):  # None holds out nothing
            stops = params.get(f"{head}__early_stopping" if head else "early_stopping")
            share = min(share, value) if stops is True else share
    most = max(value for value in wanted if isinstance(value, Integral))
    return min(numbers, default=0) < most or share * sum(numbers) < len(numbers)


def _numbers_in(grid: Any) -> list[Any]:
    """The numbers of folds and neighbours that a search tries."""
    grids = grid if isinstance(grid, list | tuple) else [grid]
    pairs = [pair for each in grids if isinstance(each, dict) for pair in each.items()]
    tried = [values for name, values in pairs if name.rpartition("__")[2] in ("cv", "n_neighbors")]
    return [
        value for values in tried if isinstance(values, list | tuple | range | np.ndarray) for value in values
    ]


@contextmanager
def explaining(state: State) -> Iterator[None]:
    """Say why there is no classifier, where a strategy misses it."""
    try:
        yield
    except NotFittedError as error:
        if state.failure is None or state.can_guide:
            raise
        raise NotFittedError(f"{error} The last training failed: {state.failure}") from error


def searched(estimator: Any) -> Any:
    """What a search of scikit-learn or a `LabelEncodedClassifier` fits, or the estimator itself."""
    is_wrapper = isinstance(estimator, BaseSearchCV | LabelEncodedClassifier)
    return searched(estimator.estimator) if is_wrapper else estimator


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


def check_classifier(estimator: Any, pool: Pool) -> None:
    """Refuse what a learner cannot train on a pool, as far as that can be told before any training."""
    last, first = last_step(estimator), first_step(estimator)
    if is_regressor(last):
        raise TypeError(
            f"{type(last).__name__} is a regressor, and a learner needs a classifier: labels are classes, also where "
            "they are whole numbers, and -1 marks an unlabelled row."
        )
    check_texts(first, pool)
    check_gets_unlabeled(estimator)
    if isinstance(first, NetworkEstimator) and pool.known_flaw is not None:
        pool.assert_finite(allow_nan=False, estimator=first)
    if isinstance(last, NetworkEstimator) and getattr(last, "checkpoint", None) is not None:
        raise ValueError(
            f"{type(last).__name__} was given checkpoint={last.checkpoint!r}, which belongs to one training; "
            "a learner trains it again whenever labels are added. Use checkpoint=None."
        )


def check_gets_unlabeled(estimator: Any) -> None:
    """TypeError for a classifier that learns from unlabelled rows inside an estimator that keeps them from it."""
    last = last_step(estimator)
    for part, owner in _using_unlabeled(estimator, None):
        if part is last:
            continue
        name, outer = type(part).__name__, type(owner).__name__
        hint = (
            f" Search beforehand, as in {outer}(classifier, grid, cv=LabeledSplit()).fit(X, y), whose split (of "
            "skal.model_selection) has unlabelled rows in every training part; or search over the learner."
        )
        raise TypeError(
            f"{name} learns from unlabelled rows too, and inside {outer} it would get none. Give the learner {name} "
            f"itself, alone or at the end of a Pipeline.{hint if isinstance(owner, BaseSearchCV) else ''}"
        )


def _using_unlabeled(part: Any, owner: Any) -> Iterator[tuple[Any, Any]]:
    """What wants unlabelled rows among an estimator and what it will fit, each with the estimator that fits it."""
    if isinstance(part, dict | list | tuple):
        for each in part.values() if isinstance(part, dict) else part:
            yield from _using_unlabeled(each, owner)
    elif isinstance(part, BaseEstimator) and not is_prefitted(part):
        if not isinstance(part, Pipeline) and uses_unlabeled(part):
            yield part, owner
        yield from _using_unlabeled(
            part.get_params(deep=False), owner if isinstance(part, Pipeline) else part
        )


def wanted_codes(estimator: Any, state: State) -> NDArray[Any] | None:
    """The classes whose positions a classifier that takes -1 for unlabelled gets, where it cannot tell their labels.

    One of them is -1, or they are strings, which label propagation compares with it.
    """
    if not uses_unlabeled(estimator):
        return None
    classes = state.classes if state.known is None else state.known
    if is_numeric(classes):
        return classes if (classes == UNLABELED).any() else None
    return classes if isinstance(last_step(estimator), BaseLabelPropagation) else None


def _tell_n_queries(estimator: Any, n_queries: int) -> None:
    """Tell a classifier, alone or in a pipeline, how many rows the next query asks for, where it wants to know."""
    params = estimator.get_params(deep=True)
    wanted = {
        name: n_queries
        for name, value in params.items()
        if name.rpartition("__")[2] == "n_queries" and value is None
    }
    if wanted:
        estimator.set_params(**wanted)


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
        and np.array_equal(
            before.classes_, plain(classes) if getattr(last, "classes", None) is None else last.classes
        )
    ):
        for name, value in vars(before).items():
            if name not in vars(last):
                setattr(last, name, value)
