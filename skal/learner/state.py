"""What a learner knows at one time: one immutable object, which queries of other threads see whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from functools import cached_property, partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _check_method_params

from ..labels import Labels, encode, plain
from ..pool import NO_ROWS, Candidates, Pool, Rows, as_pool
from ..strategies.query import Query, Samples, TrainingSet
from .draws import Draws
from .extensions import Extension
from .ids import Ids
from .record import Entry, Record, now


class RowState(IntEnum):
    """The state of a row of the pool, as a learner sees it; each row is always in exactly one.

    Attributes
    ----------
    UNLABELED
        Nobody has said anything about the row: queries offer it.
    LABELED
        The classifier learns the label of the row.
    SKIPPED
        The row cannot be labelled. No query offers it, and strategies that spread a batch keep away from it.
    AUDIT
        The row was drawn or labelled for an honest estimate, and is kept out of training: no query offers it, and
        neither the classifier nor a strategy learns its label.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner, RowState
    >>> from skal.strategies import RandomSampling
    >>> learner = ActiveLearner(LogisticRegression(), RandomSampling())
    >>> learner = learner.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, -1, -1]).skip([2]).teach([3], [1], audit=True)
    >>> learner.row_states_
    array([1, 1, 2, 3], dtype=int8)
    >>> (learner.row_states_ == RowState.AUDIT).nonzero()[0]
    array([3])
    """

    UNLABELED = 0
    LABELED = 1
    SKIPPED = 2
    AUDIT = 3


_ANSWERS = ("labels", "audit", "params", "per_row", "has_own_weights", "extensions")


@dataclass(frozen=True, eq=False, kw_only=True)
class State:
    """What a learner knows at one time; a change makes a new one, which takes the place of the old at once.

    Attributes
    ----------
    pool : Pool
    ids : Ids or None
        Names of its rows.
    labels : Labels
        Of the rows of the pool, those for an audit included.
    audit : ndarray of int
        The labelled rows that are kept out of training, in increasing order.
    draws : Draws
        The rows that were drawn for an audit.
    arrivals : tuple of (int, int)
        Whenever the pool grew: how many rows it had, and how many had been drawn for an audit.
    skipped : ndarray of int
        The rows that cannot be labelled, in increasing order.
    params : dict
        Parameters of the classifier's `fit`.
    per_row : frozenset of str
        Those of them that have a value per row of the pool.
    others : dict
        Those of them that the samples of a strategy come with, and the value of rows and samples that come without.
    has_own_weights : bool
        Whether `fit` was given no ``sample_weight`` and answers came with one: all others weigh 1.
    extensions : tuple of Extension
        Labelled samples that are not in the pool.
    known : ndarray or None
        All classes, in increasing order, where they were given.
    estimator : fitted classifier or None
        The last one that could be trained.
    failure : str or None
        Why the classifier could not be trained on so few labels.
    strategy, cold_start : fitted strategy or None
    can_guide : bool
        Whether a strategy may ask the classifier: it knows two classes or more.
    is_trained : bool
        Whether the classifier was trained on all that is labelled.
    basis : dict or None
        What the classifier was trained on, as attributes of a state.
    round : int
        How often training was tried.
    record : tuple of Entry
    before : State or None
        What was known before the last answer.
    """

    pool: Pool
    labels: Labels
    params: dict[str, Any]
    per_row: frozenset[str]
    others: dict[str, Any] = field(default_factory=dict)
    ids: Ids | None = None
    audit: Rows = field(default_factory=NO_ROWS.copy)
    draws: Draws = field(default_factory=Draws)
    arrivals: tuple[tuple[int, int], ...] = ()
    skipped: Rows = field(default_factory=NO_ROWS.copy)
    has_own_weights: bool = False
    extensions: tuple[Extension, ...] = ()
    known: NDArray[Any] | None = None
    estimator: Any = None
    failure: str | None = None
    strategy: Any = None
    cold_start: Any = None
    can_guide: bool = False
    is_trained: bool = False
    basis: dict[str, Any] | None = None
    round: int = 0
    record: Record = ()
    before: State | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: other threads may be computing properties."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @property
    def guide(self) -> Any:
        """The classifier as strategies get it: none while it knows fewer than two classes."""
        return self.estimator if self.can_guide else None

    @cached_property
    def learned(self) -> Labels:
        """The labels that are trained on."""
        return self.labels.without(self.audit) if len(self.audit) else self.labels

    @cached_property
    def awaited(self) -> Rows:
        """The rows that were drawn for the audit, and that nobody has labelled or skipped, in increasing order."""
        kept = self.draws.kept
        return np.setdiff1d(kept[self.labels.codes[kept] < 0], self.skipped)

    @property
    def set_aside(self) -> Rows:
        """The rows that belong to the audit, labelled or not, in increasing order."""
        return np.union1d(self.audit, self.draws.kept)

    @cached_property
    def extension_labels(self) -> dict[Any, Any]:
        """The labels of the samples that are not in the pool, by their keys."""
        pairs = (zip(each.keys, each.y.tolist(), strict=True) for each in self.extensions)
        return {key: label for pair in pairs for key, label in pair}

    @property
    def answers(self) -> dict[str, Any]:
        """What a training goes by, as attributes."""
        return {name: getattr(self, name) for name in _ANSWERS}

    @property
    def counts(self) -> dict[Any, int]:
        """How many labels of each class are trained on; classes without one are left out, unless they were given."""
        codes = np.bincount(self.learned.codes[self.learned.rows], minlength=len(self.labels.classes))
        counts = Counter(dict(zip(self.labels.classes.tolist(), codes.tolist(), strict=True)))
        for each in self.extensions:
            counts.update(each.y.tolist())
        known = set() if self.known is None else set(self.known.tolist())
        return {label: n for label, n in sorted(counts.items()) if n or label in known}

    @property
    def classes(self) -> NDArray[Any]:
        """The classes that are trained on, in increasing order."""
        own = np.unique(self.learned.codes[self.learned.rows])
        known = [self.labels.classes[own], *(each.y for each in self.extensions)]
        return encode(np.concatenate(known))[0]

    @property
    def n_labeled(self) -> int:
        """Number of labels that are trained on, of rows and of extensions."""
        return len(self.learned.rows) + sum(len(each.y) for each in self.extensions)

    @property
    def row_states(self) -> NDArray[np.int8]:
        """What each row is, as `RowState` says."""
        states = np.where(self.labels.codes >= 0, np.int8(RowState.LABELED), np.int8(RowState.UNLABELED))
        states[self.skipped] = RowState.SKIPPED
        states[self.audit] = states[self.awaited] = RowState.AUDIT
        return states

    def after(
        self, action: str, rows: Rows, given: NDArray[Any] | None = None, keys: Any = None, **changes: Any
    ) -> Self:
        """The state after an answer; the present one is what `before` holds, and no other state before that."""
        given = None if given is None else given.copy()
        entry = Entry(action, rows.copy(), given, self.round, now(), keys)
        return replace(self, **changes, record=(*self.record, entry), before=replace(self, before=None))

    def with_weights(self, rows: Rows, weights: NDArray[Any] | None) -> dict[str, Any]:
        """What changes where answers for rows come with weights; nothing where they have none."""
        if weights is None:
            return {}
        before = self.params.get("sample_weight")
        known = np.ones(len(self.pool)) if before is None else np.asarray(before, dtype=float).copy()
        known[rows] = weights
        return {
            "params": {**self.params, "sample_weight": known},
            "per_row": self.per_row | {"sample_weight"},
            "has_own_weights": self.has_own_weights or before is None,
        }

    def with_others(self, others: dict[str, Any]) -> Self:
        """The state where all that is known has a value of the parameters that samples of a strategy come with."""
        new = {name: value for name, value in others.items() if name not in self.per_row}

        def completed(params: dict[str, Any], n_samples: int) -> dict[str, Any]:
            return params | {name: np.full(n_samples, value) for name, value in new.items()}

        return replace(
            self,
            params=completed(self.params, len(self.pool)),
            per_row=self.per_row | new.keys(),
            others=self.others | others,
            extensions=tuple(
                replace(each, params=completed(each.params, len(each.y))) for each in self.extensions
            ),
        )

    def training_set(self, *, with_unlabeled: bool, coded: NDArray[Any] | None = None) -> TrainingSet:
        """What the classifier is fitted on; labels are positions in `coded`, where that is given.

        Labels and parameters may be those of before the pool grew, and have no entry for its last rows.
        """
        labels = self.learned
        if with_unlabeled:
            y = labels.for_semi_supervised() if coded is None else labels.codes_among(coded)
            is_longer = len(self.pool) > len(y)
            X = as_pool(self.pool.whole()).take(slice(len(y))) if is_longer else self.pool.X
            own = TrainingSet(X, y, self.params)
        elif len(labels.rows) == len(self.pool):
            own = TrainingSet(self.pool.X, plain(labels.known), self.params)
        else:
            params = _check_method_params(labels.codes, self.params, indices=labels.rows)
            own = TrainingSet(self.pool.take(labels.rows), plain(labels.known), params)
        if not self.extensions:
            return own
        params = own.params | self.stacked(
            own.params, [(each.params, len(each.y)) for each in self.extensions]
        )
        X = as_pool(own.X).stack([each.X for each in self.extensions])
        ys = [each.y if coded is None else np.searchsorted(coded, each.y) for each in self.extensions]
        return TrainingSet(X, np.concatenate([own.y, *ys]), params)

    def params_of(self, pool: Pool, rows: Rows) -> dict[str, Any]:
        """The parameters of `fit` with a value per row, of rows that may be labelled next."""
        if pool is self.pool:
            own = {name: self.params[name] for name in self.per_row}
            return dict(_check_method_params(pool.X, own, indices=rows))
        defaults = {"sample_weight": 1.0} | self.others
        if missing := sorted(self.per_row - defaults.keys()):
            raise ValueError(
                f"fit was given {missing} with a value per row of its pool, which rows of another pool do not have; "
                "ask a strategy that does not train the classifier again."
            )
        return {name: np.full(len(rows), defaults[name]) for name in self.per_row}

    def stacked(self, params: dict[str, Any], more: list[tuple[dict[str, Any], int]]) -> dict[str, Any]:
        """The parameters with a value per row, with those of more samples and their number behind."""
        if self.has_own_weights:
            more = [
                ({"sample_weight": np.ones(n_samples), **others}, n_samples) for others, n_samples in more
            ]
        return {
            name: np.concatenate([params[name], *(others[name] for others, _ in more)])
            for name in self.per_row
        }

    def query(
        self,
        pool: Pool,
        n_queries: int,
        *,
        with_unlabeled: bool,
        coded: NDArray[Any] | None = None,
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
        learned = self.learned
        labels = learned if own else Labels(Labels.none(len(pool)).codes, learned.classes)
        outside = []
        for part in self.extensions:
            codes = np.searchsorted(labels.classes, part.y).astype(np.int32)
            outside.append(Samples(as_pool(part.X), np.arange(len(codes)), codes))
        if not own:
            outside.append(Samples(self.pool, learned.rows, learned.codes[learned.rows]))
        unavailable = self.labels.rows if own else labels.rows  # sorted already, as most queries leave them
        awaited = self.awaited if own else NO_ROWS
        if len(pending) + len(excluded) + len(awaited):
            unavailable = np.unique(np.concatenate([unavailable, pending, excluded, awaited]))
        return Query(
            pool=pool,
            labels=labels,
            candidates=Candidates(unavailable, complement_in=len(pool)),
            pending=np.unique(pending),
            skipped=self.skipped if own else NO_ROWS,
            n_queries=n_queries,
            estimator=self.guide,
            outside=tuple(outside),
            training=partial(self.training_set, with_unlabeled=with_unlabeled, coded=coded),
            params_of=partial(self.params_of, pool),
            **params,
        )
