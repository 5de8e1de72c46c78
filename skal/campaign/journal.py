"""Events in, views out: what is written into the tables of a journal, and read from them.

Each function works inside a transaction of its caller.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from sqlite3 import Connection, Cursor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..pool import Rows

STATES = ("leased", "labelled", "skipped", "open")
LEASED, LABELLED, SKIPPED, OPEN = range(4)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings, which may change during a campaign.

    Parameters
    ----------
    n_annotators_per_row : int
        How many annotators each row is given to.
    lease_seconds : float
        How long a row is kept for the annotator who was given it.
    retrain_every : int or None
        Number of new answers after which the classifier is trained again; None: only on demand.
    n_prepared : int
        How many rows a strategy is asked for at once, ahead of the annotators.
    consensus : {"majority", "dawid_skene"}
    disagreements_first : bool
        Whether rows without a majority are given to another annotator before anything else.
    is_closed : bool
        Whether only known annotators are accepted.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.campaign import Campaign
    >>> from skal.strategies import RandomSampling
    >>> learner = ActiveLearner(LogisticRegression(), RandomSampling(), random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Campaign(folder, learner, [[0.0], [1.0]], training=None) as campaign:
    ...         campaign.set(lease_seconds=60.0).settings.lease_seconds
    60.0
    """

    n_annotators_per_row: int
    lease_seconds: float
    retrain_every: int | None
    n_prepared: int
    consensus: str
    disagreements_first: bool
    is_closed: bool


_SETTINGS = ", ".join(each.name for each in fields(Settings))
_LONGEST_LABEL = 1000  # characters
_REQUESTS = 500  # of an annotator that are looked through for one that comes twice; a page sends 100 at once


class Standings(NamedTuple):
    """What rows are to annotators, after some event: arrays of equal length.

    Attributes
    ----------
    rows, annotators : ndarray of int
    states : ndarray of int8
        Positions in `STATES`.
    classes : ndarray of int
        Positions in the list of classes; -1 where the state is not "labelled".
    until : ndarray of float
        When a lease ends, in seconds since the epoch; 0 where there is none.
    """

    rows: Rows
    annotators: Rows
    states: NDArray[np.int8]
    classes: Rows
    until: NDArray[np.float64]

    @property
    def labelled(self) -> Standings:
        """Those that are labels."""
        return self.where(self.states == LABELLED)

    def where(self, mask: NDArray[np.bool_]) -> Standings:
        """Some of them."""
        return Standings._make(each[mask] for each in self)


def add_event(
    connection: Connection, time: float, kind: str, annotator: int | None = None, **detail: Any
) -> int:
    """Write what happens now, and return its number."""
    return _inserted(
        connection,
        "INSERT INTO events (time, kind, annotator, detail) VALUES (?, ?, ?, ?)",
        (time, kind, annotator, as_json(detail)),
    )


def as_json(detail: dict[str, Any]) -> str:
    """What is written of details; numbers of NumPy are numbers, and what is not finite is missing."""
    return json.dumps(_plain(detail))


def add_entries(
    connection: Connection,
    event: int,
    annotator: int,
    rows: Sequence[int],
    state: int,
    *,
    classes: Sequence[int] | None = None,
    until: float | None = None,
    seconds: Sequence[float | None] | None = None,
) -> None:
    """Write what an event does to rows."""
    labels, took = ([None] * len(rows) if each is None else each for each in (classes, seconds))
    connection.executemany(
        "INSERT INTO entries (event, row, annotator, state, class, until, seconds) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (event, row, annotator, STATES[state], label, until, time)
            for row, label, time in zip(rows, labels, took, strict=True)
        ],
    )


def is_first(connection: Connection, time: float, annotator: int, request: str) -> bool:
    """Write that a request came, unless it is among the last ones of its annotator."""
    last = (
        "SELECT detail FROM events INDEXED BY events_by_annotator WHERE annotator = ?"
        " AND kind NOT IN ('lease', 'return') AND kind = 'receipt' ORDER BY id DESC LIMIT ?"
    )
    told = (annotator, _REQUESTS, as_json({"request": request}))
    is_new = connection.execute(f"SELECT 1 FROM ({last}) WHERE detail = ?", told).fetchone() is None
    if is_new:
        add_event(connection, time, "receipt", annotator, request=request)
    return is_new


def settings(connection: Connection, cut: int | None = None) -> Settings:
    """Those that hold now, or held just after an event."""
    row = connection.execute(
        f"SELECT {_SETTINGS} FROM settings WHERE event <= coalesce(?, event) ORDER BY event DESC LIMIT 1",
        (cut,),
    ).fetchone()
    values = {name: _number(name, each) for name, each in zip(_SETTINGS.split(", "), row, strict=True)}
    flags = {name: bool(values[name]) for name in ("disagreements_first", "is_closed")}
    return Settings(**{**values, **flags})


def add_settings(connection: Connection, event: int, new: Settings) -> None:
    """Write others, which hold from now on."""
    marks = ", ".join("?" * (1 + len(fields(Settings))))
    connection.execute(f"INSERT INTO settings (event, {_SETTINGS}) VALUES ({marks})", (event, *astuple(new)))


def add_classes(connection: Connection, values: Iterable[Any]) -> None:
    """Write labels that have not been seen before, in their order."""
    values = list(values)
    check_label_texts(values)
    connection.executemany("INSERT INTO classes (value) VALUES (?)", [(json.dumps(each),) for each in values])


