"""LabeledSplit: cross-validation that tests on labelled rows only."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.model_selection._split import GroupsConsumerMixin
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.validation import check_array, column_or_1d

from ..labels import Labels, plain

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


class LabeledSplit(GroupsConsumerMixin, BaseCrossValidator):
    """Split partial labels for cross-validation; test folds have labelled rows only, so that any scorer can be used.

    The labelled rows are split by another splitter, which sees no other rows. The unlabelled rows are added to each
    training fold, for a learner to query or a semi-supervised classifier to learn from, unless they belong to the test
    fold.

    Parameters
    ----------
    cv : int, splitter or None, default=5
        Splits the labelled rows: the number of stratified folds (None: 5), or any splitter with scikit-learn's
        interface, or an iterable of folds, whose positions refer to the labelled rows.
    unlabeled : int, float or str, default=None
        What marks an unlabelled row, as in :class:`~skal.ActiveLearner`.

    Notes
    -----
    An unlabelled row is left out of a training fold if

    - its group is in the test fold, where there are `groups`;
    - it comes after the first labelled row that follows the training fold, where `cv` goes by time as
      ``TimeSeriesSplit`` does: it has several folds, and each trains on rows that come before those it tests on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from skal import UNLABELED, ActiveLearner
    >>> from skal.model_selection import LabeledSplit
    >>> from skal.strategies import UncertaintySampling
    >>> X, y = load_iris(return_X_y=True)
    >>> y[np.arange(150) % 3 > 0] = UNLABELED
    >>> learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling())
    >>> scores = cross_val_score(learner, X, y, cv=LabeledSplit(5), scoring="accuracy")
    >>> bool(scores.mean() > 0.9)
    True
    """

    def __init__(self, cv: Any = 5, *, unlabeled: Any = None) -> None:
        # Folds that are generated last for one pass, and a search takes several.
        self.cv, self.unlabeled = list(cv) if isinstance(cv, Iterator) else cv, unlabeled

    def split(self, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> Iterator[Fold]:
        """Generate the positions of the training and test rows of each fold.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
            Partial labels.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, for a `cv` that keeps groups together. It also decides which unlabelled rows are left
            out.

        Yields
        ------
        train : ndarray of int of shape (n_train,)
            In increasing order.
        test : ndarray of int of shape (n_test,)
            Labelled rows.

        Raises
        ------
        ValueError
            If no row is labelled, or `cv` splits a number of rows other than that of the labelled ones.
        """
        X, y, groups = indexable(X, y, groups)
        labels, groups = self._read(y, groups)
        rows, hidden = labels.rows, np.flatnonzero(labels.codes < 0)
        known = plain(labels.known)
        own_groups = None if groups is None else groups[rows]
        cv = check_cv(self.cv, known, classifier=True)
        given = cv.split(_safe_indexing(X, rows), known, own_groups)
        # Positions are lists where somebody wrote them.
        folds = ((np.asarray(train), np.asarray(test)) for train, test in given)
        ahead = []
        for train, test in folds:
            _check_positions(cv, len(rows), train, test)
            ahead.append((train, test))
            if not _precedes(train, test):
                break
        # A single fold of this kind may be chance.
        by_time = len(ahead) > 1 and _precedes(*ahead[-1])
        for train, test in chain(ahead, folds):
            others = hidden
            if groups is not None:
                others = others[~np.isin(groups[others], groups[rows[test]])]
            if by_time and len(train):
                others = others[others < rows[train.max() + 1]]
            yield np.sort(np.concatenate([rows[train], others])), rows[test]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), default=None
        y : array-like of shape (n_samples,), default=None
            Partial labels, for a `cv` whose number of folds depends on the rows.
        groups : array-like of shape (n_samples,), default=None

        Returns
        -------
        n_splits : int
        """
        if y is None:
            return check_cv(self.cv).get_n_splits(X, y, groups)
        labels, groups = self._read(y, groups)
        rows, known = labels.rows, plain(labels.known)
        cv = check_cv(self.cv, known, classifier=True)
        return cv.get_n_splits(np.zeros(len(rows)), known, None if groups is None else groups[rows])

    def _read(self, y: Any, groups: Any) -> tuple[Labels, NDArray[Any] | None]:
        """The labels, and the groups, as an array."""
        labels = Labels.of(y, unlabeled=self.unlabeled)
        if not len(labels.rows):
            raise ValueError("y has no labelled row, so there is nothing to test on; label some rows first.")
        if groups is not None:
            groups = check_array(column_or_1d(groups), ensure_2d=False, dtype=None, input_name="groups")
        return labels, groups


def _precedes(train: NDArray[np.intp], test: NDArray[np.intp]) -> bool:
    return bool(len(train) and len(test) and train.max() < test.min())


def _check_positions(cv: Any, n_labeled: int, *folds: NDArray[np.intp]) -> None:
    last = max(int(fold.max(initial=-1)) for fold in folds)
    if last >= n_labeled:
        raise ValueError(
            f"cv={cv} split off the row {last}, and there are {n_labeled} labelled rows, which is all that it may "
            "split; positions in cv are those among the labelled rows."
        )
