"""What a criterion has seen of a learner, round by round, and how a file has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ..labels.codes import encode
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
    unseen : tuple of label, default=()
        The classes that had no label after it.

    Examples
    --------
    >>> from skal.stopping.seen import Seen
    >>> seen = Seen(rounds=((10, float("nan")), (20, 0.25)))
    >>> Seen.from_file(*seen.to_file()).rounds[1]
    (20, 0.25)
    """

    rounds: tuple[tuple[int, float], ...] = ()
    rows: Rows | None = None
    predicted: NDArray[Any] | None = None
    changes: dict[tuple[Any, Any], int] = field(default_factory=dict)
    is_first: bool = True
    n_left: int = 0
    unseen: tuple[Any, ...] = ()

    def to_file(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """What goes into a file: what there is for each row as tensors, predictions as positions among the classes."""
        tensors, classes = {}, None
        if self.rows is not None:
            tensors["rows"] = torch.from_numpy(self.rows)
        if self.predicted is not None:
            classes, codes = encode(self.predicted)
            tensors["codes"] = torch.from_numpy(codes)
        return tensors, {
            "rounds": self.rounds,
            "classes": classes,
            "changes": list(self.changes.items()),  # JSON has no pairs as keys
            "is_first": self.is_first,
            "n_left": self.n_left,
            "unseen": self.unseen,
        }

    @classmethod
    def from_file(cls, tensors: dict[str, torch.Tensor], content: dict[str, Any]) -> Self:
        """What a file has.

        Raises
        ------
        ValueError, TypeError
            For what no criterion has seen.
        """
        content = {**content, "changes": dict(content["changes"])}
        found, classes = {name: tensor.numpy() for name, tensor in tensors.items()}, content.pop("classes")
        if classes is not None:
            if not isinstance(classes, np.ndarray) or classes.ndim != 1 or found["codes"].dtype != np.int32:
                raise TypeError("predictions are positions in a list of classes")
            if not _are_labels(classes.tolist()):
                raise TypeError("classes are texts or numbers")
            if (found["codes"] < 0).any():
                raise ValueError("a prediction has no class")
            content["predicted"] = classes[found["codes"]]
        seen = cls(rows=found.get("rows"), **content)
        if type(seen.rounds) is not tuple or not all(
            type(n) is int and type(value) is float for n, value in seen.rounds
        ):
            raise TypeError("a round is a number of labels and a value")
        counts = [n for n, _ in seen.rounds]
        if any(after <= before for before, after in zip([-1, *counts], counts, strict=False)):
            raise ValueError("the numbers of labels do not grow")
        if type(seen.is_first) is not bool or type(seen.n_left) is not int or seen.n_left < 0:
            raise TypeError("is_first is no truth value, or n_left no number of rows")
        if type(seen.unseen) is not tuple or not _are_labels(seen.unseen):
            raise TypeError("classes without a label are texts or numbers")
        for array in (seen.rows, seen.predicted):
            if array is not None and not (array.ndim == 1 and array.size):
                raise ValueError("rows and predictions are lists")
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


def _are_labels(found: Iterable[Any]) -> bool:
    return all(isinstance(label, str | int | float) for label in found)


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
