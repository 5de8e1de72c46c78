"""A campaign and a Label Studio project: rows go to the project best first, and annotators' answers come back."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Self

from ...utils.checks import check_integer
from ..campaign import Campaign
from ..syncing import SyncReport, Told
from ..turns import turn
from . import forms, reading
from .client import Client
from .project import Project

_ROW = "skal_row"  # in a task's data
_ROUND = "skal round "  # and a number: a version of predictions
_RANK = 2.0**-20  # of the score between two rows: Label Studio drops scores above 1 without a word
_CHUNK = 50  # tasks that are added in one request
_FILES = 20  # that are stored in one request
_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00Z")
_LATE = timedelta(seconds=30)  # that a change may become visible after its time
_LONGEST_WAIT = 30.0  # seconds between two tries to reach a server that does not answer


class LabelStudio:
    """A project of Label Studio in which the rows of a campaign are labelled, in the order of the strategy.

    The project is created once, and joined again later. No state is kept in this object: the tasks of the project show
    which rows are in it, and the campaign's journal holds the answers read from them, so either side may be restarted
    at any time.

    Parameters
    ----------
    campaign : Campaign
        Its annotators are those of Label Studio, named by their e-mail addresses.
    url : str
        The address of Label Studio, such as ``http://localhost:8080``.
    token : str
        A personal access token, or a legacy one, from the page "Account & Settings".
    items : sequence of n_rows items, default=None
        What annotators look at; by default the campaign's items. Paths are images, which are stored in Label Studio.
        Strings that end like an image address are addresses of images, other strings are texts. Everything else is a
        row of a table.
    kind : {"image", "text", "table"}, default=None
        What the items are, if the first item does not show it.
    project : int, default=None
        An existing project; by default one is created for the campaign, and recognised by a mark in its description.
    title : str, default=None
        Title of the project that is created.
    config : str, default=None
        The labelling interface of the project that is created, with one ``<Choices>``, whose values are the classes; by
        default the item with a button for each class.
    n_ahead : int, default=None
        How many rows are ready in Label Studio; by default as many as are labelled between two training runs, or 20. A
        single annotator gets them in order; with several annotators, Label Studio gives each of them rows at random.
    show_predictions : bool, default=True
        Whether annotators see the classifier's predictions.
    timeout : float, default=60.0
        How many seconds the server may take to answer.
    transport : httpx2.BaseTransport, default=None
        Sends the requests, for tests.

    Raises
    ------
    ImportError
        If httpx2 is missing: ``pip install "skal-learn[label-studio]"``.
    ConnectionError
        If the server does not answer.
    LabelStudioError
        If the server refuses the token or the project.
    RuntimeError
        If another process or thread has already connected the campaign.
    ValueError
        If a parameter is invalid, the campaign has no classes, or the project has no choices.

    Notes
    -----
    Known to work with Label Studio Community 1.23.2. The project serves the tasks that have a prediction of its
    ``model_version``, the lowest score first (``sampling="Uncertainty sampling"``): each round is a version, and the
    score of a row is its rank. The exports of Label Studio are not used, because each leaves a file on the server.

    An annotator on another page may be given a row that somebody has open in Label Studio; both answers are kept. An
    annotation that is deleted in Label Studio is withdrawn; deleting a task does not delete its label.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.campaign import Campaign
    >>> from skal.campaign.label_studio import LabelStudio
    >>> from skal.strategies import RandomSampling
    >>> learner = ActiveLearner(LogisticRegression(), RandomSampling(), random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Campaign(folder, learner, [[0.0], [1.0]], classes=["cat", "dog"], training=None) as campaign:
    ...         with LabelStudio(campaign, "http://localhost:9", "a token") as tool:
    ...             tool.run()
    Traceback (most recent call last):
        ...
    ConnectionError: http://localhost:9 does not answer (ConnectError: [Errno 111] Connection refused).
    """

    def __init__(
        self,
        campaign: Campaign,
        url: str,
        token: str,
        *,
        items: Sequence[Any] | None = None,
        kind: str | None = None,
        project: int | None = None,
        title: str | None = None,
        config: str | None = None,
        n_ahead: int | None = None,
        show_predictions: bool = True,
        timeout: float = 60.0,
        transport: Any = None,
    ) -> None:
        self._campaign, self._items = campaign, campaign.items if items is None else items
        settings = campaign.settings
        self._n_ahead = check_integer("n_ahead", settings.retrain_every or 20 if n_ahead is None else n_ahead)
        self._shows = show_predictions
        self._kind = self._checked_kind(kind)
        self._names: dict[int | None, str] = {None: "unknown"}  # of annotators; who was removed has none
        if config is not None:
            forms.check_config(config)
        self._stack = ExitStack()
        try:
            if not self._stack.enter_context(turn(campaign.path / "label-studio.lock")):
                raise RuntimeError("Another process, or thread, takes this campaign to Label Studio already.")
            self._client = Client(url, token, timeout=timeout, transport=transport)
            self._stack.callback(self._client.close)
            self._project = Project(
                self._client, campaign, self._kind, number=project, title=title, config=config
            )
        except BaseException:
            self._stack.close()
            raise
        self._forget()

    @property
    def project(self) -> int:
        """The number of the project."""
        return self._project.number

    @property
    def url(self) -> str:
        """Where the project is, for a browser."""
        return self._project.url

    def close(self) -> None:
        """Let another process do the work. Everything is in the journal, or in Label Studio."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def run(self, *, interval: float = 2.0, stop: Callable[[], bool] | None = None) -> None:
        """Read the annotators' answers, and put rows into the project, again and again.

        While the server does not answer, for example because it is restarting, it is asked again at longer and longer
        intervals.

        Parameters
        ----------
        interval : float, default=2.0
            Seconds between two rounds.
        stop : callable, default=None
            Called before each round; the loop ends if it returns true. By default the loop continues until it is
            interrupted.

        Raises
        ------
        LabelStudioError
            If the server refuses something.
        OSError
            If an image cannot be read, or the journal cannot be written.
        """
        refused: set[str] = set()
        pause = interval
        while stop is None or not stop():
            try:
                report = self.pull()
                self.push()
                pause = interval
            except ConnectionError:
                pause = min(2 * pause, max(_LONGEST_WAIT, interval))
            else:
                for each in set(report.refused) - refused:
                    warnings.warn(f"Label Studio: {each}", stacklevel=2)
                refused.update(report.refused)
            time.sleep(pause)

    def pull(self) -> SyncReport:
        """Read what annotators have said, corrected, skipped and deleted since the last call.

        Returns
        -------
        report : SyncReport
            What was recorded by this call.

        Raises
        ------
        ConnectionError
            If the server does not answer. What was read is safe, and the rest is read by the next call.
        LabelStudioError
            If the server refuses something.
        OSError
            If the journal cannot be written.
        """
        with self._forgetting():
            is_whole = self._since is None
            since = None if self._since is None else self._since - _LATE
            report = self._taken_over(self._client.tasks(self.project, since))
            if not is_whole and self._lacks_something():
                self._forget()
                more = self._taken_over(self._client.tasks(self.project))
                report.n_labels += more.n_labels
                report.n_skips += more.n_skips
                report.n_withdrawn += more.n_withdrawn
                report.refused += more.refused
            return report

    def push(self) -> int:
        """Put the next rows into the project, with the classifier's predictions.

        Returns
        -------
        n_ready : int
            How many rows are ready to be labelled in the project.

        Raises
        ------
        ConnectionError
            If the server does not answer; the next call continues.
        LabelStudioError
            If the server refuses something.
        OSError
            If an image cannot be read, or the journal cannot be written.
        """
        with self._forgetting():
            if self._since is None:
                self.pull()
            self._campaign.refill()
            queue = self._queue()
            coming = set(queue)
            left = [row for row in self._ranks if row in coming]
            is_in_order = left == queue[: len(left)]
            if is_in_order and (len(left) > self._n_ahead // 2 or len(left) == len(queue)):
                return len(left)
            self._project.offer_classes()
            if is_in_order and left:
                self._serve(queue[len(left) : self._n_ahead])
            else:
                self._begin_round(queue[: self._n_ahead])
            return min(len(queue), self._n_ahead)

    def _checked_kind(self, kind: str | None) -> str:
        """What the items are, if there is one per row, and classes to tell them apart."""
        if self._items is None or len(self._items) != len(self._campaign):
            raise ValueError(
                f"Label Studio shows one item per row, and the campaign has {len(self._campaign)} rows; give them: "
                "LabelStudio(campaign, url, token, items=...), or open the campaign with its pool."
            )
        if not self._campaign.classes:
            raise ValueError(
                "Label Studio needs the classes; begin the campaign with them: Campaign(..., classes=...)."
            )
        found = forms.kind_of(forms.item_at(self._items, 0)) if kind is None else kind
        if found not in ("image", "text", "table"):
            raise ValueError(f"kind={kind!r} was given; it must be 'image', 'text' or 'table'.")
        return found

    def _forget(self) -> None:
        """Look up again what is known of the server."""
        self._since: datetime | None = None  # the time of the last change that was seen
        self._tasks: dict[int, list[int]] = {}  # of each row; more than one only if a request came twice
        self._said: dict[int, list[reading.Said]] = {}  # of each task
        self._ranks: dict[int, float] = {}  # of the rows that are served, in that order

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """Forget what is known of the server if anything fails: nobody knows what it did."""
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _taken_over(self, tasks: Iterable[dict[str, Any]]) -> SyncReport:
        """Read tasks that have changed, and record what is said of their rows."""
        is_whole, rows, latest = self._since is None, set(), self._since or _LONG_AGO
        version = self._project.version() if is_whole else None
        scores: dict[int, float] = {}
        for task in tasks:
            latest = max(latest, datetime.fromisoformat(task["updated_at"]))
            self._said[task["id"]] = [
                reading.read(each, self._project.form.control) for each in task["annotations"]
            ]
            row = task["data"].get(_ROW)
            if not isinstance(row, int) or not 0 <= row < len(self._campaign):
                continue
            rows.add(row)
            if task["id"] not in self._tasks.setdefault(row, []):
                self._tasks[row].append(task["id"])
            for each in task["predictions"]:
                if each["model_version"] == version:
                    scores[row] = each["score"]
        if is_whole and version:
            self._ranks = dict(sorted(scores.items(), key=lambda pair: pair[1]))
        report = self._campaign.sync(self._project.source, self._told(sorted(rows)), rows=sorted(rows))
        self._since = latest
        return report

    def _lacks_something(self) -> bool:
        """Whether there are more or fewer tasks or annotations than are known: tasks that are removed tell nobody."""
        there = self._project.read()
        n_said = there["total_annotations_number"] + there["skipped_annotations_number"]
        return there["task_number"] != len(self._said) or n_said != sum(map(len, self._said.values()))

    def _told(self, rows: Iterable[int]) -> list[Told]:
        """What annotators say of rows now."""
        said = [(row, each) for row in rows for task in self._tasks[row] for each in self._said[task]]
        last = reading.last_of_each(said)
        authors = {each.author for _, each in last}
        if authors - self._names.keys():
            self._names.update(self._client.emails(self.project))
            self._names.update({author: f"user {author}" for author in authors - self._names.keys()})
        return reading.told(last, self._names, self._campaign.classes)

    def _queue(self) -> list[int]:
        """The rows that come next, without those that somebody has on another page."""
        rows: list[int] = self._campaign.queue().tolist()
        if self._campaign.settings.n_annotators_per_row > 1:
            return rows
        lent = set(self._campaign.leases()["row"].tolist())
        return [row for row in rows if row not in lent]

    def _begin_round(self, rows: list[int]) -> None:
        """Serve rows in place of those of the round before."""
        if not rows:
            return
        before = [each for each in self._client.versions(self.project) if each.startswith(_ROUND)]
        numbers = [int(each.removeprefix(_ROUND)) for each in before if each.removeprefix(_ROUND).isdecimal()]
        version = f"{_ROUND}{max(numbers, default=0) + 1}"
        self._ranks = {}
        self._serve(rows, version)
        self._project.change(model_version=version)
        for each in before:
            self._client.remove_version(self.project, each)

    def _serve(self, rows: list[int], version: str | None = None) -> None:
        """Put rows behind those that are served already."""
        self._add_tasks([row for row in rows if row not in self._tasks])
        served = version or self._project.version()
        first = max(self._ranks.values(), default=-_RANK) + _RANK
        ranks = {row: first + i * _RANK for i, row in enumerate(rows)}
        guesses = self._campaign.predictions(rows)["label"] if self._shows else [None] * len(rows)
        self._client.add_predictions(
            self.project,
            [
                {
                    "task": self._tasks[row][0],
                    "score": ranks[row],
                    "model_version": served,
                    "result": self._chosen(guess),
                }
                for row, guess in zip(rows, guesses, strict=True)
            ],
        )
        self._ranks |= ranks

    def _chosen(self, label: Any) -> list[dict[str, Any]]:
        """A choice of a class, or none."""
        if label is None or str(label) not in self._project.form.choices:
            return []
        return [
            {
                "from_name": self._project.form.control,
                "to_name": self._project.form.item,
                "type": "choices",
                "value": {"choices": [str(label)]},
            }
        ]

    def _add_tasks(self, rows: list[int]) -> None:
        items = [forms.item_at(self._items, row) for row in rows]
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            shown = self._stored(rows[part], items[part])
            data = [
                {_ROW: row, self._project.form.data: each}
                for row, each in zip(rows[part], shown, strict=True)
            ]
            numbers = self._client.add_tasks(self.project, data)
            self._tasks |= {row: [number] for row, number in zip(rows[part], numbers, strict=True)}
            self._said |= {number: [] for number in numbers}

    def _stored(self, rows: list[int], items: list[Any]) -> list[Any]:
        """What tasks show: images in files are stored on the server first."""
        shown = [forms.shown(item, self._kind) for item in items]
        files = [(i, forms.file_of(item)) for i, item in enumerate(items) if self._kind == "image"]
        paths = [(i, path) for i, path in files if path is not None]
        for start in range(0, len(paths), _FILES):
            some = paths[start : start + _FILES]
            named = [(f"{rows[i]}{path.suffix.lower()}", path.read_bytes()) for i, path in some]
            for (i, _), where in zip(some, self._client.upload(self.project, named), strict=True):
                shown[i] = where
        return shown