def check_label_texts(labels: Iterable[Any]) -> None:
    """Refuse a text that no page can show."""
    for each in labels:
        if isinstance(each, str) and not (
            each.strip() and each.isprintable() and len(each) <= _LONGEST_LABEL
        ):
            raise ValueError(
                f"the label {each[:50]!r} was given; a text has 1 to {_LONGEST_LABEL} printable characters."
            )


def class_values(connection: Connection) -> list[Any]:
    """The possible labels, in the order in which they were given."""
    return [json.loads(value) for (value,) in connection.execute("SELECT value FROM classes ORDER BY id")]


def add_annotator(connection: Connection, name: str) -> int:
    """Write that there is an annotator, and return the number."""
    return _inserted(connection, "INSERT INTO annotators (name) VALUES (?)", (name,))


def annotator_names(connection: Connection) -> list[str]:
    """The names of annotators in the order in which they came; the position in the list is the number less one."""
    return [name for (name,) in connection.execute("SELECT name FROM annotators ORDER BY id")]


def request_if_due(connection: Connection, now: float) -> bool:
    """Ask for a training if as many labels were given since the last request as one is due after."""
    every = settings(connection).retrain_every
    (n_new,) = connection.execute(
        "SELECT count(*) FROM entries WHERE state = 'labelled' AND event >"
        " coalesce((SELECT max(id) FROM events WHERE kind = 'request'), 1)"
    ).fetchone()
    is_due = every is not None and n_new >= every
    if is_due:
        add_event(connection, now, "request")
    return is_due


def standings(connection: Connection, cut: int | None = None) -> Standings:
    """What rows are to annotators, now or just after an event.

    Parameters
    ----------
    connection : sqlite3.Connection
    cut : int, default=None
        The event.

    Returns
    -------
    standings : Standings
        By rows, then by annotators.
    """
    columns = "row, annotator - 1, state, coalesce(class, 0) - 1, coalesce(until, 0.0)"
    if cut is None:
        found = connection.execute(f"SELECT {columns} FROM standings ORDER BY row, annotator")
    else:
        # Of the columns of a group with a max, SQLite gives those of the entry with the max.
        found = connection.execute(
            f"SELECT {columns}, max(id) FROM entries WHERE event <= ? GROUP BY row, annotator ORDER BY row, annotator",
            (cut,),
        )
    rows, annotators, states, classes, until, *_ = columns_of(found, 5)
    return Standings(
        np.array(rows, dtype=np.intp),
        np.array(annotators, dtype=np.intp),
        np.array([STATES.index(state) for state in states], dtype=np.int8),
        np.array(classes, dtype=np.intp),
        np.array(until, dtype=np.float64),
    )


def columns_of(found: Cursor, n_columns: int) -> list[tuple[Any, ...]]:
    """The columns of an answer, also of one without rows."""
    return list(zip(*found, strict=True)) or [()] * n_columns


def rows_of(connection: Connection, question: str, values: Sequence[Any] = ()) -> Rows:
    """The answer to a question about one column, the rows of a pool."""
    return np.array([row for (row,) in connection.execute(question, values)], dtype=np.intp)


def audit_rows(connection: Connection, cut: int) -> Rows:
    """The rows that were drawn for an audit up to an event, in increasing order."""
    question = (
        "SELECT row FROM offered JOIN batches ON event = batch WHERE is_audit AND event <= ? ORDER BY row"
    )
    return rows_of(connection, question, (cut,))


def offered_rows(connection: Connection, model: int | None, cut: int) -> Rows:
    """The rows that were offered by a model up to an event."""
    question = "SELECT row FROM offered JOIN batches ON event = batch WHERE model IS ? AND event <= ?"
    return rows_of(connection, question, (model, cut))


def facts(connection: Connection) -> dict[str, Any]:
    """What was written when the campaign began."""
    (detail,) = connection.execute("SELECT detail FROM events WHERE kind = 'begin'").fetchone()
    found: dict[str, Any] = json.loads(detail)
    return found


def described_learner(connection: Connection) -> tuple[int, Any]:
    """The learner of now, in words, and the event that told of it."""
    event, detail = connection.execute(
        "SELECT id, detail FROM events WHERE kind IN ('begin', 'learner') ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return int(event), json.loads(detail)["learner"]


def last_event(connection: Connection) -> int:
    """The number of the newest event."""
    return int(connection.execute("SELECT max(id) FROM events").fetchone()[0])


def last_of(connection: Connection, *kinds: str) -> int:
    """The number of the newest event of some kinds; 0 if there is none."""
    newest = "SELECT coalesce(max(id), 0) FROM events WHERE kind = ?"
    return max(connection.execute(newest, (kind,)).fetchone()[0] for kind in kinds)


def event_time(connection: Connection, event: int) -> float:
    """When an event happened, in seconds since the epoch."""
    return float(connection.execute("SELECT time FROM events WHERE id = ?", (event,)).fetchone()[0])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _number(name: str, value: Any) -> Any:
    """A setting; of a number of NumPy, skal 0.1.dev has kept the bytes."""
    if not isinstance(value, bytes):
        return value
    is_real = name == "lease_seconds" and len(value) in (2, 4, 16)  # a float64 is a number to SQLite
    return np.frombuffer(value, f"<f{len(value)}")[0].item() if is_real else int.from_bytes(value, "little")


def _inserted(connection: Connection, statement: str, values: tuple[Any, ...]) -> int:
    """Insert a row, and return its number."""
    number = connection.execute(statement, values).lastrowid
    assert number is not None  # as sqlite3 says it of what inserts nothing
    return number
