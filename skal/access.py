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

from .differentiable import as_torch, input_dtype, unwrap
from .dropout import DropoutPasses, dropout_layers
from .pool import blockwise, row_blocks
from .training.batches import as_tensor
from .training.estimator import _BLOCK_ROWS, NetworkEstimator

__all__ = [
    "as_torch",
    "blockwise",
    "critic_scores",
    "critic_scores_and_log_proba",
    "decision_function",
    "dropout_proba",
    "embed",
    "embed_and_predict_proba",
    "has_embedding",
    "labeled_proba",
    "predict_proba",
    "predicted_loss",
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


def critic_scores(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """What a critic says of the wanted rows, computed in blocks and checked: high where they look unlabelled.

    Parameters
    ----------
    estimator : fitted classifier
        One with `critic_scores`, such as :class:`skal.classifiers.WassersteinClassifier`.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    scores : ndarray of shape (n_rows,)
        In the order of `rows`.

    Raises
    ------
    TypeError
        If the classifier has no `critic_scores`.
    ValueError
        If it returns NaN or infinity.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.access import critic_scores
    >>> from skal.classifiers import WassersteinClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> y[::2] = -1
    >>> critic_scores(WassersteinClassifier(max_epochs=1, random_state=0).fit(X, y), X, rows=[3, 0]).shape
    (2,)
    """
    return _ask("critic_scores", estimator, X, rows)


def critic_scores_and_log_proba(
    estimator: Any, X: Any, rows: ArrayLike | None = None
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """What a critic says of the wanted rows, and the logarithms of their class probabilities, all of them finite.

    Parameters
    ----------
    estimator : fitted classifier
        One with a method of this name, which takes a single pass through the network, or with `critic_scores` and
        `predict_proba`. Probabilities below the smallest normal number of their type, such as zeros, then count as
        that number: their logarithm is -87.3 in float32 and -708.4 in float64.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    scores : ndarray of shape (n_rows,)
        See `critic_scores`.
    log_probabilities : ndarray of shape (n_rows, n_classes)
        In the order of `rows`; columns in the order of `classes_`.

    Raises
    ------
    TypeError, ValueError
        As `critic_scores` and `predict_proba` do.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.access import critic_scores_and_log_proba
    >>> from skal.classifiers import WassersteinClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> y[::2] = -1
    >>> classifier = WassersteinClassifier(max_epochs=1, random_state=0).fit(X, y)
    >>> scores, log_probabilities = critic_scores_and_log_proba(classifier, X, rows=[3, 0])
    >>> scores.shape, log_probabilities.shape
    ((2,), (2, 3))
    """
    return _ask("critic_scores_and_log_proba", estimator, X, rows)


def predicted_loss(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Losses that a classifier expects at the wanted rows, computed in blocks and checked.

    Parameters
    ----------
    estimator : fitted classifier
        One with `predicted_loss`, such as :class:`skal.classifiers.LearningLossClassifier`.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    losses : ndarray of shape (n_rows,)
        In the order of `rows`, on a scale of their own.

    Raises
    ------
    TypeError
        If the classifier has no `predicted_loss`.
    ValueError
        If it returns NaN or infinity.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.access import predicted_loss
    >>> from skal.classifiers import LearningLossClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> predicted_loss(LearningLossClassifier(max_epochs=1, random_state=0).fit(X, y), X, rows=[3, 0]).shape
    (2,)
    """
    return _ask("predicted_loss", estimator, X, rows)


def dropout_proba(
    estimator: Any,
    X: Any,
    rows: ArrayLike | None = None,
    *,
    n_passes: int = 10,
    seed: int = 0,
    summary: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
) -> NDArray[np.floating]:
    """Class probabilities of the wanted rows in several passes with dropout, as samples of what the network believes.

    Dropout layers drop as they do in training, each pass with masks of its own that all rows share; everything else,
    batch normalisation among it, is as in prediction. The classifier itself is left alone: a copy makes the passes.

    Parameters
    ----------
    estimator : fitted classifier
        A network with dropout layers, of skal or of skorch, or a pipeline that ends in one. A classifier with a method
        ``dropout_proba(X, n_passes, seed)`` of its own is asked for it.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.
    n_passes : int, default=10
    seed : int, default=0
        Seeds the masks, which are those of no other number. How the rows are cut into blocks does not change them.
    summary : callable, default=None
        Maps the probabilities of a block, of shape (n_block, n_passes, n_classes), to an array with one entry a row,
        so that those of all rows are never held. None keeps them.

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_passes, n_classes)
        In the order of `rows`; columns in the order of `classes_`. With `summary`, what it returns for all rows.

    Raises
    ------
    TypeError
        If the classifier has no dropout layers, or cannot be had as a torch module.
    ValueError
        If it returns NaN or infinity, or the features are not those of `fit`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.access import dropout_proba
    >>> from skal.classifiers import NetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NetClassifier(module_params={"dropout": 0.5}, max_epochs=2, random_state=0).fit(X, y)
    >>> dropout_proba(net, X, rows=[0, 3, 7], n_passes=5).shape
    (3, 5, 3)
    """
    transformers, classifier = _open(estimator)
    if not provides(classifier, "dropout_proba"):
        raise TypeError(
            f"{type(classifier).__name__} has no dropout layers. Use a network with torch.nn.Dropout of a positive "
            "share, such as NetClassifier(module_params={'dropout': 0.5})."
        )
    check_is_fitted(classifier)
    passes, size = _passes(classifier, X, n_passes, seed)

    def summarized(block: Any) -> NDArray[Any]:
        for transformer in transformers:
            block = transformer.transform(block)
        block = block if sparse.issparse(block) else np.asarray(block)
        answers = []
        for start in range(0, block.shape[0], size):
            probabilities = _check("dropout_proba", passes(_dense(block[start : start + size])), classifier)
            answers.append(probabilities if summary is None else summary(probabilities))
        return np.concatenate(answers)

    return blockwise(summarized, X, rows)


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
    if need == "dropout_proba":
        return _may_drop(_open(estimator)[1])
    if need == "critic_scores" and hasattr(_open(estimator)[1], "sample"):
        return False  # the critic of a generator tells generated rows from real ones
    return hasattr(estimator, need) or hasattr(_open(estimator)[1], need)


def batch_rows(estimator: Any, X: Any, device: torch.device) -> int:
    """How many rows of `X` a classifier's network wants at a time."""
    is_plain = len(getattr(_open(estimator)[1], "input_shape_", X.shape[1:])) == 1
    return _BLOCK_ROWS.get(device.type, _BLOCK_ROWS["cpu"])[is_plain]


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
        if what == "critic_scores_and_log_proba":
            return _check("critic_scores", answers[0], classifier), _check(what, answers[1], classifier)
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
    if what == "critic_scores_and_log_proba":
        critic, probabilities = _answerer("critic_scores", classifier), _answerer("predict_proba", classifier)
        return lambda block: (critic(block), _finite_log(probabilities(block)))
    examples = {
        "labeled_proba": "VAALClassifier",
        "critic_scores": "WassersteinClassifier",
        "predicted_loss": "LearningLossClassifier",
    }
    example = examples.get(what, "LogisticRegression")
    raise TypeError(
        f"{type(classifier).__name__} has no {what}. Use a classifier that has it, such as {example}(), or a strategy "
        "that does without."
    )


def _finite_log(probabilities: Any) -> NDArray[np.floating]:
    probabilities = np.asarray(probabilities)
    return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))


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


# Dropout.


def _may_drop(classifier: Any) -> bool:
    """Whether a classifier has dropout layers; of a network that is not built yet nobody knows."""
    if hasattr(classifier, "dropout_proba"):
        return True
    net = classifier if isinstance(classifier, NeuralNet) else getattr(classifier, "net_", None)
    if isinstance(net, NeuralNet) and net.initialized_:
        return bool(dropout_layers(net.module_))
    return isinstance(classifier, NetworkEstimator | NeuralNet)


def _passes(classifier: Any, X: Any, n_passes: int, seed: int) -> tuple[Callable[[Any], NDArray[Any]], int]:
    """Return the function of rows that makes the passes, and how many rows it wants at a time."""
    if hasattr(classifier, "dropout_proba"):
        return partial(classifier.dropout_proba, n_passes=n_passes, seed=seed), _BLOCK_ROWS["cpu"][1]
    module = as_torch(classifier)
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    logits = DropoutPasses(module, n_passes, seed)

    def passes(rows: NDArray[Any]) -> NDArray[Any]:
        _check_n_features(rows, classifier)
        return logits(as_tensor(rows).to(device)).softmax(dim=2).numpy(force=True)

    return passes, batch_rows(classifier, X, device)
