"""What a long pass over a pool says of itself, to whoever listens in this thread."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import TextIO, TypeVar

T = TypeVar("T")
Listener = Callable[[int, int, float], object]

_PATIENCE = 2.0  # seconds before a pass speaks, and between two lines
_LISTENER: ContextVar[Listener | None] = ContextVar("skal_progress", default=None)


@contextmanager
def show_progress(listener: Listener | None = None, *, file: TextIO | None = None) -> Iterator[None]:
    """Show how far passes over a pool are: of `fit`, `query` and everything else inside the ``with`` statement.

    A pass speaks once it has taken two seconds. Only this thread's passes do; without a ``with`` statement nothing is
    shown.

    Parameters
    ----------
    listener : callable, default=None
        Called as ``listener(n_done, n_rows, seconds)`` from time to time, and at the end of the pass. By default a
        line is written to `file`.
    file : text file, default=None
        By default the standard error.

    Examples
    --------
    >>> import numpy as np
    >>> from skal import show_progress
    >>> from skal.strategies import RandomSampling
    >>> with show_progress():  # over in less than two seconds, so nothing is shown
    ...     rows = RandomSampling(random_state=0).fit(np.eye(4)).query(np.eye(4))
    """
    token = _LISTENER.set(listener or _Lines(file or sys.stderr))
    try:
        yield
    finally:
        _LISTENER.reset(token)


class _Lines:
    """A line that is written over where there is a terminal, else a line each time."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def __call__(self, n_done: int, n_rows: int, seconds: float) -> None:
        is_over = n_done >= n_rows
        left = "" if is_over or not n_done else f", about {seconds / n_done * (n_rows - n_done):.0f} s left"
        line = f"[skal] {n_done:,} of {n_rows:,} rows in {seconds:.0f} s{left}"
        if self.file.isatty():
            print(f"\r{line:<78}", end="\n" if is_over else "", file=self.file, flush=True)
        else:
            print(line, file=self.file, flush=True)


def reported(parts: Generator[T, None, None], n_rows: int, length: Callable[[T], int]) -> Iterator[T]:
    """The parts of a pass, which is reported to whoever listens.

    Parameters
    ----------
    parts : generator
    n_rows : int
        Of the whole pass.
    length : callable
        Rows of a part.

    Yields
    ------
    part : object
    """
    listener = _LISTENER.get()
    if listener is None:
        yield from parts
        return
    began = time.monotonic()
    spoken, n_done, has_spoken = began, 0, False
    with closing(parts):  # a listener that raises ends the pass
        for part in parts:
            yield part
            n_done += length(part)
            now = time.monotonic()
            if now - spoken >= _PATIENCE and n_done < n_rows:
                listener(n_done, n_rows, now - began)
                spoken, has_spoken = now, True
    if has_spoken:
        listener(n_done, n_rows, time.monotonic() - began)
