"""What a learner passes on to its classifier: predictions, scores, and the parameters of both."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, MetaEstimatorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _estimator_has, check_is_fitted

from ..access.raw_nets import as_input, asked
from ..access.wrappers import open_pipeline, rows_for
from ..labels import plain
from ..model_selection import labeled_part
from ..pool import DaskPool, DatasetPool, MappingPool, Pool, StoredPool, as_pool, blockwise
from ..utils.checks import InstanceParams
from .known_classes import for_all_classes

# What a learner passes on to its classifier, and what comes back.
_DELEGATED = {
    "predict": "Labels predicted by the fitted classifier, of shape (n_samples,).",
    "predict_proba": "Probabilities by the fitted classifier, of shape (n_samples, n_classes).",
    "predict_log_proba": "Log-probabilities by the fitted classifier, of shape (n_samples, n_classes).",
    "decision_function": "Decision values by the fitted classifier, of shape (n_samples,) or (n_samples, n_classes).",
    "transform": "Features by the fitted classifier, of shape (n_samples, n_components).",
}


def _delegated(method: str) -> Any:
    """A method of the learner that is the classifier's own, where that has it."""

    def delegate(self: Delegation, X: Any, **params: Any) -> Any:
        estimator, known = self._fitted_estimator(), self._state.known
        if params and _routing_enabled():
            params = process_routing(self, method, **params).estimator[method]
        if isinstance(X, Pool) or any(kind.holds(X) for kind in (StoredPool, DaskPool, DatasetPool)):
            given = blockwise(lambda block: answer(estimator, method, block, **params), X)
        else:
            if MappingPool.holds(X) or isinstance(X, torch.Tensor):
                X = as_pool(X).X
            given = answer(estimator, method, X, **params)
        if known is None:
            return given
        is_one_vs_one = getattr(open_pipeline(estimator)[1], "decision_function_shape", None) == "ovo"
        return for_all_classes(given, method, estimator.classes_, known, is_one_vs_one=is_one_vs_one)

    delegate.__name__, delegate.__doc__ = method, _DELEGATED[method]
    return available_if(_estimator_has(method))(delegate)


def answer(estimator: Any, method: str, X: Any, *args: Any, **params: Any) -> Any:
    """Ask a fitted classifier about rows, so that no other thread notices."""
    X = as_input(estimator, X)
    with asked(estimator, X) as answering:
        return getattr(answering, method)(X, *args, **params)


class Delegation(MetaEstimatorMixin, ClassifierMixin, InstanceParams):
    """Base of the learners: a classifier that has what its own `estimator` has."""

    estimator: Any
    strategy: Any
    unlabeled: Any
    delegates: ClassVar[bool] = True  # `skal.access.unwrap` opens it
    _state: Any = None  # a State, once `fit` has begun

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes that were given, else the classifier's."""
        known = getattr(self._state, "known", None)
        return np.array(self._fitted_estimator().classes_ if known is None else plain(known))

    def _fitted_estimator(self) -> Any:
        if self._state is None:
            check_is_fitted(self)
        if self._state.estimator is None:
            why = self._state.failure
            raise NotFittedError(
                "The classifier is not fitted, as no row is labelled yet or its training failed"
                f"{'' if why is None else f' ({why})'}. Call teach with labels, or fit, first."
            )
        return self._state.estimator

    predict = _delegated("predict")
    predict_proba = _delegated("predict_proba")
    predict_log_proba = _delegated("predict_log_proba")
    decision_function = _delegated("decision_function")
    transform = _delegated("transform")

    def score(self, X: Any, y: ArrayLike, **params: Any) -> float:
        """The fitted classifier's score (mean accuracy, as a rule) on the labelled rows of `X`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
            Labels, complete or partial; unlabelled rows are ignored.
        **params : dict
            Parameters of the classifier's `score`, such as ``sample_weight``.

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            If no row is labelled.
        """
        estimator = self._fitted_estimator()
        if params and _routing_enabled():
            params = process_routing(self, "score", **params).estimator.score
        X, y, params = labeled_part(X, y, params, unlabeled=self.unlabeled)
        return float(answer(estimator, "score", rows_for(estimator, X), y, **params))

    def get_metadata_routing(self) -> MetadataRouter:
        """How fit and score parameters reach the classifier, and those of fit the strategy."""
        mapping = MethodMapping()
        for method in ("fit", "score", *_DELEGATED):
            mapping = mapping.add(caller=method, callee=method)
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self.estimator, method_mapping=mapping)
            .add(strategy=self.strategy, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        )
