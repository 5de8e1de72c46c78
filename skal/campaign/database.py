"""The file of a journal: opened and checked, written one transaction at a time, and never by halves."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from ..exceptions import JournalError
from ..utils.replacing import locked
from .forks import unforked
from .schema import APPLICATION, MIGRATIONS

T = TypeVar("T")

FILE = "journal.sqlite"
_PATIENCE = 60.0  # seconds that a writer waits for others; a transaction takes about a millisecond
_LEAST_PAGE = 512
_WAL_PAGES = 4000  # of the journal's own log, 16 MB, until it is copied into the file


class Database:
    """The SQLite file in the folder of a campaign, for any number of threads and processes.

    Parameters
    ----------
    folder : Path
    create : bool, default=False
        Whether to make the tables, in the first transaction of `fill`, where there are none.
    migrations : sequence of str
        What each version of the schema adds to the one before.

    Notes
    -----
    What was committed is on the disk: the log is written through at each commit (``synchronous=FULL``). Writers wait
    for their turn at a lock of the operating system, which wakes them in order and is free again when its holder is
    killed; SQLite's own is asked for again and again, with pauses.
    """

    def __init__(self, folder: Path, *, create: bool = False, migrations: Sequence[str] = MIGRATIONS) -> None:
        self._path, self._migrations = folder / FILE, migrations
        self._lock, self._is_wal = RLock(), False
        self._left: list[sqlite3.Connection] = []  # of a process that was forked: not to be closed here
        self._process = os.getpid()
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)  # the device and the number of the one that the connection has open
        if not self._path.exists() and not create:
            raise JournalError(
                f"{folder} holds no campaign: {FILE} is not there. Give the folder of one, or begin one with "
                "Campaign(folder, learner, X)."
            )
        try:
            with self._reporting(), unforked():
                version = self._version()
            if version is None and not create:
                raise JournalError(
                    f"{self._path} is empty: its campaign was never begun. Begin it with Campaign(folder, learner, X)."
                )
            if version is not None and version < len(migrations):
                with self.writing() as connection:  # in which another process may have done it
                    self.fill(connection.execute("PRAGMA user_version").fetchone()[0])
        except BaseException:
            self.close()
            raise
        self.is_new = version is None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            # A foreign file's triggers call no function that could do harm.
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
        except BaseException:  # the file is not a database
            connection.close()
            raise
        return connection

    @property
    def _own(self) -> sqlite3.Connection:
        """The connection of this process: one must not be used in a forked one, nor closed there."""
        if self._connection is not None and self._process != os.getpid():
            self._left.append(self._connection)
            self._connection = None
        if self._connection is None:
            self._check_place()  # or SQLite makes an empty file where there is none any more
            made = self._connect()
            self._file = _identity(
                self._path
            )  # first: other threads compare it as soon as there is a connection
            self._connection, self._process = made, os.getpid()
        return self._connection

    def _version(self) -> int | None:
        """The version of the tables; None where there are none."""
        connection = self._own
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if not self.has_tables() and application in (0, APPLICATION):
            if 0 < self._path.stat().st_size < _LEAST_PAGE:  # which SQLite takes for an empty database
                raise sqlite3.DatabaseError("it has less than a page")
            return None
        if application != APPLICATION:
            raise JournalError(
                f"{self._path} is a database of another program; give the folder of a campaign, or another folder."
            )
        if version > len(self._migrations):
            raise JournalError(
                f"{self._path} has version {version} of the tables, and this skal knows {len(self._migrations)}: a "
                "newer skal has written it. Update skal."
            )
        if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        return int(version)

    def has_tables(self) -> bool:
        """Whether the tables are there already, inside a transaction of the caller."""
        return bool(self._own.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])

    def fill(self, version: int = 0) -> None:
        """Make the tables, or what a version of them lacks, inside a transaction of the caller."""
        for script in self._migrations[version:]:
            for statement in _statements(script):
                self._own.execute(statement)
        self._own.execute(f"PRAGMA application_id = {APPLICATION}")
        self._own.execute(f"PRAGMA user_version = {len(self._migrations)}")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed and on the disk when the block ends, as if it had never begun if it fails."""
        with self._reporting(), locked(self._path.parent), unforked(), self._lock:
            connection = self._own
            if connection.in_transaction:
                raise RuntimeError("a transaction is open already")
            if not self._is_wal:  # which stays so in the file
                connection.execute("PRAGMA journal_mode = WAL")
                self._is_wal = True
            try:  # Ctrl-C while it waits for others is told when the transaction has begun
                connection.execute("BEGIN IMMEDIATE")
                self._check_place()
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # it never began, or a full disk has rolled it back already
                    connection.execute("ROLLBACK")
                raise

    def _check_place(self) -> None:
        """Refuse a file that nobody else will find: a backup that is put in its place leaves it open here."""
        known = (0, 0) if self._connection is None else self._file
        try:
            found = _identity(self._path)
        except FileNotFoundError:
            found, known = (-1, -1), self._file
        if found != known and found[1] and known[1]:  # Windows may have no numbers
            raise JournalError(
                f"{self._path} was renamed, removed or replaced since it was opened: nothing of this call was "
                "recorded. Open the campaign again, by Campaign.open(folder, X), to go on with what is there now."
            )

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """What is committed now, in a connection of its own: a long look keeps nobody waiting."""
        self._check_place()
        with self._reporting(), unforked(), closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")

    @contextmanager
    def glance(self) -> Iterator[sqlite3.Connection]:
        """What is committed now, for a short question."""
        with self._reporting(), unforked(), self._lock:
            self._check_place()
            yield self._own

    def asked(self, question: Callable[..., T], *args: Any) -> T:
        """The answer to a short question about what is committed now."""
        with self.glance() as connection:
            return question(connection, *args)

    def checkpoint(self) -> None:
        """Copy the log into the file, as far as nobody has to wait for that."""
        with self._reporting(), unforked(), self._lock:
            self._own.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the connection of this process."""
        with unforked(), self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
                self._connection = None

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Say what is wrong with the file, and what to do, where SQLite says so in its own words."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error
        except OSError as error:
            if error.filename != str(self._path.parent / ".lock"):
                raise
            if isinstance(error, FileNotFoundError):  # the folder is gone
                self._check_place()
            raise self._refusal(error.strerror) from error

    def _refusal(self, reason: object) -> PermissionError:
        return PermissionError(
            errno.EACCES,
            f"The journal cannot be written ({reason}): nothing of this call was recorded. Make the folder and all "
            "files in it writable, or copy the folder to where you may write",
            str(self._path),
        )

    def _explained(self, error: sqlite3.DatabaseError) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return OSError(
                errno.ENOSPC,
                "No space is left for the journal. Nothing of this call was recorded, and all that was acknowledged "
                "before is safe. Free some space, and try again",
                str(self._path),
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return OSError(
                errno.EBUSY,
                "Another program holds the journal, such as a backup or the sqlite3 shell. Nothing of this call was "
                "recorded. Try again, or end that program",
                str(self._path),
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return self._refusal(error)
        if code == sqlite3.SQLITE_IOERR:
            return OSError(
                errno.EIO, f"The disk fails ({error}); nothing of this call was recorded", str(self._path)
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or type(error) is sqlite3.DatabaseError:
            return JournalError(
                f"{self._path} is no database, or a damaged or truncated one ({error}). Bring it back from a copy, "
                f"with {FILE}-wal if there is one; `sqlite3 {FILE} .recover` saves what can be read."
            )
        return error


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: SQLite's own executescript would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
