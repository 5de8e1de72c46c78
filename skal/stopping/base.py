"""What every stopping criterion shares: the rows it looks at, its history, and what is left to label."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from ..access import check_requirements
from ..exceptions import ModelFileError
from ..learner import RowState, check_learner
from ..pool import Rows, as_pool
from ..training.files import parsing, read_file, write_file
from ..training.saving import read_params, written_params
from ..utils.inheriting import Inheriting
from ..utils.random import draw_seed
from .seen import Seen, changes

_FREE = ("threshold", "n_rounds", "random_state")  # parameters that may change between two rounds
_ENOUGH = 4  # rounds from which a trend can be told
_MOST_TIMES = 100  # the labels there are, for an estimate that is worth telling


class Look(NamedTuple):
    """What a criterion sees of a learner after a round."""

    learner: Any
    X: Any  # the rows it looks at
    is_open: NDArray[np.bool_]  # which of them have no label yet
    predicted: NDArray[Any]  # their predicted classes
    before: NDArray[Any] | None  # and those of the round before
    n_new: int  # labels since then


@dataclass(frozen=True)
class StoppingReport:
    """What a round changed, and how many labels are still worth buying; ``print(report)`` says so in plain English.

    Parameters
    ----------
    n_labeled : int
        Labels that the classifier was trained on.
    n_new : int
        How many of them came in the last round.
    value : float
        What the criterion measured in the last round; NaN if it could not measure yet.
    mean : float
        The mean over the last rounds, which is compared with `threshold`.
    threshold : float
        Labelling may stop when `mean` is not above it.
    should_stop : bool
    labels_left : float
        Estimate of the labels still to buy until then; NaN if there is no clear trend.
    n_rows : int
        Number of rows that the criterion looks at.
    changes : dict of (label, label) to int
        How many of these rows changed from one predicted class to another in the last round, most frequent first.
    n_left : int or None, default=None
        How many rows of the pool have no label, if that is known.
    is_first : bool, default=False
        Whether there were no earlier predictions, so that nothing is known about changes.
    unseen : tuple of label, default=()
        The classes that have no label yet. A criterion looks at predictions, and such a class is never predicted.
    is_of_unlabeled : bool, default=False
        Whether `value` and `mean` cover only those of the rows that have no label; `changes` covers all of them.

    Examples
    --------
    >>> from skal.stopping import StoppingReport
    >>> report = StoppingReport(
    ...     n_labeled=140, n_new=20, value=0.02, mean=0.03, threshold=0.01, should_stop=False, labels_left=60.0,
    ...     n_rows=2000, changes={("ham", "spam"): 30, ("spam", "ham"): 10},
    ... )
    >>> print(report)
    140 labels, 20 of them new. The predictions of 40 of 2000 rows changed, most from 'ham' to 'spam' (30).
    Criterion: 0.03, to fall to 0.01. Go on: about 60 labels are still worth buying.
    """

    n_labeled: int
    n_new: int
    value: float
    mean: float
    threshold: float
    should_stop: bool
    labels_left: float
    n_rows: int
    changes: dict[tuple[Any, Any], int]
    n_left: int | None = None
    is_first: bool = False
    unseen: tuple[Any, ...] = ()
    is_of_unlabeled: bool = False

    def __str__(self) -> str:
        changed = ""
        if not self.is_first:
            most = "".join(
                f", most from {old!r} to {new!r} ({n})" for (old, new), n in list(self.changes.items())[:1]
            )
            changed = f" The predictions of {sum(self.changes.values())} of {self.n_rows} rows changed{most}."
        rows = ", of the rows without a label" if self.is_of_unlabeled else ""
        mean = "not known yet" if np.isnan(self.mean) else f"{self.mean:.3g}"
        return (
            f"{self.n_labeled} labels, {self.n_new} of them new.{changed}\n"
            f"Criterion{rows}: {mean}, to fall to {self.threshold:.3g}. {self._advice}{self._warning}"
        )

    @property
    def _warning(self) -> str:
        if not self.unseen:
            return ""
        names = ", ".join(map(repr, self.unseen[:5])) + ", ..." * (len(self.unseen) > 5)
        return f"\nNo label yet of {names}: no criterion knows whether the classifier would tell such rows."

    @property
    def _advice(self) -> str:
        if self.should_stop:
            return "Stop: the criterion has fallen to its threshold."
        if self.n_left == 0:
            return "No row is left to be labelled."
        if np.isnan(self.labels_left):
            return "Go on: no trend can be told yet."
        if self.labels_left > _MOST_TIMES * self.n_labeled:
            return "Go on: the criterion falls too slowly to tell for how long."
        if self.n_left is not None and self.labels_left > self.n_left:
            return (
                f"Go on: the {self.n_left} rows without a label will not be enough, if the trend continues."
            )
        if self.labels_left < 1.5:
            return "Go on: a few labels are still worth buying."
        return f"Go on: about {self.labels_left:.0f} labels are still worth buying."


@dataclass(eq=False, repr=False, kw_only=True)
class StoppingCriterion(ABC, Inheriting):
    """Base class of the criteria that decide when further labels are not worth their price.

    After each round a criterion measures one number, which falls as the classifier settles. Labelling may stop when the
    mean of this number over the last `n_rounds` rounds is not above `threshold`. To write a criterion, implement
    ``_value(look)``, and list in `requires` what it needs from the classifier, as for a strategy.

    Parameters
    ----------
    threshold : float
        How low the mean has to be.
    n_rounds : int
        How many rounds are averaged.
    n_rows : int or None, default=2000
        Number of rows of the pool that the criterion looks at; they are drawn at random once. None uses all rows.
    random_state : int, RandomState instance or None, default=None
        Draws the rows.

    Attributes
    ----------
    should_stop_ : bool
        False before the first update.
    labels_left_ : float
        Estimate of the labels that are still worth buying, from a power law through the later half of the history; 0
        when labelling may stop, NaN if there is no clear trend.
    history_ : dict of ndarray
        ``n_labeled`` and ``value``, one entry per round; the value is NaN where there was nothing to measure yet.
    report_ : StoppingReport
        The report on the latest round.

    See Also
    --------
    skal.SimulatedLearner : Its parameter `stopping` ends a simulation.
    """

    threshold: float = 0.0
    n_rounds: int = 1
    n_rows: int | None = 2000
    random_state: Any = None

    requires: ClassVar[tuple[str, ...]] = ()
    measures_unlabeled: ClassVar[bool] = False  # whether its value leaves out rows that have a label
    _seen = Seen()
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "threshold": [Interval(Real, 0, None, closed="left")],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "n_rows": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def check(self, learner: Any) -> None:
        """Check the parameters, and that the criterion can measure a learner, before anything is trained.

        Parameters
        ----------
        learner : ActiveLearner
            Fitted or not.

        Raises
        ------
        ValueError
            If a parameter is invalid.
        TypeError
            If `learner` is not an ActiveLearner, or lacks what the criterion measures.
        """
        check_learner(learner, type(self).__name__)
        self._validate_params()
        check_requirements(self, self.requires, getattr(learner, "estimator_", learner.estimator))

    def update(self, learner: Any, X: Any = None) -> Self:
        """Measure a learner after a round of labelling.

        Parameters
        ----------
        learner : ActiveLearner
            Fitted; it is not changed. A learner is measured again only once it has more labels than at the last update,
            and its classifier has learned them: not after ``teach(refit=False)``, or if training failed.
        X : array-like, sparse matrix or data frame of shape (n_rows, ...), default=None
            The rows to look at, instead of rows drawn from the pool; the same in each round. They are given in all
            rounds or in none. Only their number is checked, not whether they are the same rows.

        Returns
        -------
        self : StoppingCriterion

        Raises
        ------
        ValueError
            If a parameter is invalid, or the rows are not those of the last update.
        TypeError
            If `learner` is not an ActiveLearner, or lacks what the criterion measures.
        NotFittedError
            If the learner is not fitted.
        """
        self.check(learner)
        check_is_fitted(learner)
        seen, counts = self._seen, learner.class_counts_
        n_before = seen.rounds[-1][0] if seen.rounds else 0
        n_labeled = int(sum(counts.values())) if learner.is_trained_ else 0
        if seen.rounds and n_labeled <= n_before:
            return self
        rows = seen.rows
        if seen.rounds and (rows is None) == (X is None):
            given, remedy = "No rows were given, and some before", "Give those of before"
            if X is not None and rows is not None:
                given, remedy = (
                    f"{len(as_pool(X))} rows were given and {len(rows)} drawn before",
                    "Leave X out",
                )
            raise ValueError(
                f"{given}; a criterion looks at the same rows in each round. {remedy}, or begin another one with "
                "clone(criterion)."
            )
        if rows is None and X is None:
            rows = self._draw(len(as_pool(learner.X_)))
        X, is_open = self._stop_set(learner, X, rows)
        value, before, predicted = np.nan, None, seen.predicted
        if n_labeled and sum(n > 0 for n in counts.values()) > 1:  # a single class teaches nothing
            before, predicted = seen.predicted, np.asarray(learner.predict(X))
            if before is not None and len(before) != len(predicted):
                raise ValueError(
                    f"{len(predicted)} rows were given and {len(before)} in the last update; a criterion looks at the "
                    "same rows in each round. Begin another one with clone(criterion)."
                )
            value = float(self._value(Look(learner, X, is_open, predicted, before, n_labeled - n_before)))
        self._seen = Seen(
            rounds=(*seen.rounds, (n_labeled, value)),
            rows=rows,
            predicted=predicted,
            changes={} if before is None or predicted is None else changes(before, predicted),
            is_first=before is None,
            n_left=int((learner.row_states_ == RowState.UNLABELED).sum()),
            unseen=tuple(label for label, n in counts.items() if n == 0),
        )
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the parameters and all rounds, for a later `load`: whole and without code, as networks are saved.

        Parameters
        ----------
        path : str or path-like
            A file; one that exists is replaced.

        Raises
        ------
        TypeError
            If a criterion of your own class has an attribute that ends in an underscore: only the rounds are saved.
        OSError
            If the file cannot be written.
        """
        if own := [name for name in vars(self) if name.endswith("_")]:
            raise TypeError(
                f"{type(self).__name__} has {own}, which would not be saved; compute what is needed from the rounds, "
                "history_, or write save and load of your own."
            )
        tensors, seen = self._seen.to_file()
        content = {"criterion": type(self).__qualname__, "measure": self._measure(), **written_params(self)}
        write_file(path, tensors, {**content, "seen": seen})

    @classmethod
    def load(cls, path: str | os.PathLike[str], **params: Any) -> Self:
        """Load a criterion that `save` has written, to continue with the learner that it has measured.

        Parameters
        ----------
        path : str or path-like
        **params
            `threshold`, `n_rounds` and `random_state` replace the saved values. What a file cannot hold must be given
            again: a generator as `random_state`, or the `criterion` of `MaximumUtility`.

        Returns
        -------
        criterion : StoppingCriterion
            With all rounds; `update` continues with the same rows.

        Raises
        ------
        ModelFileError
            If skal did not write the file, or it is truncated or damaged.
        TypeError
            If the file holds another criterion, or a parameter that a file cannot hold is missing.
        ValueError
            If another parameter differs from its saved value, because the saved rounds measured something else.
        OSError
            If the file cannot be read.
        """
        tensors, content = read_file(path)
        name = content.get("criterion")
        if not isinstance(name, str):
            raise ModelFileError(f"{path} holds no stopping criterion; give a file that criterion.save wrote")
        if name != cls.__qualname__:
            raise TypeError(
                f"{path} holds a criterion of class {name}, not {cls.__qualname__}; use {name}.load"
            )
        criterion = cls(**read_params(cls, content, path, params))
        if (now := criterion._measure()) != content.get("measure"):
            raise ValueError(
                f"{path} has rounds of {content.get('measure')}, not of {now}; begin another one."
            )
        with parsing(path):
            criterion._seen = Seen.from_file(tensors, content["seen"])
        return criterion

    def _measure(self) -> str:
        """What is measured, of which rows, in words."""
        params = {name: value for name, value in self.get_params(deep=False).items() if name not in _FREE}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in params.items())})"

    @abstractmethod
    def _value(self, look: Look) -> float:
        """What is measured; NaN where it cannot be yet."""

    def _draw(self, n_rows: int) -> Rows:
        """The rows of a pool to look at, in increasing order."""
        n_drawn = n_rows if self.n_rows is None else min(self.n_rows, n_rows)
        rng = np.random.default_rng(draw_seed(self.random_state))
        return np.sort(rng.choice(n_rows, n_drawn, replace=False))

    def _stop_set(self, learner: Any, X: Any, rows: Rows | None) -> tuple[Any, NDArray[np.bool_]]:
        """The rows to look at, and which of them are unlabelled."""
        if X is not None:
            return X, np.ones(len(as_pool(X)), dtype=bool)
        pool = as_pool(learner.X_)
        assert rows is not None
        if rows[-1] >= len(pool):
            raise ValueError(
                f"The learner's pool has {len(pool)} rows, and the criterion looks at row {rows[-1]} of the pool that "
                "it was first given. Begin another one with clone(criterion)."
            )
        return pool.take(rows), learner.row_states_[rows] == RowState.UNLABELED

    @property
    def _mean(self) -> float:
        values = [value for _, value in self._seen.rounds[-self.n_rounds :]]
        return float(np.mean(values)) if len(values) == self.n_rounds else np.nan

    @property
    def should_stop_(self) -> bool:
        """Whether further labels are not worth their price."""
        return bool(self._mean <= self.threshold)

    @property
    def history_(self) -> dict[str, NDArray[Any]]:
        """The number of labels and the value of each round."""
        if not self._seen.rounds:
            raise NotFittedError(f"{self} has seen no round yet; call update(learner) after each.")
        n_labeled, values = zip(*self._seen.rounds, strict=True)
        return {"n_labeled": np.array(n_labeled), "value": np.array(values)}

    @property
    def labels_left_(self) -> float:
        """Where a line through log value against log labels meets the threshold, less the labels there are."""
        if self.should_stop_:
            return 0.0
        n_labeled, values = self.history_.values()
        seen = np.flatnonzero(values > 0)
        if len(seen) < _ENOUGH or self.threshold <= 0:
            return np.nan
        late = seen[-max(_ENOUGH, len(seen) // 2) :]  # the first rounds follow no law
        slope, intercept = np.polyfit(np.log(n_labeled[late]), np.log(values[late]), 1)
        if slope >= 0:
            return np.nan
        with np.errstate(over="ignore"):
            meets = np.exp((np.log(self.threshold) - intercept) / slope)
        return float(max(meets - n_labeled[-1], 1))  # as the mean is still above the threshold

    @property
    def report_(self) -> StoppingReport:
        """What the latest round has changed."""
        n_labeled, values = self.history_.values()
        seen = self._seen
        return StoppingReport(
            n_labeled=int(n_labeled[-1]),
            n_new=int(np.diff(n_labeled, prepend=0)[-1]),
            value=float(values[-1]),
            mean=self._mean,
            threshold=self.threshold,
            should_stop=self.should_stop_,
            labels_left=self.labels_left_,
            n_rows=0 if seen.predicted is None else len(seen.predicted),
            changes=seen.changes,
            n_left=seen.n_left,
            is_first=seen.is_first,
            unseen=seen.unseen,
            is_of_unlabeled=self.measures_unlabeled and seen.rows is not None,
        )
