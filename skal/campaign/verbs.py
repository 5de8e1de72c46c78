"""What annotators do: they are given rows, and say something about them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from sqlite3 import Connection
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..pool import NO_ROWS, Rows
from ..utils.checks import check_integer
from . import answers, jobs, journal, leases
from .background import wait_for
from .changing import Changing
from .checks import checked_seconds
from .offers import add_batch, random_rows

_PATIENCE = 20.0  # seconds that an annotator waits for the first rows, before any row is better than none


class Verbs(Changing):
    """Base of the campaign: the verbs of annotators. Each is one transaction, whole on the disk when it returns."""

    _patience = _PATIENCE

    def next(self, annotator: str, n: int = 1, *, patience: float | None = None) -> Rows:
        """Give an annotator rows to label, best first, and reserve them for a while.

        Rows that the annotator already has and has not answered come first. Asking again, after a page was reloaded or
        a response was lost in the network, therefore gives the same rows.

        Parameters
        ----------
        annotator : str
        n : int, default=1
            How many rows the annotator should have in all.
        patience : float, default=None
            How many seconds to wait for rows that another process prepares, before random rows make up `n`. By default
            20, and only if there would be no rows at all.

        Returns
        -------
        rows : ndarray of int of shape (n_given,)
            Fewer than `n` if others have the rest, or no more are left.

        Raises
        ------
        ValueError
            If `n` is invalid, or the annotator is unknown and only known ones are accepted.
        OSError
            If the journal cannot be written.

        Notes
        -----
        At most `n_annotators_per_row` annotators have a row, or have answered it; late annotators count when they
        answer. Rows are prepared in advance. If none are ready and a process is training, the call waits for it for
        some seconds, and then draws rows at random; with ``training="foreground"`` this process trains instead.
        """
        n = check_integer("n", n)
        if self._training == "foreground":
            self._place.wake()
        rows = self._given(annotator, n)
        if len(rows) < n and self._training == "foreground":
            before = -1
            while before < len(rows) < n:
                before = len(rows)
                self._place.wake()
                rows = self._given(annotator, n)
        fewest = 1 if patience is None else n
        if len(rows) < fewest and not self._is_exhausted():
            self._place.wake()
            if self._place.is_at_work():
                wait_for(self._is_prepared_or_left, self._patience if patience is None else patience)
            rows = self._given(annotator, n)
            if len(rows) < fewest:
                rows = self._drawn(annotator, n, n - len(rows)) or rows
        return np.array(rows, dtype=np.intp)

    def _given(self, annotator: str, n: int) -> list[int]:
        """Rows of the queue for an annotator; more are asked for when it runs low."""
        now = self._clock()
        with self._database.glance() as connection:
            number = self._known["annotators"].get(annotator)
            if number is not None:
                settings, held = journal.settings(connection), leases.held(connection, number, now)
                if leases.suffices(held, n, now, settings):
                    return [row for row, _ in held[:n]]
        with self._database.writing() as connection:
            now = self._clock()  # in the order of the journal
            settings = journal.settings(connection)
            number = self._annotator(connection, annotator)
            leases.end_impossible(connection, now)
            rows = leases.lend(connection, number, n, now, settings)
            wakes = self._asked_for_more(connection, now, settings.n_prepared, missing=n - len(rows))
        if wakes and self._training == "background":
            self._place.wake()
        return rows

    def refill(self) -> Self:
        """Make sure that rows are prepared, as `next` does, for programs that show the `queue` in another way.

        Returns
        -------
        self : Campaign

        Raises
        ------
        OSError
            As in `answer`.
        """
        self._place.wake()
        with self._database.writing() as connection:
            now, n_prepared = self._clock(), journal.settings(connection).n_prepared
            leases.end_impossible(connection, now)
            is_empty = connection.execute("SELECT 1 FROM waiting").fetchone() is None
            wakes = self._asked_for_more(connection, now, n_prepared, missing=int(is_empty))
        if wakes:
            self._place.wake()
        return self

    def _asked_for_more(self, connection: Connection, now: float, n_prepared: int, missing: int) -> bool:
        """Write down that more rows are to be prepared, if they are and nobody is about to."""
        if not missing and leases.has_free(connection, now, n_prepared // 4):
            return False
        if jobs.next_job(connection) is not None or jobs.is_exhausted(connection):
            return False
        model = jobs.newest_model(connection)
        journal.add_event(connection, now, "refill", model=model and model.version)
        return True

    def _is_exhausted(self) -> bool:
        with self._database.glance() as connection:
            return jobs.next_job(connection) is None and jobs.is_exhausted(connection)

    def _is_prepared_or_left(self) -> bool:
        """Whether there are rows, or nobody is about to prepare any."""
        with self._database.glance() as connection:
            if jobs.next_job(connection) is None or leases.has_free(connection, self._clock(), 1):
                return True
        return not self._place.is_at_work()

    def _drawn(self, annotator: str, n: int, n_missing: int) -> list[int]:
        """Rows for an annotator, some at random, where nothing is prepared: any label is better than to wait."""
        with self._database.writing() as connection:
            rows = self._random_rows(connection, n_missing, takes_over=False)
            if not len(rows):
                return []
            model = jobs.newest_model(connection)
            add_batch(
                connection,
                self._clock(),
                rows,
                strategy="RandomSampling",
                n_asked=len(rows),
                model=None if model is None else model.version,
                detail={"note": "nothing was prepared"},
            )
        return self._given(annotator, n)

    def _random_rows(self, connection: Connection, n: int, *stream: int, takes_over: bool) -> Rows:
        """Rows at random that nobody has, or has said anything about, and that are in no audit."""
        cut = journal.last_event(connection)
        job = jobs.Ask(cut, jobs.newest_model(connection), takes_over)
        out = np.union1d(jobs.taken_rows(connection, job), journal.audit_rows(connection, cut))
        return random_rows(len(self), out, n, [self._seed, cut, *stream])

    def answer(
        self,
        annotator: str,
        rows: ArrayLike,
        labels: Any,
        *,
        seconds: Any = None,
        overwrite: bool = False,
        request: str | None = None,
    ) -> Self:
        """Record labels.

        An answer is never lost: it counts even after the lease has ended, or if the annotator was not given the row.

        Parameters
        ----------
        annotator : str
        rows : int or array-like of shape (n_rows,)
            Positions in the pool or, if `X` has an index that names its rows, also ids. Integer ids must be given as a
            ``pd.Index``; other ids can be given as they are.
        labels : label or array-like of shape (n_rows,)
        seconds : float or array-like of shape (n_rows,), default=None
            How long each answer took.
        overwrite : bool, default=False
            Whether to replace another label of the annotator, as can be necessary for answers read from another
            program.
        request : str, default=None
            An identifier of this call, for a program that may send it twice, also after a restart of this one: it is
            recorded once.

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If rows are out of range or repeated, a label is missing or not among the classes, the annotator is unknown
            and only known ones are accepted, or the annotator has given a row another label (repeating the same label
            is no error). Nothing is recorded then.
        JournalError
            If the folder was renamed, removed or replaced since it was opened. Nothing of the call is recorded then.
        OSError
            If the journal cannot be written. Nothing of the call is recorded then.
        """
        rows = self._rows(rows)
        given, took = self._labels(labels, len(rows)), checked_seconds(seconds, len(rows))

        def record(connection: Connection, number: int, now: float) -> int | None:
            classes = self._class_numbers(connection, given)
            return answers.answer(connection, number, rows, classes, now, took, overwrite=overwrite)

        return self._recorded(annotator, record, request)

    def skip(
        self,
        annotator: str,
        rows: ArrayLike,
        *,
        seconds: Any = None,
        overwrite: bool = False,
        request: str | None = None,
    ) -> Self:
        """Record that an annotator cannot label rows.

        A row that somebody skips and nobody labels is no longer offered once as many annotators as required have seen
        it.

        Parameters
        ----------
        annotator : str
        rows : int or array-like of shape (n_rows,)
        seconds : float or array-like of shape (n_rows,), default=None
        overwrite : bool, default=False
            Whether the skip replaces a label of the annotator.
        request : str, default=None
            As in `answer`.

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            As in `answer`, and if the annotator has labelled a row.
        OSError
            As in `answer`.
        """
        rows = self._rows(rows)
        took = checked_seconds(seconds, len(rows))
        return self._recorded(
            annotator,
            lambda c, number, now: answers.skip(c, number, rows, now, took, overwrite=overwrite),
            request,
        )

    def correct(self, annotator: str, rows: ArrayLike, labels: Any) -> Self:
        """Record other labels for rows that an annotator has labelled or skipped.

        Parameters
        ----------
        annotator : str
        rows : int or array-like of shape (n_rows,)
        labels : label or array-like of shape (n_rows,)

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            As in `answer`, and if the annotator has said nothing about a row yet.
        OSError
            As in `answer`.
        """
        rows = self._rows(rows)
        given = self._labels(labels, len(rows))
        return self._recorded(
            annotator,
            lambda c, number, now: answers.correct(c, number, rows, self._class_numbers(c, given), now),
        )

    def withdraw(self, annotator: str, rows: ArrayLike) -> Self:
        """Take back labels and skips; the rows are offered again.

        Parameters
        ----------
        annotator : str
        rows : int or array-like of shape (n_rows,)

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If rows are out of range or repeated, or the annotator has said nothing about one of them.
        OSError
            As in `answer`.
        """
        rows = self._rows(rows)
        return self._recorded(annotator, lambda c, number, now: answers.withdraw(c, number, rows, now))

    def undo(self, annotator: str, *, only_row: int | None = None) -> Rows:
        """Undo an annotator's last step: an answer, skip, correction or withdrawal. Another call undoes the one before.

        Rows return to their earlier state. Those that have no answer then are lent to the annotator again, and come
        first in `next`. What an import or `sync` has said about a row since stays.

        Parameters
        ----------
        annotator : str
        only_row : int, default=None
            The position of the intended row: nothing is undone unless the annotator's last step was about this row
            alone.

        Returns
        -------
        rows : ndarray of int of shape (n_rows,)
            The rows of the step that was undone; empty if there was none.

        Raises
        ------
        OSError
            As in `answer`.
        """
        undone: list[int] = []

        def record(connection: Connection, number: int, now: float) -> int | None:
            event, rows = answers.undo(
                connection, number, now, journal.settings(connection), only_row=only_row
            )
            undone.extend(rows)
            return event

        self._recorded(annotator, record)
        return np.array(undone, dtype=np.intp) if undone else NO_ROWS.copy()

    def take_back(self, annotator: str, row: int, *, request: str | None = None) -> Self:
        """Take back what an annotator says of a row, if that is anything.

        If it was the annotator's last step, it is undone, and the row stays with the annotator; else it is withdrawn.

        Parameters
        ----------
        annotator : str
        row : int
        request : str, default=None
            As in `answer`.

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If the row is out of range.
        OSError
            As in `answer`.
        """
        (place,) = rows = self._rows(row)

        def record(connection: Connection, number: int, now: float) -> int | None:
            if not answers.says(connection, number, place):
                return None
            event, _ = answers.undo(connection, number, now, journal.settings(connection), only_row=place)
            return event or answers.withdraw(connection, number, rows, now)

        return self._recorded(annotator, record, request)

    def give_back(self, annotator: str) -> Rows:
        """End the leases of an annotator who leaves; others may have the rows at once.

        Parameters
        ----------
        annotator : str

        Returns
        -------
        rows : ndarray of int of shape (n_rows,)
        """
        with self._database.writing() as connection:
            number = self._annotator(connection, annotator)
            return np.array(leases.give_back(connection, number, self._clock()), dtype=np.intp)

    def audit(self, n: int) -> Rows:
        """Draw rows for an honest estimate of the classifier: they are labelled next, and never trained on.

        Each row that nobody has, and about which nobody has said anything, is drawn with the same probability.
        `progress` has the score; if the rows are drawn at the beginning, it describes the whole pool.

        Parameters
        ----------
        n : int
            Number of rows.

        Returns
        -------
        rows : ndarray of int of shape (n_drawn,)
            In the order in which they were drawn; fewer than `n` where fewer are left.

        Raises
        ------
        ValueError
            If `n` is invalid.
        OSError
            As in `answer`.
        """
        n = check_integer("n", n)
        with self._database.writing() as connection:
            rows = self._random_rows(connection, n, 1, takes_over=True)
            add_batch(connection, self._clock(), rows, strategy="audit", n_asked=n, is_audit=True)
        return rows

    def _recorded(
        self,
        annotator: str,
        record: Callable[[Connection, int, float], int | None],
        request: str | None = None,
    ) -> Self:
        """Write in one transaction what is said, and that a training is due if it is."""
        with self._database.writing() as connection:
            now = self._clock()
            number = self._annotator(connection, annotator)
            if request is not None and not journal.is_first(connection, now, number, request):
                return self
            leases.end_impossible(connection, now)
            event = record(connection, number, now)
            is_due = event is not None and journal.request_if_due(connection, now)
        if is_due:
            self._wake()
        return self

    def _wake(self) -> None:
        """Begin the training; if it cannot begin now, it stays due, and what was said is recorded."""
        with suppress(OSError):
            self._place.wake()
