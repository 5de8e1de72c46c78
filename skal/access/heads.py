"""The last linear layer of each kind of classifier, whose input is the embeddings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, NuSVC
from skorch import NeuralNet

from ..training.estimator import NetworkEstimator
from .raw_nets import linear_layers
from .wrappers import own_method

# Weights of shape (n_classes, n_embedding), intercepts of shape (n_classes,).
Layer = tuple[NDArray[Any], NDArray[Any]]


def head(classifier: Any) -> Callable[[], Layer] | None:
    """Return the function that gives a classifier's last linear layer, or None for a kind without one.

    Parameters
    ----------
    classifier : classifier
        Fitted or not, without wrappers.

    Returns
    -------
    answer : callable or None
        Its weights have a row for each class, even if there are only two classes.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from skal.access.heads import head
    >>> head(RidgeClassifier(alpha=0).fit([[-1.0], [1.0]], [0, 1]))()[0]
    array([[0.],
           [1.]])
    """
    if own := own_method(classifier, "linear_head"):
        return own
    if isinstance(classifier, NeuralNet | NetworkEstimator):
        net = getattr(classifier, "net_", classifier)
        lacks = isinstance(net, NeuralNet) and net.initialized_ and not linear_layers(net.module_)
        return None if lacks else partial(_of_network, classifier)
    if isinstance(classifier, MLPClassifier):
        return lambda: _two_rows(classifier.coefs_[-1].T, classifier.intercepts_[-1])
    if isinstance(classifier, SVC | NuSVC):
        compares_pairs = len(getattr(classifier, "classes_", ())) > 2
        if classifier.kernel != "linear" or compares_pairs:
            return None
    elif not isinstance(classifier, LinearClassifierMixin):
        return None
    return lambda: _two_rows(classifier.coef_, classifier.intercept_)


def _of_network(classifier: Any) -> Layer:
    module = getattr(classifier, "net_", classifier).module_
    layers: Any = linear_layers(module)
    n_classes = len(getattr(classifier, "classes_", ()))
    last = next((each for each in reversed(layers) if each.out_features == n_classes), layers[-1])
    weights = last.weight.numpy(force=True)
    bias = np.zeros(len(weights)) if last.bias is None else last.bias.numpy(force=True)
    return _two_rows(weights, bias)


def _two_rows(weights: Any, intercepts: Any) -> Layer:
    """Return weights and intercepts of each class; a single row is the difference of two classes."""
    weights = np.atleast_2d(weights.toarray() if sparse.issparse(weights) else np.asarray(weights))
    intercepts = np.broadcast_to(np.asarray(intercepts), len(weights))
    if len(weights) == 1:
        return np.concatenate([np.zeros_like(weights), weights]), np.append(0, intercepts)
    return weights, intercepts
