"""Trains the classifier on what the journal has, and asks the strategy for the rows to come."""

from __future__ import annotations

import copy
import json
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from ..learner import ActiveLearner, RowState
from ..pool import Rows, as_pool
from . import jobs, journal
from .agreed import agreed, partial_labels
from .database import Database
from .description import describe, differences, restore
from .identity import check_identity
from .models import Models
from .offers import add_batch, predictions, random_rows, utilities
from .scores import scored
from .turns import turn

_MOST_TRIES = 10  # of a training that kills its process, for lack of memory say


class Trainer:
    """Does one job of a campaign after the other. Killed at any moment, the next one does the same job again.

    Parameters
    ----------
    database : Database
    folder : Path
        Of the campaign.
    learner : ActiveLearner
        Not fitted, with an integer as ``random_state``.
    X : container of n_rows rows
    clock : callable
        Returns the time in seconds since the epoch.
    validation : tuple of (X, y), default=None
    stopping : StoppingCriterion, default=None
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        learner: ActiveLearner,
        X: Any,
        *,
        clock: Callable[[], float] = time.time,
        validation: tuple[Any, Any] | None = None,
        stopping: Any = None,
    ) -> None:
        self._database, self._learner, self._X = database, learner, X
        self._models, self._turn = Models(folder), folder / "training.lock"
        self._clock, self._validation = clock, validation
        self._stopping = None if stopping is None else clone(stopping)
        self._newest: tuple[int, ActiveLearner] | None = None
        self._looked: tuple[int, Any] | None = None  # the newest model that the criterion looked at
        self._described = -1  # the event that told of the learner

    def work(self) -> int:
        """Do what there is to do, and return how many jobs that were; none while another process is at it."""
        with turn(self._turn) as is_mine:
            return self.work_in_turn() if is_mine else 0

    def work_in_turn(self) -> int:
        """Do what there is to do, where the turn is one's own already."""
        n_jobs = 0
        while (job := self._database.asked(jobs.next_job)) is not None:
            if isinstance(job, jobs.Train):
                self._train(job)
            else:
                self._ask(job)
            n_jobs += 1
        return n_jobs

    def learner(self) -> ActiveLearner | None:
        """The newest learner that was trained; it may be asked, and must not be taught."""
        model = self._database.asked(jobs.newest_model)
        if model is None:
            return None
        self._keep_up()
        return self._of(model)

    def _train(self, job: jobs.Train) -> None:
        with self._database.writing() as connection:
            journal.add_event(connection, self._clock(), "training", cut=job.cut)
            n_tries, version = jobs.n_begun(connection, job.cut), jobs.next_version(connection)
        if n_tries > _MOST_TRIES:
            self._fail(job.cut, RuntimeError(f"the process that trained was killed {n_tries - 1} times"))
            return
        begun = time.monotonic()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self._keep_up()
                base = None if job.base is None else self._of(job.base)
                learner = self._taught(base, job.cut, refit=True)
                stopping = self._criterion(job.base)
                detail = scored(learner, self._validation, stopping)
                detail["seconds"] = time.monotonic() - begun
                folder = self._saved(learner, version, stopping, job.base, detail)
        except Exception as error:
            self._fail(job.cut, error)
            return
        detail["warnings"] = sorted({str(each.message) for each in caught})
        with self._database.writing() as connection:
            event = journal.add_event(connection, self._clock(), "model", version=version)
            connection.execute(
                "INSERT INTO models (version, event, cut, base, folder, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (version, event, job.cut, job.base and job.base.version, folder, journal.as_json(detail)),
            )
        self._newest, self._looked = (version, learner), (version, stopping)
        if folder is not None:
            self._models.keep([f"{each:06d}" for each in (version - 1, version)])

    def _saved(
        self,
        learner: ActiveLearner,
        version: int,
        stopping: Any,
        base: jobs.Model | None,
        detail: dict[str, Any],
    ) -> str | None:
        """The folder of a model; None where it cannot be saved, and is trained again after a restart."""
        try:
            return self._models.save(learner, version, stopping, base.folder if base else None)
        except (TypeError, OSError) as error:
            detail["unsaved"] = str(error)
            return None

    def _keep_up(self) -> None:
        """Take the learner of now, where another process has changed it."""
        event, now = self._database.asked(journal.described_learner)
        if event == self._described:
            return
        then = json.loads(json.dumps(describe(self._learner)))
        if set(differences(then, now)) <= {"classes"}:  # also of a learner that the journal cannot describe
            classes = restore(now["params"]["classes"])
            self._learner = clone(self._learner).set_params(classes=classes)
        else:
            self._learner = restore(now)
        self._described = event

    def _fail(self, cut: int, error: BaseException) -> None:
        """Record that a training failed; labels go on."""
        words = "".join(traceback.format_exception(error, limit=-8))
        with self._database.writing() as connection:
            journal.add_event(
                connection,
                self._clock(),
                "failure",
                cut=cut,
                error=f"{type(error).__name__}: {error}",
                traceback=words[-10_000:],
            )

    def _of(self, model: jobs.Model) -> ActiveLearner:
        """The learner of a model: at hand, from its folder, or trained again as it was."""
        if self._newest is not None and self._newest[0] == model.version:
            return self._newest[1]
        models = self._database.asked(jobs.chain, model.version)
        learner: ActiveLearner | None = None
        later: list[jobs.Model] = []
        for each in reversed(models):
            learner = self._models.load(each.folder, self._X, self._learner)
            if learner is not None:
                break
            later.insert(0, each)
        params = self._learner.get_params(deep=True)
        goes_on = any(value for name, value in params.items() if name.rpartition("__")[2] == "warm_start")
        for each in later:
            learner = self._taught(learner, each.cut, refit=goes_on or each is later[-1])
        assert learner is not None
        self._newest = model.version, learner
        return learner

    def _criterion(self, base: jobs.Model | None) -> Any:
        """The stopping criterion as it was after a model: at hand, from its folder, or one that begins."""
        if self._stopping is None:
            return None
        if base is not None and self._looked is not None and self._looked[0] == base.version:
            return copy.copy(self._looked[1])
        return self._models.load_criterion(base.folder if base else None, self._stopping)

    def _taught(self, learner: ActiveLearner | None, cut: int, *, refit: bool) -> ActiveLearner:
        """A learner that knows what was said up to an event: the one before it, taught, or a new one."""
        with self._database.reading() as connection:
            values = journal.class_values(connection)
            how = journal.settings(connection, cut).consensus
            said = agreed(journal.standings(connection, cut), len(values), how)
            audit = journal.audit_rows(connection, cut)
            pool = journal.facts(connection)["pool"]
        rows, codes = said.known
        is_audit = np.isin(rows, audit)
        labels = {part: [values[code] for code in codes[is_audit == part]] for part in (False, True)}
        if learner is None:
            check_identity(pool, self._X, None)  # no learner has watched it since the campaign was opened
            unlabeled = self._learner.unlabeled
            y = partial_labels(len(as_pool(self._X)), rows[~is_audit], labels[False], values, unlabeled)
            learner = clone(self._learner).fit(self._X, y)
            refit = False
        else:
            learner = copy.copy(learner)  # whoever reads the other one is not disturbed
        known = np.flatnonzero(np.isin(learner.row_states_, [RowState.LABELED, RowState.AUDIT]))
        learner.forget(np.setdiff1d(known, rows), refit=False)
        learner.unskip(np.setdiff1d(learner.skipped_, [*said.skipped, *rows]))
        for part, new in labels.items():
            if new:
                learner.teach(rows[is_audit == part], new, audit=part, overwrite=True, refit=False)
        learner.skip(said.skipped)
        return learner.refit() if refit else learner

    def _ask(self, job: jobs.Ask) -> None:
        begun = time.monotonic()
        with self._database.reading() as connection:
            n_prepared = journal.settings(connection, job.cut).n_prepared
            taken, audit = jobs.taken_rows(connection, job), journal.audit_rows(connection, job.cut)
            values = journal.class_values(connection)
        pool, strategy = as_pool(self._X), self._learner.strategy
        rows, learner, note = self._chosen(job, n_prepared, taken, audit)
        found = predictions(learner, pool, rows, values)
        utility = utilities(learner, pool, rows) if note is None else None
        with self._database.writing() as connection:
            if jobs.was_asked(connection, job.cut):
                return
            add_batch(
                connection,
                self._clock(),
                rows,
                cut=job.cut,
                model=None if job.model is None else job.model.version,
                strategy=type(strategy).__name__ if note is None else "RandomSampling",
                n_asked=n_prepared,
                takes_over=job.takes_over,
                utility=utility,
                predicted=found,
                detail={
                    "params": describe(strategy) if note is None else None,
                    "note": note,
                    "seconds": time.monotonic() - begun,
                },
            )

    def _chosen(
        self, job: jobs.Ask, n_rows: int, taken: Rows, audit: Rows
    ) -> tuple[Rows, ActiveLearner | None, str | None]:
        """The rows that the strategy wants, and the learner that was asked; at random, and why, where none can be."""
        learner = None
        try:
            self._keep_up()
            if job.model is None:
                raise NotFittedError("no classifier could be trained yet")
            learner = self._of(job.model)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return learner.query(n_queries=n_rows, pending=taken, exclude=audit), learner, None
        except Exception as error:  # labels go on
            seed = [int(self._learner.random_state), job.cut]
            rows = random_rows(len(as_pool(self._X)), np.union1d(taken, audit), n_rows, seed)
            return rows, learner, f"{type(error).__name__}: {error}"
