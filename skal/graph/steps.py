"""The steps of a diffusion on the CPU, of which only those that new labels change are computed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..neighbors.base import positions_dtype
from ..neighbors.cell_files import readonly
from ..utils.kernels import compiled
from ..utils.threads import in_threads
from .kernels import UNREACHED, hear, step, tell
from .nearest import Floats, Ints

_PART_ROWS = 1 << 14  # rows that a thread takes at a time, fewer where they are wide: no call takes a second
_PART_NUMBERS = 1 << 24
_KEPT_BYTES = 1 << 31


class KeptSteps:
    """Diffuses labels row by row, and keeps the steps for the next labels. Copies and pickles keep nothing."""

    _labels: Ints | None = None

    def __init__(self, matrix: Any, n_steps: int, incremental: bool | str) -> None:
        self._n_steps = n_steps
        self._incremental = incremental
        self._steps: list[Floats] = []
        self._walks = _parts(matrix)
        # Who hears of a row: the rows with a transition to it.
        heard = matrix.T.tocsr()
        heard.sort_indices()
        same = np.array_equal(heard.indptr, matrix.indptr) and np.array_equal(heard.indices, matrix.indices)
        self._hearers = self._walks[:2] if same else _parts(heard)[:2]

    def diffuse(self, labels: Ints, n_classes: int) -> tuple[torch.Tensor, int]:
        """Return the hit probabilities after all steps, and the number of rows that were computed."""
        shape = (len(labels), -(-n_classes // 4) * 4)  # vector instructions take four numbers and more
        keep = self._incremental
        if keep == "auto":
            keep = 4 * shape[0] * shape[1] * self._n_steps <= _KEPT_BYTES
        before, self._labels = self._labels, None  # what is kept counts again when all of it is up to date
        if not keep or before is None or self._steps[0].shape != shape:
            self._steps.clear()
            before = np.full_like(labels, -1)
            self._steps += (np.zeros(shape, np.float32) for _ in range(self._n_steps if keep else 2))
        hops = self._hops(np.flatnonzero(labels != before), labels)
        rows = np.flatnonzero(hops != UNREACHED)
        current = self._steps[0]
        for t in range(1, self._n_steps + 1):
            previous, current = current, self._steps[(t - 1) % len(self._steps)]
            _for_each(rows, step, *self._walks, labels, hops, t, previous, current, width=shape[1])
        self._labels = labels
        return torch.from_numpy(current)[:, :n_classes], len(rows)

    def _hops(self, changed: NDArray[np.intp], labels: Ints) -> NDArray[np.uint8]:
        """Count the hops from changed labels to the rows that they can change; other labelled rows pass nothing on."""
        hops = np.full(len(labels), UNREACHED, np.uint8)
        hops[changed] = 0
        n_left = len(labels) - len(changed)
        for t in range(1, self._n_steps + 1):
            if not len(changed) or not n_left:
                break
            # Breadth first, from the side that has fewer rows.
            if len(changed) < n_left:
                _for_each(changed, tell, *self._hearers, labels, hops, t)
            else:
                _for_each(np.flatnonzero(hops == UNREACHED), hear, *self._walks[:2], labels, hops, t)
            changed = np.flatnonzero(hops == t)
            n_left -= len(changed)
        return hops

    def walks(self) -> tuple[NDArray[np.int64], Ints, Floats]:
        """The matrix: where the entries of each row begin, their columns, and the entries."""
        return self._walks

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_labels": None, "_steps": []}


def _parts(matrix: Any) -> tuple[NDArray[np.int64], Ints, Floats]:
    """The arrays of a matrix, without copies where they have their types, so that a mapped graph stays in its file."""
    indices = matrix.indices.astype(positions_dtype(matrix.shape[1]), copy=False)
    return readonly(matrix.indptr.astype(np.int64, copy=False)), readonly(indices), readonly(matrix.data)


def _for_each(rows: NDArray[np.intp], kernel: Callable[..., None], *args: Any, width: int = 1) -> None:
    n_rows = min(_PART_ROWS, max(1, _PART_NUMBERS // width))
    parts = (rows[start : start + n_rows] for start in range(0, len(rows), n_rows))
    in_threads(lambda part: compiled(kernel)(part, *args), parts)
