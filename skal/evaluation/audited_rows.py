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
    weights : ndarray of shape (n_labeled,)
        Of `rows`.
    stratum : ndarray of int of shape (n_labeled,)
        Which of them were drawn uniformly from the same rows: a pool that grew between two draws has several such
        parts.
    told : dict
        What a report says of them.
    """

    rows: Rows
    is_labeled: NDArray[np.bool_]
    probability: NDArray[np.float64]
    n_left: NDArray[np.intp]
    weights: NDArray[np.float64]
    stratum: NDArray[np.intp]
    told: dict[str, Any]


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
        sample["n_rows"] = np.full(len(own), len(learner.row_states_))
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
    rows, n_left = sample["row"][chosen], sample["n_left"][chosen]
    record = learner.record_
    is_first = (record["action"] == "draw") & (record["row"] == rows[0])
    n_since = np.count_nonzero(record["action"][is_first.argmax() :] == "label") if how == "active" else 0
    known = np.arange(len(chosen))
    taken = sample["n_taken"][chosen] - (known if how == "active" else 0)
    n_population = (n_left + known)[-1]
    is_free = learner.row_states_ != RowState.LABELED
    ends = np.unique(sample["n_rows"][chosen])
    if how == "active":
        weights = lure_weights(sample["probability"][chosen], n_left)[is_labeled]
        stratum = np.zeros(len(weights), dtype=np.intp)
        n_arrived = np.count_nonzero(is_free[ends[0] :])
    else:
        is_settled = np.isin(state[chosen], ["labelled", "skipped"])
        part = np.searchsorted(ends, rows, side="right")
        n_free, n_settled, n_labeled = (
            np.bincount(np.searchsorted(ends, which, side="right"), minlength=len(ends) + 1)
            for which in (np.flatnonzero(is_free), rows[is_settled], rows[is_labeled])
        )
        n_arrived = n_free[n_labeled == 0].sum()
        stratum = part[is_labeled]
        weights = (n_free / np.maximum(n_settled, 1))[stratum]
        weights /= weights.mean()
        if len(ends) > 1:
            n_population = n_free[n_labeled > 0].sum()
    return AuditedRows(
        rows=rows[is_labeled],
        is_labeled=is_labeled,
        probability=sample["probability"][chosen],
        n_left=n_left,
        weights=weights,
        stratum=stratum,
        told={
            "how": how,
            "n_labeled": int(is_labeled.sum()),
            **{f"n_{what}": int(count) for what, count in counts.items()},
            "n_own": len(own),
            "n_learned_since": int(n_since),
            "n_population": int(n_population),
            "n_arrived": int(n_arrived),
            "share_taken": float(np.mean(taken / (taken + n_left + known))),
        },
    )
