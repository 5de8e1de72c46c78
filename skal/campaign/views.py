"""What is known: labels, answers, batches, models, and how far annotators agree."""

from __future__ import annotations

import json
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..learner import ActiveLearner
from ..utils.arrays import as_objects
from . import agreed as agreeing
from . import jobs, journal
from .agreement import Agreement, agreement
from .background import wait_for
from .checks import check_consensus, plain_name
from .trainer import Trainer
from .verbs import Verbs

_ANSWERS = """
    SELECT e.row, a.name, c.value, e.seconds, v.time, v.kind, e.event,
        s.entry = e.id AND e.state IN ('labelled', 'skipped')
    FROM entries e JOIN events v ON v.id = e.event JOIN annotators a ON a.id = e.annotator
    LEFT JOIN classes c ON c.id = e.class LEFT JOIN standings s ON s.row = e.row AND s.annotator = e.annotator
    WHERE v.kind NOT IN ('lease', 'return') AND a.name = coalesce(?, a.name) ORDER BY e.id DESC LIMIT ?
"""


class Views(Verbs):
    """Base of the campaign: what was said, as arrays."""

    def labels(self, *, consensus: str | None = None, audit: bool = True) -> NDArray[Any]:
        """The label of each row, as partial labels.

        Parameters
        ----------
        consensus : {"majority", "dawid_skene"}, default=None
            How several answers become one label; by default the campaign's own setting.
        audit : bool, default=True
            Whether to include the labels of the audit, which are kept out of training.

        Returns
        -------
        labels : ndarray of shape (n_rows,)
            -1 (numbers), None (strings) or the learner's `unlabeled` where there is no label, or where annotators
            disagree and no label is ahead.

        Raises
        ------
        ValueError
            If `consensus` is unknown.
        """
        if consensus is not None:
            check_consensus(consensus)
        with self._database.reading() as connection:
            values = journal.class_values(connection)
            how = consensus or journal.settings(connection).consensus
            found = agreeing.agreed(journal.standings(connection), len(values), how)
            out = journal.audit_rows(connection, journal.last_event(connection))
        rows, codes = found.known
        if not audit:
            is_trained_on = ~np.isin(rows, out)
            rows, codes = rows[is_trained_on], codes[is_trained_on]
        labels = [values[code] for code in codes]
        return agreeing.partial_labels(len(self), rows, labels, values, self._marker)

    def consensus(self, how: str | None = None) -> dict[str, NDArray[Any]]:
        """The combined answer of the annotators for each row that one of them has labelled, and how certain it is.

        Parameters
        ----------
        how : {"majority", "dawid_skene"}, default=None
            By default the campaign's own setting.

        Returns
        -------
        consensus : dict of ndarray
            For ``pandas.DataFrame``: ``row``; ``label``, None where no class is ahead; ``probability`` of the label,
            which for the majority is its share of the answers; ``n_answers``.

        Raises
        ------
        ValueError
            If `how` is unknown.
        """
        if how is not None:
            check_consensus(how, "how")
        with self._database.reading() as connection:
            values = journal.class_values(connection)
            standings = journal.standings(connection)
            chosen = how or journal.settings(connection).consensus
        said = standings.labelled
        rows, n_answers = np.unique(said.rows, return_counts=True)
        found = agreeing.consensus(said, len(values), chosen)
        labels = as_objects([None if code < 0 else values[code] for code in found.classes])
        return {
            "row": rows,
            "label": labels,
            "probability": found.probabilities.max(axis=1, initial=0),
            "n_answers": n_answers,
        }

    def agreement(self) -> Agreement:
        """How far annotators agree, with each pair identified by name.

        Returns
        -------
        agreement : Agreement
        """
        with self._database.reading() as connection:
            said = journal.standings(connection).labelled
        found, names = agreement(said.rows, said.annotators, said.classes), self.annotators
        named = {pair: (names[pair[0]], names[pair[1]]) for pair in found.cohen}
        return replace(
            found,
            cohen={named[pair]: kappa for pair, kappa in found.cohen.items()},
            n_common={named[pair]: n for pair, n in found.n_common.items()},
        )

    def said(self, row: int) -> dict[str, Any]:
        """What each annotator says of a row now.

        Parameters
        ----------
        row : int

        Returns
        -------
        said : dict of str to label
            By annotator; None for one who skipped it. Annotators who were only given the row, or took back their
            answer, are not included.
        """
        (wanted,) = self._rows(row)
        with self._database.glance() as connection:
            found = connection.execute(
                "SELECT name, value FROM standings s JOIN annotators a ON a.id = annotator "
                "LEFT JOIN classes c ON c.id = class WHERE row = ? AND state IN ('labelled', 'skipped') ORDER BY a.id",
                (wanted,),
            ).fetchall()
        return {name: None if value is None else json.loads(value) for name, value in found}

    def disputed(self) -> NDArray[np.intp]:
        """The rows on which no label has more than half of the answers, in increasing order.

        Returns
        -------
        rows : ndarray of int of shape (n_disputed,)
        """
        return self._database.asked(journal.rows_of, "SELECT row FROM tallies WHERE is_disputed ORDER BY row")

    def answers(self, annotator: str | None = None, *, last: int | None = None) -> dict[str, NDArray[Any]]:
        """All that annotators said, in order, including what they took back.

        Parameters
        ----------
        annotator : str, default=None
            The annotator whose answers to return; by default everyone's.
        last : int, default=None
            Number of latest actions, of whatever kind; by default all.

        Returns
        -------
        answers : dict of ndarray
            For ``pandas.DataFrame``: ``row``; ``annotator``; ``action`` ("answer", "skip", "correct", "withdraw",
            "undo", "import" or "sync"); ``label``, None where the action gives none; ``seconds``, NaN where it is not
            known; ``time`` in UTC; ``model``, the newest version at that time, 0 before the first; ``holds``, whether
            it is what the annotator says of the row now.
        """
        name = None if annotator is None else plain_name(annotator)
        with self._database.reading() as connection:
            # SQLite takes -1 for no limit.
            found = connection.execute(_ANSWERS, (name, -1 if last is None else last))
            columns = [each[::-1] for each in journal.columns_of(found, 8)]
            models = [e for (e,) in connection.execute("SELECT event FROM models ORDER BY version")]
        rows, annotators, labels, seconds, times, actions, events, holds = columns
        return {
            "row": np.array(rows, dtype=np.intp),
            "annotator": np.array(annotators, dtype=object),
            "action": np.array(actions, dtype=object),
            "label": as_objects([None if each is None else json.loads(each) for each in labels]),
            "seconds": np.array(seconds, dtype=np.float64),
            "time": _times(times),
            "model": np.searchsorted(np.array(models, dtype=np.intp), np.array(events, dtype=np.intp)),
            "holds": np.array(holds, dtype=bool),
        }

    def queue(self) -> NDArray[np.intp]:
        """The rows that are prepared and not done, including those that somebody has now, in the order of the queue.

        Returns
        -------
        rows : ndarray of int of shape (n_prepared,)
        """
        return self._database.asked(
            journal.rows_of, "SELECT row FROM waiting ORDER BY is_audit DESC, position"
        )

    def batches(self) -> list[dict[str, Any]]:
        """The batches that were requested, in order.

        Returns
        -------
        batches : list of dict
            ``event``, its number in the journal; ``model``, the version that was asked about, or None; ``strategy``;
            ``is_audit``; ``rows``, best first; ``utility``, ``predicted`` and ``confidence`` of each row, None or NaN
            where there are none; ``note``, why rows were drawn at random instead, or None.
        """
        with self._database.reading() as connection:
            values = [None, *journal.class_values(connection)]
            found = connection.execute(
                "SELECT event, model, strategy, is_audit, detail FROM batches JOIN events ON id = event ORDER BY event"
            ).fetchall()
            return [
                {
                    "event": event,
                    "model": model,
                    "strategy": strategy,
                    "is_audit": bool(is_audit),
                    **_offered(connection, event, values),
                    "note": json.loads(detail).get("note"),
                }
                for event, model, strategy, is_audit, detail in found
            ]

    def predictions(self, rows: ArrayLike) -> dict[str, NDArray[Any]]:
        """What the classifier predicted for rows when they were last offered.

        Parameters
        ----------
        rows : int or array-like of shape (n_rows,)

        Returns
        -------
        predictions : dict of ndarray
            ``label``, None if there was no prediction; ``confidence``, the probability of the label, or NaN.
        """
        wanted = self._rows(rows)
        with self._database.glance() as connection:
            found = [
                connection.execute(
                    "SELECT value, confidence FROM offered LEFT JOIN classes ON id = predicted WHERE row = ? "
                    "ORDER BY batch DESC LIMIT 1",
                    (row,),
                ).fetchone()
                or (None, None)
                for row in wanted
            ]
        return {
            "label": as_objects([None if value is None else json.loads(value) for value, _ in found]),
            "confidence": np.array([confidence for _, confidence in found], dtype=np.float64),
        }

    def leases(self) -> dict[str, NDArray[Any]]:
        """Which annotators have which rows now.

        Returns
        -------
        leases : dict of ndarray
            For ``pandas.DataFrame``: ``row``, ``annotator``, and ``until``, when the lease ends, in UTC.
        """
        with self._database.glance() as connection:
            found = connection.execute(
                "SELECT row, name, until FROM standings JOIN annotators ON id = annotator "
                "WHERE state = 'leased' AND until > ? ORDER BY row, id",
                (self._clock(),),
            )
            rows, annotators, until = journal.columns_of(found, 3)
        return {
            "row": np.array(rows, dtype=np.intp),
            "annotator": np.array(annotators, dtype=object),
            "until": _times(until),
        }

    def train(self, *, wait: float = 0.0) -> bool:
        """Request training on all that was said, and a new batch.

        Parameters
        ----------
        wait : float, default=0
            How many seconds to wait for both, if another process does them.

        Returns
        -------
        is_done : bool
            Whether both are done.
        """
        with self._database.writing() as connection:
            journal.add_event(connection, self._clock(), "request")
        self._place.wake()
        return self.wait(wait)

    def work(self) -> int:
        """Do all pending training and preparation in this process, for a server that trains in a process of its own.

        Returns
        -------
        n_jobs : int
            Number of training runs and batches; 0 if there is nothing to do, or another process is doing it.

        Raises
        ------
        ValueError
            If the campaign was opened without its pool.
        """
        return self._known_trainer().work()

    def wait(self, timeout: float = 60.0) -> bool:
        """Wait until nothing is left to be trained or prepared.

        Parameters
        ----------
        timeout : float, default=60
            How many seconds at most.

        Returns
        -------
        is_done : bool
        """
        return wait_for(lambda: self._database.asked(jobs.next_job) is None, timeout)

    def learner(self) -> ActiveLearner | None:
        """The learner as it was last trained. Use it, for example, for predictions, but do not teach it.

        Returns
        -------
        learner : ActiveLearner or None
            None before the first training.

        Raises
        ------
        ValueError
            If the campaign was opened without the pool, or without a learner that the journal cannot describe.
        """
        return self._known_trainer().learner()

    def _known_trainer(self) -> Trainer:
        if self._trainer is None:
            raise ValueError(
                "The campaign was opened without its pool, or without a learner that the journal cannot describe; give "
                "both: Campaign.open(folder, X, learner)."
            )
        return self._trainer


def _offered(connection: Connection, batch: int, values: list[Any]) -> dict[str, Any]:
    found = connection.execute(
        "SELECT row, utility, predicted, confidence FROM offered WHERE batch = ? ORDER BY rank", (batch,)
    )
    rows, utility, predicted, confidence = journal.columns_of(found, 4)
    return {
        "rows": np.array(rows, dtype=np.intp),
        "utility": np.array(utility, dtype=np.float64),  # NaN for None
        "predicted": as_objects([values[each or 0] for each in predicted]),
        "confidence": np.array(confidence, dtype=np.float64),
    }


def _times(seconds: Any) -> NDArray[np.datetime64]:
    """Seconds since the epoch as dates."""
    return (np.array(seconds, dtype=np.float64) * 1e3).astype(np.int64).astype("datetime64[ms]")
