"""What a criterion has seen of a learner, round by round, and how a file has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..pool import Rows


@dataclass(frozen=True)
class Seen:
    """What a criterion has seen; each round replaces it as a whole.

    Parameters
    ----------
    rounds : tuple of (int, float)
        The number of labels after each round, and the value.
    rows : ndarray of int, default=None
        The rows of the pool that it looks at, in increasing order; None where others are given to it.
    predicted : ndarray, default=None
        Their latest predicted classes.
    changes : dict of (label, label) to int
        How many of them went from one class to another in the last round, the most frequent first.
    is_first : bool, default=True
        Whether there were no predictions before the last round.
    n_left : int, default=0
        How many rows of the pool had no label after it.

    Examples
    --------
    >>> from skal.stopping.seen import Seen
    >>> seen = Seen(rounds=((10, float("nan")), (20, 0.25)))
    >>> Seen.from_content(seen.to_content()).rounds[1]
    (20, 0.25)
    """

    rounds: tuple[tuple[int, float], ...] = ()
    rows: Rows | None = None
    predicted: NDArray[Any] | None = None
    changes: dict[tuple[Any, Any], int] = field(default_factory=dict)
    is_first: bool = True
    n_left: int = 0

    def to_content(self) -> dict[str, Any]:
        """What goes into a file: JSON has no pairs as keys."""
        return {**vars(self), "changes": list(self.changes.items())}

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        """What a file has.

        Raises
        ------
        ValueError, TypeError
            For what no criterion has seen.
        """
        seen = cls(**{**content, "changes": dict(content["changes"])})
        if not all(type(n) is int and type(value) is float for n, value in seen.rounds):
            raise TypeError("a round is a number of labels and a value")
        counts = [n for n, _ in seen.rounds]
        if any(after <= before for before, after in zip([-1, *counts], counts, strict=False)):
            raise ValueError("the numbers of labels do not grow")
        if type(seen.is_first) is not bool or type(seen.n_left) is not int or seen.n_left < 0:
            raise TypeError("is_first is no truth value, or n_left no number of rows")
        for array in (seen.rows, seen.predicted):
            if array is not None and not (isinstance(array, np.ndarray) and array.ndim == 1 and array.size):
                raise TypeError("rows and predictions are lists")
        if seen.rows is not None:
            if seen.rows.dtype.kind != "i" or (np.diff(seen.rows, prepend=-1) <= 0).any():
                raise ValueError("rows are positions in increasing order")
            if seen.predicted is not None and len(seen.predicted) != len(seen.rows):
                raise ValueError("there is one prediction per row")
        if not all(
            type(n) is int and type(pair) is tuple and len(pair) == 2 for pair, n in seen.changes.items()
        ):
            raise TypeError("a change has two classes and a number of rows")
        return seen


def changes(before: NDArray[Any], after: NDArray[Any]) -> dict[tuple[Any, Any], int]:
    """How many rows went from one class to another, the most frequent first.

    Parameters
    ----------
    before, after : ndarray of the same shape

    Returns
    -------
    changes : dict of (label, label) to int

    Examples
    --------
    >>> import numpy as np
    >>> from skal.stopping.seen import changes
    >>> changes(np.array(["a", "a", "b"]), np.array(["b", "b", "b"]))
    {('a', 'b'): 2}
    """
    moved = before != after
    return dict(Counter(zip(before[moved].tolist(), after[moved].tolist(), strict=True)).most_common())
