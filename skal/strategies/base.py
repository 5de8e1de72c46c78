"""What every strategy shares: validation, seeds, masks, and the check of the answer."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted

from ..access import blockwise, provides
from ..differentiable import check_differentiable
from ..exceptions import PoolExhaustedWarning
from ..labels import check_partial_labels, labeled_mask
from ..selection import top_k
from ..utils.random import draw_seed, seed_random_states
from ..utils.validation import Fingerprint, check_n_queries, check_pool, is_frame

Rows = NDArray[np.intp]


class Strategy(ABC, BaseEstimator):
    """What strategies that choose rows and strategies that make samples have in common.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seeds every random choice; by default each `fit` draws a fresh seed.
    """

    requires: ClassVar[tuple[str, ...]] = ()

    _parameter_constraints: ClassVar[dict[str, Any]] = {"random_state": ["random_state"]}

    def __init__(self, *, random_state: Any = None) -> None:
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Prepare the strategy for a pool.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
            The pool, labelled rows included.
        y : array-like of shape (n_samples,), default=None
            Partial labels, with -1 or ``None`` where unlabelled.

        Returns
        -------
        self : Strategy
        """
        X = check_pool(self, X, reset=True)
        if y is not None:
            y = check_partial_labels(y, _num_samples(X))
        self._seed = draw_seed(self.random_state)
        self._fit(X, y)
        self._prepare(X)
        self._fingerprint = Fingerprint(X, max_bytes=_PREPARED_BYTES if self._prepares else _UNPREPARED_BYTES)
        return self

    def _fit(self, X: Any, y: NDArray[Any] | None) -> None:
        """Learn what every later pool shares; nothing by default."""

    def _prepare(self, X: Any) -> None:
        """Build what belongs to the rows of the pool `X`; nothing by default."""

    @property
    def _prepares(self) -> bool:
        return type(self)._prepare is not Strategy._prepare

    def _check_estimator(self, estimator: Any) -> None:
        if not self.requires:
            return
        name = type(self).__name__
        if estimator is None:
            raise NotFittedError(
                f"{name} needs a fitted classifier of at least two classes and there is none yet. Label the first rows "
                "with a strategy that needs no classifier: RandomSampling(), CoreSet(embedding='input') or "
                "KMedian(embedding='input')."
            )
        check_requirements(self, estimator)
        check_is_fitted(estimator)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        return tags


