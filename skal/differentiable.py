"""`as_torch`: fitted estimators as functions of their rows that autograd can follow."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial, singledispatch
from typing import Any, cast

import numpy as np
import torch
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.model_selection._search import BaseSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, NuSVC
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import Tensor, nn
from torch.nn import functional as F

from .training.estimator import NetworkEstimator


def as_torch(estimator: Any) -> nn.Module:
    """Return a differentiable function of rows that computes the logits of a fitted classifier.

    Parameters
    ----------
    estimator : fitted estimator
        A linear model, `MLPClassifier`, a network (of skal or of skorch), a pipeline of
        transformers and one of those, or a wrapper of any of them (`FrozenEstimator`, a search,
        an `ActiveLearner`). Transformers: `StandardScaler`, `MinMaxScaler`, `MaxAbsScaler`,
        `RobustScaler`, `Normalizer`, `PCA`, `IncrementalPCA`, `TruncatedSVD`,
        `FunctionTransformer(None)`; alone, they give their `transform`.

    Returns
    -------
    module : torch.nn.Module
        Maps a tensor of shape (n_samples, ...) to logits of shape (n_samples, n_classes), with
        columns in the order of `classes_`. A frozen copy in evaluation mode: nothing done to it
        reaches the estimator. Modules made of scikit-learn estimators flatten the rows and compute
        in float64 whatever the dtype of the rows; ``module.to(torch.float32)`` computes in float32.

    Raises
    ------
    TypeError
        If the estimator, or a step of the pipeline, which is then named, cannot be differentiated.
    NotFittedError
        If the estimator is not fitted.

    Notes
    -----
    The softmax of the logits is `predict_proba` wherever the estimator has it:

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
    Another estimator is supported by registering one function, see `torch_module`.

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
        If the estimator, or a step of the pipeline, which is then named, cannot be differentiated. What only `fit`
        decides, such as the number of classes of an `SVC`, is left to `as_torch`.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.svm import LinearSVC
    >>> from skal.differentiable import check_differentiable
    >>> check_differentiable(LinearSVC())
    >>> check_differentiable(RandomForestClassifier())
    Traceback (most recent call last):
        ...
    TypeError: RandomForestClassifier cannot be differentiated. as_torch takes linear models, ...
    """
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        for position, (name, step) in enumerate(estimator.steps, start=1):
            if step is None or isinstance(step, str):  # "passthrough"
                continue
            try:
                if position < len(estimator.steps) and is_classifier(unwrap(step)):
                    raise _refusal(step, " as a transformer")
                check_differentiable(step)
            except TypeError as error:
                raise TypeError(f"Step {name!r} of the pipeline: {error}") from error
    converter = torch_module.dispatch(type(estimator))
    if converter is torch_module.dispatch(object):
        if not isinstance(estimator, NetworkEstimator) and not isinstance(
            getattr(estimator, "net_", None), NeuralNet
        ):
            raise _refusal(estimator)
    elif converter is torch_module.dispatch(LinearClassifierMixin) and hasattr(estimator, "predict_proba"):
        raise _refusal(estimator, ", as its predict_proba is not known to follow its decision values")
    elif converter is torch_module.dispatch(SVC):
        if estimator.kernel != "linear":
            raise _refusal(
                estimator, f" with kernel={estimator.kernel!r}, only kernel='linear' with two classes"
            )
        if hasattr(estimator, "predict_proba"):
            raise _refusal(estimator, " with probability=True, as its probabilities are calibrated apart")
    elif converter is torch_module.dispatch(FunctionTransformer) and estimator.func is not None:
        raise _refusal(estimator, f" with func={estimator.func!r}, only with func=None")


def unwrap(estimator: Any) -> Any:
    """Return the estimator that does the work inside wrappers that only delegate to it.

    Opens `FrozenEstimator`, scikit-learn's searches (`best_estimator_`) and skal's learners
    (`estimator_`), and before they are fitted their `estimator`.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.svm import LinearSVC
    >>> from skal.differentiable import unwrap
    >>> unwrap(FrozenEstimator(LinearSVC()))
    LinearSVC()
    """
    while True:
        # A FrozenEstimator lends out every attribute of its estimator; its own are in `vars`.
        own = getattr(estimator, "__dict__", {})
        learner = "strategy" in own and "estimator" in own
        if not (learner or isinstance(estimator, FrozenEstimator | BaseSearchCV)):
            return estimator
        fitted = getattr(estimator, "estimator_", own["estimator"]) if learner else own["estimator"]
        estimator = own.get("best_estimator_", fitted)


@singledispatch
def torch_module(estimator: Any) -> nn.Module:
    """Build the module of one kind of fitted estimator; `as_torch` unwraps, checks and freezes.

    A new kind of estimator, a classifier or a transformer, is supported by registering a function
    for its class. The module must share no memory with the estimator.

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
    >>> from skal.differentiable import RowFunction, as_torch, torch_module
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
    net = getattr(estimator, "net_", None)
    if isinstance(net, NeuralNet):  # skal's networks, whose modules give logits
        return _Network(net.module_, row_shape=getattr(estimator, "input_shape_", None))
    raise _refusal(estimator)


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
    >>> from skal.differentiable import RowFunction
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
        if rows.ndim < 2:
            raise ValueError(
                f"A tensor of shape {tuple(rows.shape)} was given; rows are (n_samples, ...): "
                "use rows.reshape(1, -1) for a single one."
            )
        rows = rows.flatten(1).to(cast(Tensor, self.zero).dtype)
        return self.function(rows, **{name: getattr(self, name) for name in self.names})


