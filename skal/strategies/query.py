"""The query that a strategy answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..labels import Labels, plain
from ..pool import NO_ROWS, Candidates, Pool, Rows


class Samples(NamedTuple):
    """Labelled rows that are not among the candidates' pool.

    Attributes
    ----------
    pool : Pool
        The pool that holds them.
    rows : ndarray of int of shape (n_samples,)
        Their positions in it.
    codes : ndarray of int of shape (n_samples,)
        Positions of their labels in the classes of the query.
    """

    pool: Pool
    rows: Rows
    codes: NDArray[np.int32]


class TrainingSet(NamedTuple):
    """The rows and labels that the classifier is fitted on.

    Attributes
    ----------
    X : container of shape (n_samples, ...)
    y : ndarray of shape (n_samples,)
    params : dict
        Parameters of its `fit`, such as ``sample_weight``.
    """

    X: Any
    y: NDArray[Any]
    params: dict[str, Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Query:
    """The query that a strategy answers. Everything in it has been validated.

    Parameters
    ----------
    pool : Pool
        The rows: ``query.pool.X`` is their container, ``query.pool.take(rows)`` some of them.
    labels : Labels
        Partial labels of the pool, as integer codes with their classes.
    candidates : Candidates
        The rows that may be chosen; ``query.candidates.rows`` are their positions, in increasing order.
    n_queries : int
        How many of the candidates to choose, at least 1 and at most all of them.
    estimator : fitted classifier or None
        The classifier to improve. It provides what the strategy's `requires` names.
    rng : numpy.random.Generator
        The only source of random numbers. It depends on the strategy's `random_state` and the number of labels.
    pending : ndarray of int of shape (n_pending,)
        Rows that annotators have been asked about and have not answered yet, or skipped. They are not among the
        candidates; a strategy that spreads a batch counts them as chosen.
    skipped : ndarray of int of shape (n_skipped,)
        The pending rows that were skipped: they will get no label.
    outside : tuple of Samples
        Labelled rows outside this pool: the samples of `ActiveLearner.extend` and, where the query is about another
        pool than that of `fit`, the labelled rows of the pool of `fit`.
    training : callable or None
        Returns the `TrainingSet` of the classifier, for strategies that train it again. None outside a learner.
    params_of : callable or None
        Maps rows of the pool to the parameters of the classifier's `fit` that have one value per row, such as
        ``sample_weight``, for the case that these rows are labelled next. None outside a learner.
    report : Bunch
        Where the strategy records what it did. It becomes the ``query_report_`` of the strategy.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.labels import Labels
    >>> from skal.pool import as_pool
    >>> from skal.strategies import Query
    >>> query = Query(pool=as_pool(np.eye(4)), labels=Labels.of([0, -1, 1, -1]), n_queries=1)
    >>> query.labels.codes, query.labels.rows, query.candidates.rows
    (array([ 0, -1,  1, -1], dtype=int32), array([0, 2]), array([1, 3]))
    >>> query.restricted_to(np.array([3])).candidates.rows
    array([3])
    """

    pool: Pool
    labels: Labels
    n_queries: int
    candidates: Candidates = None  # type: ignore[assignment]  # by default the unlabelled rows
    estimator: Any = None
    rng: Any = None
    pending: Rows = field(default_factory=NO_ROWS.copy)
    skipped: Rows = field(default_factory=NO_ROWS.copy)
    outside: tuple[Samples, ...] = ()
    training: Callable[[], TrainingSet] | None = None
    params_of: Callable[[Rows], dict[str, Any]] | None = None
    report: Bunch = field(default_factory=Bunch)

    def __post_init__(self) -> None:
        if self.candidates is None:
            unlabeled = Candidates(self.labels.rows, complement_in=len(self.labels))
            object.__setattr__(self, "candidates", unlabeled)

    @cached_property
    def labeled(self) -> NDArray[np.bool_]:
        """Which rows of the pool are labelled: a mask of shape (n_samples,)."""
        return self.labels.codes >= 0

    @property
    def n_labels(self) -> int:
        """The number of known labels, including those of samples outside the pool."""
        return len(self.labels.rows) + sum(len(samples.rows) for samples in self.outside)

    @property
    def unseen(self) -> list[Any]:
        """The known classes that no row and no sample is labelled with."""
        seen = np.concatenate(
            [self.labels.codes[self.labels.rows], *(samples.codes for samples in self.outside)]
        )
        return np.delete(self.labels.classes, np.unique(seen)).tolist()

    @property
    def awaited(self) -> Rows:
        """The pending rows that may still get a label: those that nobody skipped."""
        return np.setdiff1d(self.pending, self.skipped)

    @property
    def trainee(self) -> Any:
        """The fitted classifier that belongs to `training_set`: clone it to train it again.

        It is the `estimator`, with one exception: if -1 is a class and the classifier takes -1 for unlabelled, the
        learner has trained it on codes and wrapped it in a classifier that turns codes back into labels.
        """
        is_around = getattr(type(self.estimator), "delegates", False)
        if is_around and self.estimator.estimator is self.estimator.estimator_:  # its own `fit` makes a clone
            return self.estimator.estimator
        return self.estimator

    def training_set(self) -> TrainingSet:
        """What the `trainee` is fitted on: the training set of its learner, or else the labelled rows of the pool.

        Returns
        -------
        training_set : TrainingSet

        Raises
        ------
        ValueError
            If no row is labelled.
        """
        if self.training is not None:
            return self.training()
        rows = self.labels.rows
        if not len(rows):
            raise ValueError(
                "The strategy trains the classifier on the labels, and no row is labelled; give y to query, or use one "
                "that trains nothing, such as UncertaintySampling()."
            )
        return TrainingSet(self.pool.take(rows), plain(self.labels.known), {})

    def row_params(self, rows: Rows) -> dict[str, Any]:
        """The parameters for `fit` of the classifier that belong to rows of the pool, should they be labelled next.

        Parameters
        ----------
        rows : ndarray of int of shape (n_rows,)

        Returns
        -------
        params : dict of array-like of shape (n_rows, ...)
        """
        return {} if self.params_of is None else self.params_of(rows)

    def restricted_to(self, rows: Rows, n_queries: int | None = None) -> Self:
        """The same query for a criterion that sees only some of the candidates, with its own report.

        Parameters
        ----------
        rows : ndarray of int of shape (n_rows,)
            Positions of candidates, in increasing order.
        n_queries : int, default=None
            How many of them to choose; by default as many as in this query.

        Returns
        -------
        query : Query
        """
        n_queries = self.n_queries if n_queries is None else n_queries
        return replace(self, candidates=Candidates(rows), n_queries=n_queries, report=Bunch())
