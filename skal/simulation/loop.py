"""What a run of a simulated learner goes by, and the record of its rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..labels import Labels, plain
from ..pool import NO_ROWS, Rows
from .scoring import Scoring


@dataclass
class Loop:
    """What a run of the loop goes by, once all of it is checked, and what it has seen so far.

    Parameters
    ----------
    oracle : Labels
    stopping : StoppingCriterion or None
        Of this run alone.
    scoring : Scoring
    annotate : callable or None
        Labels the samples of a strategy that makes them.
    budget : int
        Labels at the end, as far as the pool has rows.
    n_given : int
        Rows that `fit` was given, of which some may be held out.
    fit_params : dict
        With values for the rows of the pool.
    records : list of dict
        One per round.
    labeled : ndarray of int of shape (n_labeled,)
        In the order in which they were labelled.
    """

    oracle: Labels
    stopping: Any
    scoring: Scoring
    annotate: Callable[[Any], Any] | None
    budget: int
    n_given: int
    fit_params: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)
    labeled: Rows = field(default_factory=NO_ROWS.copy)

    @property
    def n_labeled(self) -> int:
        """Annotations made so far."""
        return self.records[-1]["n_labeled"] if self.records else 0

    def labels_of(self, rows: Rows) -> NDArray[Any]:
        """What the oracle says of some rows."""
        return plain(self.oracle.classes[self.oracle.codes[rows]])

    def record(self, learner: Any, n_annotated: int, codes: NDArray[Any], measured: dict[str, float]) -> None:
        """Record a round: the number of annotations, the classes that they gave, and what was measured."""
        counts = np.bincount(codes, minlength=len(self.oracle.classes))
        if self.records:
            counts = counts + self.records[-1]["class_counts"]
        scores = self.scoring.scores(learner)
        self.records.append(
            {"n_labeled": self.n_labeled + n_annotated, **scores, **measured, "class_counts": counts}
        )