class _Network(nn.Module):
    """A copy of a network; its rows are cast to the parameters' dtype, and reshaped to `row_shape`."""

    def __init__(
        self,
        module: nn.Module,
        outputs: Callable[[Tensor], Tensor] | None = None,
        row_shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        # A compiled module cannot be copied; the one it wraps computes the same.
        self.module = copy.deepcopy(getattr(module, "_orig_mod", module))
        self.outputs = outputs
        self.row_shape = row_shape

    def forward(self, rows: Tensor) -> Tensor:
        dtype = input_dtype(self.module)
        if dtype is not None:
            rows = rows.to(dtype)
        if self.row_shape is not None:
            rows = rows.reshape(len(rows), *self.row_shape)
        outputs = self.module(rows)
        if isinstance(outputs, tuple):  # skorch's convention: the first is the prediction
            outputs = outputs[0]
        return outputs if self.outputs is None else self.outputs(outputs)


def input_dtype(module: nn.Module) -> torch.dtype | None:
    """Return the dtype of the rows that a module takes, or None if rows are to stay as they are.

    Examples
    --------
    >>> import torch
    >>> from skal.differentiable import input_dtype
    >>> input_dtype(torch.nn.Linear(2, 2))
    torch.float32
    """
    if any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in module.modules()):
        return None  # integer tokens
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


def _refusal(estimator: Any, reason: str = "") -> TypeError:
    return TypeError(
        f"{type(estimator).__name__} cannot be differentiated{reason}. as_torch takes linear models, MLPClassifier, "
        "networks, and pipelines that end in one of them after scalers, Normalizer, PCA or TruncatedSVD: use one of "
        "these, or register a conversion with torch_module.register."
    )


# Functions of rows and of decision values.


def _affine(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return rows @ weight.T + bias


def _project(rows: Tensor, mean: Tensor, weight: Tensor) -> Tensor:
    return (rows - mean) @ weight.T


def _same(rows: Tensor) -> Tensor:
    return rows


def _standardize(rows: Tensor, center: Tensor | None, scale: Tensor | None) -> Tensor:
    if center is not None:
        rows = rows - center
    return rows if scale is None else rows / scale


def _unit_norm(rows: Tensor, order: float) -> Tensor:
    norms = torch.linalg.vector_norm(rows, order, dim=1, keepdim=True)
    # scikit-learn leaves rows alone whose norm is zero up to rounding.
    return rows / norms.where(norms >= 10 * torch.finfo(rows.dtype).eps, torch.ones_like(norms))


def _two_columns(values: Tensor) -> Tensor:
    """[0, f] for one decision value `f` a row; several are left as they are."""
    values = values.reshape(len(values), -1)
    return F.pad(values, (1, 0)) if values.shape[1] == 1 else values


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def _log_both(probability: Tensor) -> Tensor:
    """Logits of two classes from the probability of the second; several columns are only logged."""
    probability = probability.reshape(len(probability), -1)
    if probability.shape[1] == 1:
        probability = torch.cat([1 - probability, probability], dim=1)
    return _log(probability)


def _log_modified_huber(values: Tensor) -> Tensor:
    return _log_both((values.clamp(-1, 1) + 1) / 2)


# Classifiers.


def _decision_values(estimator: Any) -> RowFunction:
    # Sparse after `sparsify`, or where an SVC was fitted on sparse rows.
    coef = estimator.coef_.toarray() if bool(sparse.issparse(estimator.coef_)) else estimator.coef_
    return RowFunction(_affine, weight=np.atleast_2d(coef), bias=estimator.intercept_)


@torch_module.register
def _(estimator: LinearClassifierMixin) -> nn.Module:
    return nn.Sequential(_decision_values(estimator), RowFunction(_two_columns))


@torch_module.register(LinearDiscriminantAnalysis)
@torch_module.register(LogisticRegression)
def _(estimator: Any) -> nn.Module:
    n_classes = len(estimator.classes_)
    # Until scikit-learn 1.8 logistic regression had more than one way to treat several classes.
    multi_class = getattr(estimator, "multi_class", "auto")
    if multi_class == "multinomial" and n_classes == 2:
        raise _refusal(
            estimator, " with multi_class='multinomial' and two classes, only with the default 'auto'"
        )
    one_vs_rest = multi_class == "ovr" or getattr(estimator, "solver", "lbfgs") == "liblinear"
    head = nn.LogSigmoid() if one_vs_rest and n_classes > 2 else RowFunction(_two_columns)
    return nn.Sequential(_decision_values(estimator), head)


@torch_module.register
def _(estimator: SGDClassifier) -> nn.Module:
    head: nn.Module = RowFunction(_two_columns)
    if estimator.loss == "modified_huber":
        head = RowFunction(_log_modified_huber)
    elif estimator.loss == "log_loss" and len(estimator.classes_) > 2:
        head = nn.LogSigmoid()
    return nn.Sequential(_decision_values(estimator), head)


@torch_module.register(SVC)
@torch_module.register(NuSVC)
def _(estimator: Any) -> nn.Module:
    if len(estimator.classes_) > 2:
        raise _refusal(
            estimator,
            f" with {len(estimator.classes_)} classes, as it votes one-vs-one; LinearSVC does not",
        )
    return nn.Sequential(_decision_values(estimator), RowFunction(_two_columns))


@torch_module.register
def _(estimator: MLPClassifier) -> nn.Module:
    activation = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
    layers: list[nn.Module] = []
    for weight, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True):
        layers += [RowFunction(_affine, weight=weight.T, bias=bias), activation[estimator.activation]()]
    layers[-1] = RowFunction(_two_columns)
    return nn.Sequential(*layers)


