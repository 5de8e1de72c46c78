"""What annotators say in another program, taken over into the journal: each thing once, and again when it changes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import Any, NamedTuple

from . import answers, journal


class Told(NamedTuple):
    """What an annotator says about a row in another program.

    Parameters
    ----------
    row : int
    annotator : str
    label : label
        None where the row was skipped.
    version : str
        A value that differs whenever something has changed, such as a number and the time of the last change.
    seconds : float, default=None
        How long it took.

    Examples
    --------
    >>> from skal.campaign import Told
    >>> Told(row=7, annotator="anna", label="cat", version="12 2026-11-01T12:00:00Z").label
    'cat'
    """

    row: int
    annotator: str
    label: Any
    version: str
    seconds: float | None = None


@dataclass
class SyncReport:
    """The result of a sync; ``print(report)`` describes it in words.

    Parameters
    ----------
    n_labels, n_skips, n_withdrawn : int
        Number of answers newly recorded; those known already do not count.
    refused : list of str
        What could not be recorded, and why. It is tried again at the next sync.

    Examples
    --------
    >>> from skal.campaign import SyncReport
    >>> print(SyncReport(n_labels=12, n_skips=1))
    12 labels, 1 skips, 0 withdrawn.
    """

    n_labels: int = 0
    n_skips: int = 0
    n_withdrawn: int = 0
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.n_labels} labels, {self.n_skips} skips, {self.n_withdrawn} withdrawn."
        return "\n".join([counts, *self.refused[:20]])

    @property
    def n_changes(self) -> int:
        """How many things are recorded now."""
        return self.n_labels + self.n_skips + self.n_withdrawn


def known_versions(connection: Connection, source: str) -> dict[tuple[int, int], str | None]:
    """What was read of each annotator and row last; None where it was withdrawn."""
    known: dict[tuple[int, int], str | None] = {}
    for annotator, detail in connection.execute(
        "SELECT annotator, detail FROM events WHERE kind = 'sync' ORDER BY id"
    ):
        said = json.loads(detail)
        if said["source"] == source:
            known.update({(annotator, row): version for row, version in said["read"]})
    return known


def record(
    connection: Connection,
    now: float,
    source: str,
    annotator: int,
    told: Iterable[tuple[Told, int | None]],
    gone: Iterable[int],
    report: SyncReport,
) -> None:
    """Write what an annotator says that was not known, each with the number of its class, and which rows are gone."""
    new, left = list(told), _still_from(connection, source, annotator, gone)
    if not new and not left:
        return
    before = answers.standings_of(connection, annotator, [each.row for each, _ in new])
    labels = [(each, c) for each, c in new if c is not None and before[each.row] != ("labelled", c)]
    skips = [each for each, c in new if c is None and before[each.row][0] != "skipped"]
    read = [[each.row, each.version] for each, _ in new] + [[row, None] for row in left]
    event = journal.add_event(connection, now, "sync", annotator, source=source, read=read)
    journal.add_entries(
        connection,
        event,
        annotator,
        [each.row for each, _ in labels],
        journal.LABELLED,
        classes=[c for _, c in labels],
        seconds=[each.seconds for each, _ in labels],
    )
    journal.add_entries(
        connection,
        event,
        annotator,
        [each.row for each in skips],
        journal.SKIPPED,
        seconds=[each.seconds for each in skips],
    )
    open_again = [row for row, is_read in left.items() if is_read]
    journal.add_entries(connection, event, annotator, open_again, journal.OPEN)
    report.n_labels += len(labels)
    report.n_skips += len(skips)
    report.n_withdrawn += len(open_again)


def _still_from(connection: Connection, source: str, annotator: int, rows: Iterable[int]) -> dict[int, bool]:
    """Whether the standing of each row is what was read; what was said elsewhere since is not withdrawn."""
    found = {}
    for row in rows:
        standing = connection.execute(
            "SELECT e.state, v.kind, v.detail FROM standings s JOIN entries e ON e.id = s.entry "
            "JOIN events v ON v.id = e.event WHERE s.row = ? AND s.annotator = ?",
            (row, annotator),
        ).fetchone()
        found[row] = (
            standing is not None
            and standing[0] in ("labelled", "skipped")
            and standing[1] == "sync"
            and json.loads(standing[2])["source"] == source
        )
    return found
