"""The base of the strategies that score each row by itself."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _num_samples, check_is_fitted

from ..access import working_bytes
from ..pool import Part, Pool, Rows, assuming_finite, blockwise, executed, kept
from ..selection import Best, drawn_key
from .base import QueryStrategy
from .query import Query

# Up to this share of rows that are no candidates, all rows are scored: to gather the others would cost more.
_FEW = 0.25


class ScoreStrategy(QueryStrategy):
    """Base class of the strategies that score each row by itself and take the rows with the highest scores.

    An author writes `_score(X, estimator)`, which returns one score per row; rows with higher scores are chosen first.
    `X` is a block of rows of the pool, so no score may depend on the other rows. Ties are broken at random: the order
    of the pool must not decide which class is queried.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Breaks ties. By default each `fit` draws a fresh seed.

    Attributes
    ----------
    {requires, query_report_}
    """

    @abstractmethod
    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        """The utility of each row of `X`, of shape (n_rows,): real numbers, as an array or a column of a frame."""

    def utility(self, X: Any, *, estimator: Any = None) -> NDArray[np.floating[Any]]:
        """Score every row, whether labelled or not.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or Pool of shape (n_samples, ...)
        estimator : fitted classifier, default=None

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Rows with higher scores are chosen first.

        Raises
        ------
        TypeError
            As `check_utility` does.
        """
        check_is_fitted(self)
        self.check_utility()
        pool = X if isinstance(X, Pool) else self._recognized(X, estimator)
        self._check_asked(pool, estimator)
        with assuming_finite(pool):
            return self._scores(pool, None, estimator)

    def check_utility(self) -> None:
        """Raise an error if the strategy cannot score rows outside a query; by default it can.

        Raises
        ------
        TypeError
        """

    def _scores(self, pool: Pool, rows: Rows | None, estimator: Any) -> NDArray[np.floating[Any]]:
        score, row_bytes = self._scorer(pool, estimator)
        return blockwise(score, pool, rows, row_bytes=row_bytes)

    def _scorer(self, pool: Pool, estimator: Any) -> tuple[Callable[[Any], NDArray[Any]], float]:
        """The function that scores a block, in any process, and the bytes that a row takes in it."""
        scorer = copy.copy(self)
        scorer._pool = None  # type: ignore[assignment]  # the workers need not be sent it
        return partial(scorer._block_scores, estimator=estimator), working_bytes(estimator, pool)

    def _block_scores(self, X: Any, estimator: Any) -> NDArray[Any]:
        """The answer of `_score` as an array; an author's mistake must not reach the annotators."""
        answer, n_rows = self._score(X, estimator), _num_samples(X)
        returned = f"{type(self).__name__}._score returned"
        wanted = f"it must return a 1-D array of {n_rows} real numbers, one per row of its X"
        try:
            scores = np.asarray(answer)
        except (TypeError, ValueError, RuntimeError) as error:  # a ragged list, a tensor with a gradient
            raise RuntimeError(
                f"{returned} {type(answer).__name__}; {wanted}, and numpy says: {error}"
            ) from error
        if np.ma.is_masked(answer):
            raise RuntimeError(
                f"{returned} masked values; {wanted}: fill them, as scores.filled(-np.inf) does."
            )
        if scores.dtype.kind not in "biuf" or scores.shape != (n_rows,):
            raise RuntimeError(f"{returned} dtype {scores.dtype} and shape {scores.shape}; {wanted}.")
        return scores

    def _query_scorer(self, query: Query) -> tuple[Callable[[Any], NDArray[Any]], float]:
        """The same for a query, for a strategy whose scores depend on more than the classifier."""
        return self._scorer(query.pool, query.estimator)

    def _query_scores(self, query: Query, rows: Rows) -> NDArray[np.floating[Any]]:
        """The utility of some rows of the pool, for a strategy that others ask for scores."""
        score, row_bytes = self._query_scorer(query)
        return blockwise(score, query.pool, rows, row_bytes=row_bytes)

    def _query(self, query: Query) -> Rows:
        score, row_bytes = self._query_scorer(query)
        excluded, k, key = query.candidates.excluded, query.n_queries, drawn_key(query.rng)
        rows = None
        if excluded is None or len(excluded) > _FEW * len(query.pool):
            excluded, rows = None, query.candidates.rows

        def best(block: Any, part: Part) -> Best:
            scores, positions = kept(score(block), block, part), part.positions
            if excluded is not None:  # both are in increasing order, and positions follow one another
                first, last = np.searchsorted(excluded, (positions[0], positions[-1] + 1))
                is_open = np.ones(len(positions), dtype=bool)
                is_open[excluded[first:last] - positions[0]] = False
                scores, positions = scores[is_open], positions[is_open]
            return Best.of(scores, positions, k, key)

        # No array of the pool's size: of each block the best remain.
        return reduce(
            lambda one, other: one.merged(other, k, key),
            # Nobody else holds the pass, which ends when an error ends this function.
            (answer for answer, _ in executed(best, query.pool, rows, row_bytes=row_bytes)),
        ).positions
