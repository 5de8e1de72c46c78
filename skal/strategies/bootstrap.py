"""Copies of a classifier, each trained on labelled rows that are drawn with replacement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import _check_method_params
from skorch import NeuralNet

from ..access.raw_training import fit_raw_net
from ..access.wrappers import rows_for
from ..pool import as_pool
from ..utils.random import seed_random_states
from .query import Query, TrainingSet


def bootstrap_members(query: Query, n_members: int) -> list[Any]:
    """Train clones of the query's classifier on bootstrap samples, which keep the number of rows of each class.

    So every member knows every class. Rows without a label, which semi-supervised classifiers learn from, are drawn
    like those of a class.

    Parameters
    ----------
    query : Query
        Its random numbers decide the samples.
    n_members : int

    Returns
    -------
    members : list of fitted classifiers

    Raises
    ------
    ValueError
        If no row is labelled.
    """
    X, y, params = _training_set(query)
    pool, codes = as_pool(X), np.unique(y.astype(str) if y.dtype.kind == "O" else y, return_inverse=True)[1]
    strata = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    members = []
    for seed in query.rng.integers(np.iinfo(np.int32).max, size=n_members).tolist():
        rows = _resampled(strata, np.random.default_rng(seed))
        member, own = clone(query.estimator), _check_method_params(X, params, indices=rows)
        seed_random_states(member, seed)
        sample = rows_for(member, as_pool(pool.take(rows)))
        if isinstance(member, NeuralNet):
            fit_raw_net(member, sample, y[rows], own, seed)
        else:
            member.fit(sample, y[rows], **own)
        members.append(member)
    return members


def _training_set(query: Query) -> TrainingSet:
    if query.training is not None:
        return query.training()
    rows = query.labels.rows
    if not len(rows):
        raise ValueError(
            "A committee is trained on the labels, and no row is labelled; give y to query, or use n_members=None and "
            "an ensemble that is trained already."
        )
    return TrainingSet(query.pool.take(rows), query.labels.known, {})


def _resampled(strata: list[NDArray[np.intp]], rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(np.concatenate([rng.choice(rows, len(rows)) for rows in strata]))
