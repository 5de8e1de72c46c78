"""SimulatedLearner: the whole active-learning loop as one estimator, with the labels known from the start."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr
from sklearn.base import _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_method_params, _num_samples, check_is_fitted

from .access import predict_proba
from .differentiable import unwrap
from .labels import UNLABELED, check_partial_labels, labeled_mask, merge_labels
from .learner import ActiveLearner
from .strategies.base import Rows, Strategy, SynthesisStrategy
from .utils.callbacks import CallbackSupportMixin, with_callbacks
from .utils.random import draw_seed
from .utils.validation import check_pool

History = dict[str, NDArray[Any]]


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
        Number of labels at the start.
    n_queries : int, default=10
        Number of labels revealed, or samples annotated, a round.
    budget : int, default=100
        Number of labels at the end, the initial ones included (fewer if the pool has fewer rows).
    annotator : fitted classifier or callable, default=None
        Labels the samples of a `SynthesisStrategy`: a classifier by its `predict`, best a strong one that was trained
        on all labels, in a ``FrozenEstimator``; or a function of samples. A sample that it marks as unlabelled is not
        learned, and costs an annotation all the same.
    initial : {"random", "one_per_class"}, default="random"
        How the initial rows are drawn: at random (with two classes among them at least, so that
        a classifier can be fitted), or one of each class and the rest at random.
    validation_fraction : float, default=None
        Share of the rows given to `fit` that is held out, stratified by class, and scored each
        round. ``X_val`` and ``y_val`` of `fit` do the same without a copy of the pool.
    scoring : str, callable, list, dict or None, default=None
        As in ``GridSearchCV``; the classifier's `score` by default. A callable that does without rows, ``scorer(
        estimator, X=None, y=None)``, such as :class:`skal.metrics.GenerationScorer`, is also recorded where there are
        no validation rows.
    random_state : int, RandomState instance or None, default=None
        Decides the initial labels and seeds what :class:`ActiveLearner` seeds. Learners with the
        same `random_state`, `n_initial` and `initial` start from the same labels.

    Attributes
    ----------
    history_ : dict of ndarray
        One entry a fitted classifier, the initial one first:

        - ``n_labeled``: annotations made for it: labels, or lines of `ADBA`, and samples that were declined;
        - ``score`` (or ``score_<name>`` for several metrics): on the validation rows, if there are any, and what
          does without them; NaN where there was no classifier yet;
        - ``fit_time``, ``query_time``: seconds, the query being the one that led to it (0 at the start);
        - ``query_entropy``: mean entropy, in nats, of the previous classifier's probabilities at the rows
          queried or synthesised (NaN at the start and without `predict_proba`);
        - ``class_counts``: labels of each class, shape (n_rounds, n_classes), classes in the order of ``np.unique``.
    pool_rows_ : ndarray of int of shape (n_pool,)
        The rows of `X` that make up the pool, all but the held-out ones.
    labeled_rows_ : ndarray of int of shape (n_labeled,)
        Positions in the pool (`X_`), in the order in which they were labelled.
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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ActiveLearner._parameter_constraints,
        "n_initial": [Interval(Integral, 0, None, closed="left")],
        "budget": [Interval(Integral, 1, None, closed="left")],
        "annotator": [HasMethods(["predict"]), callable, None],
        "initial": [StrOptions({"random", "one_per_class"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "scoring": [str, callable, list, tuple, dict, None],
    }

    def __init__(
        self,
        estimator: Any,
        strategy: Strategy,
        *,
        n_initial: int = 10,
        n_queries: int = 10,
        budget: int = 100,
        annotator: Any = None,
        initial: str = "random",
        validation_fraction: float | None = None,
        scoring: Any = None,
        random_state: Any = None,
    ):
        super().__init__(estimator, strategy, n_queries=n_queries, random_state=random_state)
        self.n_initial = n_initial
        self.budget = budget
        self.annotator = annotator
        self.initial = initial
        self.validation_fraction = validation_fraction
        self.scoring = scoring

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
            The oracle: every row's label.
        X_val : array-like, sparse matrix or data frame of shape (n_val, ...), default=None
            Rows scored each round.
        y_val : array-like of shape (n_val,), default=None
            Their labels.
        **fit_params : dict
            As in :meth:`ActiveLearner.fit`.

        Returns
        -------
        self : SimulatedLearner

        Raises
        ------
        ValueError
            If a row has no label, all rows are of one class, or both kinds of validation rows are given; if the
            strategy makes samples and there is no `annotator`, or does not and there is one; if `scoring` is no scorer.
        TypeError
            If a scorer needs what the classifier lacks, such as `sample`, or returns no number.
        NotFittedError
            If the annotator is not fitted.
        """
        annotate = self._check_annotator()
        X, oracle, X_val, y_val, fit_params = self._split(X, y, X_val, y_val, fit_params)
        hidden = (
            np.full(len(oracle), None) if oracle.dtype.kind in "OUST" else np.full(len(oracle), UNLABELED)
        )
        self._start(X, hidden, fit_params)
        scorer = self._check_scoring(X_val is not None)
        classes, codes = np.unique(oracle, return_inverse=True)

        if annotate is not None and self._per_row:
            raise ValueError(
                f"fit was given {sorted(self._per_row)} with a value a row, which synthetic samples do not have; "
                "leave it out."
            )

        budget = self.budget if annotate is not None else min(self.budget, len(oracle))
        rows = self._initial_rows(codes, min(self.n_initial, self.budget, len(oracle)))
        n_rounds = 1 + math.ceil((budget - len(rows)) / self.n_queries)
        callbacks = self._init_callback_context(max_subtasks=n_rounds)
        callbacks.call_on_fit_task_begin(estimator=self)

        self._fit_strategy()
        records: list[dict[str, Any]] = []
        labeled: Rows = np.empty(0, dtype=np.intp)
        class_counts = np.zeros(len(classes), dtype=np.intp)
        n_labeled, query_time, query_entropy = 0, 0.0, np.nan
        for _ in range(n_rounds):
            task = callbacks.subcontext(task_name="round")
            task.call_on_fit_task_begin(estimator=self)
            n_queries = min(self.n_queries, budget - n_labeled)
            if records and annotate is not None:
                started = time.perf_counter()
                samples = self.synthesize(n_queries, random_state=self._synthesis_seed(n_labeled))
                query_time = time.perf_counter() - started
                query_entropy = self._mean_entropy(self.strategy_._like_pool(np.asarray(samples)))
                new, labels = self.strategy_.annotate(samples, annotate, self.classes_)
                class_counts += _count(labels, classes)
                started = time.perf_counter()
                if len(labels):
                    self.extend(new, labels)
                n_labeled += _num_samples(samples)
            else:
                if records:
                    started = time.perf_counter()
                    rows = self.query(n_queries=n_queries)
                    query_time = time.perf_counter() - started
                    query_entropy = self._mean_entropy(self.X_, rows)
                started = time.perf_counter()
                self.y_ = merge_labels(self.y_, rows, oracle[rows])
                self._fit_estimator()
                labeled = np.append(labeled, rows)
                class_counts += np.bincount(codes[rows], minlength=len(classes))
                n_labeled += len(rows)
            fit_time = time.perf_counter() - started
            records.append(
                {
                    "n_labeled": n_labeled,
                    **self._scores(scorer, X_val, y_val),
                    "fit_time": fit_time,
                    "query_time": query_time,
                    "query_entropy": query_entropy,
                    "class_counts": class_counts.copy(),
                }
            )
            X_seen, y_seen = (X_val, y_val) if X_val is not None else self._labeled_part(labeled)
            stop = task.call_on_fit_task_end(
                estimator=self, X=X_seen, y=y_seen, reconstruction_attributes=self._reconstruction
            )
            if stop:
                break
        self.labeled_rows_ = labeled
        # Only the first rounds, without a classifier, may lack a score.
        self.history_: History = {
            key: np.array([record.get(key, np.nan) for record in records]) for key in records[-1]
        }
        callbacks.call_on_fit_task_end(
            estimator=self, X=X_seen, y=y_seen, reconstruction_attributes=self._reconstruction
        )
        return self

    def _split(
        self, X: Any, y: ArrayLike, X_val: Any, y_val: Any, fit_params: dict[str, Any]
    ) -> tuple[Any, NDArray[Any], Any, Any, dict[str, Any]]:
        """Validate, and take the validation rows out of the pool."""
        X = check_pool(self, X, reset=True)
        oracle = check_partial_labels(y, _num_samples(X))
        hidden = np.flatnonzero(~labeled_mask(oracle))
        if len(hidden):
            raise ValueError(
                f"The oracle y has {len(hidden)} unlabelled rows (the first at {hidden[0]}); leave them out, or use "
                "ActiveLearner, which takes partial labels."
            )
        if len(set(oracle.tolist())) < 2:
            raise ValueError(
                f"The oracle y has only one class, {oracle[0]!r}; at least two classes are needed."
            )
        if (X_val is None) != (y_val is None):
            raise ValueError("Give both X_val and y_val, or neither.")
        self.pool_rows_ = np.arange(len(oracle))
        if self.validation_fraction is None:
            if X_val is None:
                return X, oracle, None, None, fit_params
            X_val = check_pool(self, X_val, reset=False)
            return X, oracle, X_val, check_partial_labels(y_val, _num_samples(X_val)), fit_params
        if X_val is not None:
            raise ValueError(
                f"X_val was given and validation_fraction={self.validation_fraction}; give one of them, as there is "
                "one validation score."
            )
        pool, held_out = train_test_split(
            self.pool_rows_,
            test_size=self.validation_fraction,
            random_state=draw_seed(self.random_state) % 2**32,
            stratify=oracle.astype(str),
        )
        self.pool_rows_ = np.sort(pool)
        fit_params = _check_method_params(X, fit_params, indices=self.pool_rows_)
        X_val = _safe_indexing(X, held_out)
        return (
            _safe_indexing(X, self.pool_rows_),
            oracle[self.pool_rows_],
            X_val,
            oracle[held_out],
            fit_params,
        )

    def _initial_rows(self, codes: NDArray[np.intp], n_initial: int) -> Rows:
        rng = np.random.default_rng([self._seed, 0])
        order = rng.permutation(len(codes))
        if self.initial == "one_per_class":
            n_classes = codes.max() + 1
            if n_initial < n_classes:
                raise ValueError(
                    f"n_initial={n_initial} rows cannot hold one of each of {n_classes} classes; raise n_initial (and "
                    "the budget), or use initial='random'."
                )
            firsts = np.unique(codes[order], return_index=True)[1]
            order = np.concatenate([order[firsts], np.delete(order, firsts)])
        elif n_initial >= 2 and (codes[order[:n_initial]] == codes[order[0]]).all():
            other = np.flatnonzero(codes[order] != codes[order[0]])[0]
            order[[n_initial - 1, other]] = order[[other, n_initial - 1]]
        return order[:n_initial]

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
        estimator = self._guide()
        if estimator is None or not hasattr(estimator, "predict_proba"):
            return float("nan")
        return float(entr(predict_proba(estimator, X, rows)).sum(axis=1).mean())

    def _check_scoring(self, has_rows: bool) -> Any:
        """Check the scorers before anything is trained, and return one for those that can be asked."""
        scoring = self.scoring
        if scoring is None:
            return check_scoring(self) if has_rows else None
        scorer = check_scoring(self, scoring=scoring)
        given = scoring if isinstance(scoring, Mapping) else {"": scoring}
        classifier = unwrap(self.estimator)
        for name, single in given.items():
            if isinstance(scoring, Mapping) and not isinstance(single, str) and not callable(single):
                raise ValueError(
                    f"scoring[{name!r}]={single!r} was given; it must be the name of a scorer or a callable "
                    "scorer(estimator, X, y)."
                )
            for need in getattr(single, "requires", ()):
                if not hasattr(classifier, need):
                    raise TypeError(
                        f"{single} needs a classifier with {need} and {type(classifier).__name__} has none. Use one "
                        "that has it, and no pipeline around it, or another scorer."
                    )
        if has_rows:
            return scorer
        given = {name: single for name, single in given.items() if _does_without_rows(single)}
        if not given:
            return None
        return check_scoring(self, scoring=given) if isinstance(scoring, Mapping) else scorer

    def _scores(self, scorer: Any, X_val: Any, y_val: Any) -> dict[str, float]:
        if scorer is None:
            return {}
        if not hasattr(self, "estimator_"):
            several = isinstance(self.scoring, list | tuple | Mapping)
            return dict.fromkeys([f"score_{name}" for name in self.scoring] if several else ["score"], np.nan)
        scores = scorer(self, X_val, y_val)
        if isinstance(scores, Mapping):
            return {f"score_{name}": _number(score, name) for name, score in scores.items()}
        return {"score": _number(scores, "score")}

    def _labeled_part(self, labeled: Rows) -> tuple[Any, Any]:
        """What a callback may score where there are no validation rows: the rows labelled so far."""
        return _safe_indexing(self.X_, labeled), self.y_[labeled]

    def _reconstruction(self) -> dict[str, Any] | None:
        return {"estimator_": self.estimator_} if hasattr(self, "estimator_") else None


