"""The progress of long work, told to a listener in this thread: passes over a pool, training, simulations, picks."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from operator import length_hint
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

_PATIENCE = 2.0  # seconds before work speaks, and between two times
_GROWTH = 1.5  # of the time between two lines of a log: a day of work is some thirty lines
_BAR = 12  # characters, so that most lines fit into a terminal of 80 columns


@dataclass(frozen=True)
class Task:
    """The progress of some work.

    Parameters
    ----------
    unit : str
        What is counted: "rows", "epochs", "steps", "rounds", ....
    n_done, n_all : int
        How many units are done, and how many there are in all; work may end early.
    seconds : float
        Seconds since the work began.
    seconds_left : float, default=None
        Seconds that are left if the work continues at this pace; None before one unit is done, and at the end.
    is_over : bool, default=False
    outer : Task, default=None
        The work of which this is a part.

    Examples
    --------
    >>> from skal.utils.progress import Task
    >>> print(Task("batches", 10, 40, 3.0, outer=Task("epochs", 2, 8, 60.0)))
    2 of 8 epochs, 10 of 40 batches
    """

    unit: str
    n_done: int
    n_all: int
    seconds: float
    seconds_left: float | None = None
    is_over: bool = False
    outer: Task | None = None

    def __str__(self) -> str:
        own = f"{self.n_done:,} of {self.n_all:,} {self.unit}"
        return own if self.outer is None else f"{self.outer}, {own}"


Listener = Callable[[Task], object]


@contextmanager
def show_progress(listener: Listener | None = None, *, file: TextIO | None = None) -> Iterator[None]:
    """Show the progress of long work: `fit`, `query`, `simulate` and everything else inside the ``with`` statement.

    Passes over a pool, training of networks and encoders, rounds of simulations, building of indexes, searches for
    neighbours, picks of a strategy and the like are reported once they have taken two seconds. Terminals and notebooks
    show one line with a bar, which is overwritten; a log gets lines at growing intervals. Only the work of this thread
    is shown, and nothing outside a ``with`` statement.

    Parameters
    ----------
    listener : callable, default=None
        Called as ``listener(task)`` with a :class:`~skal.utils.progress.Task`, from time to time and at the end of work
        that has been reported. By default lines are written to `file`.
    file : text file, default=None
        By default standard error.

    Raises
    ------
    TypeError
        If `listener` cannot be called.

    Examples
    --------
    >>> import numpy as np
    >>> from skal import show_progress
    >>> from skal.strategies import RandomSampling
    >>> with show_progress():  # over in less than two seconds, so nothing is shown
    ...     rows = RandomSampling(random_state=0).fit(np.eye(4)).query(np.eye(4))
    """
    if listener is not None and not callable(listener):
        raise TypeError(f"listener={listener!r} was given; give a function of a Task, or a file as file=.")
    lines = None
    if listener is None:
        listener = lines = _Lines(sys.stderr if file is None else file)
    shown = _Shown(listener)
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)
        shown.works.clear()  # nobody listens to a pass that goes on later
        if lines is not None:
            lines.close()


def is_shown() -> bool:
    """Whether anyone listens."""
    return _SHOWN.get() is not None


@contextmanager
def progress(unit: str, n_all: int) -> Iterator[Callable[[int], None]]:
    """Report the progress of the work inside the ``with`` statement.

    Yields
    ------
    advance : callable
        To be called with the number of further units that are done.
    """
    shown = _SHOWN.get()
    if shown is None:
        yield lambda n: None
        return
    work = _Work(shown, unit, n_all)
    try:
        yield work.advance
        work.end()
    except GeneratorExit:  # a loop that was left early
        work.end()
        raise
    finally:
        if work in shown.works:  # and whatever in it was left behind
            del shown.works[shown.works.index(work) :]


def advance(unit: str, n: int = 1) -> None:
    """Report progress of the innermost work with a unit, which was begun elsewhere with `progress`."""
    shown = _SHOWN.get()
    if shown is not None:
        work = next((work for work in reversed(shown.works) if work.unit == unit), None)
        if work is not None:
            work.advance(n)


def counted(parts: Iterable[T], unit: str, n_all: int | None = None) -> Iterator[T]:
    """The parts of some work, with progress reported part by part.

    Parameters
    ----------
    parts : iterable
    unit : str
    n_all : int, default=None
        The number of parts; by default their length. Progress of parts without a length is not reported.
    """
    n_all = length_hint(parts) if n_all is None else n_all
    if not n_all:
        return iter(parts)
    return reported((part for part in parts), n_all, lambda _: 1, unit)


def reported(
    parts: Generator[T, None, None], n_all: int, length: Callable[[T], int], unit: str = "rows"
) -> Iterator[T]:
    """The parts of a pass, whose progress is reported to the listener.

    Parameters
    ----------
    parts : generator
    n_all : int
        The number of units of the whole pass.
    length : callable
        Returns the number of units of a part.
    unit : str, default="rows"
    """
    if _SHOWN.get() is None:
        yield from parts
        return
    with closing(parts), progress(unit, n_all) as advance:  # a listener that raises ends the pass
        for part in parts:
            yield part
            advance(length(part))


class _Shown:
    """Who listens, and the work that is going on, from the outermost in."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.works: list[_Work] = []
        self.spoken = 0.0


