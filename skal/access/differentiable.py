"""`as_torch`: fitted estimators as functions of their rows that autograd can follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import singledispatch
from typing import Any, cast

import torch
from sklearn.base import is_classifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .wrappers import overrides, unwrap


def as_torch(estimator: Any) -> nn.Module:
    """Return a differentiable function of rows that computes the logits of a fitted classifier.

    Parameters
    ----------
    estimator : fitted estimator
        A linear model, `MLPClassifier`, a network (of skal or of skorch), a pipeline of transformers
        that ends in one of those, or a wrapper of any of them (`FrozenEstimator`, a search, an
        `ActiveLearner`). Transformers: `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`,
        `RobustScaler`, `Normalizer`, `PCA`, `IncrementalPCA`, `TruncatedSVD`,
        `FunctionTransformer(None)`. The module of a transformer computes its `transform`.

    Returns
    -------
    module : torch.nn.Module
        Maps a tensor of shape (n_samples, ...) to logits of shape (n_samples, n_classes), with
        columns in the order of `classes_`. It is a frozen copy in evaluation mode: no change to it affects the
        estimator. Modules made of scikit-learn estimators flatten the rows and compute in float64 whatever the dtype of
        the rows; ``module.to(torch.float32)`` computes in float32.

    Raises
    ------
    TypeError
        If the estimator, or a step of the pipeline, which is then named, cannot be differentiated. This includes a
        subclass that overrides `predict_proba`, `decision_function` or, of a transformer, `transform`.
    NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    The softmax of the logits equals `predict_proba` if the estimator has that method:

    ====================================================  ===========================================
    classifier                                            logits
    ====================================================  ===========================================
    one decision value `f` (two classes)                  ``[0, f]``
    logistic regression, linear discriminant, MLP         the decision values
    one-vs-rest logistic (`SGDClassifier("log_loss")`)    the log-sigmoid of each decision value
    `SGDClassifier("modified_huber")`                     the log of the clipped linear probability
    margin classifiers (`LinearSVC`, `RidgeClassifier`,   the decision values, as there are no
    `Perceptron`, hinge losses, binary linear `SVC`)      probabilities
    skorch nets by criterion: cross-entropy; NLL          the outputs; their log
    ====================================================  ===========================================

    A probability of zero becomes the smallest positive number, so that logits stay finite.
    To support another estimator, register one function, see `torch_module`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.access import as_torch
    >>> X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), [0, 0, 1, 1]
    >>> classifier = LogisticRegression().fit(X, y)
    >>> rows = torch.tensor(X, requires_grad=True)
    >>> probabilities = as_torch(classifier)(rows).softmax(dim=1)
    >>> bool(np.allclose(probabilities.detach(), classifier.predict_proba(X)))
    True
    >>> probabilities[:, 1].sum().backward()
    >>> bool((rows.grad > 0).all())
    True
    """
    check_differentiable(estimator)
    estimator = unwrap(estimator)
    check_is_fitted(estimator)
    return torch_module(estimator).eval().requires_grad_(False)


def check_differentiable(estimator: Any) -> None:
    """Check that `as_torch` will take an estimator, by its type and parameters; it need not be fitted.

    Parameters
    ----------
    estimator : estimator
        Anything that `as_torch` takes, fitted or not.

    Raises
    ------
    TypeError
        If the estimator, or a step of the pipeline, which is then named, cannot be differentiated. Properties that only
        `fit` decides, such as the number of classes of an `SVC`, are left to `as_torch`.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access import check_differentiable
    >>> check_differentiable(LinearSVC())
    >>> check_differentiable(RandomForestClassifier())
    Traceback (most recent call last):
        ...
    TypeError: RandomForestClassifier cannot be differentiated. as_torch takes linear models, ...
    """
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        for name, step in _steps(estimator):
            with _named(name):
                if name != estimator.steps[-1][0] and is_classifier(unwrap(step)):
                    raise refusal(step, " as a transformer")
                check_differentiable(step)
    converter = torch_module.dispatch(type(estimator))
    if converter is torch_module.dispatch(object):
        raise refusal(estimator)
    if converter is torch_module.dispatch(LinearClassifierMixin) and hasattr(estimator, "predict_proba"):
        raise refusal(estimator, ", as its predict_proba is not known to follow its decision values")
    _check_not_overridden(estimator, converter)
    if converter is torch_module.dispatch(SVC):
        if estimator.kernel != "linear":
            raise refusal(
                estimator, f" with kernel={estimator.kernel!r}, only kernel='linear' with two classes"
            )
        if hasattr(estimator, "predict_proba"):
            raise refusal(estimator, " with probability=True, as its probabilities are calibrated separately")
    if converter is torch_module.dispatch(FunctionTransformer) and estimator.func is not None:
        raise refusal(estimator, f" with func={estimator.func!r}, only with func=None")


def _check_not_overridden(estimator: Any, converter: Any) -> None:
    """Refuse a subclass with its own answers, as its module would be that of the class which is registered."""
    mro = type(estimator).__mro__
    kind = next((each for each in mro if torch_module.registry.get(each) is converter), None)
    if kind is None:  # registered for an abstract class that is no base
        return
    for name in ("predict_proba", "decision_function") if hasattr(estimator, "predict") else ("transform",):
        if overrides(estimator, kind, name):
            raise refusal(estimator, f", as its {name} is not the one of {kind.__name__}")


@singledispatch
def torch_module(estimator: Any) -> nn.Module:
    """Build the module of one kind of fitted estimator; `as_torch` unwraps, checks and freezes.

    To support another kind of classifier or transformer, register a function for its class. The
    module must share no memory with the estimator.

    Parameters
    ----------
    estimator : fitted estimator

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    TypeError
        If no function is registered for the class of `estimator`.

    Examples
    --------
    >>> import torch
    >>> from sklearn.base import BaseEstimator, TransformerMixin
    >>> from skal.access import RowFunction, as_torch, torch_module
    >>> class Squares(TransformerMixin, BaseEstimator):
    ...     def fit(self, X, y=None):
    ...         return self
    ...     def __sklearn_is_fitted__(self):
    ...         return True
    ...     def transform(self, X):
    ...         return X**2
    >>> @torch_module.register
    ... def _(squares: Squares):
    ...     return RowFunction(torch.square)
    >>> as_torch(Squares())(torch.tensor([[3]]))
    tensor([[9.]], dtype=torch.float64)
    """
    raise refusal(estimator)


class RowFunction(nn.Module):
    """``function(rows, **arrays)`` as a module; the rows are flattened and cast to its dtype.

    Parameters
    ----------
    function : callable
        Maps a tensor of shape (n_samples, n_features), and the arrays by name, to a tensor.
    **arrays : array-like or None
        Copied into float64 buffers, which follow ``module.to(...)``.

    Examples
    --------
    >>> import torch
    >>> from skal.access import RowFunction
    >>> RowFunction(lambda rows, factor: factor * rows, factor=[1.0, 10.0])(torch.tensor([[1, 2]]))
    tensor([[ 1., 20.]], dtype=torch.float64)
    """

    def __init__(self, function: Callable[..., Tensor], **arrays: Any) -> None:
        super().__init__()
        self.function = function
        self.names = tuple(arrays)
        # The dtype of a module without arrays.
        self.register_buffer("zero", torch.zeros((), dtype=torch.float64))
        for name, array in arrays.items():
            self.register_buffer(name, None if array is None else torch.tensor(array, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the values of the function."""
        if rows.ndim < 2:
            raise ValueError(
                f"A tensor of shape {tuple(rows.shape)} was given; rows are (n_samples, ...): "
                "use rows.reshape(1, -1) for a single one."
            )
        rows = rows.flatten(1).to(cast(Tensor, self.zero).dtype)
        return self.function(rows, **{name: getattr(self, name) for name in self.names})


def refusal(estimator: Any, reason: str = "") -> TypeError:
    """Return the error for an estimator that has no module."""
    return TypeError(
        f"{type(estimator).__name__} cannot be differentiated{reason}. as_torch takes linear models, MLPClassifier, "
        "networks, and pipelines that end in one of them after scalers, Normalizer, PCA or TruncatedSVD: use one of "
        "these, or register a conversion with torch_module.register."
    )


@torch_module.register
def _(pipeline: Pipeline) -> nn.Module:
    modules = []
    for name, step in _steps(pipeline):
        with _named(name):
            modules.append(as_torch(step))
    return nn.Sequential(*modules)


def _steps(pipeline: Pipeline) -> Iterator[tuple[str, Any]]:
    return ((name, step) for name, step in pipeline.steps if step not in (None, "passthrough"))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Name the step of the pipeline in an error."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"Step {name!r} of the pipeline: {error}") from error
