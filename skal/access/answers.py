"""The functions that ask: each works through the pool in blocks and checks the answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..pool import as_pool, blockwise, check_positions, owned
from ..utils.docstrings import inherits_doc
from .embeddings import are_narrow, check_n_features, embeds_as_rows, narrowed
from .networks import batch_rows
from .questions import QUESTIONS, Answer, Question, provides
from .wrappers import open_pipeline, working_bytes, works_in_place

_MAX_PROBABILITIES = 1 << 24  # of all passes with dropout, in memory at a time


def ask(name: str, estimator: Any, X: Any, rows: ArrayLike | None = None) -> Any:
    """Ask a fitted classifier any question, in blocks, so that nothing copies a whole pool.

    Pipelines, `FrozenEstimator`, searches and learners are opened: rows go through the transformers, and the
    classifier inside is asked. A subclass of one of them that overrides `predict_proba` or `decision_function`, or has
    a method `embed`, is asked itself.

    Parameters
    ----------
    name : str
        The name of a question in `skal.access.QUESTIONS`, or of a method that maps rows to an array with one entry per
        row.
    estimator : fitted classifier
        A classifier, a pipeline that ends in one, or a wrapper.
    X : Pool, ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    answers : ndarray of shape (n_rows, ...) or tuple of such arrays
        Floats, in the order of `rows`.

    Raises
    ------
    TypeError
        If the classifier has no answer. The error names the classifiers that have.
    NotFittedError
        If the classifier is not fitted.
    ValueError
        If the answer is not numbers, contains NaN or infinity, or has the wrong shape, or if `rows` are not positions
        in `X`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skal.access import ask
    >>> X = np.array([[0.0], [1.0], [4.0], [5.0]])
    >>> ask("predict_log_proba", GaussianNB().fit(X, [0, 0, 1, 1]), X, rows=[3, 0]).round()
    array([[-40.,   0.],
           [  0., -40.]])
    """
    question, classifier, answer = opened(name, estimator)
    return in_blocks(estimator, lambda block: question.check(answer(block), classifier), X, rows)


def opened(name: str, estimator: Any) -> tuple[Question, Any, Answer]:
    """A question, the classifier inside wrappers and pipelines, and its answer for a block of rows that reach it."""
    question = QUESTIONS.get(name, Question(name))
    classifier = open_pipeline(estimator)[1]
    answer = question.answered_by(classifier)
    if answer is None:
        raise question.refusal(f"skal.access.{name}", classifier)
    check_is_fitted(classifier)
    return question, classifier, answer


def in_blocks(estimator: Any, function: Answer, X: Any, rows: ArrayLike | None, *, beside: float = 0) -> Any:
    """The values of a function, applied to the wanted rows as they reach the classifier, in blocks."""
    transformers = open_pipeline(estimator)[0]
    in_place = any(works_in_place(transformer) for transformer in transformers)

    def transformed(block: Any) -> Any:
        block = owned(block) if in_place else block
        for transformer in transformers:
            block = transformer.transform(block)
        return function(block)

    return blockwise(transformed, X, rows, row_bytes=working_bytes(estimator, X) + beside)


@inherits_doc(ask)
def predict_proba(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Class probabilities of the wanted rows. It asks as `ask` does, and raises the same errors.

    Parameters
    ----------
    {estimator, X, rows}

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_classes)
        Columns in the order of `classes_`.

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
    return ask("predict_proba", estimator, X, rows)


@inherits_doc(ask)
def decision_function(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Decision values of the wanted rows. It asks as `ask` does, and raises the same errors.

    Parameters
    ----------
    {estimator, X, rows}

    Returns
    -------
    values : ndarray of shape (n_rows,) or (n_rows, n_columns)
        One value per row if there are two classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access import decision_function
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> decision_function(LinearSVC().fit(X, [0, 0, 1, 1]), X, rows=[3, 0]) > 0
    array([ True, False])
    """
    return ask("decision_function", estimator, X, rows)


