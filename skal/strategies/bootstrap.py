"""Copies of a classifier that are trained again, for example on labelled rows drawn with replacement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import _check_method_params
from skorch import NeuralNet

from ..access import predict_proba, working_bytes
from ..access.raw_training import fit_raw_net, seeding_nets
from ..access.wrappers import last_step, open_pipeline, rows_for
from ..labels import UNLABELED
from ..pool import Pool, Rows, as_pool
from ..utils.progress import counted
from ..utils.random import seed_random_states
from .query import Query

_MOST_DRAWS = 100


def check_trainable(n_members: int | None, estimator: Any) -> None:
    """Refuse a classifier that cannot be trained again if members are to be trained.

    Parameters
    ----------
    n_members : int or None
        None if no member is to be trained.
    estimator : classifier or None

    Raises
    ------
    TypeError
        If it is a `FrozenEstimator`, or a pipeline that ends in one.
    """
    if n_members is not None and isinstance(last_step(estimator), FrozenEstimator):
        raise TypeError(
            f"n_members={n_members} clones were to be trained, and a FrozenEstimator is not trained again; "
            "give the classifier itself, or n_members=None and an ensemble."
        )


def bootstrap_scorer(
    query: Query, n_members: int, summary: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[Callable[[Any], NDArray[Any]], float]:
    """Train a committee on bootstrap samples, and return a function that asks it about rows of the pool.

    Parameters
    ----------
    query : Query
    n_members : int
    summary : callable
        Maps the probabilities of a block, of shape (n_block, n_members, n_classes), to an array with one entry per row.

    Returns
    -------
    answer : callable
        Maps a block of rows to what `summary` makes of them.
    row_bytes : float
        The bytes that a row takes in it.
    """
    members, classes = bootstrap_members(query, n_members)

    def answer(block: Any) -> NDArray[Any]:
        return summary(np.stack([member_proba(member, classes, block) for member in members], axis=1))

    return answer, working_bytes(query.estimator, query.pool) + 24 * n_members * len(classes)


def bootstrap_members(query: Query, n_members: int) -> tuple[list[Any], NDArray[Any]]:
    """Train clones of the query's classifier on bootstrap samples of at least two classes.

    A member may miss a class with few labels, and should: if all members knew the only row of a class, they would agree
    on it, and the classes with most labels would get all other draws. A classifier that refuses such a sample, as one
    with its own cross-validation does, gets a sample with as many rows of each class as are labelled. Rows without a
    label, which semi-supervised classifiers learn from, are drawn too.

    Parameters
    ----------
    query : Query
        Its random numbers decide the samples.
    n_members : int

    Returns
    -------
    members : list of fitted classifiers
    classes : ndarray of shape (n_classes,)
        All classes that a member may know, in increasing order: those of the classifier, and those of labels that it
        has not been trained on yet.

    Raises
    ------
    ValueError
        If no row is labelled, or a member cannot be trained.
    """
    X, y, params = query.training_set()
    is_labeled = y != UNLABELED if len(y) > query.n_labels else np.ones(len(y), dtype=bool)
    classes, codes = np.union1d(query.trainee.classes_, y[is_labeled]), np.full(len(y), UNLABELED)
    codes[is_labeled] = np.searchsorted(classes, y[is_labeled])
    pool, members = as_pool(X), []

    def trained(rows: Rows, seed: int) -> Any:
        own = _check_method_params(X, params, indices=rows)
        return trained_clone(query.trainee, as_pool(pool.take(rows)), y[rows], own, seed)

    seeds = query.rng.integers(np.iinfo(np.int32).max, size=n_members).tolist()
    for seed in counted(seeds, "members"):
        rng = np.random.default_rng(seed)
        try:
            members.append(trained(_resampled(codes, rng), seed))
        except ValueError:
            try:
                members.append(trained(_resampled_by_class(codes, rng), seed))
            except ValueError as error:
                raise ValueError(
                    f"{type(query.trainee).__name__} cannot be trained on labels that are drawn with replacement: "
                    f"{str(error).rstrip('.')}. Label more rows of each class first, or use n_members=None and an "
                    "ensemble."
                ) from error
    return members, classes


def trained_clone(classifier: Any, pool: Pool, y: NDArray[Any], params: dict[str, Any], seed: int) -> Any:
    """Train a seeded clone of a classifier on all rows of a pool."""
    member = clone(classifier)
    seed_random_states(member, seed)
    X = rows_for(member, pool)
    if isinstance(member, NeuralNet):
        fit_raw_net(member, X, y, params, seed)
    else:
        with seeding_nets(member, seed):
            member.fit(X, y, **params)
    return member


def _resampled(codes: NDArray[np.intp], rng: np.random.Generator) -> Rows:
    for _ in range(_MOST_DRAWS):
        rows = np.sort(rng.integers(len(codes), size=len(codes)))
        if len(set(codes[rows].tolist()) - {UNLABELED}) > 1:
            return rows
    return np.arange(len(codes))  # there are hardly two


def _resampled_by_class(codes: NDArray[np.intp], rng: np.random.Generator) -> Rows:
    """Draw rows with replacement, keeping the number of rows of each class and of unlabelled rows."""
    drawn = [rng.choice(np.flatnonzero(codes == code), (codes == code).sum()) for code in np.unique(codes)]
    return np.sort(np.concatenate(drawn))


def member_proba(member: Any, classes: NDArray[Any], X: Any) -> NDArray[Any]:
    """Return the probabilities of all classes by a member, zero for those that it has not seen.

    Parameters
    ----------
    member : fitted classifier
    classes : ndarray of shape (n_classes,)
        In increasing order; the member's are among them.
    X : container of n_rows rows

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_classes)
    """
    answer = predict_proba(member, X)
    is_raw_net = isinstance(open_pipeline(member)[1], NeuralNet)  # a column per output, seen or not
    if is_raw_net or np.array_equal(member.classes_, classes):
        return answer
    probabilities = np.zeros((len(answer), len(classes)))
    probabilities[:, np.searchsorted(classes, member.classes_)] = answer
    return probabilities
