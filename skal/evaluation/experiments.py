"""Results on several data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..simulation.histories import History
from .curves import check_histories, check_repeats

Experiments = Mapping[Any, Mapping[Any, Any]]


def as_experiments(experiments: Experiments) -> dict[Any, Mapping[Any, History]]:
    """Results by data set, of the same learners; a single result is one of a data set without a name.

    Raises
    ------
    ValueError
        If there is none, or the learners differ, in their names or numbers of repeats.
    """
    if not experiments:
        raise ValueError("No results were given; give a dict of data sets to results of simulate.")
    check_histories(experiments)
    is_single = all(
        not isinstance(array, Mapping) for history in experiments.values() for array in history.values()
    )
    found: dict[Any, Any] = {None: experiments} if is_single else dict(experiments)
    names = [*next(iter(found.values()))]
    for data_set, histories in found.items():
        if {*histories} != {*names}:
            raise ValueError(
                f"The data set {data_set!r} has the learners {[*histories]}, and the first one {names}; compare the "
                "same learners on each."
            )
        check_repeats(histories)
    if len(names) < 2:
        raise ValueError(f"Only the learner {names} was given; give two or more.")
    return found


def matrix_columns(names: tuple[Any, ...], matrix: NDArray[np.float64]) -> dict[str, Any]:
    """The columns of a square matrix as a table, with the names in the first one."""
    columns = {str(name): column for name, column in zip(names, matrix.T, strict=True)}
    if len(columns) < len(names) or "learner" in columns:
        raise ValueError(
            f"The learners {[*names]} are to be the columns of a frame, beside its column 'learner'; give each another "
            "name."
        )
    return {"learner": list(names), **columns}
