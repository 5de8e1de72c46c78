"""The base of all strategies: validation, seeds, and the check of the answer."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from ..access import check_requirements
from ..access.wrappers import has_network, unwrap
from ..exceptions import PoolExhaustedWarning
from ..generators import check_encodable
from ..labels import Labels
from ..pool import NO_ROWS, Pool, Rows, assuming_finite
from ..pool.validation import check_pool, check_readable, check_sparse, warn_of
from ..training.devices import resolve_device
from ..utils.checks import InstanceParams, check_integer
from ..utils.inheriting import Inheriting
from ..utils.parts import parts
from ..utils.random import draw_seed
from ..utils.warnings import callers_level
from .query import Query

POSITIVE_INTEGER = [Interval(Integral, 1, None, closed="left")]  # a constraint of parameters

_PREPARED_BYTES = 1 << 26  # how much of the fitted pool is read to notice a change in place
# Where nothing is prepared, a change that goes unnoticed only skips a validation, which the classifier repeats.
_UNPREPARED_BYTES = 1 << 18


@dataclass(eq=False, repr=False, kw_only=True)
class Strategy(ABC, Inheriting, InstanceParams):
    """Base of all strategies: those that choose rows, and those that make samples.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seeds every random choice. By default each `fit` draws a fresh seed.

    Attributes
    ----------
    requires : tuple of str
        What the classifier must provide: names of methods, ``"embed"`` for penultimate embeddings, or ``"as_torch"``
        for a classifier that can be differentiated. Empty for strategies that need no classifier.
    query_report_ : Bunch
        What the latest query did. Its keys depend on the strategy; strategies that report nothing do not have the
        attribute. It is empty after a query that had no row to choose from.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    _takes_sparse: ClassVar[bool] = True
    _takes_images: ClassVar[bool] = True
    # What to do where rows are to be read as numbers, and are none.
    _remedy: ClassVar[str] = (
        "Make numbers of them before the learner: make_pipeline(TfidfVectorizer(), TruncatedSVD(64), "
        "ActiveLearner(...)) for texts, make_pipeline(ColumnTransformer(...), ActiveLearner(...)) for a frame."
    )

    _filling: ClassVar[str] = (
        "Fill it in before the learner: make_pipeline(SimpleImputer(), ActiveLearner(...))."
    )

    random_state: Any = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {"random_state": ["random_state"]}

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Prepare the strategy for a pool.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or Pool of shape (n_samples, ...)
            The pool, labelled rows included. A `Pool` has been validated.
        y : array-like of shape (n_samples,) or Labels, default=None
            Partial labels, with -1 or ``None`` where unlabelled.

        Returns
        -------
        self : Strategy

        Raises
        ------
        ValueError
            If the pool, the labels, or a parameter of the strategy or one of its parts is invalid. This is found before
            anything is trained.
        """
        return self._fit_to(X, y)

    def _fit_to(self, X: Any, y: Any, **metadata: Any) -> Self:
        """Prepare for a pool, after checking the further arguments of a strategy's own `fit`."""
        pool = check_pool(self, X, reset=True)
        labels = y if y is None or isinstance(y, Labels) else Labels.of(y, len(pool))
        self.check(pool, **metadata)
        self._seed = draw_seed(self.random_state)
        pool.watch(self.watched_bytes)
        with assuming_finite(pool):
            self._take_up(pool, labels)
        return self

    def check(self, pool: Pool, estimator: Any = None) -> None:
        """Refuse, before anything is trained, input that the strategy and its parts cannot work with.

        Parameters
        ----------
        pool : Pool
        estimator : classifier, default=None
            The classifier to improve, fitted or not.

        Raises
        ------
        ValueError
            If a parameter of the strategy or one of its parts is invalid, a device does not exist, or the strategy
            would read NaN or infinity in the pool.
        TypeError
            If the classifier lacks what the strategy requires, or the strategy does not accept sparse rows.
        """
        self.check_params()
        if estimator is not None:
            check_requirements(self, self.requires, estimator)
            self._check_sample_params(estimator)
        self._check_pool(pool, estimator)

    def check_params(self) -> None:
        """Refuse parameters of the strategy and its parts, and devices that do not exist.

        Raises
        ------
        ValueError
        TypeError
            If the `requires` of the strategy or a part is a string.
        """
        for part in parts(self):
            if hasattr(part, "_parameter_constraints"):
                part._validate_params()
            if hasattr(part, "device"):
                resolve_device(part.device)
            if isinstance(requires := getattr(type(part), "requires", ()), str):  # an author forgot the comma
                raise TypeError(
                    f"{type(part).__name__} has requires={requires!r}; it must be a tuple of names: write "
                    f"({requires!r},)."
                )

    @property
    def reads_rows(self) -> bool:
        """Whether the strategy itself reads the rows as numbers, rather than its classifier or an encoder."""
        return False

    @property
    def sample_params(self) -> dict[str, Any]:
        """Parameters of the classifier's `fit` that samples bring, with the values that all other rows have.

        A learner uses these values for all rows and samples that are given without the parameter, before and after
        `use` of the strategy.
        """
        return {}

    def _check_sample_params(self, estimator: Any) -> None:
        """Refuse a classifier that does not learn the parameters of samples; metadata routing finds out by itself."""
        if not self.sample_params:
            return
        taken = signature(estimator.fit).parameters
        missing = sorted(self.sample_params.keys() - taken.keys())
        if missing and not any(each.kind is each.VAR_KEYWORD for each in taken.values()):
            raise TypeError(
                f"The samples of {self} come with {missing}, and {type(estimator).__name__}.fit takes no such "
                "parameter; give the learner a classifier that does."
            )

    def _encoder(self) -> Any:
        """Return the transformer, not fitted, in whose output the strategy looks at the rows; None if it has none."""
        return None

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        """Refuse a pool that the strategy cannot read, for a classifier if there is one."""
        if self.reads_rows:
            check_readable(self, pool, remedy=self._remedy, filling=self._filling)
        else:
            check_sparse(self, pool)
        encoder = self._encoder()
        if encoder is not None:
            check_encodable(encoder, pool)

    def _take_up(self, pool: Pool, labels: Labels | None) -> None:
        """Learn from a validated pool, and prepare for it."""
        self._fit(pool.X, None if labels is None else labels.codes)
        self._prepare(pool)
        self._pool = pool

    def _fit(self, X: Any, y: NDArray[np.int32] | None) -> None:
        """Learn what every later pool shares; nothing by default."""

    def _prepare(self, pool: Pool) -> None:
        """Build what belongs to the rows of one pool; nothing by default."""

    @property
    def _prepares(self) -> bool:
        return type(self)._prepare is not Strategy._prepare

    @property
    def watched_bytes(self) -> int:
        """How much of the fitted pool is read at each query to notice a change in place."""
        return _PREPARED_BYTES if self._prepares else _UNPREPARED_BYTES

    def prepared_for(self, pool: Pool) -> Self:
        """The strategy for a validated pool: itself for the pool of `fit`, a prepared copy for another pool."""
        if pool is self._pool or not self._prepares:
            return self
        other = copy.copy(self)
        other._prepare(pool)
        other._pool = pool
        return other

    def grown(self, pool: Pool) -> Self:
        """The strategy for the pool of `fit` with new rows at its end: a copy that keeps everything trained.

        Parameters
        ----------
        pool : Pool
            Validated; its first rows are those of `fit`.

        Returns
        -------
        strategy : Strategy
        """
        self._check_pool(pool)
        pool.watch(self.watched_bytes)
        other = copy.copy(self)
        other._pool = pool
        with assuming_finite(pool):
            other._grow(pool)
        return other

    def _grow(self, pool: Pool) -> None:
        """Prepare for a pool with new rows at its end; by default as for any other."""
        self._prepare(pool)

    def _check_asked(self, pool: Pool, estimator: Any) -> None:
        """Refuse a classifier that cannot guide the strategy, and another pool that it cannot read."""
        if pool is not self._pool:
            self._check_pool(pool, estimator)
        if not self.requires:
            return
        if not can_guide(estimator):
            known = getattr(estimator, "classes_", None)
            given = (
                "there is none yet" if known is None else f"the one given knows {np.asarray(known).tolist()}"
            )
            raise NotFittedError(
                f"{type(self).__name__} needs a fitted classifier of at least two classes, and {given}. "
                "Label the first rows with a strategy that needs no classifier, such as RandomSampling() or "
                "TypiClust('input'): as cold_start= of a learner, or with Switch()."
            )
        check_requirements(self, self.requires, estimator)
        check_is_fitted(unwrap(estimator))  # a FrozenEstimator copies the tags of its own for each question

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_pool")

    def __sklearn_tags__(self) -> Any:
        tags, encoder = super().__sklearn_tags__(), self._encoder()
        takes = tags.input_tags
        takes.three_d_array = self._takes_images
        takes.sparse = self._takes_sparse if encoder is None else get_tags(encoder).input_tags.sparse
        takes.string = not self.reads_rows
        takes.allow_nan = takes.string and encoder is None  # nobody knows what an encoder makes of it
        return tags


