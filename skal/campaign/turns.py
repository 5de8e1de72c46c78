"""One process at a time: who has a turn keeps it until the block ends, or the process does."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from .forks import unforked


@contextmanager
def turn(path: Path) -> Iterator[bool]:
    """Take the turn, unless another process or thread has it.

    An exclusive lock on a small database, which SQLite has on every system, and which ends with the process.

    Parameters
    ----------
    path : Path
        The file; it is made.

    Yields
    ------
    is_mine : bool

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.campaign.turns import turn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with turn(Path(folder) / "lock") as one, turn(Path(folder) / "lock") as other:
    ...         print(one, other)
    True False
    """
    with ExitStack() as stack:
        is_mine = False
        with suppress(sqlite3.OperationalError, OSError):  # it is taken, or the folder cannot be written
            try:
                stack.enter_context(_locked(path))
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:  # it is damaged, so that nobody has the turn
                os.truncate(path, 0)  # it holds nothing; a new file could be a second turn
                stack.enter_context(_locked(path))
            is_mine = True
        yield is_mine  # the lock ends with the connection


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    made = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    with closing(made) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


def is_taken(path: Path) -> bool:
    """Whether somebody has the turn."""
    with unforked(), turn(path) as is_mine:
        return not is_mine
