"""Who is working on what: rows are lent to annotators for a while, best first.

A row has as many places as annotators are asked to label it. Who has labelled or skipped it takes one, and so does who
has it on loan, until the lease ends.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from sqlite3 import Connection

from .journal import LEASED, OPEN, Settings, add_entries, add_event

# Whether somebody takes a place of the row: the standing `s`.
_TAKES = "(s.state IN ('labelled', 'skipped') OR (s.state = 'leased' AND s.until > :now))"
_MINE = f"EXISTS (SELECT 1 FROM standings s WHERE s.row = w.row AND s.annotator = :annotator AND {_TAKES})"
_TAKEN = f"(SELECT count(*) FROM standings s WHERE s.row = w.row AND {_TAKES})"
_LEASED = "(SELECT count(*) FROM standings s WHERE s.row = w.row AND s.state = 'leased' AND s.until > :now)"

_NEXT = f"""
    SELECT w.row FROM queue w WHERE NOT {_MINE} AND {_TAKEN} < :places
    ORDER BY w.is_audit DESC, w.position LIMIT :n
"""
# One more annotator at a time looks at a row without a majority.
_DISPUTED = f"""
    SELECT w.row FROM tallies w WHERE w.is_disputed AND w.n_said >= :places AND NOT {_MINE} AND {_LEASED} = 0
    ORDER BY w.row LIMIT :n
"""


def held(connection: Connection, annotator: int, now: float) -> list[tuple[int, float]]:
    """The rows that an annotator has on loan, with the end of each lease, in the order in which they were given."""
    return connection.execute(
        "SELECT row, until FROM standings WHERE annotator = ? AND state = 'leased' AND until > ? ORDER BY entry",
        (annotator, now),
    ).fetchall()


def suffices(rows: list[tuple[int, float]], n: int, now: float, settings: Settings) -> bool:
    """Whether somebody has as many rows as are wanted, for half of a lease at least."""
    return len(rows) >= n and all(until - now > settings.lease_seconds / 2 for _, until in rows[:n])


def lend(connection: Connection, annotator: int, n: int, now: float, settings: Settings) -> list[int]:
    """Lend an annotator `n` rows in all, first those that are on loan already; their leases begin again."""
    rows = [row for row, _ in held(connection, annotator, now)][:n]
    given = {"annotator": annotator, "now": now, "places": settings.n_annotators_per_row}
    for wanted in (_DISPUTED,) * settings.disagreements_first + (_NEXT,):
        rows += [row for (row,) in connection.execute(wanted, {**given, "n": n - len(rows)}).fetchall()]
    if rows:
        event = add_event(connection, now, "lease", annotator)
        add_entries(connection, event, annotator, rows, LEASED, until=now + settings.lease_seconds)
    return rows


def give_back(connection: Connection, annotator: int, now: float) -> list[int]:
    """End all leases of an annotator, whose rows others may have now."""
    rows = [row for row, _ in held(connection, annotator, now)]
    if rows:
        event = add_event(connection, now, "return", annotator)
        add_entries(connection, event, annotator, rows, OPEN)
    return rows


def end_impossible(connection: Connection, now: float) -> None:
    """End the leases that no clock of now can have given: it was set back since, and they would last that much longer.

    `set` may have made leases shorter, and a clock that is set right by less than a lease ends none.
    """
    found = connection.execute(
        "SELECT annotator, row FROM standings WHERE state = 'leased' "
        "AND until > ? + 2 * (SELECT max(lease_seconds) FROM settings) ORDER BY annotator, row",
        (now,),
    ).fetchall()
    for annotator, pairs in groupby(found, key=itemgetter(0)):
        event = add_event(connection, now, "return", annotator)
        add_entries(connection, event, annotator, [row for _, row in pairs], OPEN)


def has_place(connection: Connection, row: int, annotator: int, now: float, settings: Settings) -> bool:
    """Whether others leave a place of a row to an annotator."""
    (n_others,) = connection.execute(
        f"SELECT count(*) FROM standings s WHERE s.row = ? AND s.annotator != ? AND {_TAKES.replace(':now', '?')}",
        (row, annotator, now),
    ).fetchone()
    return bool(n_others < settings.n_annotators_per_row)


def has_free(connection: Connection, now: float, n: int) -> bool:
    """Whether there are about `n` prepared rows that nobody has; no more are counted than needed."""
    (n_leased,) = connection.execute(
        "SELECT count(*) FROM standings WHERE state = 'leased' AND until > ?", (now,)
    ).fetchone()
    (n_waiting,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM waiting LIMIT ?)", (n_leased + n,)
    ).fetchone()
    return bool(max(n_waiting - n_leased, 0) >= n)
