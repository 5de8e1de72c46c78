"""The tables of a journal, and how older ones become the present ones.

What happened is in the tables of the journal, which are only ever added to; triggers refuse anything else. What
follows from it, and is asked for all the time, stands in three tables that triggers keep, in the same transaction.

==============  =====================================================================================================
events          what happened, when, and who did it
settings        of the campaign; the newest row holds
annotators      who there is
classes         the possible labels, as JSON
entries         what an event did to rows: each gives a row a new standing with an annotator
batches         what a strategy was asked, about which model, and what it said
offered         the rows of a batch, best first
models          the classifiers that were trained: up to which event, from which one before, with which result
==============  =====================================================================================================

==============  =====================================================================================================
standings       of a row with an annotator: its last entry
tallies         how many annotators have labelled or skipped a row, and whether no label has a majority
queue           the rows that are offered and not done, in the order in which they are to be labelled; also those that
                a lower number of annotators made done
waiting         a view of the queue without these
==============  =====================================================================================================
"""

from __future__ import annotations

APPLICATION = 0x736B616C  # "skal", where SQLite keeps whose file it is

_JOURNAL = """
CREATE TABLE annotators (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE classes (
    id INTEGER PRIMARY KEY,
    value TEXT NOT NULL UNIQUE
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    annotator INTEGER REFERENCES annotators (id),
    detail TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX events_by_kind ON events (kind, id);
CREATE INDEX events_by_annotator ON events (annotator, id) WHERE kind NOT IN ('lease', 'return');
CREATE TABLE settings (
    event INTEGER PRIMARY KEY REFERENCES events (id),
    n_annotators_per_row INTEGER NOT NULL CHECK (n_annotators_per_row >= 1),
    lease_seconds REAL NOT NULL CHECK (lease_seconds > 0),
    retrain_every INTEGER CHECK (retrain_every >= 1),
    n_prepared INTEGER NOT NULL CHECK (n_prepared >= 1),
    consensus TEXT NOT NULL CHECK (consensus IN ('majority', 'dawid_skene')),
    disagreements_first INTEGER NOT NULL,
    is_closed INTEGER NOT NULL
);
CREATE TABLE models (
    version INTEGER PRIMARY KEY,
    event INTEGER NOT NULL UNIQUE REFERENCES events (id),
    cut INTEGER NOT NULL REFERENCES events (id),
    base INTEGER REFERENCES models (version),
    folder TEXT,
    detail TEXT NOT NULL
);
CREATE TABLE batches (
    event INTEGER PRIMARY KEY REFERENCES events (id),
    cut INTEGER NOT NULL REFERENCES events (id),
    model INTEGER REFERENCES models (version),
    strategy TEXT NOT NULL,
    n_asked INTEGER NOT NULL,
    takes_over INTEGER NOT NULL,
    is_audit INTEGER NOT NULL
);
CREATE INDEX batches_by_cut ON batches (cut);
CREATE TABLE offered (
    batch INTEGER NOT NULL REFERENCES batches (event),
    rank INTEGER NOT NULL,
    row INTEGER NOT NULL CHECK (row >= 0),
    utility REAL,
    predicted INTEGER REFERENCES classes (id),
    confidence REAL,
    PRIMARY KEY (batch, rank)
) WITHOUT ROWID;
CREATE INDEX offered_by_row ON offered (row);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    event INTEGER NOT NULL REFERENCES events (id),
    row INTEGER NOT NULL CHECK (row >= 0),
    annotator INTEGER NOT NULL REFERENCES annotators (id),
    state TEXT NOT NULL CHECK (state IN ('leased', 'labelled', 'skipped', 'open')),
    class INTEGER REFERENCES classes (id),
    until REAL,
    seconds REAL,
    CHECK ((state = 'labelled') = (class IS NOT NULL)),
    CHECK ((state = 'leased') = (until IS NOT NULL))
);
CREATE INDEX entries_by_event ON entries (event);
CREATE INDEX entries_by_row ON entries (row, annotator);
"""

_STANDING = """
CREATE TABLE standings (
    row INTEGER NOT NULL,
    annotator INTEGER NOT NULL REFERENCES annotators (id),
    state TEXT NOT NULL,
    class INTEGER REFERENCES classes (id),
    until REAL,
    entry INTEGER NOT NULL REFERENCES entries (id),
    PRIMARY KEY (row, annotator)
) WITHOUT ROWID;
CREATE INDEX standings_by_annotator ON standings (annotator, state, entry);
CREATE INDEX standings_leased ON standings (until) WHERE state = 'leased';
CREATE TABLE tallies (
    row INTEGER PRIMARY KEY,
    n_said INTEGER NOT NULL,
    is_disputed INTEGER NOT NULL
);
CREATE INDEX tallies_disputed ON tallies (row) WHERE is_disputed;
CREATE TABLE queue (
    position INTEGER PRIMARY KEY,
    row INTEGER NOT NULL UNIQUE,
    is_audit INTEGER NOT NULL
);
CREATE INDEX queue_in_order ON queue (is_audit DESC, position);
"""

