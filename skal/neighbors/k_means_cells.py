"""k-means cells of a pool: rows are compared within their own cell and the nearest cells."""

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from ..utils.kernels import compiled
from ..utils.progress import counted
from ..utils.threads import in_threads, one_blas_thread
from .base import Floats
from .cells import lloyd, nearest
from .pairs import select
from .products import Centered, Positions, padded

CELL_ROWS = 256  # on average
_FLAT_CELLS = 1024  # more are cut in two steps, whose time does not grow with their number
_SAMPLE_PER_CELL = 16
_N_LLOYD = 4
_BLOCK_ROWS = 4096
_BLOCK_PRODUCTS = 1 << 19  # which fit into a core's cache
_LEAST_QUERIES = 64


class KMeansCells:
    """k-means cells of a pool, whose rows are compared with those of their own and of the nearest cells.

    Parameters
    ----------
    points : Centered
        The rows as they are compared.
    width : int
        The number of rows with which each row is compared.
    rng : numpy.random.Generator
        Draws the rows that k-means sees.

    Attributes
    ----------
    order : ndarray of int of shape (n_samples,)
        The rows, cell by cell.
    """

    def __init__(self, points: Centered, width: int, rng: np.random.Generator) -> None:
        self._points, self._width = points, width
        everything = np.arange(len(points.X))
        self.order, self._starts, centers = _cut(points, everything, _n_cells(len(everything)), rng)
        n_near = min(len(centers), 4 * width // CELL_ROWS + 1)
        means = torch.from_numpy(centers)
        near = [
            torch.cdist(part, means).topk(n_near, largest=False).indices
            for part in counted(means.split(_BLOCK_ROWS), "blocks of cells")
        ]
        self._near = torch.cat(near).numpy()

    @one_blas_thread
    def compare(
        self, X: Floats, scale: float, n_measured: int, sq: Floats, found: NDArray[np.integer]
    ) -> None:
        """Put nearer rows into the lists of neighbours.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The rows, whose distances count.
        scale : float
            An upper bound of the factor from distances in X to distances in `points`.
        n_measured : int
            How many of the nearest rows among `points` are measured, per row.
        sq, found : ndarray of shape (n_samples, k)
            The lists: squared distances and positions, changed in place.
        """
        kernel = compiled(select, any_order=True)
        step = max(_LEAST_QUERIES, min(2 * CELL_ROWS, _BLOCK_PRODUCTS // self._width))

        def search(part: tuple[int, int, int]) -> None:
            rows, ids = self.order[part[1] : part[2]], self._candidates(*part)
            queries, own = self._points.points(rows)
            others, halves = self._points.points(ids)
            kernel(X, rows, ids, queries @ others.T, own, halves, scale, n_measured, sq, found)

        in_threads(
            search,
            [
                (cell, first, min(first + step, stop))
                for cell, (start, stop) in enumerate(pairwise(self._starts))
                for first in range(start, stop, step)
            ],
            unit="blocks of neighbours",
        )

    def _candidates(self, cell: int, first: int, last: int) -> Positions:
        """Return the rows that those between two places of the order are compared with."""
        start, stop = self._starts[cell], self._starts[cell + 1]
        if stop - start > self._width:  # a window of a cell that is too large, of many equal rows for one
            start = min(max(start, (first + last - self._width) // 2), stop - self._width)
            stop = start + self._width
        spans, n_left = [self.order[start:stop]], self._width - (stop - start)
        for other in self._near[cell]:
            if n_left <= 0:
                break
            if other != cell:
                spans.append(self.order[self._starts[other] : self._starts[other + 1]][:n_left])
                n_left -= len(spans[-1])
        return padded(np.concatenate(spans))


def _n_cells(n_rows: int) -> int:
    return max(1, round(n_rows / CELL_ROWS))


def _cut(
    points: Centered, rows: Positions, n_cells: int, rng: np.random.Generator
) -> tuple[Positions, Positions, Floats]:
    """Return rows cell by cell, where the cells begin and end, and their means."""
    if n_cells > _FLAT_CELLS:
        order, starts, _ = _cut(points, rows, round(n_cells**0.5), rng)
        parts = [
            _cut(points, part, min(_n_cells(len(part)), _FLAT_CELLS), rng)
            for part in counted(np.split(order, starts[1:-1]), "groups of cells")
        ]
        orders, all_starts, centers = zip(*parts, strict=True)
        sizes = np.concatenate([np.diff(each) for each in all_starts])
        return np.concatenate(orders), np.append(0, np.cumsum(sizes)), np.concatenate(centers)
    sample = rng.choice(rows, min(len(rows), _SAMPLE_PER_CELL * n_cells), replace=False)
    seen = torch.from_numpy(points.points(sample)[0])
    means = lloyd(seen, seen[:n_cells], _N_LLOYD)
    cells = np.empty(len(rows), np.int32)
    for start in counted(range(0, len(rows), _BLOCK_ROWS), "blocks of rows in cells"):
        part = slice(start, start + _BLOCK_ROWS)
        cells[part] = nearest(torch.from_numpy(points.points(rows[part])[0]), means).numpy()
    used, sizes = np.unique(cells, return_counts=True)  # equal means leave cells empty
    return rows[np.argsort(cells, kind="stable")], np.append(0, np.cumsum(sizes)), means.numpy()[used]
