"""What a strategy may ask of any fitted classifier: probabilities, embeddings, a differentiable view.

Every function works through the pool in blocks, so that nothing copies a whole pool, and opens
pipelines, `FrozenEstimator`, searches and learners by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import expit
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, NuSVC
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from .blocks import blockwise, row_blocks
from .differentiable import as_torch, input_dtype, unwrap

__all__ = [
    "as_torch",
    "blockwise",
    "decision_function",
    "embed",
    "embed_and_predict_proba",
    "has_embedding",
    "labeled_proba",
    "predict_proba",
    "row_blocks",
]


def predict_proba(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Class probabilities of the wanted rows, computed in blocks and checked.

    Parameters
    ----------
    estimator : fitted classifier
        A raw skorch net gets its rows in the dtype of its parameters.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_classes)
        In the order of `rows`; columns in the order of `classes_`.

    Raises
    ------
    TypeError
        If the classifier has no `predict_proba`.
    ValueError
        If it returns NaN or infinity, or not one column a class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skal.access import predict_proba
    >>> X = np.array([[0.0], [1.0], [4.0], [5.0]])
    >>> predict_proba(GaussianNB().fit(X, [0, 0, 1, 1]), X, rows=[3, 0]).round()
    array([[0., 1.],
           [1., 0.]])
    """
    return _ask("predict_proba", estimator, X, rows)


