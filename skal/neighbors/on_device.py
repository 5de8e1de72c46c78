"""Exact nearest other rows by blocked matrix products on a torch device."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..utils.kernels import compiled
from ..utils.progress import counted
from .base import Floats, positions_dtype
from .pairs import measure
from .products import Centered, Positions, nearest_by_products, rounding

_QUERIES, _CANDIDATES = 2048, 1 << 15  # of a product: a quarter of a gigabyte
_SPARE = 6  # more rows than are asked for, which make it certain that no nearer one was passed over
# What products in other precisions round off their factors: those of TF32 and of bfloat16.
_COARSE = {"highest": 0.0, "high": 2.0**-9, "medium": 2.0**-6}


def nearest_on_device(X: Floats, k: int, device: torch.device) -> tuple[Floats, NDArray[Any]]:
    """Find the nearest other rows of all rows; among equal distances, those with the lower positions.

    Products in float32 with a running top k choose a few more rows than are asked for, which are measured in float64.
    If a row that was not chosen may be as near as the farthest neighbour found, as with many equal distances,
    `nearest_by_products` does the search.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        Finite rows.
    k : int
        Less than the number of rows.
    device : torch.device

    Returns
    -------
    distances : ndarray of shape (n_samples, k), dtype float32
    found : ndarray of shape (n_samples, k), dtype int32 or int64
    """
    centered, n_samples = Centered(X), len(X)
    slack = rounding(X.shape[1]) + _COARSE[torch.get_float32_matmul_precision()]
    everything = np.arange(n_samples)
    own, rows = centered.points(everything)[1].astype(np.float64), torch.from_numpy(everything)
    points = torch.empty(X.shape, device=device)
    for start in range(0, n_samples, _QUERIES):
        part = everything[start : start + _QUERIES]
        points[start : start + len(part)] = torch.from_numpy(centered.points(part)[0]).to(device)
    halves = torch.from_numpy((own * (1 - slack)).astype(np.float32)).to(device)
    rows = rows.to(device)
    kept = min(k + _SPARE, n_samples - 1)
    distances = np.empty((n_samples, k), np.float32)
    found = np.empty((n_samples, k), positions_dtype(n_samples))
    certain = np.ones(n_samples, np.bool_)
    for start in counted(range(0, n_samples, _QUERIES), "blocks of neighbours"):
        where = slice(start, min(start + _QUERIES, n_samples))
        values, chosen = _chosen(points, halves, rows[where], kept)
        sq = np.full(chosen.shape, np.inf)
        compiled(measure)(X, everything[where], chosen, sq)
        if kept < n_samples - 1:
            least = 2 * (values.astype(np.float64) + own[where] * (1 - slack))  # of a row that was not chosen
            certain[where] = sq[:, k - 1] * centered.scale**2 < least
        distances[where], found[where] = np.sqrt(sq[:, :k]), chosen[:, :k]
    doubtful = np.flatnonzero(~certain)
    if len(doubtful):
        sq, found[doubtful] = nearest_by_products(X, doubtful, k)
        distances[doubtful] = np.sqrt(sq)
    return distances, found


def _chosen(
    points: torch.Tensor, halves: torch.Tensor, rows: torch.Tensor, kept: int
) -> tuple[Floats, Positions]:
    """Return the rows of the lowest values for each query, and the highest of these values."""
    best = torch.full((len(rows), kept), torch.inf, device=points.device)
    where = torch.zeros(len(rows), kept, dtype=torch.long, device=points.device)
    for first in range(0, len(points), _CANDIDATES):
        part = points[first : first + _CANDIDATES]
        values = torch.addmm(halves[first : first + len(part)], points[rows], part.T, alpha=-1)
        own = (rows >= first) & (rows < first + len(part))
        values[own.nonzero()[:, 0], rows[own] - first] = torch.inf
        near, places = values.topk(min(kept, len(part)), largest=False)
        values, places = torch.cat([best, near], dim=1), torch.cat([where, places + first], dim=1)
        best, order = values.topk(kept, largest=False)
        where = places.gather(1, order)
    return best.amax(dim=1).cpu().numpy(), where.cpu().numpy()
