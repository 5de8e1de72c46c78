"""A campaign that is begun or opened again: its folder, its pool, its learner, its annotators and classes."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from numbers import Integral
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from ..labels import check_new_labels
from ..learner import ActiveLearner
from ..learner.ids import Ids, named_rows
from ..pool import as_pool
from ..utils.checks import check_integer
from . import journal
from .background import Background, Elsewhere, Foreground
from .checks import check_training, checked_learner, checked_name, checked_settings, nearest, plain_classes
from .database import Database
from .description import describe, differences, restore
from .identity import check_identity, identity
from .journal import Settings
from .trainer import Trainer

UNKNOWN_IDS = "Ids are known with the pool that has them alone; give it: Campaign.open(folder, X)."
_PREPARED = 5  # batches, at least


class Opened:
    """Base of the campaign: what it is about."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        learner: ActiveLearner,
        X: Any,
        *,
        items: Sequence[Any] | None = None,
        classes: ArrayLike | None = None,
        annotators: Sequence[str] | None = None,
        n_annotators_per_row: int = 1,
        lease_seconds: float = 600.0,
        retrain_every: int | None = 20,
        n_prepared: int | None = None,
        consensus: str = "majority",
        disagreements_first: bool = False,
        validation: tuple[Any, Any] | None = None,
        stopping: Any = None,
        training: str | None = "background",
        clock: Callable[[], float] | None = None,
    ) -> None:
        check_training(training)
        if n_prepared is None:
            every = 0 if retrain_every is None else check_integer("retrain_every", retrain_every)
            n_prepared = max(100, _PREPARED * every)
        chosen = checked_settings(
            Settings(
                n_annotators_per_row=n_annotators_per_row,
                lease_seconds=lease_seconds,
                retrain_every=retrain_every,
                n_prepared=n_prepared,
                consensus=consensus,
                disagreements_first=disagreements_first,
                is_closed=annotators is not None,
            )
        )
        names = [checked_name(name) for name in annotators or ()]
        template = checked_learner(learner, X, classes)
        chosen_classes = learner.classes if classes is None else classes
        values = None if chosen_classes is None else plain_classes(chosen_classes, template.unlabeled)
        if values is not None and len(values) < 2:
            raise ValueError(
                f"classes={values} were given; give two or more, or none of them: then any label is welcome."
            )
        facts = {"learner": describe(template), "pool": identity(X, items), "classes": values is not None}
        folder = Path(path).absolute()  # wherever the process goes later
        folder.mkdir(parents=True, exist_ok=True)
        self._open(folder, Database(folder, create=True), clock)
        if not self._database.is_new:
            self._database.close()
            raise ValueError(
                f"{folder} holds a campaign already; continue with it: Campaign.open({str(path)!r}, X)."
            )
        with self._database.writing() as connection:
            if self._database.has_tables():  # another process was quicker
                raise ValueError(f"{folder} holds a campaign already; continue with it: Campaign.open.")
            self._database.fill()
            event = journal.add_event(connection, self._clock(), "begin", **facts)
            journal.add_settings(connection, event, chosen)
            journal.add_classes(connection, values or [])
            for name in names:
                journal.add_annotator(connection, name)
        self._begin(X, template, items, training, validation, stopping)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        X: Any = None,
        learner: ActiveLearner | None = None,
        *,
        items: Sequence[Any] | None = None,
        validation: tuple[Any, Any] | None = None,
        stopping: Any = None,
        training: str | None = "background",
        clock: Callable[[], float] | None = None,
    ) -> Self:
        """Continue a campaign, after a crash or in another process.

        Parameters
        ----------
        path : str or path-like
            Its folder.
        X : container of shape (n_rows, ...), default=None
            The pool that the campaign began with. Without it, everything works except training, which another
            process then does.
        learner : ActiveLearner, default=None
            With the parameters that the campaign began with. It is needed if the journal cannot describe it because a
            part is your own code; the error says so.
        items, validation, stopping, training, clock
            As in `Campaign`.

        Returns
        -------
        campaign : Campaign

        Raises
        ------
        JournalError
            If the folder holds no campaign, or its journal is foreign, truncated, damaged, or of a newer skal.
        ValueError
            If `X`, `items` or `learner` are not the original ones, or `learner` is needed and missing.
        OSError
            If the folder cannot be written.
        """
        check_training(training)
        self = cls.__new__(cls)
        folder = Path(path).absolute()
        self._open(folder, Database(folder), clock)
        try:
            if X is not None:
                check_identity(self._facts["pool"], X, items)
            template = None if X is None else self._template(learner, needed=training is not None)
            self._begin(X, template, items, None if X is None else training, validation, stopping)
        except BaseException:
            self._database.close()
            raise
        return self

    def _open(self, folder: Path, database: Database, clock: Callable[[], float] | None) -> None:
        self._folder, self._database, self._clock = folder, database, clock or time.time
        self._known: dict[str, dict[Any, int]] = {"annotators": {}, "classes": {}}
        self._place = Elsewhere(folder)

    def _begin(
        self,
        X: Any,
        template: ActiveLearner | None,
        items: Sequence[Any] | None,
        training: str | None,
        validation: Any,
        stopping: Any,
    ) -> None:
        self._X, self._items, self._training = X, X if items is None else items, training
        self._ids = None if X is None else Ids.of(None, as_pool(X))
        self._trainer: Trainer | None = None
        self._judges = {"validation": validation, "stopping": stopping}
        if template is not None and X is not None:
            self._train_with(template)

    def _train_with(self, template: ActiveLearner) -> None:
        """Let trainings be those of a learner, here or in a process of its own."""
        self._place.close()
        self._trainer = Trainer(
            self._database, self._folder, template, self._X, clock=self._clock, **self._judges
        )
        if self._training == "foreground":
            self._place = Foreground(self._folder, self._trainer)
        elif self._training == "background":
            self._place = Background(self._folder, self._report, learner=template, X=self._X, **self._judges)
            self._place.wake()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """One transaction that may write down several annotators and classes: if it fails, nobody knows of them."""
        try:
            with self._database.writing() as connection:
                yield connection
        except BaseException:
            self._known = {"annotators": {}, "classes": {}}
            raise

    def _report(self, error: str) -> None:
        """Write down what went wrong with the process that trains."""
        with suppress(OSError), self._database.writing() as connection:
            journal.add_event(connection, self._clock(), "trouble", error=error)

    def _template(self, learner: ActiveLearner | None, *, needed: bool) -> ActiveLearner | None:
        """The learner of the journal, or the one that is given in its place."""
        _, then = self._database.asked(journal.described_learner)
        if learner is None:
            try:
                return restore(then)
            except ValueError:
                if needed:
                    raise
                return None
        if not isinstance(learner, ActiveLearner):
            raise TypeError(f"learner is a {type(learner).__name__}; give an ActiveLearner.")
        seed = then["params"]["random_state"]["value"]
        template = clone(learner)
        if not isinstance(template.random_state, Integral):
            template.set_params(random_state=seed)
        if template.classes is not None or self.has_fixed_classes:
            own = self.classes if template.classes is None else np.asarray(template.classes).tolist()
            template.set_params(classes=sorted(own))
        if others := list(differences(then, json.loads(json.dumps(describe(template))))):
            raise ValueError(
                f"The campaign's learner has other parameters: {', '.join(others[:5])}; give that one, and "
                "change_learner(learner) afterwards if another shall take its place."
            )
        return template

    @property
    def _seed(self) -> int:
        return int(self._facts["learner"]["params"]["random_state"]["value"])

    @property
    def _facts(self) -> dict[str, Any]:
        """What was written when the campaign began."""
        # A cached property of Python 3.11 would hold a lock while it waits for another.
        if not hasattr(self, "_facts_"):
            self._facts_: dict[str, Any] = self._database.asked(journal.facts)
        return self._facts_

    def close(self) -> None:
        """End the process that trains, and close the journal, until a later call. Everything is on the disk already."""
        self._place.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._facts["pool"]["n_rows"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._folder)!r})"

    @property
    def path(self) -> Path:
        """The folder, as an absolute path."""
        return self._folder

    @property
    def key(self) -> str:
        """An identifier of the campaign, for data kept elsewhere, such as answers in a browser."""
        with self._database.glance() as connection:
            begin = connection.execute("SELECT time, detail FROM events WHERE kind = 'begin'").fetchone()
        return hashlib.sha256(repr(begin).encode()).hexdigest()[:16]

    @property
    def classes(self) -> list[Any]:
        """The possible labels: those that were given, in their order, or those used so far."""
        return self._database.asked(journal.class_values)

    @property
    def has_fixed_classes(self) -> bool:
        """Whether the classes were given, so that any other label is refused."""
        return bool(self._facts["classes"])

    @property
    def annotators(self) -> list[str]:
        """The names of the annotators, in the order in which they came."""
        return self._database.asked(journal.annotator_names)

    @property
    def settings(self) -> Settings:
        """The settings, which `set` changes."""
        return self._database.asked(journal.settings)

    @property
    def items(self) -> Any:
        """What annotators look at: `items`, or the rows of the pool; None where neither was given."""
        return self._items

    def _annotator(self, connection: Connection, name: str) -> int:
        """The number of an annotator, who is written down when they first come."""
        known = self._known["annotators"]
        if name not in known:
            name = checked_name(name)
            names = journal.annotator_names(connection)
            numbers = {each: i for i, each in enumerate(names, start=1)}
            if name not in numbers:
                if journal.settings(connection).is_closed:
                    raise ValueError(
                        f"annotator={name!r} is unknown{nearest(name, names)}; add_annotator({name!r}) welcomes them. "
                        f"Known are {names[:10]}."
                    )
                return journal.add_annotator(connection, name)  # kept once it is committed
            known.update(numbers)
        return known[name]

    def _labels(self, labels: Any, n_rows: int) -> list[Any]:
        """Labels that an annotator gave, as plain values, one per row."""
        if (known := self._known_labels(labels)) is not None and len(known) == n_rows:
            return known
        given = [None] if labels is None else labels
        values = check_new_labels(given, n_rows, unlabeled=self._marker).tolist()
        # 1.0 is the class 1.
        if any(isinstance(value, float) for value in values) and not any(
            isinstance(value, float) for value in self.classes
        ):
            values = [int(value) if value == int(value) else value for value in values]
        return list(values)

    @property
    def _marker(self) -> Any:
        """What marks an unlabelled row, where the learner has a marker of its own."""
        marker = self._facts["learner"]["params"]["unlabeled"].get("value")
        return float("nan") if isinstance(marker, dict) else marker

    def _known_labels(self, labels: Any) -> list[Any] | None:
        """Labels that have been used before, as most are, and need no further look; None where some have not."""
        if isinstance(labels, np.ndarray | np.generic):
            labels = labels.tolist()
        values = labels if isinstance(labels, list) else [labels]
        known = self._known["classes"]
        are_known = all(type(value) in (str, int) and json.dumps(value) in known for value in values)
        return list(values) if are_known else None

    def _class_numbers(self, connection: Connection, labels: list[Any]) -> list[int]:
        """The numbers of classes; new ones are written down unless all were given."""
        known, wanted = self._known["classes"], [json.dumps(label) for label in labels]
        if all(each in known for each in wanted):
            return [known[each] for each in wanted]
        values = journal.class_values(connection)
        known.update({json.dumps(value): i for i, value in enumerate(values, start=1)})
        numbers: dict[Any, int] = {}
        for i, value in enumerate(values, start=1):
            numbers.setdefault(value, i)  # 0, 0.0 and False are the same one
        new = [label for label in dict.fromkeys(labels) if label not in numbers]
        if new and self.has_fixed_classes:
            some = new[:5]
            raise ValueError(
                f"The labels {some} are not among the classes {values[:10]}{nearest(str(some[0]), map(str, values))}. "
                "Correct them; nothing was recorded."
            )
        if values and new and isinstance(values[0], str) != isinstance(labels[0], str):
            raise ValueError(
                f"The labels so far are like {values[0]!r} and the new ones like {labels[0]!r}; give all of them as "
                "numbers or all as strings."
            )
        journal.add_classes(connection, new)
        numbers.update({label: i for i, label in enumerate(new, start=len(values) + 1)})
        # The new ones are known once they are committed.
        return [known.get(each) or numbers[label] for each, label in zip(wanted, labels, strict=True)]

    @property
    def _has_unknown_ids(self) -> bool:
        """Whether the rows have ids, which are in the pool, and the campaign was opened without it."""
        pool = self._facts["pool"]
        return self._X is None and pool.get("ids_in_order", pool["ids"]) is not None

    def _rows(self, rows: ArrayLike) -> list[int]:
        are_ids = hasattr(rows, "get_indexer") or np.asarray(rows).dtype.kind == "U"
        if are_ids and self._has_unknown_ids:
            raise ValueError(UNKNOWN_IDS)
        return [int(row) for row in named_rows(rows, self._ids, len(self), distinct=True)]
