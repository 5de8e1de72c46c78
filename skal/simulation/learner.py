"""SimulatedLearner: the whole active-learning loop as one estimator, with the labels known from the start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.base import _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_method_params, check_is_fitted

from ..access import predict_proba
from ..labels import Labels, plain
from ..learner import ActiveLearner
from ..learner.ids import Ids, check_orders
from ..model_selection import labeled_part
from ..pool import NO_ROWS, Pool, Rows, as_pool, check_pool
from ..strategies import QueryStrategy, SynthesisStrategy
from ..utils.callbacks import CallbackSupportMixin, with_callbacks
from ..utils.progress import counted
from ..utils.random import draw_seed, seed_random_states
from .annotating import annotated
from .histories import History, NamedHistory
from .initial import DRAWS, draw_initial, named_initial
from .loop import Loop
from .scoring import Scoring


@dataclass(eq=False, repr=False, kw_only=True)
class SimulatedLearner(CallbackSupportMixin, ActiveLearner):
    """An active learner that is given all labels and reveals them round by round.

    `fit` starts from `n_initial` labels, then queries, reveals and refits until the budget is
    spent. Its `score` therefore depends on the strategy, so that ``GridSearchCV`` over
    ``strategy__*`` compares strategies.

    Parameters
    ----------
    estimator : classifier
        As in :class:`ActiveLearner`.
    strategy : QueryStrategy or SynthesisStrategy
        As in :class:`ActiveLearner`. The samples of a `SynthesisStrategy` are labelled by the `annotator`.
    n_initial : int, default=10
        Number of labels at the start, unless `initial` names the rows; at most the budget.
    n_queries : int, default=10
        Number of labels revealed, or samples annotated, per round.
    budget : int, default=100
        Number of labels at the end, the initial ones included (fewer if the pool has fewer rows).
    annotator : fitted classifier or callable, default=None
        Labels the samples of a `SynthesisStrategy`: a fitted classifier, by its `predict`, or a function of samples. A
        classifier should be a strong one that was trained on all labels, in a ``FrozenEstimator``. A sample that the
        annotator marks as unlabelled is not learned, but still costs an annotation.
    initial : {"random", "one_per_class", "balanced"}, array-like of int or QueryStrategy, default="random"
        How the initial labels are chosen:

        - "random": at random, from at least two classes, so that a classifier can be fitted;
        - "one_per_class": one of each class, and the rest at random;
        - "balanced": the same number of each class, give or take one, as far as each class has enough rows;
        - an array: these positions in the `X` of `fit`, whatever `n_initial` is;
        - a strategy that needs no classifier: the `n_initial` rows that it asks for, which may all be of one class.
    validation_fraction : float, default=None
        Share of the rows given to `fit` that is held out, stratified by class, and scored each
        round. ``X_val`` and ``y_val`` of `fit` do the same without a copy of the pool.
    scoring : str, callable, list, dict or None, default=None
        As in ``GridSearchCV``; the classifier's `score` by default. A callable that needs no rows,
        ``scorer(estimator, X=None, y=None)``, such as :class:`skal.metrics.GenerationScorer`, is recorded even if there
        are no validation rows.
    stopping : StoppingCriterion, default=None
        Can end the loop before the budget is spent: a criterion of :mod:`skal.stopping`, which is cloned.
    cold_start : QueryStrategy, default=None
        See :class:`ActiveLearner`.
    classes : array-like of shape (n_classes,), default=None
        See :class:`ActiveLearner`; by default the classes of the oracle.
    unlabeled : int, float or str, default=None
        See :class:`ActiveLearner`: for an oracle or an annotator that has -1 as a class.
    random_state : int, RandomState instance or None, default=None
        Determines the initial labels, and seeds what :class:`ActiveLearner` seeds. Learners with the same
        `random_state`, `n_initial` and `initial` start from the same labels.

    Attributes
    ----------
    history_ : dict of ndarray
        One entry per fitted classifier, the initial one first:

        - ``n_labeled``: annotations made for the classifier: labels, or lines of `ADBA`, and declined samples;
        - ``score`` (or ``score_<name>`` for several metrics): the score on the validation rows, if there are any, or of
          a scorer that needs no rows; NaN where there was no classifier yet;
        - ``fit_time``, ``query_time``: times in seconds; the query is the one that led to this classifier (0 at the
          start);
        - ``query_entropy``: mean entropy, in nats, of the previous classifier's probabilities at the rows
          queried or synthesised (NaN at the start and without `predict_proba`);
        - ``class_counts``: labels of each class, shape (n_rounds, n_classes), with the classes in the order of
          ``np.unique``, as in ``history_.classes``.
    pool_rows_ : ndarray of int of shape (n_pool,)
        The rows of `X` that make up the pool: all except the held-out ones.
    labeled_rows_ : ndarray of int of shape (n_labeled,)
        Positions in the pool (`X_`), in the order in which they were labelled.
    stopping_ : StoppingCriterion
        The criterion after the last round, where `stopping` was given.
    estimator_, strategy_, classes_, y_, n_features_in_, feature_names_in_
        As in :class:`ActiveLearner`, at the end of the loop.

    See Also
    --------
    simulate : Several learners, repeated, on shared initial labels.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import SimulatedLearner
    >>> from skal.strategies import UncertaintySampling
    >>> X, y = load_iris(return_X_y=True)
    >>> learner = SimulatedLearner(
    ...     LogisticRegression(max_iter=1000), UncertaintySampling(), n_initial=5, n_queries=5, budget=20,
    ...     validation_fraction=0.3, random_state=0,
    ... ).fit(X, y)
    >>> learner.history_["n_labeled"]
    array([ 5, 10, 15, 20])
    """

    n_initial: int = 10
    n_queries: int = 10
    budget: int = 100
    annotator: Any = None
    initial: Any = "random"
    validation_fraction: float | None = None
    scoring: Any = None
    stopping: Any = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ActiveLearner._parameter_constraints,
        "n_initial": [Interval(Integral, 0, None, closed="left")],
        "budget": [Interval(Integral, 1, None, closed="left")],
        "annotator": [HasMethods(["predict"]), callable, None],
        "initial": [StrOptions(set(DRAWS)), "array-like", QueryStrategy],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "scoring": [str, callable, list, tuple, dict, None],
        "stopping": [HasMethods(["check", "update"]), None],
    }

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: ArrayLike, *, X_val: Any = None, y_val: ArrayLike | None = None, **fit_params: Any
    ) -> Self:
        """Run the loop until the budget is spent.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
            The oracle: the label of every row.
        X_val : array-like, sparse matrix or data frame of shape (n_val, ...), default=None
            Rows on which each round is scored.
        y_val : array-like of shape (n_val,), default=None
            Their labels; rows without a label are not scored.
        **fit_params : dict
            As in :meth:`ActiveLearner.fit`.

        Returns
        -------
        self : SimulatedLearner

        Raises
        ------
        ValueError
            If a row has no label, all rows of the pool are of one class, or both kinds of validation rows are given; if
            there are more initial labels than the budget; if the strategy makes samples and there is no `annotator`, or
            chooses rows and there is one; if `scoring` is not a scorer.
        TypeError
            If a scorer needs what the classifier lacks, such as `sample`, or returns no number.
        NotFittedError
            If the annotator is not fitted.
        """
        loop = self._opened(X, y, X_val, y_val, fit_params)
        oracle, stopping, pool, budget = loop.oracle, loop.stopping, self._state.pool, loop.budget
        initial = self._initial_rows(loop)
        n_rounds = 1 + math.ceil((budget - len(initial)) / self.n_queries)
        callbacks = self._init_callback_context(max_subtasks=n_rounds)
        callbacks.call_on_fit_task_begin(estimator=self)

        self._state = self._with_strategy(self._state, loop.fit_params)
        self.__dict__.pop("stopping_", None)  # of an earlier fit
        for _ in counted(range(n_rounds), "rounds"):
            task = callbacks.subcontext(task_name="round")
            task.call_on_fit_task_begin(estimator=self)
            if not loop.records:
                self._reveal(loop, initial, query_time=0.0, query_entropy=np.nan)
            elif loop.annotate is None:
                self._query_round(loop, min(self.n_queries, budget - loop.n_labeled))
            else:
                self._synthesis_round(loop, loop.annotate, min(self.n_queries, budget - loop.n_labeled))
            if loop.scoring.X is None:  # what a callback may score then: the rows labelled so far
                seen = {"X": pool.take(loop.labeled), "y": loop.labels_of(loop.labeled)}
            else:
                seen = {"X": loop.scoring.X, "y": loop.scoring.y}
            is_enough = stopping is not None and stopping.update(self).should_stop_
            asks_to_stop = task.call_on_fit_task_end(
                estimator=self, reconstruction_attributes=self._reconstruction, **seen
            )
            if is_enough or asks_to_stop:
                break
        if stopping is not None:
            self.stopping_ = stopping
        self.labeled_rows_ = loop.labeled
        # Only the first rounds, without a classifier, may lack a score.
        history = {
            key: np.array([record.get(key, np.nan) for record in loop.records]) for key in loop.records[-1]
        }
        self.history_: History = NamedHistory(history, plain(oracle.classes).tolist())
        callbacks.call_on_fit_task_end(estimator=self, reconstruction_attributes=self._reconstruction, **seen)
        return self

    def _opened(self, X: Any, y: Any, X_val: Any, y_val: Any, fit_params: dict[str, Any]) -> Loop:
        """Check everything that can be refused, and take up the pool, before anything is trained."""
        annotate = self._check_annotator()
        pool, oracle, X_val, y_val, fit_params = self._split(X, y, X_val, y_val, fit_params)
        self._check_initial(pool)
        state = self._start(
            pool,
            Labels.none(len(pool), oracle.classes.dtype, unlabeled=self.unlabeled),
            fit_params,
            classes=oracle.classes if self.classes is None else self.classes,
        )
        self._check_known_classes(oracle.classes)
        others = sorted(state.per_row - state.others.keys())
        if annotate is not None and others:
            raise ValueError(
                f"fit was given {others} with a value per row, which synthetic samples do not have; "
                "leave it out."
            )
        loop = Loop(
            oracle,
            stopping=self._checked_stopping(),
            scoring=Scoring(self, self.scoring, X_val, y_val),
            annotate=annotate,
            budget=self.budget if annotate is not None else min(self.budget, len(pool)),
            n_given=len(np.asarray(y)),
            fit_params=fit_params,
        )
        if not isinstance(self.initial, str | QueryStrategy):
            self._initial_rows(loop)
        return loop

    def _query_round(self, loop: Loop, n_queries: int) -> None:
        """Ask for rows of the pool, and reveal their labels."""
        started = time.perf_counter()
        rows = self.query(n_queries=n_queries)
        query_time = time.perf_counter() - started
        entropy = self._mean_entropy(self.X_, rows)
        self._reveal(loop, rows, query_time=query_time, query_entropy=entropy)

    def _reveal(self, loop: Loop, rows: Rows, **measured: float) -> None:
        """Refit the classifier on the labels of more rows."""
        started = time.perf_counter()
        state = self._state
        if len(rows):
            labels = loop.labels_of(rows)
            state = state.after("label", rows, labels, labels=state.labels.with_labels(rows, labels))
            state = replace(state, before=None)  # nobody said this, so `undo` does not take it back
        self._state = self._refitted(state)
        measured["fit_time"] = time.perf_counter() - started
        loop.labeled = np.append(loop.labeled, rows)
        loop.record(self, len(rows), loop.oracle.codes[rows], measured)

    def _synthesis_round(self, loop: Loop, annotate: Callable[[Any], Any], n_queries: int) -> None:
        """Have samples made and annotated, and refit the classifier on those that got a label."""
        started = time.perf_counter()
        state = self._state
        samples = self._synthesized(state, n_queries, loop.n_labeled)
        query_time = time.perf_counter() - started
        entropy = self._mean_entropy(state.pool.like(np.asarray(samples)))
        new, codes, params = annotated(state.strategy, samples, annotate, self.classes_, loop.oracle)
        started = time.perf_counter()
        if len(codes):
            self.extend(new, loop.oracle.classes[codes], **params)
            # What `undo` takes back is answered after the simulation.
            self._state = replace(self._state, before=None)
        measured = {
            "query_time": query_time,
            "query_entropy": entropy,
            "fit_time": time.perf_counter() - started,
        }
        loop.record(self, len(as_pool(samples)), codes, measured)

    def _split(
        self, X: Any, y: ArrayLike, X_val: Any, y_val: Any, fit_params: dict[str, Any]
    ) -> tuple[Pool, Labels, Any, Any, dict[str, Any]]:
        """Validate, and take the validation rows out of the pool."""
        self.strategy.check_params()
        pool = check_pool(self, X, reset=True)
        check_orders(y, fit_params, Ids.of_index(pool))
        oracle = Labels.of(y, len(pool), unlabeled=self.unlabeled)
        if len(oracle.rows) < len(oracle):
            hidden = np.flatnonzero(oracle.codes < 0)
            raise ValueError(
                f"The oracle y has {len(hidden)} unlabelled rows (the first at {hidden[0]}); leave them out, or use "
                "ActiveLearner, which takes partial labels. Where -1 is a class, say what else marks such a row: "
                "unlabeled=..."
            )
        if len(oracle.classes) < 2:
            raise ValueError(
                f"The oracle y has only one class, {oracle.classes.tolist()[0]!r}; at least two classes are needed."
            )
        if (X_val is None) != (y_val is None):
            raise ValueError("Give both X_val and y_val, or neither.")
        self.pool_rows_ = np.arange(len(oracle))
        if self.validation_fraction is None:
            if X_val is not None:
                held_out = check_pool(self, X_val, reset=False)
                check_orders(y_val, {}, Ids.of_index(held_out))
                X_val, y_val, _ = labeled_part(held_out, y_val, {}, unlabeled=self.unlabeled)
            return pool, oracle, X_val, y_val, fit_params
        if X_val is not None:
            raise ValueError(
                f"X_val was given and validation_fraction={self.validation_fraction}; give one of them, as there is "
                "one validation score."
            )
        kept, held = train_test_split(
            self.pool_rows_,
            test_size=self.validation_fraction,
            random_state=draw_seed(self.random_state) % 2**32,
            stratify=oracle.codes,
        )
        self.pool_rows_ = np.sort(kept)
        fit_params = _check_method_params(pool.X, fit_params, indices=self.pool_rows_)
        X_val, y_val = pool.take(held), plain(oracle.known[held])
        oracle = replace(oracle, codes=oracle.codes[self.pool_rows_])
        left = np.unique(oracle.codes)
        if len(left) < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves {len(kept)} rows in the pool, all of class "
                f"{oracle.classes.tolist()[left[0]]!r}; at least two classes are needed: lower it, or give X_val and "
                "y_val instead."
            )
        return as_pool(pool.take(self.pool_rows_)), oracle, X_val, y_val, fit_params

    def _check_initial(self, pool: Pool) -> None:
        """Refuse initial rows that cannot be had, before anything is trained."""
        if isinstance(self.initial, str | QueryStrategy) and self.n_initial > self.budget:
            raise ValueError(
                f"n_initial={self.n_initial} and budget={self.budget} were given; the budget counts the initial "
                "labels, too: raise it, or lower n_initial."
            )
        if not isinstance(self.initial, QueryStrategy):
            return
        self.initial.check(pool)
        if self.initial.requires:
            raise ValueError(
                f"initial={self.initial} needs a classifier, and there is none before the first labels; give a "
                "strategy that needs none, such as TypiClust(), CoreSet('input') or KMedian('input')."
            )

    def _initial_rows(self, loop: Loop) -> Rows:
        """Where the first labels are."""
        n_initial = min(self.n_initial, loop.budget)
        if isinstance(self.initial, str):
            rng = np.random.default_rng([self._seed, 0])
            return draw_initial(self.initial, loop.oracle.codes, n_initial, rng)
        if isinstance(self.initial, QueryStrategy):
            if not n_initial:
                return NO_ROWS
            state = self._state
            return self._prepared(self.initial, state).answer(
                state.query(state.pool, n_initial, with_unlabeled=False)
            )
        rows = named_initial(self.initial, self.pool_rows_, loop.n_given)
        if len(rows) > loop.budget:
            raise ValueError(
                f"initial names {len(rows)} rows, and the budget is {loop.budget}; raise the budget, or name fewer."
            )
        return rows

    def _checked_stopping(self) -> Any:
        """A criterion of this run alone, seeded and checked."""
        if self.stopping is None:
            return None
        stopping = clone(self.stopping)
        seed_random_states(stopping, self._seed)
        stopping.check(self)
        return stopping

    def _check_annotator(self) -> Callable[[Any], Any] | None:
        """The function that labels samples, for a strategy that makes them."""
        name, annotator = type(self.strategy).__name__, self.annotator
        if not isinstance(self.strategy, SynthesisStrategy):
            if annotator is not None:
                raise ValueError(
                    f"{name} chooses rows of the pool, whose labels are in y; annotator={annotator} is for "
                    "strategies that make samples, such as GAAL. Leave it out."
                )
            return None
        if annotator is None:
            raise ValueError(
                f"{name} makes samples, whose labels are not in y; give an annotator: a strong classifier, "
                "FrozenEstimator(fitted), or a function that maps samples to labels."
            )
        if not hasattr(annotator, "predict"):
            return annotator
        if hasattr(annotator, "fit"):
            try:
                check_is_fitted(annotator)
            except NotFittedError as error:
                raise NotFittedError(
                    f"The annotator {type(annotator).__name__} is not fitted. Fit it, and give it in a "
                    "FrozenEstimator, as clones (in simulate, in GridSearchCV) forget what they learned."
                ) from error
        return annotator.predict

    def _mean_entropy(self, X: Any, rows: Rows | None = None) -> float:
        estimator = self._state.guide
        if estimator is None or not hasattr(estimator, "predict_proba"):
            return float("nan")
        return float(entr(predict_proba(estimator, X, rows)).sum(axis=1).mean())

    def _reconstruction(self) -> dict[str, Any] | None:
        return {"_state": self._state} if hasattr(self, "estimator_") else None
