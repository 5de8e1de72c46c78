"""The predictions of equally likely classifiers: the members of an ensemble, or passes with dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils.docstrings import inherits_doc
from .answers import ask, dropout_proba, opened
from .members import committee_proba
from .questions import provides


@inherits_doc(ask)
def posterior_proba(
    estimator: Any,
    X: Any,
    rows: ArrayLike | None = None,
    *,
    n_passes: int = 100,
    seed: int = 0,
    summary: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
) -> NDArray[np.floating]:
    """Class probabilities by samples from a posterior. It asks as `ask` does, with the same errors.

    The samples are the members of an ensemble, as in `committee_proba`, or else passes with dropout, as in
    `dropout_proba`.

    Parameters
    ----------
    {estimator, X, rows}
    n_passes : int, default=100
        The number of passes through a network with dropout; an ensemble answers once per member.
    seed : int, default=0
        Decides the dropout masks.
    summary : callable, default=None
        Maps the probabilities of a block, of shape (n_block, n_members, n_classes), to an array with one entry per row.
        By default they are returned.

    Returns
    -------
    probabilities : ndarray of shape (n_rows, n_members, n_classes)
        Columns in the order of `classes_`. With `summary`, its values for all rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skal.access import posterior_proba
    >>> X, y = load_iris(return_X_y=True)
    >>> posterior_proba(RandomForestClassifier(5, random_state=0).fit(X, y), X, rows=[0, 3]).shape
    (2, 5, 3)
    """
    opened("posterior_proba", estimator)  # refuses those that answer neither
    if provides(estimator, "committee_proba"):
        return committee_proba(estimator, X, rows, summary=summary)
    return dropout_proba(estimator, X, rows, n_passes=n_passes, seed=seed, summary=summary)