# A row leaves the queue when as many as are asked have said something about it, and comes back at the end when someone
# takes that back. One trigger, as the order of several is not defined.
_AFTER_ENTRY = """
CREATE TRIGGER entry_stands AFTER INSERT ON entries BEGIN
    INSERT OR REPLACE INTO standings (row, annotator, state, class, until, entry)
        VALUES (NEW.row, NEW.annotator, NEW.state, NEW.class, NEW.until, NEW.id);
    INSERT INTO tallies (row, n_said, is_disputed)
        SELECT NEW.row, count(*), 0 FROM standings
            WHERE row = NEW.row AND state IN ('labelled', 'skipped')
            HAVING NEW.state != 'leased' OR EXISTS (SELECT 1 FROM tallies WHERE row = NEW.row)
        ON CONFLICT (row) DO UPDATE SET n_said = excluded.n_said;
    UPDATE tallies SET is_disputed = (
            SELECT coalesce(2 * max(votes) <= sum(votes), 0) FROM (
                SELECT count(*) AS votes FROM standings WHERE row = NEW.row AND state = 'labelled' GROUP BY class))
        WHERE row = NEW.row;
    DELETE FROM queue WHERE row = NEW.row AND coalesce((SELECT n_said FROM tallies WHERE row = NEW.row), 0)
        >= (SELECT n_annotators_per_row FROM settings ORDER BY event DESC LIMIT 1);
    INSERT OR IGNORE INTO queue (row, is_audit)
        SELECT NEW.row, EXISTS (SELECT 1 FROM offered JOIN batches ON event = batch WHERE row = NEW.row AND is_audit)
            FROM tallies WHERE row = NEW.row
        AND NEW.state IN ('open', 'leased')
        AND n_said < (SELECT n_annotators_per_row FROM settings ORDER BY event DESC LIMIT 1);
END;
"""

# A batch that takes over replaces the queue, except for the rows that somebody was working on when it was asked for and
# those that wait for more annotators or belong to an audit.
_AFTER_BATCH = """
CREATE TRIGGER batch_takes_over AFTER INSERT ON batches WHEN NEW.takes_over BEGIN
    DELETE FROM queue WHERE NOT is_audit AND row NOT IN (SELECT row FROM standings WHERE state = 'leased'
            AND until > (SELECT time FROM events WHERE id = NEW.cut))
        AND row NOT IN (SELECT row FROM tallies WHERE n_said > 0);
END;
CREATE TRIGGER offer_queues AFTER INSERT ON offered
    WHEN coalesce((SELECT n_said FROM tallies WHERE row = NEW.row), 0)
        < (SELECT n_annotators_per_row FROM settings ORDER BY event DESC LIMIT 1) BEGIN
    DELETE FROM queue WHERE row = NEW.row AND (SELECT is_audit FROM batches WHERE event = NEW.batch);
    INSERT OR IGNORE INTO queue (row, is_audit)
        SELECT NEW.row, is_audit FROM batches WHERE event = NEW.batch;
END;
"""

# Also a row that an answer came late to, when a newer batch had taken its place, and one of an import wait for more.
_AFTER_ANY_ENTRY = "DROP TRIGGER entry_stands;\n" + _AFTER_ENTRY.replace(
    "        AND NEW.state IN ('open', 'leased')\n", ""
)

# A strategy cannot choose what was said or on loan when it was asked, nor what its classifier has learned. What came
# back since stays in the queue, else nobody would be given it before another training.
_AFTER_ANY_BATCH = """
DROP TRIGGER batch_takes_over;
CREATE TRIGGER batch_takes_over AFTER INSERT ON batches WHEN NEW.takes_over BEGIN
    DELETE FROM queue WHERE NOT is_audit AND row NOT IN (SELECT row FROM tallies WHERE n_said > 0)
        AND NOT EXISTS (SELECT 1 FROM standings s JOIN entries e ON e.id = s.entry WHERE s.row = queue.row AND (
            s.state = 'leased' AND s.until > (SELECT time FROM events WHERE id = NEW.cut)
            OR e.event > coalesce((SELECT cut FROM models WHERE version = NEW.model), NEW.cut)));
END;
"""

# A row is done when as many have said something as are asked now. It stays in the queue if a setting alone made it so:
# another may ask for more again.
_WAITING = """
CREATE VIEW waiting AS SELECT position, row, is_audit FROM queue
    WHERE coalesce((SELECT n_said FROM tallies t WHERE t.row = queue.row), 0)
        < (SELECT n_annotators_per_row FROM settings ORDER BY event DESC LIMIT 1);
"""

JOURNAL = ("annotators", "classes", "events", "settings", "models", "batches", "offered", "entries")

_ONLY_ADDED = "".join(
    f"CREATE TRIGGER {table}_{what.lower()} BEFORE {what} ON {table} BEGIN "
    f"SELECT RAISE(ABORT, 'the journal is only added to'); END;\n"
    for table in JOURNAL
    for what in ("UPDATE", "DELETE")
)

# What version n of the schema adds to version n - 1. A released one is never changed: a newer one is added.
# The second has new kinds of events, which an older skal would pass over: "learner", "classes" and "sync".
# The third queues rows again. The fourth keeps in the queue what came back, and has a view without rows that are done.
MIGRATIONS = (
    _JOURNAL + _ONLY_ADDED + _STANDING + _AFTER_ENTRY + _AFTER_BATCH,
    "",
    _AFTER_ANY_ENTRY,
    _AFTER_ANY_BATCH + _WAITING,
)
