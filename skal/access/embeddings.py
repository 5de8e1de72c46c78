"""Penultimate embeddings of each kind of classifier: the input of its last linear layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.neural_network._base import ACTIVATIONS
from sklearn.svm import SVC, NuSVC
from skorch import NeuralNet

from ..pool import Pool, dense
from .raw_nets import linear_layers, net_embed_and_predict_proba
from .wrappers import open_pipeline, own_method


def embedder(classifier: Any) -> Callable[[Any], NDArray[Any]] | None:
    """Return the function of rows that embeds them, or None for a kind of classifier without an embedding."""
    if own := own_method(classifier, "embed"):
        return own
    if isinstance(classifier, NeuralNet):
        lacks = classifier.initialized_ and not linear_layers(classifier.module_)
        return None if lacks else lambda X: net_embed_and_predict_proba(classifier, X)[0]
    if isinstance(classifier, MLPClassifier):
        return partial(_hidden_activations, classifier)
    is_linear_svm = isinstance(classifier, SVC | NuSVC) and classifier.kernel == "linear"
    is_linear = is_linear_svm or isinstance(classifier, LinearClassifierMixin)
    return partial(features, classifier) if is_linear else None


def embeds_as_rows(estimator: Any) -> bool:
    """Return whether the embeddings are the rows themselves."""
    transformers, classifier = open_pipeline(estimator)
    return not transformers and getattr(embedder(classifier), "func", None) is features


def are_narrow(pool: Pool) -> bool:
    """Return whether float32 holds the information in the numbers of a pool."""
    return pool.dtype is None or np.can_cast(pool.dtype, np.float32)


def narrowed(embeddings: NDArray[Any], narrow: bool) -> NDArray[Any]:
    """Return embeddings in float32 if that is enough; integers are unchanged."""
    narrow = narrow and embeddings.dtype.kind == "f"
    return embeddings.astype(np.float32, copy=False) if narrow else embeddings


def features(classifier: Any, X: Any) -> NDArray[Any]:
    """Return rows as a 2-D array of floats; this is `X` itself if it is one."""
    check_n_features(classifier, X)
    X = dense(X)
    dtype = np.result_type(X.dtype, np.float32) if X.dtype.kind in "biuf" else np.float64
    flat = X if X.ndim == 2 else X.reshape(len(X), -1)
    return flat.astype(dtype, copy=False)


def check_n_features(classifier: Any, X: Any) -> None:
    """Check that rows have as many features as the rows of `fit`."""
    given, fitted = int(np.prod(X.shape[1:])), getattr(classifier, "n_features_in_", None)
    if fitted is not None and given != fitted:
        raise ValueError(
            f"X has {given} features and {type(classifier).__name__} was fitted with {fitted}; give the same."
        )


def _hidden_activations(classifier: MLPClassifier, X: Any) -> NDArray[Any]:
    hidden: Any = X if sparse.issparse(X) and len(classifier.coefs_) > 1 else features(classifier, X)
    for weight, bias in zip(classifier.coefs_[:-1], classifier.intercepts_[:-1], strict=True):
        hidden = hidden @ weight + bias
        ACTIVATIONS[classifier.activation](hidden)  # in place
    return hidden
