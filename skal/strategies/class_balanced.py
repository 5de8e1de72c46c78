"""Batches with a share of every class, as far as the classifier can tell."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from ..pool import Rows
from ..utils.warnings import callers_level
from .base import QueryStrategy
from .candidates import CandidateStrategy
from .predicted import predicted_codes
from .query import Query

_NONE = 1e-300  # the share of a class without one


@dataclass(eq=False, repr=False, kw_only=True)
class ClassBalanced(CandidateStrategy):
    """Run a criterion within each predicted class, so that every class has its share of the batch.

    Criteria that look for certain or uncertain rows tend to find them in a few classes, and choose rows of rare classes
    last. The seats of the batch go to the classes one by one, each to the class that is furthest below its share (the
    divisor method of Sainte-Laguë), and within a class to the rows that the criterion prefers. Every beginning of the
    batch has these shares, too.

    Parameters
    ----------
    criterion : QueryStrategy, default=None
        The strategy that chooses within a class; margin sampling by default.
    shares : {"equal", "inverse"} or dict, default="equal"
        Shares of the predicted classes: "equal" gives each the same; "inverse" is in inverse proportion to the number
        of labels of a class plus one; a dict maps labels to weights, zero for classes that are left out, and a query
        warns of labels that the classifier does not know. Classes whose candidates run out leave their seats to the
        others. Pending rows count as holders of the first seats.
    {random_state}

    Attributes
    ----------
    {criterion_}
    query_report_ : Bunch
        About the latest query: ``classes``, the labels that the classifier knows, and ``counts``, the number of chosen
        rows for which it predicts each of them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import ALCG, ClassBalanced
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X, y)
    >>> strategy = ClassBalanced(ALCG(), random_state=0).fit(X)
    >>> rows = strategy.query(X, n_queries=6, estimator=classifier)
    >>> strategy.query_report_.counts
    array([2, 2, 2])
    """

    criterion: QueryStrategy | None = field(default=None, kw_only=False)
    shares: Any = field(default="equal", kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {"shares": [StrOptions({"equal", "inverse"}), dict]}

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(dict.fromkeys(("predict_proba", *super().requires)))

    def check_params(self) -> None:
        super().check_params()
        if isinstance(self.shares, dict):
            weights = list(self.shares.values())
            are_shares = all(isinstance(each, Real) and 0 <= float(each) < np.inf for each in weights)
            if not are_shares or not sum(weights) > 0:
                raise ValueError(
                    f"shares={self.shares!r} was given; give weights of classes that are not negative, and one that is "
                    "positive."
                )

    def _restrict(self, query: Query) -> Rows:
        return query.candidates.rows

    def _query(self, query: Query) -> Rows:
        rows, estimator = query.candidates.rows, query.estimator
        classes = np.asarray(estimator.classes_)
        predicted = predicted_codes(estimator, query.pool, rows)
        available = np.bincount(predicted, minlength=len(classes))
        taken = np.bincount(predicted_codes(estimator, query.pool, query.awaited), minlength=len(classes))
        seats = divided(query.n_queries, self._weights(query, classes), available, query.rng, taken)
        chosen = np.empty(query.n_queries, dtype=np.intp)
        for code in np.unique(seats):
            where = np.flatnonzero(seats == code)
            own = query.restricted_to(rows[predicted == code], len(where))
            chosen[where] = self.criterion_._query(own)
        query.report.update(classes=classes, counts=np.bincount(seats, minlength=len(classes)))
        return chosen

    def _weights(self, query: Query, classes: NDArray[Any]) -> NDArray[np.float64]:
        if isinstance(self.shares, dict):
            known = {*classes.tolist(), *query.labels.classes.tolist()}
            if unknown := [label for label in self.shares if label not in known]:
                warnings.warn(
                    f"shares has the labels {unknown[:5]}, which the classifier does not know; it knows "
                    f"{classes.tolist()[:10]}. No row is predicted to be of them.",
                    stacklevel=callers_level(),
                )
            return np.array([self.shares.get(label, 0) for label in classes.tolist()], dtype=float)
        if self.shares == "equal":
            return np.ones(len(classes))
        known, labels = query.labels.classes.tolist(), query.labels
        codes = [labels.codes[labels.rows], *(samples.codes for samples in query.outside)]
        n_labels = np.bincount(np.concatenate(codes), minlength=len(known)).tolist()
        counts = dict(zip(known, n_labels, strict=True))
        return np.array([1 / (1 + counts.get(label, 0)) for label in classes.tolist()])


def divided(
    n_seats: int,
    weights: NDArray[np.float64],
    available: NDArray[np.intp],
    rng: np.random.Generator,
    taken: NDArray[np.intp] | None = None,
) -> NDArray[np.intp]:
    """Give seats to classes, one by one, each to the class that is furthest below its share.

    Parameters
    ----------
    n_seats : int
        No more than are available.
    weights : ndarray of shape (n_classes,)
        Classes of weight zero get seats once all others have run out.
    available : ndarray of int of shape (n_classes,)
        How many seats each class can take.
    rng : numpy.random.Generator
        Orders classes of equal claim.
    taken : ndarray of int of shape (n_classes,), default=None
        Seats that each class has already.

    Returns
    -------
    seats : ndarray of int of shape (n_seats,)
        The class of each seat.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies.class_balanced import divided
    >>> seats = divided(5, np.array([2.0, 1.0, 0.0]), np.array([9, 9, 9]), np.random.default_rng(0))
    >>> np.bincount(seats, minlength=3)
    array([3, 2, 0])
    """
    order = rng.permutation(len(weights))
    weights = np.ones(len(weights)) if not weights.any() else weights / weights.max()
    weights, left = np.maximum(weights, _NONE)[order], available[order].copy()
    taken = np.zeros(len(weights), dtype=np.intp) if taken is None else taken[order]
    seats = np.empty(n_seats, dtype=np.intp)
    for seat in range(n_seats):
        claims = np.where(left > 0, (taken + 0.5) / weights, np.inf)
        best = int(np.argmin(claims))
        seats[seat] = best
        taken[best] += 1
        left[best] -= 1
    return order[seats]