class _Work:
    """Work that is going on."""

    def __init__(self, shown: _Shown, unit: str, n_all: int) -> None:
        self.shown, self.unit, self.n_all = shown, unit, n_all
        self.n_done, self.has_spoken = 0, False
        self.began = self.advanced = time.monotonic()
        shown.works.append(self)

    def advance(self, n: int) -> None:
        self.n_done += n
        now = self.advanced = time.monotonic()
        if now - max(self.began, self.shown.spoken) >= _PATIENCE and self.n_done < self.n_all:
            self._speak(now)

    def end(self) -> None:
        if self.has_spoken:
            self._speak(time.monotonic(), is_over=True)

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the work ends, if enough is done to estimate it."""
        if not self.n_done:
            return None
        pace = (self.advanced - self.began) / self.n_done
        return max(pace * (self.n_all - self.n_done) - (now - self.advanced), 0.0)

    def _speak(self, now: float, *, is_over: bool = False) -> None:
        if self not in self.shown.works:
            return  # left with the work around it
        task = None
        for work in self.shown.works:
            own_end = is_over and work is self
            left = None if own_end else work.seconds_left(now)
            task = Task(work.unit, work.n_done, work.n_all, now - work.began, left, own_end, task)
            work.has_spoken = True  # its end is told, too
            if work is self:
                break
        assert task is not None
        self.shown.spoken = now
        token = _SHOWN.set(None)  # what a listener does is not told to it
        try:
            self.shown.listener(task)
        except BaseException:
            for work in self.shown.works:
                work.has_spoken = False  # a listener that raised hears nothing more
            raise
        finally:
            _SHOWN.reset(token)


class _Lines:
    """A line that is written over where that can be done, else lines at growing distances."""

    def __init__(self, file: TextIO | None) -> None:
        self.file = file  # None where a program has no standard error
        # Asked once: a closed file raises here, before any work.
        self.is_terminal = getattr(file, "isatty", lambda: False)()
        self.in_notebook = type(file).__module__.startswith("ipykernel")
        # Of the cell of a notebook, which is replaced: a saved one keeps the last line alone.
        self.output: Any = None
        self.next = 0.0
        self.is_open = False  # a line that will be written over

    def close(self) -> None:
        """End a line that an error has left open."""
        if self.is_open:
            print(file=self.file, flush=True)

    def __call__(self, task: Task) -> None:
        if self.file is None:
            return
        outermost = task
        while outermost.outer is not None:
            outermost = outermost.outer
        is_over = outermost.is_over
        done = f" in {outermost.seconds:.0f} s"
        if outermost.seconds_left is not None:
            done += f", about {outermost.seconds_left:.0f} s left"
        if self.in_notebook or self.is_terminal:
            n_bars = _BAR * outermost.n_done // max(outermost.n_all, 1)
            line = f"[skal] [{'#' * n_bars:.<{_BAR}}] {task}{done}"
            if self.in_notebook:
                self._replace(line, is_over)
                return
            width = shutil.get_terminal_size((100, 24)).columns - 1  # a longer line would break, and stay
            print(f"\r{line[:width]:<{width}}", end="\n" if is_over else "", file=self.file, flush=True)
            self.is_open = not is_over
            return
        if is_over or outermost.seconds >= self.next:
            print(f"[skal] {task}{done}", file=self.file, flush=True)
            self.next = 0.0 if is_over else _GROWTH * outermost.seconds

    def _replace(self, line: str, is_over: bool) -> None:
        from IPython.display import display  # which every notebook has

        if self.output is None:
            self.output = display({"text/plain": line}, raw=True, display_id=True)
        else:
            self.output.update({"text/plain": line}, raw=True)
        if is_over:
            self.output = None


_SHOWN: ContextVar[_Shown | None] = ContextVar("skal_progress", default=None)
