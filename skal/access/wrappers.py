"""Wrappers and pipelines opened: the transformers, and the classifier that does the work."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from itertools import takewhile
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.semi_supervised._label_propagation import BaseLabelPropagation
from skorch import NeuralNet

from ..pool import DaskPool, Pool, as_pool
from ..training.estimator import NetworkEstimator

# Where one of them overrides a method, the answers stay those of what it wraps.
_LIBRARIES = ("sklearn", "skorch", "skal", "imblearn")
# A wrapper or pipeline with its own version of one of them is asked itself.
_ANSWERS = ("predict_proba", "decision_function", "embed")


def overrides(estimator: Any, kind: type | None, *names: str) -> bool:
    """Return whether a class below `kind`, its base, has its own version of one of the named methods.

    Classes of libraries that skal knows do not count. Without a `kind`, all bases are below it.
    """
    lower = takewhile(lambda each: each is not kind, type(estimator).__mro__)
    foreign = [each for each in lower if each.__module__.partition(".")[0] not in _LIBRARIES]
    return any(name in vars(each) for each in foreign for name in names)


def unwrap(estimator: Any) -> Any:
    """Return the estimator that does the work inside wrappers that only delegate to it.

    Opens `FrozenEstimator`, scikit-learn's searches (`best_estimator_`), skal's learners and `LabelEncodedClassifier`
    (`estimator_`). A wrapper that is not fitted yet gives its parameter `estimator`. A subclass that overrides
    `predict_proba` or `decision_function`, or has a method `embed`, does more than delegate and stays closed.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator : estimator

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access import unwrap
    >>> unwrap(FrozenEstimator(LinearSVC()))
    LinearSVC()
    """
    while (kind := _wrapper(type(estimator))) and not overrides(estimator, kind, *_ANSWERS):
        if kind is FrozenEstimator:  # it lends out the attributes of its estimator
            estimator = vars(estimator)["estimator"]
        else:
            fitted = "best_estimator_" if kind is BaseSearchCV else "estimator_"
            estimator = getattr(estimator, fitted, estimator.estimator)
    return estimator


def _wrapper(kind: type) -> type | None:
    """Return the base of a class that makes it a wrapper which only delegates."""
    known = (FrozenEstimator, BaseSearchCV)
    return next((base for base in kind.__mro__ if base in known or vars(base).get("delegates")), None)


def own_method(estimator: Any, name: str) -> Callable[..., Any] | None:
    """Return a method of an estimator, or None; a parameter of the same name is no method.

    Examples
    --------
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access.wrappers import own_method
    >>> own_method(LinearSVC(), "predict") is None, own_method(LinearSVC(), "C") is None
    (False, True)
    """
    own = getattr(estimator, name, None)
    if not callable(own):
        return None
    is_param = name in getattr(estimator, "__dict__", ()) and name in signature(type(estimator)).parameters
    return None if is_param else own


def open_pipeline(estimator: Any) -> tuple[list[Any], Any]:
    """Return the transformers and the classifier inside wrappers and pipelines.

    A subclass of `Pipeline` that overrides their answers is the classifier itself, as in `unwrap`.

    Parameters
    ----------
    estimator : classifier or pipeline that ends in one

    Returns
    -------
    transformers : list of transformers
        In the order in which rows go through them.
    classifier : classifier

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access.wrappers import open_pipeline
    >>> open_pipeline(make_pipeline(StandardScaler(), LinearSVC()))
    ([StandardScaler()], LinearSVC())
    """
    transformers = []
    while isinstance(estimator := unwrap(estimator), Pipeline):
        if overrides(estimator, Pipeline, *_ANSWERS):
            break
        # Neither "passthrough" nor a sampler (of imbalanced-learn) changes rows at prediction.
        transformers += [step for _, step in estimator.steps[:-1] if hasattr(step, "transform")]
        estimator = estimator.steps[-1][1]
    return transformers, estimator


def first_step(estimator: Any) -> Any:
    """Return the estimator that gets the rows first inside wrappers and pipelines.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator : estimator

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access.wrappers import first_step
    >>> first_step(make_pipeline("passthrough", StandardScaler(), LinearSVC()))
    StandardScaler()
    """
    while isinstance(estimator := unwrap(estimator), Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        if not steps:
            break
        estimator = steps[0]
    return estimator


def last_step(estimator: Any) -> Any:
    """Return the last step of a pipeline, inside any wrapper, or the estimator itself.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    estimator : estimator

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access.wrappers import last_step
    >>> last_step(make_pipeline(StandardScaler(), FrozenEstimator(LinearSVC())))
    FrozenEstimator(estimator=LinearSVC())
    """
    return last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def uses_unlabeled(estimator: Any) -> bool:
    """Return whether `fit` of an estimator, alone or at the end of a pipeline, uses unlabelled rows, marked by -1.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    uses_unlabeled : bool

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skal.access.wrappers import uses_unlabeled
    >>> from skal.classifiers import NetClassifier, WassersteinClassifier
    >>> uses_unlabeled(make_pipeline(StandardScaler(), WassersteinClassifier())), uses_unlabeled(NetClassifier())
    (True, False)
    """
    last = last_step(estimator)
    return getattr(last, "uses_unlabeled", isinstance(last, SelfTrainingClassifier | BaseLabelPropagation))


def has_network(estimator: Any) -> bool:
    """Return whether a network in an estimator, its parts, or a list of estimators gets the rows unchanged.

    Parameters
    ----------
    estimator : estimator or list of estimators

    Returns
    -------
    has_network : bool

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skal.access.wrappers import has_network
    >>> from skal.classifiers import NetClassifier
    >>> has_network(NetClassifier()), has_network(make_pipeline(StandardScaler(), NetClassifier()))
    (True, False)
    """
    if isinstance(estimator, list | tuple):
        return any(map(has_network, estimator))
    estimator = first_step(estimator)
    if isinstance(estimator, NetworkEstimator | NeuralNet):
        return True
    return isinstance(estimator, BaseEstimator) and has_network(list(vars(estimator).values()))


def working_bytes(estimator: Any, X: Any) -> float:
    """Return the bytes that a row of `X` takes while an estimator answers: its numbers, and one for each class.

    Networks of skal take batches of a block themselves; other estimators turn all its integers into float64.

    Parameters
    ----------
    estimator : estimator or None
        Or a wrapper or pipeline.
    X : Pool or container of n_rows rows

    Returns
    -------
    n_bytes : float

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access.wrappers import working_bytes
    >>> X = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    >>> working_bytes(LinearSVC().fit(X, [0, 1]), X)
    32
    """
    pool = as_pool(X)
    is_network = isinstance(first_step(estimator), NetworkEstimator)
    classes = getattr(open_pipeline(estimator)[1], "classes_", ())
    return (pool.row_bytes if is_network else pool.float_bytes) + 8 * np.size(classes)


def works_in_place(transformer: Any) -> bool:
    """Return whether a part of a transformer writes to the rows that it is given, as with ``copy=False``."""
    inside = transformer.get_params().values() if hasattr(transformer, "get_params") else ()
    return getattr(transformer, "copy", None) is False or any(
        works_in_place(part) for part in inside if hasattr(part, "get_params") and not isinstance(part, type)
    )


def rows_for(estimator: Any, X: Any) -> Any:
    """Return all rows of a container in a form that an estimator can be fitted on.

    Networks of skal decode a dataset and read stored arrays themselves; all other estimators get the rows in memory, or
    mapped from a temporary file if they are stored or computed and take more than 1 GiB.

    Parameters
    ----------
    estimator : estimator
        Or a wrapper or pipeline, whose first step gets the rows.
    X : Pool or container of n_rows rows

    Returns
    -------
    rows : container of shape (n_rows, ...)

    Examples
    --------
    >>> import torch
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access.wrappers import rows_for
    >>> rows_for(LinearSVC(), torch.utils.data.TensorDataset(torch.eye(2)))
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    if isinstance(first_step(estimator), NetworkEstimator) and not isinstance(as_pool(X), DaskPool):
        return X.X if isinstance(X, Pool) else X
    return as_pool(X).whole()
