"""Which rows of a learner's audit an estimate is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..learner import ActiveLearner, RowState
from ..pool import Rows
from .risk import lure_weights

Columns = dict[str, NDArray[Any]]  # of equal length


@dataclass(frozen=True, eq=False)
class AuditedRows:
    """The rows of the audit that an estimate is made of.

    Attributes
    ----------
    how : {"uniform", "active"}
    rows : ndarray of int of shape (n_labeled,)
        The labelled ones.
    weights : ndarray of shape (n_labeled,)
        For how many rows each stands, up to a factor.
    stratum : ndarray of int of shape (n_labeled,)
        Which of them were drawn uniformly from the same rows: a pool that grew between two draws has several strata.
    is_labeled : ndarray of bool of shape (n_drawn,)
        Which of the draws they are.
    probability, n_left : ndarray of shape (n_drawn,)
        Of the draws, in their order.
    told : dict
        What a report says of them.
    """

    how: str
    rows: Rows
    weights: NDArray[np.float64]
    stratum: NDArray[np.intp]
    is_labeled: NDArray[np.bool_]
    probability: NDArray[np.float64]
    n_left: NDArray[np.intp]
    told: dict[str, Any]

    @property
    def is_stratified(self) -> bool:
        """Whether there are several strata."""
        return bool(np.ptp(self.stratum))


def audited_rows(learner: ActiveLearner, how: str | None) -> AuditedRows:
    """The rows of a learner's audit that were drawn in one manner.

    Parameters
    ----------
    learner : ActiveLearner
    how : {"uniform", "active"} or None

    Raises
    ------
    ValueError
        If none of them is labelled.
    """
    sample, record = learner.audit_sample_, learner.record_
    drawn, is_active, is_labeled = sample["row"], sample["how"] == "active", sample["state"] == "labelled"
    own = np.setdiff1d(learner.audit_, drawn[is_labeled])
    counts_by_default = (is_active & is_labeled).any() or (len(drawn) and is_active.all())
    how = how or ("active" if counts_by_default else "uniform")
    is_drawn = bool(len(drawn)) or how == "active" or not len(own)
    if not is_drawn:
        draws = _as_if_drawn(learner, own)
    else:
        sample["place"] = np.flatnonzero(record["action"] == "draw")
        draws = {name: values[sample["how"] == how] for name, values in sample.items()}
    states = ("pending", "skipped", "withdrawn")
    told: dict[str, Any] = {f"n_{each}": int(np.count_nonzero(draws["state"] == each)) for each in states}
    part = _latest(record, draws) if how == "active" else draws
    if not (part["state"] == "labelled").any():
        raise ValueError(
            f"No row of the audit counts: {len(draws['row'])} were drawn ({how}), and {told['n_pending']} of them are "
            "not labelled yet. Draw rows with learner.audit(n), and teach them, in that order, with audit=True."
        )
    found = (_drawn_by_loss if how == "active" else _drawn_uniformly)(learner, record, part)
    told |= {"n_labeled": len(found.rows), "n_own": len(own), "is_drawn": is_drawn}
    return replace(found, told=told | found.told)


def _as_if_drawn(learner: ActiveLearner, rows: Rows) -> Columns:
    """Rows that somebody chose without `audit`, as if drawn uniformly from each part of the pool."""
    n_left = np.count_nonzero(learner.row_states_ != RowState.LABELED) - np.arange(len(rows))
    sizes = learner.pool_sizes_
    return {
        "row": rows,
        "state": np.full(len(rows), "labelled", dtype=object),
        "probability": 1 / n_left,
        "n_left": n_left,
        "n_taken": np.zeros(len(rows), dtype=np.intp),
        "n_rows": sizes[np.searchsorted(sizes, rows, side="right")],
        "place": np.zeros(len(rows), dtype=np.intp),
    }


def _latest(record: Columns, draws: Columns) -> Columns:
    """The latest draws by the expected loss of one classifier on one pool of which some are labelled.

    Those from the first pending one on are left out: a draw means nothing without those before it.
    """
    n_learned = np.cumsum(record["action"] == "label")[draws["place"]]
    since = draws["n_rows"] + n_learned  # neither ever falls
    for each in np.unique(since)[::-1]:
        own = {name: values[since == each] for name, values in draws.items()}
        is_pending = own["state"] == "pending"
        n_settled = is_pending.argmax() if is_pending.any() else None
        own = {name: values[:n_settled] for name, values in own.items()}
        if (own["state"] == "labelled").any():
            return own
    return {name: values[:0] for name, values in draws.items()}


def _n_known(record: Columns, draws: Columns) -> NDArray[np.intp]:
    """How many rows of the draws before each one were still out of the pool then."""
    place = draws["place"]
    n_known = np.arange(len(place))
    for i in np.flatnonzero(draws["state"] == "withdrawn"):
        is_labeled = False
        for entry in place[i] + 1 + np.flatnonzero(record["row"][place[i] + 1 :] == draws["row"][i]):
            action = record["action"][entry]
            if action == "label" or (action == "forget" and not is_labeled):
                n_known[place > entry] -= 1
                break
            is_labeled = action == "audit"
    return n_known


def _drawn_by_loss(learner: ActiveLearner, record: Columns, draws: Columns) -> AuditedRows:
    """Draws of one classifier on one pool."""
    is_labeled, known = draws["state"] == "labelled", _n_known(record, draws)
    n_drawn_from, size = draws["n_left"] + known, draws["n_rows"][0]
    actions = record["action"][draws["place"][0] :]
    weights = lure_weights(draws["probability"], draws["n_left"])[is_labeled]
    return AuditedRows(
        how="active",
        rows=draws["row"][is_labeled],
        weights=weights,
        stratum=np.zeros(len(weights), dtype=np.intp),
        is_labeled=is_labeled,
        probability=draws["probability"],
        n_left=draws["n_left"],
        told={
            "n_learned_since": int(np.count_nonzero(actions == "label")),
            "n_population": int(n_drawn_from[-1]),
            "n_unseen": int(np.isin(learner.row_states_[size:], [RowState.UNLABELED, RowState.AUDIT]).sum()),
            "share_taken": _mean_share(draws["n_taken"] - known, n_drawn_from),
        },
    )


def _drawn_uniformly(learner: ActiveLearner, record: Columns, draws: Columns) -> AuditedRows:
    """All draws: those of rows that were there at the same draws are a stratum."""
    is_labeled = draws["state"] == "labelled"
    is_settled = is_labeled | (draws["state"] == "skipped")
    ends = np.unique(draws["n_rows"])
    stratum = np.searchsorted(ends, draws["row"], side="right")
    counts = learner.row_states_ != RowState.SKIPPED
    counts[draws["row"][is_settled]] = True  # skipped ones of the audit are the share that cannot be labelled
    n_rows = np.bincount(np.searchsorted(ends, np.flatnonzero(counts), side="right"), minlength=len(ends) + 1)
    n_drawn, n_settled, n_labeled = (
        np.bincount(stratum[which], minlength=len(n_rows)) for which in (slice(None), is_settled, is_labeled)
    )
    weights = (n_rows / np.maximum(n_settled, 1))[stratum[is_labeled]]
    n_drawn_from = draws["n_left"] + _n_known(record, draws)
    n_population = n_drawn_from[-1] if len(ends) == 1 else n_rows[n_labeled > 0].sum()
    return AuditedRows(
        how="uniform",
        rows=draws["row"][is_labeled],
        weights=weights / weights.mean(),
        stratum=stratum[is_labeled],
        is_labeled=is_labeled,
        probability=draws["probability"],
        n_left=draws["n_left"],
        told={
            "n_population": int(n_population),
            "n_unseen": int(n_rows[n_drawn == 0].sum()),
            "share_taken": _mean_share(draws["n_taken"], n_drawn_from),
        },
    )


def _mean_share(n_taken: NDArray[np.intp], n_drawn_from: NDArray[np.intp]) -> float:
    return float(np.mean(n_taken / (n_taken + n_drawn_from)))
