"""Batches: the rows that are offered, with what was thought of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..learner import ActiveLearner
from ..pool import Candidates, Pool, Rows
from .journal import add_event

Predictions = list[tuple[int | None, float | None]]  # the number of the class, and its probability


def add_batch(
    connection: Connection,
    now: float,
    rows: Rows,
    *,
    strategy: str,
    n_asked: int,
    cut: int | None = None,
    model: int | None = None,
    takes_over: bool = False,
    is_audit: bool = False,
    utility: NDArray[np.float64] | None = None,
    predicted: Predictions | None = None,
    detail: dict[str, Any] | None = None,
) -> int:
    """Write a batch, whose rows are queued, and return its event."""
    event = add_event(connection, now, "batch", **(detail or {}))
    connection.execute(
        "INSERT INTO batches (event, cut, model, strategy, n_asked, takes_over, is_audit) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event, event if cut is None else cut, model, strategy, n_asked, takes_over, is_audit),
    )
    predicted = predicted or [(None, None)] * len(rows)
    utilities = [None] * len(rows) if utility is None else utility.tolist()
    ranked = enumerate(zip(rows.tolist(), utilities, predicted, strict=True))
    connection.executemany(
        "INSERT INTO offered (batch, rank, row, utility, predicted, confidence) VALUES (?, ?, ?, ?, ?, ?)",
        [(event, rank, row, value, *prediction) for rank, (row, value, prediction) in ranked],
    )
    return event


def random_rows(n_rows: int, taken: Rows, n: int, seed: Sequence[int]) -> Rows:
    """Rows at random, of those that nobody has: where no strategy can be asked."""
    left = Candidates(np.unique(taken), complement_in=n_rows)
    return left.sample(min(n, len(left)), np.random.default_rng(seed))


def predictions(
    learner: ActiveLearner | None, pool: Pool, rows: Rows, values: Sequence[Any]
) -> Predictions | None:
    """What the classifier takes rows for, where it can say; it is a help, and no failure stops labelling."""
    numbers = {json.dumps(value): i for i, value in enumerate(values, start=1)}
    try:
        if learner is None or not len(rows):
            return None
        chances = np.asarray(learner.predict_proba(pool.take(rows)))
        best, classes = chances.argmax(axis=1), learner.classes_.tolist()
        return [
            (numbers.get(json.dumps(classes[j])), float(chances[i, j])) for i, j in enumerate(best.tolist())
        ]
    except Exception:
        return None


def utilities(learner: ActiveLearner | None, pool: Pool, rows: Rows) -> NDArray[np.float64] | None:
    """How much the strategy wants each row, where it can say; it is a record, and no failure stops labelling."""
    try:
        if learner is None or not len(rows) or not hasattr(learner, "score_samples"):
            return None
        return np.asarray(learner.score_samples(pool.take(rows)), dtype=np.float64)
    except Exception:
        return None
