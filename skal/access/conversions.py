"""Classifiers and transformers of scikit-learn as torch modules, which compute logits and `transform`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn import preprocessing
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, NuSVC
from torch import Tensor, nn
from torch.nn import functional as F

from .differentiable import RowFunction, refusal, torch_module

# Functions of rows, decision values and probabilities.


def affine(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return linear functions of the rows, one for each row of `weight`."""
    return rows @ weight.T + bias


def standardize(rows: Tensor, center: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
    """Return the distances of rows from a centre, on a scale."""
    if center is not None:
        rows = rows - center
    return rows if scale is None else rows / scale


def unit_norm(rows: Tensor, order: float) -> Tensor:
    """Return rows divided by their norms."""
    norms = torch.linalg.vector_norm(rows, order, dim=1, keepdim=True)
    # scikit-learn leaves rows alone whose norm is zero up to rounding.
    return rows / norms.where(norms >= 10 * torch.finfo(rows.dtype).eps, torch.ones_like(norms))


def two_columns(values: Tensor) -> Tensor:
    """Return the logits ``[0, f]`` for one decision value `f` per row; several values per row are unchanged."""
    values = values.reshape(len(values), -1)
    return F.pad(values, (1, 0)) if values.shape[1] == 1 else values


def log_proba(probabilities: Tensor) -> Tensor:
    """Return finite logarithms of probabilities; a single column is the probability of the second of two classes."""
    probabilities = probabilities.reshape(len(probabilities), -1)
    if probabilities.shape[1] == 1:
        probabilities = torch.cat([1 - probabilities, probabilities], dim=1)
    return probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log()


def log_modified_huber(values: Tensor) -> Tensor:
    """Return the logits of a classifier trained with the modified Huber loss."""
    return log_proba((values.clamp(-1, 1) + 1) / 2)


# Classifiers.


@torch_module.register
def linear(estimator: LinearClassifierMixin, logits: nn.Module | None = None) -> nn.Module:
    """Return the decision values of a fitted linear classifier, followed by what makes them logits."""
    # Sparse after `sparsify`, or where an SVC was fitted on sparse rows.
    coef = estimator.coef_.toarray() if bool(sparse.issparse(estimator.coef_)) else estimator.coef_
    values = RowFunction(affine, weight=np.atleast_2d(coef), bias=estimator.intercept_)
    return nn.Sequential(values, logits or RowFunction(two_columns))


@torch_module.register
def _(estimator: LinearDiscriminantAnalysis | LogisticRegression) -> nn.Module:
    n_classes = len(estimator.classes_)
    # Until scikit-learn 1.8 logistic regression had more than one way to treat several classes.
    multi_class = getattr(estimator, "multi_class", "auto")
    if multi_class == "multinomial" and n_classes == 2:
        raise refusal(
            estimator, " with multi_class='multinomial' and two classes, only with the default 'auto'"
        )
    one_vs_rest = multi_class == "ovr" or getattr(estimator, "solver", "lbfgs") == "liblinear"
    return linear(estimator, nn.LogSigmoid() if one_vs_rest and n_classes > 2 else None)


@torch_module.register
def _(estimator: SGDClassifier) -> nn.Module:
    if estimator.loss == "modified_huber":
        return linear(estimator, RowFunction(log_modified_huber))
    one_vs_rest = estimator.loss == "log_loss" and len(estimator.classes_) > 2
    return linear(estimator, nn.LogSigmoid() if one_vs_rest else None)


@torch_module.register
def _(estimator: SVC | NuSVC) -> nn.Module:
    n_classes = len(estimator.classes_)
    if n_classes > 2:
        raise refusal(estimator, f" with {n_classes} classes, as it votes one-vs-one; LinearSVC does not")
    return linear(estimator)


@torch_module.register
def _(estimator: MLPClassifier) -> nn.Module:
    activation = {"identity": nn.Identity, "logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
    layers: list[nn.Module] = []
    for weight, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True):
        layers += [RowFunction(affine, weight=weight.T, bias=bias), activation[estimator.activation]()]
    return nn.Sequential(*layers[:-1], RowFunction(two_columns))


# Transformers.


@torch_module.register
def _(scaler: preprocessing.StandardScaler) -> nn.Module:
    return RowFunction(standardize, center=scaler.mean_ if scaler.with_mean else None, scale=scaler.scale_)


@torch_module.register
def _(scaler: preprocessing.RobustScaler) -> nn.Module:
    return RowFunction(standardize, center=scaler.center_, scale=scaler.scale_)


@torch_module.register
def _(scaler: preprocessing.MaxAbsScaler) -> nn.Module:
    # `clip` is younger than the oldest scikit-learn that skal takes.
    bound = scaler.scale_ if getattr(scaler, "clip", False) else torch.inf
    return nn.Sequential(_clamp(-bound, bound), RowFunction(standardize, scale=scaler.scale_))


@torch_module.register
def _(scaler: preprocessing.MinMaxScaler) -> nn.Module:
    scaled = RowFunction(standardize, center=-scaler.min_ / scaler.scale_, scale=1 / scaler.scale_)
    low, high = scaler.feature_range
    # A constant feature has a range of one.
    top = np.maximum(scaler.data_max_, scaler.data_min_ + (high - low) / scaler.scale_)
    return nn.Sequential(_clamp(scaler.data_min_, top), scaled) if scaler.clip else scaled


def _clamp(low: Any, high: Any) -> nn.Module:
    """Return the function that clips rows before they are scaled: rounding may move a scaled one off its edge."""
    return RowFunction(torch.clamp, min=low, max=high)


@torch_module.register
def _(normalizer: preprocessing.Normalizer) -> nn.Module:
    return RowFunction(partial(unit_norm, order={"l1": 1, "l2": 2, "max": torch.inf}[normalizer.norm]))


@torch_module.register
def _(pca: PCA | IncrementalPCA) -> nn.Module:
    weight = pca.components_
    if pca.whiten:
        scale = np.sqrt(pca.explained_variance_)
        weight = weight / np.maximum(scale, np.finfo(scale.dtype).eps)[:, None]
    return nn.Sequential(
        RowFunction(standardize, center=pca.mean_), RowFunction(affine, weight=weight, bias=0.0)
    )


@torch_module.register
def _(svd: TruncatedSVD) -> nn.Module:
    return RowFunction(affine, weight=svd.components_, bias=0.0)


@torch_module.register
def _(transformer: preprocessing.FunctionTransformer) -> nn.Module:
    return RowFunction(torch.positive)