class QueryStrategy(Strategy):
    """Base class of the strategies that choose rows of a pool.

    A strategy is written as `_query` and, where something can be prepared, `_fit` and `_prepare`:

    `_query(X, y, candidates, n_queries, estimator, rng)`
        returns `n_queries` of the positions `candidates`, best first. The base class has validated
        everything: `1 <= n_queries <= len(candidates)`, `y` marks the labelled rows, `estimator` is
        fitted and has what `requires` names, `rng` is a numpy ``Generator``.
    `_fit(X, y)`
        learns what every later pool shares (an encoder, a generator).
    `_prepare(X)`
        builds what belongs to the rows of one pool (an index, a graph). It is called by `fit` and
        again, on a copy of the strategy, when `query` is given another pool.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seeds every random choice; by default each `fit` draws a fresh seed.

    Attributes
    ----------
    requires : tuple of str
        What the classifier must have: names of methods, or ``"embed"`` for penultimate
        embeddings. Empty for strategies that need no classifier.

    Notes
    -----
    The same pool, labels and `random_state` give the same answer. A query changes neither the
    classifier, nor the data, nor the global random state.
    """

    query_report_: Any  # what the last query did, where a strategy says so

    def query(self, X: Any, y: Any = None, n_queries: int = 1, *, estimator: Any = None) -> Rows:
        """Choose the rows to label next.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
            The pool. What `fit` prepared is reused if it is the pool of `fit`.
        y : array-like of shape (n_samples,), default=None
            Partial labels; labelled rows are never returned. By default no row is labelled.
        n_queries : int, default=1
            How many rows to choose.
        estimator : fitted classifier, default=None
            The classifier to improve. Strategies with an empty `requires` do without one.

        Returns
        -------
        rows : ndarray of int of shape (min(n_queries, n_unlabeled),)
            Distinct positions in `X`, best first.

        Raises
        ------
        ValueError
            If the pool or `n_queries` is invalid.
        NotFittedError
            If the strategy needs a classifier and there is none that is fitted.
        TypeError
            If the classifier lacks what the strategy requires.

        Warns
        -----
        PoolExhaustedWarning
            If fewer than `n_queries` rows are unlabelled; all of them are returned.
        """
        check_is_fitted(self)
        n_queries = check_n_queries(n_queries)
        strategy = self
        if not (hasattr(X, "shape") and self._fingerprint.matches(X)):
            X = check_pool(self, X, reset=False)
            if self._prepares:
                strategy = copy.copy(self)
                strategy._prepare(X)
        n_samples = _num_samples(X)
        y = np.full(n_samples, -1) if y is None else check_partial_labels(y, n_samples)
        labeled = labeled_mask(y)
        candidates = np.flatnonzero(~labeled)
        if n_queries > len(candidates):
            warnings.warn(
                f"{n_queries} rows were asked for and {len(candidates)} are unlabelled; all of them are returned.",
                PoolExhaustedWarning,
                stacklevel=2,
            )
            n_queries = len(candidates)
        if n_queries == 0:
            return candidates
        self._check_estimator(estimator)
        rng = np.random.default_rng([self._seed, int(labeled.sum())])
        rows = strategy._query(X, y, candidates, n_queries, estimator, rng)
        if hasattr(strategy, "query_report_"):  # of a copy, where the pool is another one
            self.query_report_ = strategy.query_report_
        return self._check_rows(rows, labeled, n_queries)

    @abstractmethod
    def _query(
        self,
        X: Any,
        y: NDArray[Any],
        candidates: Rows,
        n_queries: int,
        estimator: Any,
        rng: np.random.Generator,
    ) -> Rows:
        """Choose `n_queries` of `candidates`, best first."""

    def _check_rows(self, rows: Any, labeled: NDArray[np.bool_], n_queries: int) -> Rows:
        """An author's mistake must not reach the annotators."""
        rows = np.asarray(rows)
        if rows.dtype.kind not in "iu" or rows.shape != (n_queries,):
            raise RuntimeError(
                f"{type(self).__name__}._query returned dtype {rows.dtype} and shape {rows.shape}; it must return "
                f"{n_queries} integer positions."
            )
        if (
            rows.min() < 0
            or rows.max() >= len(labeled)
            or labeled[rows].any()
            or len(np.unique(rows)) < n_queries
        ):
            raise RuntimeError(
                f"{type(self).__name__}._query returned rows that are repeated, out of range or labelled; it must "
                "choose distinct rows among `candidates`."
            )
        return rows.astype(np.intp, copy=False)


class ScoreStrategy(QueryStrategy):
    """Base class of the strategies that give each row a score of its own and take the highest.

    An author writes `_score(X, estimator)`: one score a row, higher is more wanted. `X` is a block
    of rows of the pool, so no score may depend on the other rows. Ties are broken at random: a
    sorted pool must not decide which class is queried.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Breaks ties.
    """

    @abstractmethod
    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        """The utility of each row of `X`, of shape (n_rows,)."""

    def utility(self, X: Any, *, estimator: Any = None) -> NDArray[np.floating[Any]]:
        """The score of every row, whether labelled or not.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        estimator : fitted classifier, default=None

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is more wanted.
        """
        check_is_fitted(self)
        if not (hasattr(X, "shape") and self._fingerprint.matches(X)):
            X = check_pool(self, X, reset=False)
        self._check_estimator(estimator)
        return self._scores(X, np.arange(_num_samples(X)), estimator)

    def _scores(self, X: Any, rows: Rows, estimator: Any) -> NDArray[np.floating[Any]]:
        return blockwise(lambda block: self._score(block, estimator), X, rows)

    def _query(
        self,
        X: Any,
        y: NDArray[Any],
        candidates: Rows,
        n_queries: int,
        estimator: Any,
        rng: np.random.Generator,
    ) -> Rows:
        return candidates[top_k(self._scores(X, candidates, estimator), n_queries, rng)]


