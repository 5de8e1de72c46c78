"""The steps of a diffusion on the CPU; only the rows that new labels change are computed."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..neighbors.base import positions_dtype
from ..utils.kernels import compiled, readonly
from ..utils.progress import counted
from ..utils.threads import in_threads
from .kernels import UNREACHED, hear, reach, step, tell
from .nearest import Floats, Ints

Positions = NDArray[np.intp]

_PART_ROWS = 1 << 14  # rows that a thread takes at a time, fewer where they are wide: no call takes a second
_PART_NUMBERS = 1 << 24
_KEPT_BYTES = 1 << 31
_KEPT_SHARE = 4  # of the machine's memory: a quarter of it is kept where that is more
_FEW = 64  # a frontier of fewer rows than this part of all is followed row by row


class KeptSteps:
    """Diffuses labels row by row, and keeps the steps for the next labels. Copies and pickles keep nothing."""

    _known: Positions | None = None
    _labels: Ints | None = None
    _hops: NDArray[np.uint8] | None = None

    def __init__(self, matrix: Any, n_steps: int, incremental: bool | str) -> None:
        self._n_steps = n_steps
        self._incremental = incremental
        self._n_rows = matrix.shape[0]
        self._steps: list[Floats] = []
        self._walks = _parts(matrix)
        # Who hears of a row: the rows with a transition to it.
        heard = matrix.T.tocsr()
        heard.sort_indices()
        same = np.array_equal(heard.indptr, matrix.indptr) and np.array_equal(heard.indices, matrix.indices)
        self._hearers = self._walks[:2] if same else _parts(heard)[:2]

    def diffuse(self, known: Positions, codes: Ints, n_classes: int) -> tuple[torch.Tensor, Positions | None]:
        """Return the hit probabilities after all steps, and the computed rows; None if all rows may have changed."""
        shape = (self._n_rows, -(-n_classes // 4) * 4)  # vector instructions take four numbers and more
        keep = self._incremental
        if keep == "auto":
            keep = 4 * shape[0] * shape[1] * self._n_steps <= _most_kept()
        before, self._known = self._known, None  # what is kept counts again when all of it is up to date
        anew = not keep or before is None or self._labels is None or self._steps[0].shape != shape
        if anew:
            self._steps.clear()
            self._steps += (np.zeros(shape, np.float32) for _ in range(self._n_steps if keep else 2))
            self._labels, before = np.full(self._n_rows, -1, np.int32), known[:0]
        assert before is not None and self._labels is not None  # noqa: PT018
        changed = _relabel(self._labels, before, known, codes)
        rows, hops = self._reached(changed, self._labels)
        current = self._steps[0]
        for t in counted(range(1, self._n_steps + 1), "steps of the diffusion"):
            previous, current = current, self._steps[(t - 1) % len(self._steps)]
            _for_each(rows, step, *self._walks, self._labels, hops, t, previous, current, width=shape[1])
        hops[rows] = UNREACHED
        self._hops = hops
        self._known = known
        self.n_updated = len(rows)
        return torch.from_numpy(current)[:, :n_classes], None if anew else rows

    def _reached(self, changed: Positions, labels: Ints) -> tuple[Positions, NDArray[np.uint8]]:
        """Count the hops from changed labels to the rows that they can change; other labelled rows pass nothing on.

        Returns the rows, in increasing order, and the hops to all rows.
        """
        hops, self._hops = self._hops, None  # which are reset where they were used, if nothing goes wrong
        if hops is None:
            hops = np.full(self._n_rows, UNREACHED, np.uint8)
        hops[changed] = 0
        n_left, found, is_listed = self._n_rows - len(changed), [changed], True
        for t in range(1, self._n_steps + 1):
            if not len(changed) or not n_left:
                break
            # Breadth first, from the side that has fewer rows.
            if len(changed) < self._n_rows // _FEW:
                indptr, indices = self._hearers
                room = np.empty(int((indptr[changed + 1] - indptr[changed]).sum()), np.intp)
                changed = room[: compiled(reach)(changed, indptr, indices, labels, hops, t, room)]
            elif len(changed) < n_left:
                _for_each(changed, tell, *self._hearers, labels, hops, t)
                changed = np.flatnonzero(hops == t)
            else:
                _for_each(np.flatnonzero(hops == UNREACHED), hear, *self._walks[:2], labels, hops, t)
                changed = np.flatnonzero(hops == t)
            n_left -= len(changed)
            found.append(changed)
            is_listed = is_listed and self._n_rows > _FEW * sum(map(len, found))
        rows = np.sort(np.concatenate(found)) if is_listed else np.flatnonzero(hops != UNREACHED)
        return rows, hops

    def walks(self) -> tuple[NDArray[np.int64], Ints, Floats]:
        """The matrix: where the entries of each row begin, their columns, and the entries."""
        return self._walks

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_labels": None, "_known": None, "_hops": None, "_steps": []}


def _relabel(labels: Ints, before: Positions, known: Positions, codes: Ints) -> Positions:
    """Set the labels to those of the known rows, in place, and return the rows whose labels have changed."""
    gone = np.setdiff1d(before, known)
    changed = np.concatenate([gone, known[labels[known] != codes]])
    labels[gone], labels[known] = -1, codes
    return np.sort(changed)


def _most_kept() -> int:
    """The bytes of steps that are kept: more take more time than they save on a machine without the memory."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        total = 0
    return max(_KEPT_BYTES, total // _KEPT_SHARE)


def _parts(matrix: Any) -> tuple[NDArray[np.int64], Ints, Floats]:
    """The arrays of a matrix, without copies where they have their types, so that a mapped graph stays in its file."""
    indices = matrix.indices.astype(positions_dtype(matrix.shape[1]), copy=False)
    return readonly(matrix.indptr.astype(np.int64, copy=False)), readonly(indices), readonly(matrix.data)


def _for_each(rows: Positions, kernel: Callable[..., None], *args: Any, width: int = 1) -> None:
    n_rows = min(_PART_ROWS, max(1, _PART_NUMBERS // width))
    parts = (rows[start : start + n_rows] for start in range(0, len(rows), n_rows))
    in_threads(lambda part: compiled(kernel)(part, *args), parts)