def _does_without_rows(scorer: Any) -> bool:
    """Whether a scorer is a function of the estimator alone."""
    try:
        inspect.signature(scorer).bind(None)
    except (TypeError, ValueError):  # no function, or one that needs more
        return False
    return True


def _number(score: Any, name: str) -> float:
    if np.ndim(score) or not isinstance(np.asarray(score).item(), Real):
        raise TypeError(f"The scorer {name!r} returned {score!r}; it must return a number.")
    return float(score)


def _count(labels: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.intp]:
    """How many of an annotator's labels are of each class."""
    unknown = labels[~np.isin(labels, classes)]
    if len(unknown):
        raise ValueError(
            f"The annotator answered {unknown.tolist()[0]!r}, and the classes of y are {classes.tolist()}."
        )
    return (labels[:, None] == classes).sum(axis=0)


def simulate(
    learners: Mapping[str, SimulatedLearner] | Iterable[SimulatedLearner],
    X: Any,
    y: ArrayLike,
    *,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    n_repeats: int = 5,
    n_jobs: int | None = None,
    random_state: Any = None,
    **fit_params: Any,
) -> dict[str, History]:
    """Run several simulated learners, repeatedly, on shared initial labels.

    Parameters
    ----------
    learners : dict of str to SimulatedLearner, or iterable of SimulatedLearner
        An iterable's learners are named by their strategy's class. Their own ``random_state`` is
        replaced in each repeat by a seed that all learners share.
    X : array-like, sparse matrix or data frame of shape (n_samples, ...)
    y : array-like of shape (n_samples,)
        The oracle.
    X_val, y_val : array-likes, default=None
        Rows scored each round.
    n_repeats : int, default=5
        How often each learner runs, from other initial labels each time.
    n_jobs : int or None, default=None
        Runs side by side, as in joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    **fit_params : dict
        As in :meth:`SimulatedLearner.fit`.

    Returns
    -------
    histories : dict of str to dict of ndarray
        Each learner's ``history_`` with a leading axis of length `n_repeats`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import SimulatedLearner, simulate
    >>> from skal.strategies import RandomSampling, UncertaintySampling
    >>> X, y = load_iris(return_X_y=True)
    >>> learners = [
    ...     SimulatedLearner(LogisticRegression(max_iter=1000), strategy, budget=30, validation_fraction=0.3)
    ...     for strategy in (RandomSampling(), UncertaintySampling())
    ... ]
    >>> histories = simulate(learners, X, y, n_repeats=2, random_state=0)
    >>> histories["RandomSampling"]["score"].shape
    (2, 3)
    """
    if not isinstance(learners, Mapping):
        learners = list(learners)
        names = [type(learner.strategy).__name__ for learner in learners]
        if len(set(names)) < len(names):
            raise ValueError(
                f"Several learners have the same strategy class: {names}. Give a dict with a name for each."
            )
        learners = dict(zip(names, learners, strict=True))
    seeds = np.random.default_rng(draw_seed(random_state)).integers(np.iinfo(np.int32).max, size=n_repeats)
    runs = [
        clone(learner).set_params(random_state=int(seed)) for learner in learners.values() for seed in seeds
    ]
    histories = Parallel(n_jobs=n_jobs)(
        delayed(_run)(learner, X, y, X_val=X_val, y_val=y_val, **fit_params) for learner in runs
    )
    return {
        name: _stack(histories[start : start + n_repeats])
        for name, start in zip(learners, range(0, len(runs), n_repeats), strict=True)
    }