class CandidateStrategy(QueryStrategy):
    """Base class of two-stage strategies: restrict the pool, then run a criterion on what is left.

    An author writes `_restrict(X, y, candidates, n_queries, estimator, rng)`, which returns a
    subset of `candidates`. Where it is smaller than `n_queries`, random candidates fill it up.

    Parameters
    ----------
    criterion : QueryStrategy, default=None
        The strategy that chooses among the restricted candidates; margin sampling by default.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    criterion_ : QueryStrategy
        The fitted criterion.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **QueryStrategy._parameter_constraints,
        "criterion": [QueryStrategy, None],
    }

    def __init__(self, criterion: QueryStrategy | None = None, *, random_state: Any = None) -> None:
        super().__init__(random_state=random_state)
        self.criterion = criterion

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return self._criterion().requires

    def _criterion(self) -> QueryStrategy:
        if self.criterion is not None:
            return self.criterion
        from .uncertainty import UncertaintySampling  # which builds on this module

        return UncertaintySampling("margin")

    @property
    def _prepares(self) -> bool:
        return True

    def _fit(self, X: Any, y: NDArray[Any] | None) -> None:
        self.criterion_ = clone(self._criterion())
        seed_random_states(self.criterion_, self._seed)
        self.criterion_.fit(X, y)

    def _prepare(self, X: Any) -> None:
        if not self.criterion_._fingerprint.matches(X):
            self.criterion_ = copy.copy(self.criterion_)
            self.criterion_._prepare(X)

    @abstractmethod
    def _restrict(
        self,
        X: Any,
        y: NDArray[Any],
        candidates: Rows,
        n_queries: int,
        estimator: Any,
        rng: np.random.Generator,
    ) -> Rows:
        """The candidates that the criterion gets to see."""

    def _query(
        self,
        X: Any,
        y: NDArray[Any],
        candidates: Rows,
        n_queries: int,
        estimator: Any,
        rng: np.random.Generator,
    ) -> Rows:
        restricted = self._restrict(X, y, candidates, n_queries, estimator, rng)
        if len(restricted) < n_queries:
            others = np.setdiff1d(candidates, restricted)
            restricted = np.append(restricted, rng.choice(others, n_queries - len(restricted), replace=False))
        return self.criterion_._query(X, y, np.sort(restricted), n_queries, estimator, rng)


class SynthesisStrategy(Strategy):
    """Base class of the strategies that make samples to annotate instead of choosing rows of the pool.

    A strategy is written as `_synthesize` and, where something can be prepared, `_fit` and `_prepare`, which are those
    of a `QueryStrategy`:

    `_synthesize(n_queries, estimator, rng)`
        returns `n_queries` samples, an array of shape (n_queries, ...). `estimator` is fitted and has what `requires`
        names, `rng` is a numpy ``Generator``. A `_prepare` of its own calls that of this class, which remembers for
        `_like_pool` how rows of the pool look.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seeds every random choice; by default each `fit` draws a fresh seed.

    Attributes
    ----------
    requires : tuple of str
        What the classifier must have: names of methods, or ``"as_torch"`` for a classifier that can be
        differentiated.
    query_report_ : Bunch
        What the latest synthesis did; its keys are those of the strategy.

    Notes
    -----
    The same pool, labels and `random_state` give the same samples. A synthesis changes neither the classifier, nor the
    generator, nor the data, nor the global random state.
    """

    def synthesize(self, n_queries: int = 1, *, estimator: Any = None, random_state: Any = None) -> Any:
        """Make samples that are worth annotating.

        Parameters
        ----------
        n_queries : int, default=1
            How many samples to make.
        estimator : fitted classifier, default=None
            The classifier to improve.
        random_state : int, RandomState instance or None, default=None
            Where other values make other samples; a learner passes one that changes with its labels. By default the
            seed of `fit`, and so the same samples for the same classifier.

        Returns
        -------
        samples : ndarray or data frame of shape (n_queries, ...)
            On the scale and in the shape of the rows of the pool, unless the strategy says otherwise.

        Raises
        ------
        ValueError
            If `n_queries` is invalid.
        NotFittedError
            If the strategy needs a classifier and there is none that is fitted.
        TypeError
            If the classifier lacks what the strategy requires.
        """
        check_is_fitted(self)
        n_queries = check_n_queries(n_queries)
        self._check_estimator(estimator)
        seed = self._seed if random_state is None else draw_seed(random_state)
        samples = self._synthesize(n_queries, estimator, np.random.default_rng(seed))
        if not 0 < _num_samples(samples) <= n_queries:
            raise RuntimeError(
                f"{type(self).__name__}._synthesize returned {_num_samples(samples)} samples; it must "
                f"return {n_queries}."
            )
        return samples

    def annotate(
        self, samples: Any, annotator: Callable[[Any], Any], classes: Any = None
    ) -> tuple[Any, NDArray[Any]]:
        """Ask a simulated annotator for the labels of samples.

        Parameters
        ----------
        samples : ndarray or data frame of shape (n_queries, ...)
            What `synthesize` returned.
        annotator : callable
            Maps samples to labels, of shape (n_queries,); the marker of unlabelled rows is an answer too, and declines
            a sample.
        classes : array-like of shape (n_classes,), default=None
            The classes of the classifier, for the strategies whose question is about them.

        Returns
        -------
        X : ndarray or data frame of shape (n_labeled, ...)
            The samples that were not declined, for `ActiveLearner.extend`.
        y : ndarray of shape (n_labeled,)
            Their labels.
        """
        labels = check_partial_labels(annotator(samples), _num_samples(samples))
        known = np.flatnonzero(labeled_mask(labels))
        return _safe_indexing(samples, known), labels[known]

    @abstractmethod
    def _synthesize(self, n_queries: int, estimator: Any, rng: np.random.Generator) -> Any:
        """Make `n_queries` samples."""

    def _prepare(self, X: Any) -> None:
        self._no_rows = X.head(0) if is_frame(X) else X[:0].copy()

    def _like_pool(self, rows: NDArray[Any]) -> Any:
        """Rows in the shape and the floating type of the pool's, and in a data frame where the pool is one."""
        if not is_frame(self._no_rows):
            dtype = self._no_rows.dtype if self._no_rows.dtype.kind == "f" else rows.dtype
            return rows.reshape(-1, *self._no_rows.shape[1:]).astype(dtype, copy=False)
        names = "columns" if hasattr(self._no_rows, "iloc") else "schema"  # of pandas and of polars
        return type(self._no_rows)(
            rows.reshape(-1, self._no_rows.shape[1]), **{names: list(self._no_rows.columns)}
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


def check_requirements(strategy: Strategy, estimator: Any) -> None:
    """Check, without fitting anything, that a classifier has what a strategy needs."""
    for need in strategy.requires:
        if need == "as_torch":
            try:
                check_differentiable(estimator)
            except TypeError as error:
                raise TypeError(f"{strategy} needs a classifier with a gradient. {error}") from error
            continue
        if not provides(estimator, need):
            raise TypeError(
                f"{strategy} needs a classifier with {_NEEDS.get(need, need)} and {type(estimator).__name__} has none. "
                f"{_REMEDIES.get(need, 'Use a classifier that has it, or another strategy.')}"
            )


_NEEDS = {
    "embed": "penultimate embeddings",
    "labeled_proba": "a discriminator of labelled rows",
    "critic_scores": "a critic of unlabelled rows",
    "dropout_proba": "dropout layers",
    "predicted_loss": "a prediction of its loss",
}
_REMEDIES = {
    "predict_proba": "Wrap it in CalibratedClassifierCV, use a classifier that gives probabilities, or use a strategy "
    "that does without: UncertaintySampling(measure='min_distance') for linear models, RandomSampling() or CoreSet().",
    "decision_function": "Use a linear model or SVM, or UncertaintySampling(measure='margin').",
    "labeled_proba": "Use skal.classifiers.VAALClassifier, which trains one beside its network.",
    "critic_scores": "Use skal.classifiers.WassersteinClassifier, which trains one on its features.",
    "predicted_loss": "Use skal.classifiers.LearningLossClassifier, which learns to predict it.",
    "dropout_proba": "Use a network with torch.nn.Dropout of a positive share, such as CNNClassifier('lenet') or "
    "NetClassifier(module_params={'dropout': 0.5}), or UncertaintySampling(), which does without.",
    "embed": "Use a linear model, an MLPClassifier or a network, or a strategy that works on the rows themselves, such "
    "as CoreSet(embedding='input').",
}

_PREPARED_BYTES = 1 << 26
# Without prepared state a wrong reuse costs no more than a skipped validation, which the classifier repeats.
_UNPREPARED_BYTES = 1 << 18
