"""A labelling campaign: a pool, a learner, people, days and crashes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..pool import as_pool
from . import answers, exporting, importing, journal, syncing
from .checks import checked_name, plain_name
from .importing import Conflict, ImportReport
from .naming import id_column, positions_of
from .opened import UNKNOWN_IDS
from .progress import Progress, progress
from .syncing import SyncReport, Told
from .views import Views


class Campaign(Views):
    """A labelling campaign in a folder: annotators are given rows, and their answers are never lost.

    The folder has a journal, an SQLite file that is only added to, and the trained learners. Any number of processes
    and threads may use the folder at once; each process opens it with :meth:`open`. After a crash the campaign
    continues with the batch that would have come next.

    Parameters
    ----------
    path : str or path-like
        The folder, which is created; it must not hold a campaign yet.
    learner : ActiveLearner
        Not fitted. It is cloned; a ``random_state`` that is not an integer is replaced by one.
    X : container of shape (n_rows, ...)
        The pool.
    items : sequence of n_rows items, default=None
        What annotators look at, such as paths of images; by default the rows of `X`. The items are not stored: pass
        them to `open` again.
    classes : array-like of shape (n_classes,), default=None
        The possible labels, in the order in which they are shown; any other label is refused. By default the classes of
        the learner; if it has none, any label is accepted.
    annotators : sequence of str, default=None
        Who may label; by default everyone, under any name.
    n_annotators_per_row : int, default=1
        How many annotators each row is given to.
    lease_seconds : float, default=600.0
        How long a row is kept for the annotator who was given it.
    retrain_every : int, default=20
        The number of labels after which the classifier is trained again, and a new batch takes the place of the old
        one. None trains on demand only, by `train`.
    n_prepared : int, default=None
        How many rows the strategy is asked for at once, ahead of the annotators: by default 100, or 5 times
        `retrain_every` if that is more.
    consensus : {"majority", "dawid_skene"}, default="majority"
        How several answers become one label.
    disagreements_first : bool, default=False
        Whether rows on which no label has a majority are given to one more annotator before any other row.
    validation : tuple of (X, y), default=None
        Rows on which each classifier is scored.
    stopping : StoppingCriterion, default=None
        Measures each classifier; `progress` has its report. Its rounds are kept with the models.
    training : {"background", "foreground"}, default="background"
        Where the classifier is trained: in a separate process, which is started when needed and shared by all processes
        that use the folder; or in this process, whose annotators wait for the training. None leaves it to another
        process.
    clock : callable, default=None
        Returns the time in seconds since the epoch, for tests; by default ``time.time``.

    Raises
    ------
    ValueError
        If a parameter is invalid, or the folder holds a campaign already. Nothing has been written then.
    TypeError
        If the classifier lacks what the strategy requires, or `learner` is not an ActiveLearner.
    OSError
        If the folder cannot be written.

    See Also
    --------
    skal.ActiveLearner : What is trained and asked.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.campaign import Campaign
    >>> from skal.strategies import CoreSet, UncertaintySampling
    >>> X, truth = load_iris(return_X_y=True)
    >>> learner = ActiveLearner(
    ...     LogisticRegression(max_iter=1000), UncertaintySampling(), cold_start=CoreSet(), random_state=0
    ... )
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Campaign(folder.name, learner, X, classes=[0, 1, 2], retrain_every=5, training="foreground") as campaign:
    ...     for _ in range(10):
    ...         rows = campaign.next("anna")
    ...         campaign = campaign.answer("anna", rows, truth[rows])
    ...     print(campaign.progress().n_labelled, (campaign.labels() >= 0).sum())
    10 10

    On another day:

    >>> with Campaign.open(folder.name, X, training="foreground") as campaign:
    ...     row = campaign.next("bob")
    ...     campaign = campaign.answer("bob", row, truth[row]).skip("bob", campaign.next("bob"))
    ...     print(campaign.progress().by_annotator["bob"])
    {'n_labels': 1, 'n_skips': 1, 'seconds': nan}
    >>> folder.cleanup()
    """

    def progress(self) -> Progress:
        """The state of the campaign: answers by class, annotator and model, agreement, scores, and what went wrong.

        Returns
        -------
        progress : Progress
        """
        with self._database.reading() as connection:
            return progress(connection, len(self), self._clock())

    def export(self, path: str | os.PathLike[str] | None = None, *, what: str = "labels") -> Any:
        """Write the labels, or everything that was said, to a file, or return the labelled rows.

        Parameters
        ----------
        path : str or path-like, default=None
            Its extension sets the format: ``.csv``, ``.jsonl`` or ``.parquet``. Without `path`, rows and labels are
            returned.
        what : {"labels", "answers"}, default="labels"
            "labels" writes a line per row with answers: its position ``row``, its ``id`` if it has one, the label
            (empty if the row is `disputed`) and its probability, and the number of answers. "answers" writes a line for
            each action of an annotator, see `answers`.

        Returns
        -------
        X, y : container of shape (n_labelled, ...) and ndarray of shape (n_labelled,)
            Only without `path`.

        Raises
        ------
        ValueError
            If the format or `what` is unknown, different ids have the same text, or rows are requested from a campaign
            that was opened without its pool.
        ImportError
            If parquet is requested, and neither polars nor pandas with pyarrow is installed.
        OSError
            If the file cannot be written; an existing file is kept then.
        """
        if what not in ("labels", "answers"):
            raise ValueError(f"what={what!r} was given; it must be 'labels' or 'answers'.")
        if path is None:
            return self._dataset()
        exporting.write(path, self._table(what))
        return None

    def _dataset(self) -> tuple[Any, NDArray[Any]]:
        if self._X is None:
            raise ValueError("The campaign was opened without its pool; give it: Campaign.open(folder, X).")
        found = self.consensus()
        is_known = np.array([label is not None for label in found["label"]], dtype=bool)
        return as_pool(self._X).take(found["row"][is_known]), np.array(found["label"][is_known].tolist())

    def _table(self, what: str) -> exporting.Table:
        table = self.consensus() if what == "labels" else self.answers()
        columns = {name: exporting.plain(column) for name, column in table.items()}
        if self._ids is None:
            return columns
        ids = id_column(self._ids)
        return {"row": columns["row"], "id": [ids[row] for row in columns["row"]], **columns}

    def import_labels(
        self,
        path: str | os.PathLike[str],
        *,
        row: str | None = None,
        label: str = "label",
        annotator: str = "annotator",
        default_annotator: str = "import",
        overwrite: bool = False,
    ) -> ImportReport:
        """Record the labels of a CSV file, all of them in one step.

        Parameters
        ----------
        path : str or path-like
            The file, with the names of the columns in its first line.
        row : str, default=None
            The column that names the rows. It holds positions from 0 on or, if the pool has an index that names its
            rows, ids. By default ``row``; for ids ``id``, if there is such a column.
        label, annotator : str
            The other columns. Lines without a label are left out.
        default_annotator : str, default="import"
            Who gave the labels, if the file has no such column, or where it is empty.
        overwrite : bool, default=False
            Whether to correct what an annotator said before, where the file says something else; otherwise such lines
            are conflicts, which are listed and left out.

        Returns
        -------
        report : ImportReport

        Raises
        ------
        ValueError
            If a line has an unknown row or class, an annotator is not allowed, the file says two things about the same
            row and annotator, or it is not clear whether a column ``row`` has positions or ids. Nothing is recorded
            then.
        OSError
            If the file cannot be read, or the journal written.
        """
        if self._has_unknown_ids:
            raise ValueError(UNKNOWN_IDS)
        lines = importing.read_lines(path, row or self._row_column, label, annotator, default_annotator)
        rows = importing.parse_rows(lines, len(self), self._position)
        given = importing.parse_labels(lines, self.classes, are_all=self.has_fixed_classes)
        given = self._labels(given, len(lines)) if lines else []
        wanted: dict[tuple[str, int], tuple[int, Any]] = {}
        for line, place, value in zip(lines, rows, given, strict=True):
            key = checked_name(line.annotator), place
            if key in wanted and wanted[key][1] != value:
                raise ValueError(
                    f"Lines {wanted[key][0]} and {line.number} give row {place} two labels of {key[0]}, "
                    f"{wanted[key][1]!r} and {value!r}. Nothing was recorded."
                )
            wanted.setdefault(key, (line.number, value))
        return self._imported(wanted, overwrite)

    def _imported(self, wanted: dict[tuple[str, int], tuple[int, Any]], overwrite: bool) -> ImportReport:
        n_new = n_same = 0
        conflicts: list[Conflict] = []
        with self._writing() as connection:
            now = self._clock()
            for name in dict.fromkeys(name for name, _ in wanted):
                number = self._annotator(connection, name)
                own = [(row, *told) for (who, row), told in wanted.items() if who == name]
                classes = self._class_numbers(connection, [value for _, _, value in own])
                values = journal.class_values(connection)
                before = answers.standings_of(connection, number, [row for row, _, _ in own])
                rows, chosen = [], []
                for (row, line, value), label in zip(own, classes, strict=True):
                    state, known = before[row]
                    if state == "labelled" and known == label:
                        n_same += 1
                    elif state == "labelled" and not overwrite:
                        conflicts.append(Conflict(line, row, name, values[known - 1], value))
                    else:
                        rows.append(row)
                        chosen.append(label)
                if rows:
                    event = journal.add_event(connection, now, "import", number)
                    journal.add_entries(connection, event, number, rows, journal.LABELLED, classes=chosen)
                n_new += len(rows)
            is_due = n_new > 0 and journal.request_if_due(connection, now)
        if is_due:
            self._wake()
        return ImportReport(n_new, n_same, sorted(conflicts))

    def sync(self, source: str, told: Iterable[Told], *, rows: ArrayLike | None = None) -> SyncReport:
        """Take over what annotators say in another program: each answer once, and again when it has changed there.

        From now on these answers count: they replace what the annotator said here before.

        Parameters
        ----------
        source : str
            Which program, and what part of it: answers read from another source are left alone.
        told : iterable of Told
            What its annotators say now, with at most one entry per row and annotator.
        rows : array-like of shape (n_rows,), default=None
            The rows for which `told` is complete; by default all rows. An answer that was read for them before, and is
            no longer told, is withdrawn, unless its author has said something else here since.

        Returns
        -------
        report : SyncReport
            Labels that are not in the classes, and annotators who are not allowed, are listed there as refused; all
            else is recorded.

        Raises
        ------
        ValueError
            If a row is out of range, or two entries are about the same row and annotator. Nothing is recorded then.
        OSError
            As in `answer`.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skal import ActiveLearner
        >>> from skal.campaign import Campaign, Told
        >>> from skal.strategies import RandomSampling
        >>> learner = ActiveLearner(LogisticRegression(), RandomSampling(), random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Campaign(folder, learner, [[0.0], [1.0]], classes=["cat", "dog"], training=None) as campaign:
        ...         print(campaign.sync("elsewhere", [Told(0, "anna", "cat", "1"), Told(1, "anna", None, "1")]))
        ...         print(campaign.sync("elsewhere", [Told(0, "anna", "dog", "2"), Told(1, "anna", None, "1")]))
        ...         print(campaign.sync("elsewhere", [Told(0, "anna", "dog", "2")]))
        1 labels, 1 skips, 0 withdrawn.
        1 labels, 0 skips, 0 withdrawn.
        0 labels, 0 skips, 1 withdrawn.
        """
        all_told = [each._replace(annotator=plain_name(str(each.annotator))) for each in told]
        pairs = {(each.annotator, each.row) for each in all_told}
        if len(pairs) < len(all_told):
            raise ValueError(
                "Two things are told of one row and annotator; give what holds. Nothing was recorded."
            )
        self._rows(sorted({row for _, row in pairs}))
        whole = range(len(self)) if rows is None else set(self._rows(rows))
        report = SyncReport()
        with self._writing() as connection:
            now, names = self._clock(), journal.annotator_names(connection)
            known = {
                (names[number - 1], row): version
                for (number, row), version in syncing.known_versions(connection, source).items()
            }
            new = [each for each in all_told if known.get((each.annotator, each.row)) != each.version]
            accepted = self._accepted(connection, new, report)
            labels = [each.label for each in accepted if each.label is not None]
            numbers = iter(self._class_numbers(connection, labels))
            classes = [None if each.label is None else next(numbers) for each in accepted]
            told_by: dict[str, list[tuple[Told, int | None]]] = {}
            for each, number in zip(accepted, classes, strict=True):
                told_by.setdefault(each.annotator, []).append((each, number))
            gone: dict[str, list[int]] = {}
            for (name, row), version in known.items():
                if version is not None and row in whole and (name, row) not in pairs:
                    gone.setdefault(name, []).append(row)
            for name in dict.fromkeys([*told_by, *gone]):
                annotator = self._annotator(connection, name)
                syncing.record(
                    connection, now, source, annotator, told_by.get(name, []), gone.get(name, []), report
                )
            is_due = report.n_labels > 0 and journal.request_if_due(connection, now)
        if is_due:
            self._wake()
        return report

    def _accepted(self, connection: Connection, told: list[Told], report: SyncReport) -> list[Told]:
        """What can be recorded, with plain labels; the report has the rest."""
        values, names = journal.class_values(connection), journal.annotator_names(connection)
        is_closed, accepted = journal.settings(connection).is_closed, []
        for each in told:
            try:
                name = checked_name(each.annotator)
                if is_closed and name not in names:
                    raise ValueError(f"annotator={name!r} is unknown; add_annotator({name!r}) welcomes them.")
                label = None if each.label is None else self._labels(each.label, 1)[0]
                if label is not None and label not in values:
                    if self.has_fixed_classes:
                        raise ValueError(f"{label!r} is not one of the classes {values[:10]}.")
                    if values and isinstance(values[0], str) != isinstance(label, str):
                        raise ValueError(f"{label!r} is not like the labels so far, such as {values[0]!r}.")
            except ValueError as error:
                report.refused.append(f"row {each.row}: {error}")
            else:
                accepted.append(each._replace(annotator=name, label=label))
        return accepted

    def _row_column(self, columns: list[str]) -> str:
        """The column of the rows, where none is named."""
        if self._ids is None or "row" not in columns:
            return "id" if self._ids is not None and "id" in columns else "row"
        texts = (text for text, row in self._positions.items() if text.isdecimal() and int(text) != row)
        if (some := next((text for text in texts if int(text) < len(self)), None)) is not None:
            raise ValueError(
                f"The column 'row' may have positions or ids, as {some} is an id here. Name the column of the ids: "
                f"import_labels(path, row={'id' if 'id' in columns else 'row'!r}). Nothing was recorded."
            )
        return "id" if "id" in columns else "row"

    @cached_property
    def _positions(self) -> dict[str, int]:
        """The position of each id, by its text."""
        assert self._ids is not None
        return positions_of(self._ids)

    def _position(self, text: str) -> int | None:
        """The position of a row that a file names."""
        if self._ids is None:
            return int(text) if text.isdecimal() else None
        if (found := self._positions.get(text)) == -1:
            raise ValueError(
                f"{text!r} is the id of several rows; answer(annotator, rows, labels) takes positions. Nothing was "
                "recorded."
            )
        return found
