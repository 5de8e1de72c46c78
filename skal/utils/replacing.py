"""Files that are written completely or not at all, with nothing left behind."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, which has no such locks
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = re.compile(r"\.skal-[0-9a-f]{16}\.tmp")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that replaces another one when the block ends, and is removed if the block fails.

    A process that is killed inside the block leaves its temporary file. The next process that writes to the folder
    removes it: a file is locked while it is being written, so a file that can be locked no longer has a writer. On
    Windows the file stays.

    Parameters
    ----------
    path : str or path-like
        An existing file is replaced at the very end, by one with the same permissions. If it is a link, its target is
        replaced.

    Raises
    ------
    OSError
        If the file cannot be written; it names the file. Among them are FileNotFoundError if the folder does not exist,
        and IsADirectoryError if `path` is one.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.utils.replacing import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/a") as file:
    ...         _ = file.write(b"whole")
    ...     [each.name for each in Path(folder).iterdir()]
    ['a']
    """
    path = Path(path).resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder; make it first", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "This is a folder; give the name of a file", str(path))
    _remove_left(path.parent)
    with naming(path):
        temporary, file = _locked(path.parent)
        try:
            with file:
                if path.exists() and fcntl is not None:
                    # Those who could read it still can.
                    os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
                yield file
                file.flush()
                os.fsync(file.fileno())  # otherwise a crash may leave the new name without the data
                if fcntl is not None:
                    os.replace(temporary, path)  # before the lock ends with the file
            if fcntl is None:
                os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give an OSError of the block the name of the file that is read or written, if it has none.

    Examples
    --------
    >>> import errno
    >>> from skal.utils.replacing import naming
    >>> with naming("net.skal"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] No space left on device: 'net.skal'
    """
    try:
        yield
    except OSError as error:
        named = error.filename is not None and not _TEMPORARY.fullmatch(os.path.basename(error.filename))
        if named or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other writers out while several files that belong together are written to a folder.

    Parameters
    ----------
    folder : Path
        It gets a hidden file, which is locked. On Windows there is no lock.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.utils.replacing import locked
    >>> with tempfile.TemporaryDirectory() as folder, locked(Path(folder)):
    ...     pass
    """
    with open(folder / ".lock", "ab") as file:
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if fcntl is not None:
                with suppress(OSError):  # a process that was forked meanwhile has the file open, too
                    fcntl.flock(file, fcntl.LOCK_UN)
    if fcntl is not None:
        os.sched_yield()  # whoever was woken now goes first: else one process takes the lock again and again


def _locked(folder: Path) -> tuple[Path, BinaryIO]:
    """Create a temporary file that is locked until it is closed."""
    while True:
        temporary = folder / f".skal-{secrets.token_hex(8)}.tmp"
        file = open(temporary, "xb")  # noqa: SIM115 - whoever asks for it closes it
        if fcntl is not None:
            # A file system may have no locks: there no file is taken for one without a writer.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        if temporary.exists():  # someone may have removed it before it was locked
            return temporary, file
        file.close()


def _remove_left(folder: Path) -> None:
    """Remove the temporary files of processes that were killed, as far as that can be done."""
    if fcntl is None:
        return
    left: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        left = [entry.path for entry in entries if _TEMPORARY.fullmatch(entry.name) and _is_own(entry)]
    for name in left:
        with suppress(OSError), open(os.open(name, os.O_RDWR | os.O_NOFOLLOW), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name)


def _is_own(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_uid == os.geteuid()
