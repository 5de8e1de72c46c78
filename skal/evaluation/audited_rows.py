"""Which rows of a learner's audit an estimate is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..learner import ActiveLearner, RowState
from ..pool import Rows
from .risk import lure_weights


@dataclass(frozen=True, eq=False)
class AuditedRows:
    """The rows of the audit that an estimate is made of.

    Attributes
    ----------
    rows : ndarray of int of shape (n_labeled,)
        The labelled ones.
    is_labeled : ndarray of bool of shape (n_drawn,)
        Which of the draws they are.
    probability, n_left : ndarray of shape (n_drawn,)
        Of the draws, in their order.
    told : dict
        What a report says of them.
    """

    rows: Rows
    is_labeled: NDArray[np.bool_]
    probability: NDArray[np.float64]
    n_left: NDArray[np.intp]
    told: dict[str, Any]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of `rows`."""
        return lure_weights(self.probability, self.n_left)[self.is_labeled]


def audited_rows(learner: ActiveLearner, how: str | None) -> AuditedRows:
    """The rows of a learner's audit that were drawn in one manner.

    Parameters
    ----------
    learner : ActiveLearner
    how : {"uniform", "active"} or None

    Returns
    -------
    audited : AuditedRows

    Raises
    ------
    ValueError
        If none of them is labelled.
    """
    sample = learner.audit_sample_
    drawn, state = sample["row"], sample["state"]
    own = np.setdiff1d(learner.audit_, drawn[state == "labelled"])
    is_active = sample["how"] == "active"
    counts_by_default = (is_active & (state == "labelled")).any() or (len(drawn) and is_active.all())
    how = how or ("active" if counts_by_default else "uniform")
    if not len(drawn) and how == "uniform" and len(own):
        n_left = np.count_nonzero(learner.row_states_ != RowState.LABELED) - np.arange(len(own))
        sample = {"row": own, "probability": 1 / n_left, "n_left": n_left, "n_taken": np.zeros(len(own), int)}
        state = np.full(len(own), "labelled", dtype=object)
        mine = np.ones(len(own), dtype=bool)
    else:
        mine = sample["how"] == how
    counts = {what: np.count_nonzero(state[mine] == what) for what in ("pending", "skipped", "withdrawn")}
    chosen = np.flatnonzero(mine)
    if how == "active":  # a later draw means nothing without those before it
        chosen = chosen[np.cumsum(state[chosen] == "pending") == 0]
    is_labeled = state[chosen] == "labelled"
    if not is_labeled.any():
        raise ValueError(
            f"No row of the audit counts: {int(mine.sum())} were drawn ({how}), and {counts['pending']} of them are "
            "not labelled yet. Draw rows with learner.audit(n), and teach them, in that order, with audit=True."
        )
    n_left = sample["n_left"][chosen]
    record = learner.record_
    is_first = (record["action"] == "draw") & (record["row"] == sample["row"][chosen[0]])
    n_since = np.count_nonzero(record["action"][is_first.argmax() :] == "label") if how == "active" else 0
    known = np.arange(len(chosen))
    taken = sample["n_taken"][chosen] - (known if how == "active" else 0)
    return AuditedRows(
        rows=sample["row"][chosen][is_labeled],
        is_labeled=is_labeled,
        probability=sample["probability"][chosen],
        n_left=n_left,
        told={
            "how": how,
            "n_labeled": int(is_labeled.sum()),
            **{f"n_{what}": int(count) for what, count in counts.items()},
            "n_own": len(own),
            "n_learned_since": int(n_since),
            "n_population": int((n_left + known)[-1]),
            "share_taken": float(np.mean(taken / (taken + n_left + known))),
        },
    )
