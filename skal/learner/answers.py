"""What annotators answer: it is checked, then recorded, and only then is the classifier trained on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import _routing_enabled, process_routing
from sklearn.utils.validation import _num_samples, check_is_fitted

from ..labels import check_new_labels, check_same_kind, is_numeric, plain
from ..pool import Rows, check_pool, check_positions
from ..strategies.query import TrainingSet
from ..utils.threads import Turns
from .delegation import Delegation
from .refit import is_prefitted, refitted
from .state import State


class Answers(Delegation):
    """Base of the learner: the verbs of annotators. Each takes effect whole or, if it is invalid, not at all.

    An answer that was recorded stays, whatever becomes of the training that follows.
    """

    random_state: Any
    _seed: int
    _changes: Turns
    _strategy_changed: bool = False  # by set_params, since it was prepared

    def teach(self, rows: ArrayLike, y: ArrayLike, *, overwrite: bool = False, refit: bool = True) -> Self:
        """Record labels for rows of the fitted pool and refit the classifier.

        What the strategy prepared (an encoder, an index, a graph) is kept.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
            Positions in the pool, as `query` returned them. A skipped row may be labelled after all.
        y : array-like of shape (n_rows,)
            Their labels. A class that was not seen before is welcome, unless the classifier is
            pretrained (a ``FrozenEstimator``) and does not know it.
        overwrite : bool, default=False
            Whether a row that already has another label gets this one. The same label again is no error.
        refit : bool, default=True
            Whether to train the classifier. False records only; call `refit` later.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If rows are out of range, repeated or already have another label, or labels are missing, of
            another kind than those so far, or unknown to a pretrained classifier. Nothing is recorded then.
        BaseException
            Whatever the training raises, Ctrl-C included: the labels are recorded, and the classifier is the last one
            that could be trained.

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
        with self._changes:
            state = self._state
            rows = _positions(rows, state)
            if not len(rows) and not np.size(y):
                return self
            labels = check_new_labels(y, len(rows))
            self._check_known_classes(labels)
            taught = state.labels.with_labels(rows, labels)
            labeled = rows[state.labels.codes[rows] >= 0]
            corrected = labeled[state.labels.at(labeled) != taught.at(labeled)]
            if len(corrected) and not overwrite:
                raise ValueError(
                    f"rows {corrected[:5].tolist()} are labelled already, as "
                    f"{state.labels.at(corrected[:5]).tolist()}. overwrite=True corrects them; leave them out to keep "
                    "the labels."
                )
            if len(labeled) < len(rows) or len(corrected):
                skipped = np.setdiff1d(state.skipped, rows)
                self._state = state.after(labels=taught, skipped=skipped, is_trained=False)
            return self.refit() if refit and not self._state.is_trained else self

    def forget(self, rows: ArrayLike, *, refit: bool = True) -> Self:
        """Withdraw the labels of rows, which are unlabelled then, and refit the classifier.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
            Positions of labelled rows.
        refit : bool, default=True
            See `teach`.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If rows are out of range, repeated or not labelled. Nothing is recorded then.
        """
        check_is_fitted(self)
        with self._changes:
            state = self._state
            rows = _positions(rows, state)
            unknown = rows[state.labels.codes[rows] < 0]
            if len(unknown):
                raise ValueError(
                    f"rows {unknown[:5].tolist()} have no label to forget; give labelled rows, np.flatnonzero of "
                    "y_ != UNLABELED."
                )
            if not len(rows):
                return self
            self._state = state.after(labels=state.labels.without(rows), is_trained=False)
            return self.refit() if refit else self

    def skip(self, rows: ArrayLike) -> Self:
        """Record that rows cannot be labelled: no query offers them again. Nothing is trained.

        Strategies that spread a batch keep away from them, as rows like them cannot be labelled either.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
            Positions of unlabelled rows; a row that is skipped already is no error.

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
            rows = _positions(rows, state)
            known = rows[state.labels.codes[rows] >= 0]
            if len(known):
                raise ValueError(
                    f"rows {known[:5].tolist()} are labelled; forget their labels first, or leave them out."
                )
            return self._with_skipped(np.union1d(state.skipped, rows))

    def unskip(self, rows: ArrayLike) -> Self:
        """Take back that rows cannot be labelled. Nothing is trained.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
            Positions of skipped rows.

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
            rows = _positions(rows, state)
            others = np.setdiff1d(rows, state.skipped)
            if len(others):
                raise ValueError(f"rows {others[:5].tolist()} are not skipped; skipped_ has those that are.")
            return self._with_skipped(np.setdiff1d(state.skipped, rows))

    def _with_skipped(self, skipped: Rows) -> Self:
        """Record which rows are skipped; where they are those of before, nothing happened."""
        if len(skipped) != len(self._state.skipped):
            self._state = self._state.after(skipped=skipped)
        return self

    def undo(self) -> Self:
        """Take back the last `teach`, `forget`, `skip`, `unskip` or `extend`, and bring back the classifier before it.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If there is none since `fit`, or it was taken back already.
        """
        check_is_fitted(self)
        with self._changes:
            before = self._state.before
            if before is None:
                raise ValueError("There is no answer to take back: only the last one can be, and once.")
            self._state = before
        return self

    def extend(self, X: Any, y: ArrayLike, *, refit: bool = True, **fit_params: Any) -> Self:
        """Add labelled samples that are not rows of the pool, and refit the classifier.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_new, ...)
            The samples, such as synthesised ones.
        y : array-like of shape (n_new,)
            Their labels; every sample needs one.
        refit : bool, default=True
            See `teach`.
        **fit_params : dict
            The new samples' part of what `fit` was given, such as ``sample_weight``.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If samples, labels or fit parameters are invalid. Nothing is recorded then.
        BaseException
            Whatever the training raises, as in `teach`.
        """
        check_is_fitted(self)
        with self._changes:
            state = self._state
            pool = check_pool(self, X, reset=False)
            labels = check_new_labels(y, len(pool))
            self._check_known_classes(labels)
            check_same_kind(state.labels.classes, labels)
            params = self._route(fit_params)
            if set(params) != state.per_row or not all(
                has_length(value, len(labels)) and _goes_with(value, state.params[name])
                for name, value in params.items()
            ):
                raise ValueError(
                    f"extend was given the fit parameters {sorted(params)}; give it those that fit was given a value "
                    f"per row of, {sorted(state.per_row)}, with a value for each of the {len(labels)} samples, of the "
                    "same shape and kind, and finite."
                )
            pool = state.pool.matching(pool)
            extension = TrainingSet(pool.X, plain(labels), params)
            known = state.labels.with_classes(labels)
            extensions = (*state.extensions, extension)
            self._state = state.after(labels=known, extensions=extensions, is_trained=False)
            return self.refit() if refit else self

    def refit(self) -> Self:
        """Train the classifier on what is recorded.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        BaseException
            Whatever the training raises, Ctrl-C included: the classifier is the last one that could be trained then.
        """
        check_is_fitted(self)
        with self._changes:
            try:
                self._state = self._refitted(self._state)
            except BaseException as error:
                error.add_note(
                    "The answers are recorded, and the classifier is the last one that could be trained. Call refit() "
                    "to train it on them."
                )
                raise
        return self

    @property
    def skipped_(self) -> Rows:
        """The rows that cannot be labelled, as `skip` was told, in increasing order."""
        check_is_fitted(self)
        return self._state.skipped.copy()  # type: ignore[no-any-return]

    def _refitted(self, state: State) -> State:
        state = refitted(state, self.estimator, self._seed, seeds=self.random_state is not None)
        return replace(state, is_trained=True)

    def _route(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        if not _routing_enabled():
            return fit_params
        return dict(process_routing(self, "fit", **fit_params).estimator.fit)

    def _check_known_classes(self, labels: NDArray[Any]) -> None:
        if not is_prefitted(self.estimator):
            return
        unknown = sorted(set(labels.tolist()) - set(np.asarray(self.estimator.classes_).tolist()))
        if unknown:
            raise ValueError(
                f"The labels {unknown[:5]} are unknown to the pretrained classifier, whose classes are "
                f"{list(self.estimator.classes_)}. A FrozenEstimator is never refitted; pass the classifier itself to "
                "learn new classes."
            )


def _positions(rows: ArrayLike, state: State) -> Rows:
    return check_positions(np.atleast_1d(rows), len(state.pool), distinct=True)


def _goes_with(value: Any, known: Any) -> bool:
    """Whether a fit parameter can be appended to the one that `fit` was given."""
    new, old = np.asarray(value), np.asarray(known)
    if new.shape[1:] != old.shape[1:] or is_numeric(new) != is_numeric(old):
        return False
    return not is_numeric(new) or bool(np.isfinite(new).all()) or not np.isfinite(old).all()


def has_length(value: Any, n_samples: int) -> bool:
    """Whether a fit parameter has a value per row."""
    return np.ndim(value) > 0 and _num_samples(value) == n_samples