@inherits_doc(ask)
def labeled_proba(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Probabilities that the wanted rows are labelled. It asks as `ask` does, and raises the same errors.

    Classifiers with `labeled_proba` answer, such as :class:`skal.classifiers.VAALClassifier`.

    Parameters
    ----------
    {estimator, X, rows}

    Returns
    -------
    probabilities : ndarray of shape (n_rows,)

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
    return ask("labeled_proba", estimator, X, rows)


@inherits_doc(ask)
def critic_scores(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Scores by a critic, high where rows look unlabelled. It asks as `ask` does, and raises the same errors.

    Classifiers with `critic_scores` answer, such as :class:`skal.classifiers.WassersteinClassifier`.

    Parameters
    ----------
    {estimator, X, rows}

    Returns
    -------
    scores : ndarray of shape (n_rows,)

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
    return ask("critic_scores", estimator, X, rows)


@inherits_doc(ask)
def critic_scores_and_log_proba(
    estimator: Any, X: Any, rows: ArrayLike | None = None
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Scores by a critic, and finite logarithms of class probabilities. It asks as `ask` does, with the same errors.

    A classifier with a method of this name makes one pass for both. Otherwise `critic_scores` and `predict_proba` are
    asked. Probabilities below the smallest normal number of their type, such as zeros, then count as that number: their
    logarithm is -87.3 in float32 and -708.4 in float64.

    Parameters
    ----------
    {estimator, X, rows}

    Returns
    -------
    scores : ndarray of shape (n_rows,)
        High where rows look unlabelled.
    log_probabilities : ndarray of shape (n_rows, n_classes)
        Columns in the order of `classes_`.

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
    return ask("critic_scores_and_log_proba", estimator, X, rows)


@inherits_doc(ask)
def predicted_loss(estimator: Any, X: Any, rows: ArrayLike | None = None) -> NDArray[np.floating]:
    """Losses that a classifier expects at the wanted rows. It asks as `ask` does, and raises the same errors.

    Classifiers with `predicted_loss` answer, such as :class:`skal.classifiers.LearningLossClassifier`.

    Parameters
    ----------
    {estimator, X, rows}

    Returns
    -------
    losses : ndarray of shape (n_rows,)
        On their own scale.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.access import predicted_loss
    >>> from skal.classifiers import LearningLossClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> predicted_loss(LearningLossClassifier(max_epochs=1, random_state=0).fit(X, y), X, rows=[3, 0]).shape
    (2,)
    """
    return ask("predicted_loss", estimator, X, rows)


@inherits_doc(ask)
def dropout_proba(
    estimator: Any,
    X: Any,
    rows: ArrayLike | None = None,
    *,
    n_passes: int = 10,
    seed: int = 0,
    summary: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
) -> NDArray[np.floating]:
    """Class probabilities in several passes with dropout. It asks as `ask` does, with the same errors.

    The passes are samples from the network's posterior. Dropout layers drop as in training; each pass has its own
    masks, which all rows share. Everything else, such as batch normalisation, works as in prediction. A copy makes the
    passes; the classifier itself does not change.

    Networks with dropout layers answer, of skal or of skorch, and classifiers with a method
    ``dropout_proba(X, n_passes, seed)``, which a subclass of a network that overrides `predict_proba` needs.

    Parameters
    ----------
    {estimator, X, rows}
    n_passes : int, default=10
    seed : int, default=0
        Decides the masks, which are the same however the rows are cut into blocks.
    summary : callable, default=None
        Maps the probabilities of a block, of shape (n_block, n_passes, n_classes), to an array with one entry per row,
        so that the probabilities of all rows are never in memory together. By default they are returned.

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_passes, n_classes)
        Columns in the order of `classes_`. With `summary`, its values for all rows.

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
    question, classifier, answer = opened("dropout_proba", estimator)
    n_classes = len(getattr(classifier, "classes_", ())) or 2
    size = min(batch_rows(classifier, X), max(1, _MAX_PROBABILITIES // (n_passes * n_classes)))

    def passes(block: Any) -> NDArray[Any]:
        part = as_pool(block)
        read = part.dense if part.obstacle is None else part.read
        batches = (read(slice(start, start + size)) for start in range(0, len(part), size))
        answers = (
            question.check(answer(batch, n_passes=n_passes, seed=seed), classifier) for batch in batches
        )
        return np.concatenate([each if summary is None else summary(each) for each in answers])

    return in_blocks(estimator, passes, X, rows)


@inherits_doc(ask)
def embed(
    estimator: Any, X: Any, rows: ArrayLike | None = None, *, keep_integers: bool = False
) -> NDArray[Any]:
    """Penultimate embeddings: the input of the last linear layer. It asks as `ask` does, and raises the same errors.

    For a network or `MLPClassifier` they are the last hidden activations, for a raw skorch net the input of the last
    `torch.nn.Linear` that runs, and for a linear model the features themselves. A classifier with a method ``embed(X)``
    answers with it.

    Parameters
    ----------
    {estimator, X, rows}
    keep_integers : bool, default=False
        Whether embeddings that are integers stay integers, for callers that turn them into floats block by block.

    Returns
    -------
    embeddings : ndarray of shape (n_rows, n_embedding)
        Dense rows of floats, in float32 if that holds the numbers of `X`. Features that are images are flattened,
        sparse ones become dense, and integers become floats. If the embeddings are the features of a floating-point
        array and all rows are wanted, the answer is that array itself: ask for all rows rather than for most of them,
        and do not write to the answer.

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
    question, classifier, answer = opened("embed", estimator)
    pool = as_pool(X)
    dtype = pool.X.dtype if isinstance(pool.X, np.ndarray) else np.dtype(object)
    stays = dtype in (np.float32, np.float64) or (keep_integers and dtype.kind in "biuf")
    if stays and embeds_as_rows(estimator):
        check_n_features(classifier, pool.X)
        own = pool.X if rows is None else pool.take(check_positions(rows, len(pool)))
        own = own if own.ndim == 2 else own.reshape(len(own), -1)
        return own if pool.is_finite else question.check(own, classifier, keep_integers=keep_integers)

    narrow = are_narrow(pool)  # told beforehand: other processes have no pool

    def kept(block: Any) -> NDArray[Any]:
        return narrowed(question.check(answer(block), classifier, keep_integers=keep_integers), narrow)

    becomes_dense = 8 * math.prod(pool.row_shape) if embeds_as_rows(estimator) else 0
    return in_blocks(estimator, kept, pool, rows, beside=becomes_dense)


@inherits_doc(ask)
def embed_and_predict_proba(
    estimator: Any, X: Any, rows: ArrayLike | None = None, *, keep_integers: bool = False
) -> tuple[NDArray[Any], NDArray[np.floating]]:
    """Penultimate embeddings and class probabilities, in one pass of a network or pipeline.

    Parameters
    ----------
    {estimator, X, rows}
    keep_integers : bool, default=False
        See `embed`.

    Returns
    -------
    embeddings : ndarray of shape (n_rows, n_embedding)
        See `embed`.
    probabilities : ndarray of shape (n_rows, n_classes)
        See `predict_proba`.

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
    pool = as_pool(X)
    if embeds_as_rows(estimator):
        return embed(estimator, pool, rows, keep_integers=keep_integers), predict_proba(estimator, pool, rows)
    question, classifier, answer = opened("embed_and_predict_proba", estimator)
    narrow = are_narrow(pool)

    def both(block: Any) -> tuple[NDArray[Any], NDArray[np.floating]]:
        embeddings, probabilities = question.check(answer(block), classifier, keep_integers=keep_integers)
        return narrowed(embeddings, narrow), probabilities

    return in_blocks(estimator, both, pool, rows)


def has_embedding(estimator: Any) -> bool:
    """Return whether `embed` has an answer for a classifier, fitted or not; nothing is computed.

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
    return provides(estimator, "embed")
