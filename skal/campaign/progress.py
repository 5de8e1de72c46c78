"""The state of a campaign: who said what, how good the classifier is, and what went wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any

import numpy as np

from . import journal
from .agreed import agreed
from .agreement import Agreement, agreement


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of a campaign; ``print(progress)`` describes it in words.

    Parameters
    ----------
    n_rows : int
        Number of rows of the pool.
    n_labelled : int
        Rows with a label.
    n_skipped : int
        Rows that were skipped, and that nobody has labelled.
    n_disputed : int
        Rows with answers on which no label is ahead.
    n_leased : int
        Rows that somebody is working on.
    n_answers : int
        Current labels, counted over all annotators.
    by_class : dict of label to int
        How many rows have each label.
    by_annotator : dict of str to dict
        ``n_labels``, ``n_skips``, and ``seconds``, the median time of an answer, NaN if it is not known.
    by_model : list of dict
        For each version: ``version``, ``time`` in seconds since the epoch, ``n_labeled``, ``n_new`` (labels since the
        previous version), ``seconds`` of training, ``warnings``; and, where they are known, ``validation``, ``audit``
        (a dict with ``score``, ``low``, ``high``, ``n_labeled``), ``stopping`` (a dict with ``text``, ``should_stop``)
        and ``unsaved`` (why the classifier is trained again after a restart).
    agreement : Agreement
    failure : str or None
        Why the last training run failed, if none has succeeded since.
    is_training : bool
        Whether a training run has begun and not ended.

    Examples
    --------
    >>> from skal.campaign import Progress, agreement
    >>> print(Progress(n_rows=100, n_labelled=7, n_skipped=1, n_disputed=0, n_leased=2, n_answers=7,
    ...     by_class={"cat": 4, "dog": 3}, by_annotator={"anna": {"n_labels": 7, "n_skips": 1, "seconds": 2.5}},
    ...     by_model=[], agreement=agreement([], [], []), failure=None, is_training=False))
    7 of 100 rows are labelled, 1 skipped; 2 are being worked on.
    cat: 4, dog: 3
    anna: 7 labels, 1 skips, 2.5 s each
    """

    n_rows: int
    n_labelled: int
    n_skipped: int
    n_disputed: int
    n_leased: int
    n_answers: int
    by_class: dict[Any, int]
    by_annotator: dict[str, dict[str, Any]]
    by_model: list[dict[str, Any]] = field(default_factory=list)
    agreement: Agreement
    failure: str | None
    is_training: bool

    def __str__(self) -> str:
        lines = [
            f"{self.n_labelled} of {self.n_rows} rows are labelled, {self.n_skipped} skipped; {self.n_leased} are "
            "being worked on.",
            ", ".join(f"{label}: {n}" for label, n in self.by_class.items()),
        ]
        for name, own in self.by_annotator.items():
            pace = "" if np.isnan(own["seconds"]) else f", {own['seconds']:.1f} s each"
            lines.append(f"{name}: {own['n_labels']} labels, {own['n_skips']} skips{pace}")
        if self.agreement.n_items:
            lines.append(
                f"Annotators agree in {100 * self.agreement.raw:.0f} % of the pairs of answers to "
                f"{self.agreement.n_items} rows (Fleiss' kappa {self.agreement.fleiss:.2f}); {self.n_disputed} rows "
                "are undecided."
            )
        if self.by_model:
            lines += _of_model(self.by_model[-1])
        if self.failure is not None:
            lines.append(f"The last training failed, and labels go on: {self.failure}")
        if self.is_training:
            lines.append("A classifier is being trained.")
        return "\n".join(line for line in lines if line)


def _of_model(model: dict[str, Any]) -> list[str]:
    if not model["n_labeled"]:  # the batch that was chosen before there was a label
        return ["There is no classifier yet."]
    lines = [f"Classifier {model['version']} has learned {model['n_labeled']} labels."]
    if "validation" in model:
        lines.append(f"Its score on the validation rows is {model['validation']:.3f}.")
    if "audit" in model:
        audit = model["audit"]
        lines.append(
            f"Its audit says {audit['score']:.3f} ({audit['low']:.3f} to {audit['high']:.3f}, of "
            f"{audit['n_labeled']} rows)."
        )
    if "stopping" in model:
        lines.append(model["stopping"]["text"])
    return lines


def progress(connection: Connection, n_rows: int, now: float) -> Progress:
    """How a campaign goes, from its journal."""
    values = journal.class_values(connection)
    standings = journal.standings(connection)
    found = agreed(standings, len(values), journal.settings(connection).consensus)
    rows, codes = found.known
    counts = np.bincount(codes, minlength=len(values)).tolist()
    said = standings.labelled
    ended = journal.last_of(connection, "model", "failure")
    is_live = (standings.states == journal.LEASED) & (standings.until > now)
    return Progress(
        n_rows=n_rows,
        n_labelled=len(rows),
        n_skipped=len(found.skipped),
        n_disputed=len(found.rows) - len(rows),
        n_leased=len(np.unique(standings.rows[is_live])),
        n_answers=len(said.rows),
        by_class=dict(zip(values, counts, strict=True)),
        by_annotator=_by_annotator(connection, standings),
        by_model=_by_model(connection),
        agreement=agreement(said.rows, said.annotators, said.classes),
        failure=_failure(connection),
        is_training=journal.last_of(connection, "training") > ended,
    )


def _by_annotator(connection: Connection, standings: journal.Standings) -> dict[str, dict[str, Any]]:
    took: dict[int, list[float]] = {}
    for number, seconds in connection.execute(
        "SELECT annotator, seconds FROM entries WHERE seconds IS NOT NULL"
    ):
        took.setdefault(number, []).append(seconds)
    return {
        name: {
            "n_labels": int(((standings.annotators == i) & (standings.states == journal.LABELLED)).sum()),
            "n_skips": int(((standings.annotators == i) & (standings.states == journal.SKIPPED)).sum()),
            "seconds": float(np.median(took[i + 1])) if i + 1 in took else float("nan"),
        }
        for i, name in enumerate(journal.annotator_names(connection))
    }


def _by_model(connection: Connection) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = []
    for version, detail, time in connection.execute(
        "SELECT version, m.detail, time FROM models m JOIN events ON id = event ORDER BY version"
    ):
        known = json.loads(detail)
        before = models[-1]["n_labeled"] if models else 0
        models.append({"version": version, "time": time, **known, "n_new": known["n_labeled"] - before})
    return models


def _failure(connection: Connection) -> str | None:
    row = connection.execute(
        "SELECT detail FROM events WHERE kind IN ('failure', 'trouble') "
        "AND id > (SELECT coalesce(max(event), 0) FROM models) ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else str(json.loads(row[0])["error"])
