"""What is to be trained or asked next, as the journal has it: the same after any crash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

import numpy as np

from ..pool import NO_ROWS, Rows
from . import journal

REQUESTS = ("begin", "request", "learner")  # events after which a classifier is trained


@dataclass(frozen=True)
class Model:
    """A classifier that was trained: the event that tells of it, and up to which event it knows the answers."""

    version: int
    event: int
    cut: int
    base: int | None
    folder: str | None


@dataclass(frozen=True)
class Train:
    """Train a classifier on what was said up to an event."""

    cut: int
    base: Model | None


@dataclass(frozen=True)
class Ask:
    """Ask a strategy for a batch, given who had which rows at an event."""

    cut: int
    model: Model | None
    takes_over: bool


def newest_model(connection: Connection) -> Model | None:
    """The last one of the learner of now that could be trained."""
    row = connection.execute(
        "SELECT version, event, cut, base, folder FROM models WHERE cut >= ? ORDER BY version DESC LIMIT 1",
        (journal.last_of(connection, "learner"),),
    ).fetchone()
    return None if row is None else Model(*row)


def next_version(connection: Connection) -> int:
    """The number of the model to come."""
    return 1 + int(connection.execute("SELECT coalesce(max(version), 0) FROM models").fetchone()[0])


def chain(connection: Connection, version: int | None) -> list[Model]:
    """The models from the first to a version, each the base of the next one."""
    found = []
    while version is not None:
        row = connection.execute(
            "SELECT version, event, cut, base, folder FROM models WHERE version = ?", (version,)
        ).fetchone()
        found.append(Model(*row))
        version = found[-1].base
    return found[::-1]


def next_job(connection: Connection) -> Train | Ask | None:
    """What is to be done next; None if nothing is.

    A training run that was begun is finished first, whatever was asked for since, so that a crash changes nothing,
    unless its learner has been replaced.
    """
    model = newest_model(connection)
    asked = journal.last_of(connection, *REQUESTS)
    handled = max(0 if model is None else model.cut, _detail(connection, "failure").get("cut", 0))
    begun = _detail(connection, "training").get("cut", 0)
    if begun > handled and begun >= journal.last_of(connection, "learner"):
        return Train(begun, model)
    if asked > handled:
        return Train(asked, model)
    if model is not None and not was_asked(connection, model.event):
        return Ask(model.event, model, takes_over=True)
    refill = journal.last_of(connection, "refill")
    if refill and not was_asked(connection, refill) and refill > (0 if model is None else model.event):
        return Ask(refill, model, takes_over=False)
    return None


def is_exhausted(connection: Connection) -> bool:
    """Whether the last batch had fewer rows than were asked for, so that no more are left."""
    row = connection.execute(
        "SELECT n_asked, (SELECT count(*) FROM offered WHERE batch = event) FROM batches WHERE NOT is_audit "
        "ORDER BY event DESC LIMIT 1"
    ).fetchone()
    return row is not None and row[1] < row[0]


def taken_rows(connection: Connection, job: Ask) -> Rows:
    """The rows that count as chosen: said or on loan at an event, or offered by the same model before."""
    then = journal.event_time(connection, job.cut)
    is_now = job.cut == journal.last_event(connection)
    standings = journal.standings(connection, None if is_now else job.cut)
    is_said = (standings.states == journal.LABELLED) | (standings.states == journal.SKIPPED)
    is_lent = (standings.states == journal.LEASED) & (standings.until > then)
    version = None if job.model is None else job.model.version
    offered = NO_ROWS if job.takes_over else journal.offered_rows(connection, version, job.cut)
    return np.unique(np.concatenate([standings.rows[is_said | is_lent], offered]))


def n_begun(connection: Connection, cut: int) -> int:
    """How often the training up to an event was begun."""
    since = connection.execute("SELECT detail FROM events WHERE kind = 'training' AND id > ?", (cut,))
    return sum(json.loads(detail)["cut"] == cut for (detail,) in since)


def _detail(connection: Connection, kind: str) -> dict[str, Any]:
    row = connection.execute(
        "SELECT detail FROM events WHERE kind = ? ORDER BY id DESC LIMIT 1", (kind,)
    ).fetchone()
    return {} if row is None else dict(json.loads(row[0]))


def was_asked(connection: Connection, cut: int) -> bool:
    """Whether the batch of an event is there."""
    return connection.execute("SELECT 1 FROM batches WHERE cut = ?", (cut,)).fetchone() is not None
