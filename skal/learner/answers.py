"""Annotators' answers: they are checked, then recorded, and only then is the classifier trained on them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..pool import Rows
from .extending import Extending
from .extensions import as_keys
from .ids import check_order
from .state import State


class Answers(Extending):
    """Base of the learner: the verbs of annotators. Each takes effect whole or, if it is invalid, not at all.

    An answer that was recorded stays, whatever becomes of the training that follows.
    """

    def teach(
        self,
        rows: ArrayLike | None = None,
        y: ArrayLike | None = None,
        *,
        extension: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        audit: bool = False,
        overwrite: bool = False,
        refit: bool = True,
    ) -> Self:
        """Record labels for rows of the fitted pool and refit the classifier.

        What the strategy prepared (an encoder, an index, a graph) is kept.

        Parameters
        ----------
        rows : array-like of shape (n_rows,), default=None
            Positions in the pool, as returned by `query`, or ids. Integer ids must be given as a ``pd.Index``; other
            ids can be given as they are. A skipped row may still be labelled.
        y : array-like of shape (n_rows,)
            Their labels. A class that was not seen before is accepted, unless `classes` are given or the classifier is
            pretrained (a ``FrozenEstimator``), and the class is not among their classes.
        extension : array-like of int or str of shape (n_rows,), default=None
            Keys of samples added by `extend` whose labels are to be corrected, in place of `rows`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of these answers in training, if the classifier accepts weights. A row keeps its weight until it
            gets another. Rows without a weight weigh 1; a row weighs 1 again once `forget` has withdrawn its answer. If
            `fit` was given weights, rows have those instead, and a weight that replaced one of them stays after
            `forget`. ``sample_weight_`` holds all weights.
        audit : bool, default=False
            Whether to keep these rows out of training, for an honest estimate: `labels_` includes their labels, `y_`
            does not. `audit` draws such rows; rows that it did not draw should have been drawn at random.
        overwrite : bool, default=False
            Whether to replace another label that a row already has, and whether to move rows from training to the
            audit, or from the audit to training, including rows that were only drawn for the audit. Repeating the same
            label is no error.
        refit : bool, default=True
            Whether to train the classifier. If False, the labels are only recorded; call `refit` later.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If rows are out of range, repeated or already have another label; if labels are missing, of another kind
            than those so far, or not among the possible classes; or if weights are negative, or the classifier accepts
            none. Nothing is recorded then.
        BaseException
            Whatever training raises, including Ctrl-C: the labels are recorded, and the classifier is the last one that
            could be trained.

        Warns
        -----
        FitFailedWarning
            If the classifier cannot be trained on so few labels; the last one that could be trained is kept.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skal import ActiveLearner
        >>> from skal.strategies import RandomSampling
        >>> learner = ActiveLearner(LogisticRegression(), RandomSampling()).fit([[0.0], [1.0], [2.0]], [0, 1, -1])
        >>> learner.teach([2], [0]).teach([2], [1], overwrite=True).y_
        array([0, 1, 1])
        """
        check_is_fitted(self)
        _check_one_of(rows, extension)
        with self._changes:
            if extension is None:
                positions = self._rows(rows)
                names = self._names(positions)
                where = None if hasattr(rows, "get_indexer") else positions
                check_order(y, names, where)
                check_order(sample_weight, names, where, what="weights")
                taught = self._with_labels(positions, y, sample_weight, audit, overwrite)
            elif audit or sample_weight is not None:
                raise ValueError(
                    "Samples of extend have neither audit nor weights of answers; give rows instead."
                )
            else:
                taught = self._with_relabeled(as_keys(extension), y, overwrite)
            return self._recorded(taught, refit)

    def _with_labels(self, rows: Rows, y: Any, weight: Any, audit: bool, overwrite: bool) -> State:
        state = self._state
        if not len(rows) and not np.size(y):
            return state
        labels = state.labels.check_new(y, len(rows))
        self._check_known_classes(labels, rows)
        weight = None if weight is None else self._checked_weight(weight, len(rows))
        taught = state.labels.with_labels(rows, labels)
        labeled = rows[state.labels.codes[rows] >= 0]
        corrected = labeled[state.labels.at(labeled) != taught.at(labeled)]
        moved = np.setdiff1d(labeled, state.audit) if audit else np.intersect1d(rows, state.set_aside)
        if len(corrected) and not overwrite:
            raise ValueError(
                f"{self._told(corrected)} are labelled already, as "
                f"{state.labels.at(corrected[:5]).tolist()}. overwrite=True corrects them; leave them out to keep the "
                "labels."
            )
        if len(moved) and not overwrite:
            now, then = ("training", "the audit")[:: 1 if audit else -1]
            keep = "Leave them out" if audit else "Give audit=True, or leave them out,"
            raise ValueError(
                f"{self._told(moved)} belong to {now}, and these answers to {then}. {keep} to keep them where they "
                "are; overwrite=True moves them."
            )
        if len(labeled) == len(rows) and not len(corrected) and not len(moved) and weight is None:
            return self._unchanged()
        return state.after(
            "audit" if audit else "label",
            rows,
            labels,
            labels=taught,
            skipped=np.setdiff1d(state.skipped, rows),
            audit=np.union1d(state.audit, rows) if audit else np.setdiff1d(state.audit, rows),
            draws=state.draws if audit else state.draws.without(moved),
            is_trained=state.is_trained and audit and not len(moved),
            **state.with_weights(rows, weight),
        )

    def forget(
        self, rows: ArrayLike | None = None, *, extension: ArrayLike | None = None, refit: bool = True
    ) -> Self:
        """Withdraw the labels of rows, which become unlabelled, and refit the classifier.

        Parameters
        ----------
        rows : array-like of shape (n_rows,), default=None
            Labelled rows, including those of the audit, named as in `teach`. Rows that `audit` drew have to be labelled
            again; if they are forgotten while they have no label, they leave the audit.
        extension : array-like of int or str of shape (n_rows,), default=None
            Keys of samples added by `extend`, which are withdrawn together with their labels, in place of `rows`.
        refit : bool, default=True
            See `teach`.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If rows are out of range, repeated or not labelled. Nothing is recorded then.
        BaseException
            Whatever training raises, as in `teach`.
        """
        check_is_fitted(self)
        _check_one_of(rows, extension)
        with self._changes:
            if extension is None:
                return self._recorded(self._without(self._rows(rows)), refit)
            keys = as_keys(extension)
            self._check_keys(keys)
            if not keys:
                return self
            left = tuple(each.without(keys) for each in self._state.extensions)
            return self._recorded(self._with_extensions("forget", left, keys), refit)

    def _without(self, rows: Rows) -> State:
        state = self._state
        unlabeled = rows[state.labels.codes[rows] < 0]
        unknown = np.setdiff1d(unlabeled, state.awaited)
        if len(unknown):
            raise ValueError(
                f"{self._told(unknown)} have no label to forget; give labelled rows, np.flatnonzero of "
                "labels_ != UNLABELED."
            )
        if not len(rows):
            return state
        return state.after(
            "forget",
            rows,
            labels=state.labels.without(rows),
            **(state.with_weights(rows, np.ones(len(rows))) if state.has_own_weights else {}),
            audit=np.setdiff1d(state.audit, rows),
            draws=state.draws.without(unlabeled),
            is_trained=state.is_trained and bool(np.isin(rows, np.union1d(state.audit, unlabeled)).all()),
        )

    def skip(self, rows: ArrayLike) -> Self:
        """Record that rows cannot be labelled, so that no query offers them again. Nothing is trained.

        Strategies that spread a batch keep away from these rows, as similar rows cannot be labelled either.

        Parameters
        ----------
        rows : array-like of shape (n_rows,)
            Unlabelled rows, named as in `teach`. Skipping a row again is no error.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If rows are out of range, repeated or labelled. Nothing is recorded then.
        """
        check_is_fitted(self)
        with self._changes:
            state = self._state
            rows = self._rows(rows)
            known = rows[state.labels.codes[rows] >= 0]
            if len(known):
                raise ValueError(
                    f"{self._told(known)} are labelled; forget their labels first, or leave them out."
                )
            return self._with_skipped("skip", rows, np.setdiff1d(rows, state.skipped))

    def unskip(self, rows: ArrayLike) -> Self:
        """Record that skipped rows can be labelled after all. Nothing is trained.

        Parameters
        ----------
        rows : array-like of shape (n_rows,)
            Skipped rows, named as in `teach`.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If rows are out of range, repeated or not skipped. Nothing is recorded then.
        """
        check_is_fitted(self)
        with self._changes:
            state = self._state
            rows = self._rows(rows)
            others = np.setdiff1d(rows, state.skipped)
            if len(others):
                raise ValueError(f"{self._told(others)} are not skipped; skipped_ has those that are.")
            return self._with_skipped("unskip", rows, rows)

    def _with_skipped(self, action: str, rows: Rows, changed: Rows) -> Self:
        """Record that rows are skipped, or no longer, of which some were not before."""
        state = self._state
        if len(rows):
            skipped = np.setxor1d(state.skipped, changed)
            self._state = state.after(action, changed, skipped=skipped) if len(changed) else self._unchanged()
        return self

    def undo(self) -> Self:
        """Undo the last step, and restore the classifier from before it.

        A step is a `teach`, `forget`, `skip`, `unskip`, `extend` or `audit`. It can be undone even after `refit`, `use`
        and `load`. If several steps were recorded with ``refit=False``, the restored classifier is the one from before
        all of them, and `refit` trains it on the steps that remain.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If there is no step since `fit` or `grow`, or the last one has already been undone.
        """
        check_is_fitted(self)
        with self._changes:
            before = self._state.before
            if before is None:
                raise ValueError("There is no answer to take back: only the last one can be, and once.")
            self._state = before
        return self


def _check_one_of(rows: Any, extension: Any) -> None:
    if (rows is None) == (extension is None):
        given = "neither" if rows is None else "both"
        raise ValueError(f"{given} of rows and extension were given; give one of them.")
