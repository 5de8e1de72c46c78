"""Which rows were drawn for the audit, and with which probabilities."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..pool import NO_ROWS, Rows


@dataclass(frozen=True, eq=False, kw_only=True)
class Draws:
    """Rows that were drawn for the audit, in the order in which they were.

    Attributes
    ----------
    rows : ndarray of int of shape (n_drawn,)
    probability : ndarray of float64 of shape (n_drawn,)
        That of each row to be the next one, given those before it.
    n_left : ndarray of int of shape (n_drawn,)
        How many rows there were to draw it from.
    n_taken : ndarray of int of shape (n_drawn,)
        How many rows had been taken out of the pool by choice before: for training, or drawn by their expected loss.
    is_active : ndarray of bool of shape (n_drawn,)
        Whether it was drawn by its expected loss.
    is_withdrawn : ndarray of bool of shape (n_drawn,)
        Whether it is no longer kept for the audit.
    """

    rows: Rows = field(default_factory=NO_ROWS.copy)
    probability: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    n_left: NDArray[np.intp] = field(default_factory=NO_ROWS.copy)
    n_taken: NDArray[np.intp] = field(default_factory=NO_ROWS.copy)
    is_active: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))
    is_withdrawn: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=bool))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def kept(self) -> Rows:
        """The rows that are kept for the audit, labelled, skipped or neither, in increasing order."""
        return np.sort(self.rows[~self.is_withdrawn])

    def after(
        self, rows: Rows, probability: NDArray[np.float64], *, n_left: int, n_taken: int, is_active: bool
    ) -> Self:
        """These draws and more of them, the first from `n_left` rows."""
        n_drawn = len(rows)
        more = {
            "rows": rows,
            "probability": probability,
            "n_left": n_left - np.arange(n_drawn),
            "n_taken": n_taken + is_active * np.arange(n_drawn),
            "is_active": np.full(n_drawn, is_active),
            "is_withdrawn": np.zeros(n_drawn, dtype=bool),
        }
        return type(self)(
            **{name: np.concatenate([getattr(self, name), values]) for name, values in more.items()}
        )

    def without(self, rows: Rows) -> Self:
        """These draws, where rows are no longer kept for the audit."""
        return replace(self, is_withdrawn=self.is_withdrawn | np.isin(self.rows, rows))

    def are_of(self, n_rows: int) -> bool:
        """Whether they can be draws from a pool, as those of a file might not be."""
        own: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        kinds = {"rows": "i", "probability": "f", "n_left": "i", "n_taken": "i"}
        if not all(
            isinstance(values, np.ndarray)
            and values.shape == np.shape(self.rows)
            and values.ndim == 1
            and values.dtype.kind == kinds.get(name, "b")
            for name, values in own.items()
        ):
            return False
        rows, kept = self.rows, self.kept
        return bool(
            ((rows >= 0) & (rows < n_rows)).all()
            and (kept[1:] > kept[:-1]).all()
            and ((self.probability > 0) & (self.probability <= 1)).all()
            and ((self.n_left > 0) & (self.n_left <= n_rows)).all()
            and ((self.n_taken >= 0) & (self.n_taken <= n_rows)).all()
        )


def are_arrivals(arrivals: Any, n_rows: int, n_draws: int) -> bool:
    """Whether a pool can have grown so: numbers of rows, and of draws, before each time, as a file might not have."""
    if not isinstance(arrivals, tuple) or not all(
        isinstance(each, tuple) and [type(number) for number in each] == [int, int] for each in arrivals
    ):
        return False
    ends = [(0, 0), *arrivals, (n_rows, n_draws)]
    return all(before[0] <= after[0] and before[1] <= after[1] for before, after in pairwise(ends))
