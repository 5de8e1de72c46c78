"""What a learner knows at one time: one immutable object, which queries of other threads see whole."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_method_params

from ..labels import Labels, encode, plain
from ..pool import NO_ROWS, Candidates, Pool, Rows, as_pool
from ..strategies.query import Query, Samples, TrainingSet


@dataclass(frozen=True, eq=False, kw_only=True)
class State:
    """What a learner knows at one time; a change makes a new one, which takes the place of the old at once.

    Attributes
    ----------
    pool : Pool
    labels : Labels
        Of the rows of the pool.
    params : dict
        Parameters of the classifier's `fit`.
    per_row : frozenset of str
        Those of them that have a value per row of the pool.
    extensions : tuple of TrainingSet
        Labelled samples that are not in the pool.
    estimator : fitted classifier or None
    strategy, cold_start : fitted strategy or None
    can_guide : bool
        Whether a strategy may ask the classifier: it knows two classes or more.
    is_trained : bool
        Whether the classifier was trained on all that is labelled.
    skipped : ndarray of int
        The rows that cannot be labelled, in increasing order.
    before : State or None
        What was known before the last answer.
    """

    pool: Pool
    labels: Labels
    params: dict[str, Any]
    per_row: frozenset[str]
    extensions: tuple[TrainingSet, ...] = ()
    estimator: Any = None
    strategy: Any = None
    cold_start: Any = None
    can_guide: bool = False
    is_trained: bool = False
    skipped: Rows = field(default_factory=NO_ROWS.copy)
    before: State | None = None

    @property
    def guide(self) -> Any:
        """The classifier as strategies get it: none while it knows fewer than two classes."""
        return self.estimator if self.can_guide else None

    @property
    def classes(self) -> NDArray[Any]:
        """The classes that have a label now, in increasing order."""
        own = np.unique(self.labels.codes[self.labels.rows])
        known = [self.labels.classes[own], *(each.y for each in self.extensions)]
        return encode(np.concatenate(known))[0]

    @property
    def n_labeled(self) -> int:
        """Number of labels, of rows and of extensions."""
        return len(self.labels.rows) + sum(len(each.y) for each in self.extensions)

    def after(self, **answers: Any) -> Self:
        """The state after an answer; the present one is what `before` holds, and no other state before that."""
        return replace(self, **answers, before=replace(self, before=None))

    def training_set(self, *, with_unlabeled: bool) -> TrainingSet:
        """What the classifier is fitted on."""
        rows = self.labels.rows
        if with_unlabeled:
            own = TrainingSet(self.pool.X, self.labels.for_semi_supervised(), self.params)
        elif len(rows) == len(self.pool):
            own = TrainingSet(self.pool.X, plain(self.labels.known), self.params)
        else:
            params = _check_method_params(self.pool.X, self.params, indices=rows)
            own = TrainingSet(self.pool.take(rows), plain(self.labels.known), params)
        if not self.extensions:
            return own
        parts = (own, *self.extensions)
        params = {
            name: np.concatenate([part.params[name] for part in parts]) if name in self.per_row else value
            for name, value in self.params.items()
        }
        X = as_pool(own.X).stack([each.X for each in self.extensions])
        return TrainingSet(X, np.concatenate([part.y for part in parts]), params)

    def query(
        self,
        pool: Pool,
        n_queries: int,
        *,
        with_unlabeled: bool,
        pending: Rows = NO_ROWS,
        excluded: Rows = NO_ROWS,
        **params: Any,
    ) -> Query:
        """The question about the next rows of a pool, that of `fit` or another one.

        What is skipped counts as chosen, like what is pending: rows near it cannot be labelled either.
        """
        own = pool is self.pool
        if own and len(pending) + len(self.skipped):
            pending = np.setdiff1d(np.union1d(pending, self.skipped), self.labels.rows)
        labels = self.labels if own else Labels(Labels.none(len(pool)).codes, self.labels.classes)
        outside = []
        for part in self.extensions:
            codes = np.searchsorted(labels.classes, part.y).astype(np.int32)
            outside.append(Samples(as_pool(part.X), np.arange(len(codes)), codes))
        if not own:
            outside.append(Samples(self.pool, self.labels.rows, self.labels.codes[self.labels.rows]))
        unavailable = labels.rows  # sorted already, as most queries leave them
        if len(pending) + len(excluded):
            unavailable = np.unique(np.concatenate([unavailable, pending, excluded]))
        return Query(
            pool=pool,
            labels=labels,
            candidates=Candidates(unavailable, complement_in=len(pool)),
            pending=np.unique(pending),
            n_queries=n_queries,
            estimator=self.guide,
            outside=tuple(outside),
            training=partial(self.training_set, with_unlabeled=with_unlabeled),
            **params,
        )