def can_guide(estimator: Any) -> bool:
    """Return whether there is a classifier that knows at least two classes, as far as it tells."""
    known = getattr(estimator, "classes_", None)
    return estimator is not None and (known is None or len(known) > 1)


class QueryStrategy(Strategy):
    """Base class of the strategies that choose rows of a pool.

    An author writes `_query` and, where something can be prepared, `_fit` and `_prepare`:

    `_query(query)`
        returns ``query.n_queries`` of the positions ``query.candidates.rows``, best first. Everything in the
        :class:`~skal.strategies.Query` has been validated.
    `_fit(X, y)`
        learns what all later pools share (an encoder, a generator) from the pool's container and label codes.
    `_prepare(pool)`
        builds what belongs to the rows of one pool (an index, a graph). `fit` calls it, and so does `query`, on a copy
        of the strategy, when it is given another pool.

    Parameters
    ----------
    {random_state}

    Attributes
    ----------
    {requires, query_report_}

    Notes
    -----
    The same pool, labels and `random_state` give the same answer. A query changes neither the classifier, nor the
    data, nor the global random state.
    """

    # Whether the report of a query has `n_unreached`: how many candidates no labelled or pending row reaches.
    tells_unreached: ClassVar[bool] = False

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
            The classifier to improve. Strategies with an empty `requires` need none.

        Returns
        -------
        rows : ndarray of int of shape (min(n_queries, n_unlabeled),)
            Distinct positions in `X`, best first.

        Raises
        ------
        ValueError
            If the pool or `n_queries` is invalid.
        NotFittedError
            If the strategy needs a classifier, and none was given or it is not fitted.
        TypeError
            If the classifier lacks what the strategy requires.

        Warns
        -----
        PoolExhaustedWarning, PoolWarning
            If fewer than `n_queries` rows are unlabelled; if `X` is nearly the pool of `fit`, and treated as another
            pool.
        """
        check_is_fitted(self)
        n_queries = check_integer("n_queries", n_queries)
        pool = self._recognized(X, estimator)
        labels = Labels.none(len(pool)) if y is None else Labels.of(y, len(pool))
        return self.answer(Query(pool=pool, labels=labels, n_queries=n_queries, estimator=estimator))

    def _recognized(self, X: Any, estimator: Any) -> Pool:
        """The pool of `fit` if X has the same rows and they are unchanged; otherwise a new pool."""
        has_nets = partial(has_network, [self, estimator])
        pool = check_pool(self, X, reset=False, known=self._pool, tells_numbers=has_nets)
        return pool if pool.is_unchanged() else check_pool(self, X, reset=False)

    def answer(self, query: Query) -> Rows:
        """Answer a query that has been validated, as an :class:`~skal.ActiveLearner` asks it.

        Parameters
        ----------
        query : Query
            Its random numbers are replaced by the strategy's own.

        Returns
        -------
        rows : ndarray of int of shape (min(n_queries, n_candidates),)
            Distinct candidates, best first.

        Raises
        ------
        NotFittedError, TypeError
            As `query` does.

        Warns
        -----
        PoolExhaustedWarning
            If there are fewer than ``query.n_queries`` candidates; all of them are returned.
        """
        n_queries = min(query.n_queries, len(query.candidates))
        if n_queries < query.n_queries:
            warnings.warn(
                f"{query.n_queries} rows were asked for and {n_queries} are unlabelled; all of them are returned.",
                PoolExhaustedWarning,
                stacklevel=callers_level(),
            )
        if n_queries == 0:
            if hasattr(self, "query_report_"):  # it is not about this query; others may read it meanwhile
                self.query_report_ = query.report
            return NO_ROWS.copy()
        self._check_asked(query.pool, query.estimator)
        rng = np.random.default_rng([self._seed, len(query.labels.rows)])
        query = replace(query, n_queries=n_queries, rng=rng)
        with assuming_finite(query.pool):
            rows = self._checked(self.prepared_for(query.pool)._query(query), query, "_query", n_queries)
        if query.report:
            self.query_report_ = query.report
        warn_of(query.pool)
        return rows

    @abstractmethod
    def _query(self, query: Query) -> Rows:
        """Choose ``query.n_queries`` of the candidates, best first."""

    def _checked(self, rows: Any, query: Query, method: str, n_rows: int | None = None) -> Rows:
        """Refuse a wrong answer of a method: an author's mistake must not reach the annotators."""
        rows, given = np.asarray(rows), f"{type(self).__name__}.{method} returned"
        if rows.shape == (0,):
            rows = rows.astype(np.intp)
        wrong_number = n_rows is not None and rows.shape != (n_rows,)
        if rows.dtype.kind not in "iu" or rows.ndim != 1 or wrong_number:
            wanted = "a 1-D array of" if n_rows is None else n_rows
            raise RuntimeError(
                f"{given} dtype {rows.dtype} and shape {rows.shape}; it must return {wanted} integer positions."
            )
        inside = (rows >= 0) & (rows < len(query.pool)) & query.candidates.isin(rows)
        if not inside.all() or len(np.unique(rows)) < len(rows):
            raise RuntimeError(
                f"{given} rows that are repeated or not among the candidates, such as labelled ones; it must choose "
                "distinct positions of query.candidates.rows."
            )
        return rows.astype(np.intp, copy=False)
