"""The cells of an index: k-means on a sample of the pool."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..utils.progress import counted, reported
from .base import Floats, as_float32

_BLOCK_ROWS = 4096
_BLOCK_PRODUCTS = 1 << 24  # of rows with means
_SAMPLE_PER_CELL = 32
_N_LLOYD = 5
_FLAT_CELLS = 1024  # more are cut in two steps: a row is compared with about two roots of their number


def cut(X: NDArray[Any], n_cells: int, rng: np.random.Generator) -> tuple[NDArray[Any], ...]:
    """Return centers of k-means, the cell of each row, and the distance of each row to its center in float64.

    Only the distances must be right: the bounds of the search hold for any centers and any cells.
    """
    sample = np.sort(rng.choice(len(X), min(len(X), _SAMPLE_PER_CELL * n_cells), replace=False))
    points = torch.from_numpy(as_float32(X[sample])).double()
    # Numbers of any size take part, without overflow.
    shift = points.mean(dim=0)
    scale = (points - shift).abs().max().clamp(min=np.finfo(np.float64).tiny)

    def scaled(block: torch.Tensor) -> torch.Tensor:
        return ((block - shift) / scale).float()

    means, cells_of = _k_means(scaled(points)[torch.from_numpy(rng.permutation(len(points)))], n_cells)
    centers = (means.double() * scale + shift).float()

    cells, radii = np.empty(len(X), dtype=np.int32), np.empty(len(X))
    for rows, where in float_blocks(X, "rows in cells"):
        block = torch.from_numpy(rows).double()
        labels = cells_of(scaled(block))
        cells[where] = labels.numpy()
        radii[where] = (block - centers[labels].double()).square().sum(dim=1).sqrt().numpy()
    used, cells[:] = np.unique(cells, return_inverse=True)
    return centers.numpy()[used], cells, radii


def _k_means(
    points: torch.Tensor, n_cells: int
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Return the means of points in random order, and a function that finds the cells of others."""
    if n_cells <= _FLAT_CELLS:
        means = lloyd(points, points[:n_cells], _N_LLOYD)
        return means, lambda block: nearest(block, means)

    roots = lloyd(points, points[: round(n_cells**0.5)], _N_LLOYD)
    parts = []
    groups = zip(roots, _members(points, roots), strict=True)
    for root, members in counted(groups, "groups of cells", len(roots)):
        n_own = max(1, len(members) * n_cells // len(points))
        own = points[members]
        parts.append(lloyd(own, own[:n_own], _N_LLOYD) if len(own) else root[None])
    first = np.cumsum([0, *map(len, parts)])

    def cells_of(block: torch.Tensor) -> torch.Tensor:
        cells = torch.empty(len(block), dtype=torch.long)
        for part, start, members in zip(parts, first, _members(block, roots), strict=False):
            cells[members] = nearest(block[members], part) + start
        return cells

    return torch.cat(parts), cells_of


def _members(points: torch.Tensor, means: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return which points are nearest to each mean."""
    labels = nearest(points, means)
    return labels.argsort(stable=True).split(torch.bincount(labels, minlength=len(means)).tolist())


def lloyd(points: torch.Tensor, means: torch.Tensor, n_rounds: int) -> torch.Tensor:
    """Return the means of cells after some rounds of Lloyd's algorithm; an empty cell keeps its mean."""
    for _ in counted(range(n_rounds), "rounds of k-means"):
        labels = nearest(points, means)
        counts = torch.bincount(labels, minlength=len(means))
        sums = torch.zeros_like(means).index_add_(0, labels, points)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)
    return means


def nearest(points: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    """Return the nearest mean of each point."""
    norms = means.square().sum(dim=1) / 2
    blocks = points.split(max(1, min(_BLOCK_ROWS, _BLOCK_PRODUCTS // len(means))))
    return torch.cat([torch.addmm(norms, block, means.T, alpha=-1).argmin(dim=1) for block in blocks])


def float_blocks(X: NDArray[Any], unit: str) -> Iterator[tuple[Floats, slice]]:
    """Yield blocks of rows in float32, and their places; progress is reported in units of `unit`."""
    places = (slice(start, start + _BLOCK_ROWS) for start in range(0, len(X), _BLOCK_ROWS))
    blocks = ((as_float32(X[where]), where) for where in places)
    return reported(blocks, len(X), lambda pair: len(pair[0]), unit)