@torch_module.register
def _(net: NeuralNet) -> nn.Module:
    if not net.initialized_:  # older skorch does not tell check_is_fitted
        raise NotFittedError(f"This {type(net).__name__} is not fitted yet; call fit first.")
    criterion = getattr(net, "criterion_", None)
    criterion = getattr(criterion, "_orig_mod", criterion)
    if callable(net.predict_nonlinearity):
        nonlinearity = net.predict_nonlinearity
        return _Network(net.module_, lambda outputs: _log_both(nonlinearity(outputs)))
    if isinstance(criterion, nn.CrossEntropyLoss):
        return _Network(net.module_)
    if isinstance(criterion, nn.NLLLoss):  # skorch's convention: the module gives probabilities
        return _Network(net.module_, _log)
    if isinstance(criterion, nn.BCEWithLogitsLoss):
        return _Network(net.module_, _two_columns)
    if isinstance(criterion, nn.BCELoss):
        return _Network(net.module_, _log_both)
    raise TypeError(
        f"{type(net).__name__} with criterion {type(criterion).__name__} was given, whose outputs may mean "
        "anything. Use CrossEntropyLoss (logits), NLLLoss (probabilities), BCEWithLogitsLoss or BCELoss, or a "
        "predict_nonlinearity that turns the outputs into probabilities."
    )


@torch_module.register
def _(pipeline: Pipeline) -> nn.Module:
    modules = []
    for name, step in pipeline.steps:
        if step is None or isinstance(step, str):  # "passthrough"
            continue
        try:
            modules.append(as_torch(step))
        except TypeError as error:
            raise TypeError(f"Step {name!r} of the pipeline: {error}") from error
    return nn.Sequential(*modules)


# Transformers.


@torch_module.register
def _(scaler: StandardScaler) -> nn.Module:
    return RowFunction(_standardize, center=scaler.mean_ if scaler.with_mean else None, scale=scaler.scale_)


@torch_module.register
def _(scaler: RobustScaler) -> nn.Module:
    return RowFunction(_standardize, center=scaler.center_, scale=scaler.scale_)


@torch_module.register
def _(scaler: MaxAbsScaler) -> nn.Module:
    scaled = RowFunction(_standardize, center=None, scale=scaler.scale_)
    # `clip` is younger than the oldest scikit-learn that skal takes.
    return (
        nn.Sequential(scaled, RowFunction(partial(torch.clamp, min=-1, max=1)))
        if getattr(scaler, "clip", False)
        else scaled
    )


@torch_module.register
def _(scaler: MinMaxScaler) -> nn.Module:
    scaled = RowFunction(_standardize, center=-scaler.min_ / scaler.scale_, scale=1 / scaler.scale_)
    low, high = scaler.feature_range
    return (
        nn.Sequential(scaled, RowFunction(partial(torch.clamp, min=low, max=high))) if scaler.clip else scaled
    )


@torch_module.register
def _(normalizer: Normalizer) -> nn.Module:
    return RowFunction(partial(_unit_norm, order={"l1": 1, "l2": 2, "max": torch.inf}[normalizer.norm]))


@torch_module.register(PCA)
@torch_module.register(IncrementalPCA)
def _(pca: Any) -> nn.Module:
    weight = pca.components_
    if pca.whiten:
        scale = np.sqrt(pca.explained_variance_)
        weight = weight / np.maximum(scale, np.finfo(scale.dtype).eps)[:, None]
    return RowFunction(_project, mean=pca.mean_, weight=weight)


@torch_module.register
def _(svd: TruncatedSVD) -> nn.Module:
    return RowFunction(_affine, weight=svd.components_, bias=0.0)


@torch_module.register
def _(transformer: FunctionTransformer) -> nn.Module:
    return RowFunction(_same)