def decision_function(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Decision values of the wanted rows, computed in blocks and checked.

    Parameters
    ----------
    estimator : fitted classifier
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    values : ndarray of shape (n_rows,) or (n_rows, n_columns)
        In the order of `rows`; one value a row for two classes.

    Raises
    ------
    TypeError
        If the classifier has no `decision_function`.
    ValueError
        If it returns NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access import decision_function
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> decision_function(LinearSVC().fit(X, [0, 0, 1, 1]), X, rows=[3, 0]) > 0
    array([ True, False])
    """
    return _ask("decision_function", estimator, X, rows)


def labeled_proba(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Probabilities that the wanted rows are labelled, computed in blocks and checked.

    Parameters
    ----------
    estimator : fitted classifier
        One with `labeled_proba`, such as :class:`skal.classifiers.VAALClassifier`.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    probabilities : ndarray of shape (n_rows,)
        In the order of `rows`.

    Raises
    ------
    TypeError
        If the classifier has no `labeled_proba`.
    ValueError
        If it returns NaN or infinity.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skal.access import labeled_proba
    >>> from skal.classifiers import VAALClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> y[::2] = -1
    >>> classifier = VAALClassifier(max_epochs=1, vae_epochs=1, random_state=0)
    >>> labeled_proba(make_pipeline(StandardScaler(), classifier).fit(X, y), X, rows=[3, 0]).shape
    (2,)
    """
    return _ask("labeled_proba", estimator, X, rows)


def embed(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Penultimate embeddings of the wanted rows: what the classifier's last linear layer sees.

    For a network or `MLPClassifier` they are the last hidden activations, for a skorch net the
    input of the last `torch.nn.Linear` that runs, for a linear model the features themselves, and
    for a pipeline those of its last step.

    Parameters
    ----------
    estimator : fitted classifier
        A classifier with `embed(X)` of its own is asked for it.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    embeddings : ndarray of shape (n_rows, n_embedding)
        Dense floating-point rows, in the order of `rows`; features that are images are flattened,
        sparse ones densified, integers become floats. If the embeddings are the features of a
        floating-point array and all rows are wanted, this is that array itself: ask for all rows
        rather than for most of them, and do not write to the answer.

    Raises
    ------
    TypeError
        If the classifier has no such embedding (forests, neighbours, kernels).
    NotFittedError
        If the classifier is not fitted.
    ValueError
        If the embeddings contain NaN or infinity, or the features are not those of `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skal.access import embed
    >>> X = np.array([[0.0], [1.0], [3.0], [4.0]])
    >>> pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, [0, 0, 1, 1])
    >>> embed(pipeline, X, rows=[1, 2]).round(2)
    array([[-0.63],
           [ 0.63]])
    """
    transformers, classifier = _open(estimator)
    if rows is None and not transformers and _embedder(classifier) is _features and _is_float_array(X):
        check_is_fitted(classifier)
        _check_n_features(X, classifier)
        return X if X.ndim == 2 else X.reshape(len(X), -1)
    return _ask("embed", estimator, X, rows)


def embed_and_predict_proba(
    estimator: Any, X: Any, rows: ArrayLike | None = None
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Penultimate embeddings and class probabilities, from a single pass through a network or pipeline.

    Parameters
    ----------
    estimator : fitted classifier
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    embeddings : ndarray of shape (n_rows, n_embedding)
        See `embed`.
    probabilities : ndarray of shape (n_rows, n_classes)
        See `predict_proba`.

    Raises
    ------
    TypeError, ValueError, NotFittedError
        As `embed` and `predict_proba` do.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.access import embed_and_predict_proba
    >>> X = np.array([[-1.0, 0.0], [1.0, 0.0]])
    >>> embeddings, probabilities = embed_and_predict_proba(LogisticRegression().fit(X, [0, 1]), X)
    >>> embeddings is X, probabilities.shape
    (True, (2, 2))
    """
    transformers, classifier = _open(estimator)
    if not transformers and _embedder(classifier) is _features:
        return embed(classifier, X, rows), predict_proba(classifier, X, rows)
    return _ask("embed_and_predict_proba", estimator, X, rows)


def has_embedding(estimator: Any) -> bool:
    """Whether `embed` can serve a classifier, fitted or not; nothing is computed.

    Parameters
    ----------
    estimator : classifier

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.access import has_embedding
    >>> has_embedding(LogisticRegression()), has_embedding(RandomForestClassifier())
    (True, False)
    """
    return _embedder(_open(estimator)[1]) is not None


def provides(estimator: Any, need: str) -> bool:
    """Whether a classifier, fitted or not, or the one inside a pipeline, has what a strategy needs."""
    if need == "embed":
        return has_embedding(estimator)
    return hasattr(estimator, need) or hasattr(_open(estimator)[1], need)


# Estimators.


def _open(estimator: Any) -> tuple[list[Any], Any]:
    """Return the transformers and the classifier inside wrappers and pipelines."""
    transformers = []
    while isinstance(estimator := unwrap(estimator), Pipeline):
        # Neither "passthrough" nor a sampler (of imbalanced-learn) changes rows at prediction.
        transformers += [step for _, step in estimator.steps[:-1] if hasattr(step, "transform")]
        estimator = estimator.steps[-1][1]
    return transformers, estimator


def _ask(what: str, estimator: Any, X: Any, rows: ArrayLike | None) -> Any:
    transformers, classifier = _open(estimator)
    answer = _answerer(what, classifier)
    check_is_fitted(classifier)

    def checked(block: Any) -> Any:
        for transformer in transformers:
            block = transformer.transform(block)
        answers = answer(block)
        if what == "embed_and_predict_proba":
            return _check("embed", answers[0], classifier), _check("predict_proba", answers[1], classifier)
        return _check(what, answers, classifier)

    return blockwise(checked, X, rows)


def _answerer(what: str, classifier: Any) -> Callable[[Any], Any]:
    """Return the function of a block of rows that answers `what`, or raise if there is none."""
    if isinstance(classifier, NeuralNet) and what == "predict_proba":
        return partial(_net_predict_proba, classifier)
    if isinstance(classifier, NeuralNet) and what == "embed_and_predict_proba":
        return partial(_net_embed_and_predict_proba, classifier)
    if what == "embed":
        embedder = _embedder(classifier)
        if embedder is None:
            raise TypeError(
                f"{type(classifier).__name__} has no penultimate embedding. Use a linear model, an MLPClassifier, a "
                "network with a torch.nn.Linear, a pipeline that ends in one of them or a classifier with a method "
                "embed(X); or the rows themselves (embedding='input')."
            )
        return partial(embedder, classifier)
    if hasattr(classifier, what):
        method: Callable[[Any], Any] = getattr(classifier, what)
        return method
    if what == "embed_and_predict_proba":
        embedding, probabilities = _answerer("embed", classifier), _answerer("predict_proba", classifier)
        return lambda block: (embedding(block), probabilities(block))
    example = "VAALClassifier" if what == "labeled_proba" else "LogisticRegression"
    raise TypeError(
        f"{type(classifier).__name__} has no {what}. Use a classifier that has it, such as {example}(), or a strategy "
        "that does without."
    )


def _check(what: str, values: Any, classifier: Any) -> NDArray[Any]:
    name = f"{type(classifier).__name__}.{what}"
    values = np.asarray(values)
    if what == "predict_proba":
        # A raw net may know fewer classes than it has outputs; its columns are what it predicts.
        classes = None if isinstance(classifier, NeuralNet) else getattr(classifier, "classes_", None)
        if values.ndim != 2 or (classes is not None and values.shape[1] != len(classes)):
            expected = "n_classes" if classes is None else len(classes)
            raise ValueError(
                f"{name} returned an array of shape {values.shape}; it must be (n_rows, {expected}), "
                "a column for each of classes_."
            )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} returned NaN or infinity, where only finite values are allowed; fit the classifier again with "
            "scaled features, a smaller learning rate or more regularisation."
        )
    return values


# Embeddings.


def _embedder(classifier: Any) -> Callable[[Any, Any], NDArray[Any]] | None:
    """Return the function (classifier, rows) -> embeddings for a kind of classifier, or None."""
    if hasattr(classifier, "embed"):
        return lambda classifier, X: classifier.embed(X)
    if isinstance(classifier, NeuralNet):
        return None if classifier.initialized_ and not _linear_layers(classifier.module_) else _net_embed
    if isinstance(classifier, MLPClassifier):
        return _hidden_activations
    if isinstance(classifier, LinearClassifierMixin):
        return _features
    return _features if isinstance(classifier, SVC | NuSVC) and classifier.kernel == "linear" else None


def _is_float_array(X: Any) -> bool:
    return isinstance(X, np.ndarray) and X.dtype in (np.float32, np.float64)


def _check_n_features(X: Any, classifier: Any) -> None:
    given, fitted = int(np.prod(X.shape[1:])), getattr(classifier, "n_features_in_", None)
    if fitted is not None and given != fitted:
        raise ValueError(
            f"X has {given} features and {type(classifier).__name__} was fitted with {fitted}; give the same."
        )


def _dense(X: Any) -> Any:
    return X.toarray() if bool(sparse.issparse(X)) else np.asarray(X)


def _features(classifier: Any, X: Any) -> NDArray[Any]:
    _check_n_features(X, classifier)
    X = _dense(X)
    dtype = np.result_type(X.dtype, np.float32) if X.dtype.kind in "biuf" else np.float64
    return X.reshape(len(X), -1).astype(dtype, copy=False)


def _hidden_activations(classifier: MLPClassifier, X: Any) -> NDArray[Any]:
    functions: dict[str, Any] = {"logistic": expit, "tanh": np.tanh, "relu": partial(np.maximum, 0)}
    activation = functions.get(classifier.activation, np.asarray)
    if len(classifier.coefs_) == 1:
        return _features(classifier, X)
    hidden: Any = X if sparse.issparse(X) else _features(classifier, X)
    for weight, bias in zip(classifier.coefs_[:-1], classifier.intercepts_[:-1], strict=True):
        hidden = activation(hidden @ weight + bias)
    return hidden


# Raw skorch nets.


@contextmanager
def _without_trace(net: NeuralNet) -> Iterator[None]:
    """Put the training flags and torch's random state, from which a DataLoader draws, back."""
    parts = [part for own in vars(net).values() if isinstance(own, nn.Module) for part in own.modules()]
    flags = [part.training for part in parts]
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            for part, flag in zip(parts, flags, strict=True):
                part.training = flag


def _linear_layers(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def _net_predict_proba(net: NeuralNet, X: Any) -> NDArray[Any]:
    X = _dense(X)
    dtype = input_dtype(net.module_)
    if dtype is not None:
        X = X.astype(np.float64 if dtype == torch.float64 else np.float32, copy=False)
    with _without_trace(net):
        return net.predict_proba(X)


def _net_embed(net: NeuralNet, X: Any) -> NDArray[Any]:
    return _net_embed_and_predict_proba(net, X)[0]


def _net_embed_and_predict_proba(net: NeuralNet, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """One prediction, during which every batch leaves the input of the last linear layer that ran."""
    latest: list[torch.Tensor] = []
    batches: list[NDArray[Any]] = []

    def remember(layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        latest[:] = inputs[:1]

    def collect(*_: Any) -> None:
        batches.extend(rows.detach().flatten(1).cpu().numpy() for rows in latest)
        latest.clear()

    handles = [layer.register_forward_pre_hook(remember) for layer in _linear_layers(net.module_)]
    handles.append(net.module_.register_forward_hook(collect))
    try:
        probabilities = _net_predict_proba(net, X)
    finally:
        for handle in handles:
            handle.remove()
    if not batches:
        raise TypeError(
            f"{type(net.module_).__name__} ran no torch.nn.Linear, so it has no penultimate embedding. End the module "
            "in one, or use the rows themselves (embedding='input')."
        )
    return np.concatenate(batches), probabilities
