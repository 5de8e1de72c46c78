"""Wrappers and pipelines opened: the transformers, and the classifier that does the work."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline


def unwrap(estimator: Any) -> Any:
    """Return the estimator that does the work inside wrappers that only delegate to it.

    Opens `FrozenEstimator`, scikit-learn's searches (`best_estimator_`) and skal's learners (`estimator_`). A search or
    a learner that is not fitted yet gives its parameter `estimator`.

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
    while True:
        own = getattr(estimator, "__dict__", {})
        if isinstance(estimator, FrozenEstimator):  # it lends out the attributes of its estimator
            estimator = own["estimator"]
        elif isinstance(estimator, BaseSearchCV):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        elif {"strategy", "estimator"} <= own.keys():
            estimator = getattr(estimator, "estimator_", own["estimator"])
        else:
            return estimator


def open_pipeline(estimator: Any) -> tuple[list[Any], Any]:
    """Return the transformers and the classifier inside wrappers and pipelines.

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
        # Neither "passthrough" nor a sampler (of imbalanced-learn) changes rows at prediction.
        transformers += [step for _, step in estimator.steps[:-1] if hasattr(step, "transform")]
        estimator = estimator.steps[-1][1]
    return transformers, estimator


def first_step(estimator: Any) -> Any:
    """Return what gets the rows first inside wrappers and pipelines.

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