def _run(learner: SimulatedLearner, X: Any, y: Any, **fit_params: Any) -> History:
    return learner.fit(X, y, **fit_params).history_


def _stack(histories: list[History]) -> History:
    return {key: np.stack([history[key] for history in histories]) for key in histories[0]}


def labels_needed(history: History, score: float, *, metric: str = "score") -> NDArray[np.float64]:
    """How many labels each repeat needed to reach a score.

    Parameters
    ----------
    history : dict of ndarray
        A ``history_``, or one of the results of :func:`simulate`.
    score : float
        The score to reach.
    metric : str, default="score"
        Which of the history's arrays.

    Returns
    -------
    n_labeled : ndarray of float of shape (n_repeats,)
        The first number of labels with at least that score; NaN for a repeat that never had it.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.simulation import labels_needed
    >>> history = {"n_labeled": np.array([[10, 20], [10, 20]]), "score": np.array([[0.8, 0.9], [0.7, 0.8]])}
    >>> labels_needed(history, 0.9)
    array([20., nan])
    """
    scores, n_labeled = np.atleast_2d(history[metric]), np.atleast_2d(history["n_labeled"])
    reached = scores >= score
    first = reached.argmax(axis=1)[:, None]
    return np.where(reached.any(axis=1), np.take_along_axis(n_labeled, first, axis=1)[:, 0], np.nan)
