"""Whether the state in a file can be that of a learner: a file may be forged, with checksums that are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..exceptions import ModelFileError
from ..labels import Labels
from ..pool import NO_ROWS, Pool, as_pool, check_positions
from ..strategies.base import Strategy
from .draws import Draws, are_arrivals
from .extending import has_length
from .extensions import Extension
from .ids import Ids
from .record import are_entries
from .state import State

_KINDS: dict[str, Any] = {
    "labels": Labels,
    "params": dict,
    "per_row": set | frozenset,
    "others": dict,
    "ids": Ids | None,
    "draws": Draws,
    "extensions": tuple,
    "known": np.ndarray | None,
    "failure": str | None,
    "strategy": Strategy,
    "cold_start": Strategy | None,
    "basis": dict | None,
    "round": int,
    "before": State | None,
}


def check_state(state: Any, pool: Pool) -> None:
    """Refuse what no learner can know of a pool.

    What the classifier and the strategies hold is theirs, and not looked at.

    Parameters
    ----------
    state : object
    pool : Pool

    Raises
    ------
    ModelFileError
        If it is no state of a learner with this pool.
    ValueError
        If positions of rows are none.
    """
    if not _is_state(state, pool) or (state.before is not None and not _is_state(state.before, pool)):
        raise ModelFileError("holds no state of a learner for such a pool")
    if state.before is not None and state.before.before is not None:
        raise ModelFileError("holds more than one answer to take back")
    for each in (state, state.before):
        if each is not None:
            _check(each, pool)


def _is_state(state: Any, pool: Pool) -> bool:
    return (
        isinstance(state, State)
        and state.pool is pool
        and (state.estimator is None or hasattr(state.estimator, "predict"))
        and all(isinstance(getattr(state, name), kind) for name, kind in _KINDS.items())
    )


def _check(state: State, pool: Pool) -> None:
    n_rows = len(pool)
    if not state.draws.are_of(n_rows):
        raise ModelFileError("holds draws of an audit that are none")
    if not are_arrivals(state.arrivals, n_rows, len(state.draws)):
        raise ModelFileError("holds numbers of rows that no pool had when it grew")
    if not state.others.keys() <= state.per_row:
        raise ModelFileError("holds values of parameters that have none per row")
    if state.ids is not None and len(state.ids) != n_rows:
        raise ModelFileError("holds ids of other rows")
    if not are_entries(state.record, n_rows):
        raise ModelFileError("holds a record of answers that are none")
    _check_answers(state, n_rows)
    if state.basis is not None:
        if not state.basis.keys() <= state.answers.keys():
            raise ModelFileError("holds what a classifier was trained on, and is none of it")
        basis = replace(state, **state.basis)
        _check_answers(basis, min(n_rows, len(basis.labels)))  # of before the pool grew
    _check_positions(state.skipped, n_rows)
    drawn = [NO_ROWS, *(entry.rows for entry in state.record if entry.action == "draw")]
    if not np.array_equal(np.concatenate(drawn), state.draws.rows):
        raise ModelFileError("holds draws of an audit that its record lacks")


def _check_answers(state: State, n_rows: int) -> None:
    """Refuse what no classifier can be trained on, in as many rows of the pool."""
    if not _are_labels(state.labels, n_rows):
        raise ModelFileError("holds labels that are none of such a pool")
    _check_positions(state.audit, n_rows)
    has_weights = not state.has_own_weights or "sample_weight" in state.per_row
    if not has_weights or not _are_params(state.params, state.per_row, n_rows):
        raise ModelFileError("holds parameters of fit that have no value for each row")
    of_samples = state.per_row - {"sample_weight"} if state.has_own_weights else state.per_row
    if not all(_is_extension(each, of_samples) for each in state.extensions):
        raise ModelFileError("holds samples of extend that are none")


def _check_positions(rows: Any, n_rows: int) -> None:
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "i":
        raise ModelFileError("holds positions of rows that are none")
    check_positions(rows, n_rows, distinct=True)


def _are_labels(labels: Any, n_rows: int) -> bool:
    if not isinstance(labels, Labels):
        return False
    codes, classes = labels.codes, labels.classes
    if not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in (codes, classes)):
        return False
    are_codes = codes.dtype == np.int32 and ((codes >= -1) & (codes < len(classes))).all()
    return bool(len(codes) == n_rows and are_codes)


def _are_params(params: Any, per_row: Any, n_rows: int) -> bool:
    return (
        isinstance(params, dict)
        and isinstance(per_row, set | frozenset)
        and per_row <= params.keys()
        and all(has_length(params[name], n_rows) for name in per_row)
    )


def _is_extension(extension: Any, per_row: frozenset[str]) -> bool:
    if not isinstance(extension, Extension):
        return False
    y, keys, n_samples = extension.y, extension.keys, len(as_pool(extension.X))
    are_whole = all(isinstance(each, np.ndarray) and each.shape == (n_samples,) for each in (y, keys))
    return are_whole and _are_params(extension.params, per_row, n_samples)
