"""Any labels for classifiers that accept only 0, 1, ..., k - 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _estimator_has, assert_all_finite, check_is_fitted, column_or_1d

from ..access.wrappers import last_step, uses_unlabeled
from ..labels import UNLABELED, encode, is_missing


@dataclass(eq=False, repr=False)
class LabelEncodedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Give a classifier the labels as 0, 1, ..., k - 1, and turn its predictions back into labels.

    Some classifiers, such as those of xgboost, refuse all other labels, and even these if one of the numbers is
    missing.

    Parameters
    ----------
    estimator : classifier

    Attributes
    ----------
    estimator_ : classifier
        Fitted on the codes.
    classes_ : ndarray of shape (n_classes,)
        The labels of y in increasing order, which is the order of the columns of `predict_proba`.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the features, where `X` is a data frame with such names.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skal.classifiers import LabelEncodedClassifier
    >>> classifier = LabelEncodedClassifier(DecisionTreeClassifier()).fit([[0.0], [1.0], [2.0]], ["no", "yes", "yes"])
    >>> classifier.predict([[1.5]])
    array(['yes'], dtype='<U3')
    >>> classifier.estimator_.classes_
    array([0, 1])
    """

    estimator: Any

    delegates: ClassVar[bool] = True  # `skal.access.unwrap` opens it

    _parameter_constraints: ClassVar[dict[str, Any]] = {"estimator": [HasMethods(["fit", "predict"])]}

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike, **fit_params: Any) -> Self:
        """Fit the classifier on the codes of the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Labels of one kind, none of them missing.
        **fit_params : dict
            Parameters of the classifier's `fit`, such as ``sample_weight``.

        Returns
        -------
        self : LabelEncodedClassifier

        Raises
        ------
        ValueError
            If `y` is continuous, a label is missing or of another kind, or the classifier refuses its input; for a
            classifier that learns from unlabelled rows, also if -1 is among the labels.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None; give a label per row."
            )
        labels = column_or_1d(y, warn=True)
        self._check_known(labels)
        assert_all_finite(labels, input_name="y")
        classes, codes = encode(labels)
        check_classification_targets(labels)
        if fit_params and _routing_enabled():
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        self._adopt(clone(self.estimator).fit(X, codes.astype(np.intp), **fit_params), classes)
        self.classes_ = classes
        return self

    def _check_known(self, labels: NDArray[Any]) -> None:
        """Refuse the marker of unlabelled rows, because as a code it would be a class."""
        listed = labels.tolist() if labels.dtype.kind == "O" else []
        missing = [row for row, label in enumerate(listed) if is_missing(label)]
        if missing:
            raise ValueError(
                f"y has no label at {missing[:5]}: {type(self).__name__} learns from labelled rows alone; leave "
                "the others out."
            )
        name = type(last_step(self.estimator)).__name__
        if uses_unlabeled(self.estimator) and np.any(labels == UNLABELED):
            raise ValueError(
                f"y has -1, which marks an unlabelled row for {name}, and {type(self).__name__} would make it a class. "
                f"Give {name} itself these labels; or other ones, where -1 is a class."
            )

    @classmethod
    def around(cls, estimator: Any, labels: NDArray[Any]) -> Self:
        """Wrap a classifier that is already fitted on codes, so that it predicts labels.

        Parameters
        ----------
        estimator : fitted classifier
            Its classes are codes; it need not know all of them.
        labels : ndarray of shape (n_codes,)
            The label of each code.

        Returns
        -------
        classifier : LabelEncodedClassifier
        """
        around = cls(estimator)
        around._adopt(estimator, labels)
        around.classes_ = labels[np.asarray(estimator.classes_)]
        return around

    def _adopt(self, fitted: Any, labels: NDArray[Any]) -> None:
        self.estimator_, self._labels = fitted, labels
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(fitted, name):
                setattr(self, name, getattr(fitted, name))

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        codes = column_or_1d(self.estimator_.predict(X))  # a column is what catboost's predicts
        return self._labels[codes.astype(np.intp)]

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Decision values, as the classifier gives them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        decisions : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def get_metadata_routing(self) -> MetadataRouter:
        """How fit parameters reach the classifier."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags, tags.non_deterministic = inner.input_tags, inner.non_deterministic
        if inner.classifier_tags is not None:
            tags.classifier_tags = inner.classifier_tags
        return tags
