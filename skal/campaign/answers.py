"""What annotators say: labels and skips, corrected, withdrawn and undone. Nothing that was said is ever overwritten."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from . import leases
from .journal import LABELLED, LEASED, OPEN, SKIPPED, STATES, Settings, add_entries, add_event, class_values

_SAID = ("labelled", "skipped")
_DEEDS = "('answer', 'skip', 'correct', 'withdraw', 'undo')"
_NOT_TOLD_SINCE = """
    SELECT e.row, e.id FROM entries e WHERE e.event = ? AND NOT EXISTS (
        SELECT 1 FROM entries n JOIN events v ON v.id = n.event
        WHERE n.row = e.row AND n.annotator = e.annotator AND n.id > e.id AND v.kind IN ('import', 'sync'))
    ORDER BY e.id
"""

Standing = tuple[str, Any]  # state, and the number of the class where there is one


def answer(
    connection: Connection,
    annotator: int,
    rows: Sequence[int],
    classes: Sequence[int],
    now: float,
    seconds: Sequence[float | None],
    *,
    overwrite: bool = False,
) -> int | None:
    """Record labels; those that the annotator has given already change nothing. Returns the event, if there is one."""
    before = standings_of(connection, annotator, rows)
    others = [
        row
        for row, label in zip(rows, classes, strict=True)
        if before[row][0] == "labelled" and before[row][1] != label
    ]
    if others and not overwrite:
        values = class_values(connection)
        then = [values[before[row][1] - 1] for row in others[:5]]
        raise ValueError(
            f"rows {others[:5]} have an answer of this annotator already, {then}. correct(annotator, rows, labels) "
            "changes it, as does overwrite=True; nothing of this call was recorded."
        )
    new = [i for i, row in enumerate(rows) if before[row] != ("labelled", classes[i])]
    return _record(connection, now, "answer", annotator, rows, new, LABELLED, classes, seconds)


def skip(
    connection: Connection,
    annotator: int,
    rows: Sequence[int],
    now: float,
    seconds: Sequence[float | None],
    *,
    overwrite: bool = False,
) -> int | None:
    """Record that an annotator cannot label rows."""
    before = standings_of(connection, annotator, rows)
    labelled = [row for row in rows if before[row][0] == "labelled"]
    if labelled and not overwrite:
        raise ValueError(
            f"rows {labelled[:5]} have a label of this annotator, who cannot skip them any more. Withdraw the labels "
            "first, by withdraw(annotator, rows) or undo(annotator), or say overwrite=True."
        )
    new = [i for i, row in enumerate(rows) if before[row][0] != "skipped"]
    return _record(connection, now, "skip", annotator, rows, new, SKIPPED, seconds=seconds)


def correct(
    connection: Connection, annotator: int, rows: Sequence[int], classes: Sequence[int], now: float
) -> int | None:
    """Record other labels for rows that an annotator has labelled or skipped."""
    before = _said(connection, annotator, rows, "correct")
    new = [i for i, row in enumerate(rows) if before[row] != ("labelled", classes[i])]
    return _record(connection, now, "correct", annotator, rows, new, LABELLED, classes)


def withdraw(connection: Connection, annotator: int, rows: Sequence[int], now: float) -> int | None:
    """Record that answers and skips do not count any more; the rows are offered again."""
    _said(connection, annotator, rows, "withdraw")
    return _record(connection, now, "withdraw", annotator, rows, range(len(rows)), OPEN)


def _record(
    connection: Connection,
    now: float,
    kind: str,
    annotator: int,
    rows: Sequence[int],
    new: Sequence[int],
    state: int,
    classes: Sequence[int] | None = None,
    seconds: Sequence[float | None] | None = None,
) -> int | None:
    """Write what is new of what is said; returns the event, if there is one."""
    if not new:
        return None
    event = add_event(connection, now, kind, annotator)
    labels = None if classes is None else [classes[i] for i in new]
    took = None if seconds is None else [seconds[i] for i in new]
    add_entries(connection, event, annotator, [rows[i] for i in new], state, classes=labels, seconds=took)
    return event


def undo(
    connection: Connection, annotator: int, now: float, settings: Settings, *, only_row: int | None = None
) -> tuple[int | None, list[int]]:
    """Take back what an annotator did last, and has not taken back yet; returns the event and its rows.

    Rows get the standing that they had; those that were on loan are lent again, if nobody else took the place. With
    `only_row`, nothing happens unless it was about that row alone.
    """
    last, entries = _last(connection, annotator)
    rows = [row for row, _ in entries]
    if last is None or (only_row is not None and rows != [only_row]):
        return None, []
    event = add_event(connection, now, "undo", annotator, undoes=last)
    for row, entry in entries:
        before: Any = connection.execute(
            "SELECT state, class FROM entries WHERE row = ? AND annotator = ? AND id < ? ORDER BY id DESC LIMIT 1",
            (row, annotator, entry),
        ).fetchone()
        state, label = before or ("open", None)
        if state in _SAID:
            classes: Any = [label] if state == "labelled" else None
            add_entries(connection, event, annotator, [row], STATES.index(state), classes=classes)
        elif leases.has_place(connection, row, annotator, now, settings):
            until = now + settings.lease_seconds
            add_entries(connection, event, annotator, [row], LEASED, until=until)
        else:
            add_entries(connection, event, annotator, [row], OPEN)
    return event, rows


def _last(connection: Connection, annotator: int) -> tuple[int | None, list[tuple[int, int]]]:
    """The event to undo, and its rows with their entries, without those that another program told of since."""
    undone = set()
    # The first condition is that of the index of an annotator's events, which SQLite uses only where it is said.
    for event, kind, detail in connection.execute(
        "SELECT id, kind, detail FROM events WHERE annotator = ? AND kind NOT IN ('lease', 'return') "
        f"AND kind IN {_DEEDS} ORDER BY id DESC",
        (annotator,),
    ):
        if kind == "undo":
            undone.add(json.loads(detail)["undoes"])
        elif event not in undone and (entries := connection.execute(_NOT_TOLD_SINCE, (event,)).fetchall()):
            return int(event), entries
    return None, []


def says(connection: Connection, annotator: int, row: int) -> bool:
    """Whether an annotator says anything of a row."""
    return standings_of(connection, annotator, [row])[row][0] in _SAID


def standings_of(connection: Connection, annotator: int, rows: Sequence[int]) -> dict[int, Standing]:
    known = "SELECT state, class FROM standings WHERE row = ? AND annotator = ?"
    return {row: connection.execute(known, (row, annotator)).fetchone() or ("open", None) for row in rows}


def _said(connection: Connection, annotator: int, rows: Sequence[int], what: str) -> dict[int, Standing]:
    before = standings_of(connection, annotator, rows)
    unknown = [row for row in rows if before[row][0] not in _SAID]
    if unknown:
        raise ValueError(
            f"rows {unknown[:5]} have no answer of this annotator to {what}; answer(annotator, rows, labels) gives "
            "one. Nothing of this call was recorded."
        )
    return before
