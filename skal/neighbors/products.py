"""Exact nearest other rows by blocked matrix products, for any number of columns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.kernels import compiled
from ..utils.threads import in_threads, one_blas_thread
from .base import Floats, positions_dtype
from .pairs import LANES, gather, measure, scan

Positions = NDArray[np.intp]

_PART_ROWS = 1 << 13  # whose neighbours are in memory in float64
_QUERIES, _CANDIDATES = 1024, 512  # of a product, which fits into a core's cache


class Centered:
    """Rows minus their mean, in units of their largest coordinate, so that squares and products fit into float32.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
    shift : ndarray of shape (n_features,), default=None
        Another vector in place of the mean.
    scale : float, default=None
        Another factor.
    """

    def __init__(
        self, X: Floats, shift: NDArray[np.float64] | None = None, scale: float | None = None
    ) -> None:
        self.X = X
        self.shift = X.mean(axis=0, dtype=np.float64) if shift is None else shift
        if scale is None:
            reach = max(float((X.max(axis=0) - self.shift).max()), float((self.shift - X.min(axis=0)).max()))
            scale = float(2.0 ** -np.ceil(np.log2(reach))) if reach > 0 else 1.0  # it rounds nothing
        self.scale = scale

    def points(self, rows: Positions) -> tuple[Floats, Floats]:
        """Return some rows, with zeros for -1, and half their squared norms, with infinity for -1."""
        points, halves = np.empty((len(rows), self.X.shape[1]), np.float32), np.empty(len(rows), np.float32)
        compiled(gather)(self.X, rows, self.shift, self.scale, points, halves)
        return points, halves


def distances_by_products(X: Floats, k: int) -> tuple[Floats, NDArray[Any]]:
    """Return the distances to the nearest other rows of all rows, and their positions, part by part.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
    k : int

    Returns
    -------
    distances : ndarray of shape (n_samples, k), dtype float32
    found : ndarray of shape (n_samples, k), dtype int32 or int64
    """
    n_samples = len(X)
    distances = np.empty((n_samples, k), np.float32)
    found = np.empty((n_samples, k), positions_dtype(n_samples))
    for start in range(0, n_samples, _PART_ROWS):
        part = slice(start, start + _PART_ROWS)
        sq, found[part] = nearest_by_products(X, np.arange(n_samples)[part], k)
        distances[part] = np.sqrt(sq, out=sq)
    return distances, found


def rounding(n_features: int) -> float:
    """Return twice the largest error of centring, norms and a product in float32, as a share of the norms."""
    return (n_features + 32) * 2.0**-23


def padded(rows: Positions) -> Positions:
    """Return rows, padded with as many -1 as the kernels need."""
    return np.append(rows, np.full(-len(rows) % LANES, -1, rows.dtype))


@one_blas_thread
def nearest_by_products(X: Floats, rows: Positions, k: int) -> tuple[NDArray[np.float64], Positions]:
    r"""Find the nearest other rows of some rows; among equal distances, those with the lower positions.

    .. math:: \lVert x_i - x_j \rVert^2 = \lVert x_i \rVert^2 + \lVert x_j \rVert^2 - 2 x_i \cdot x_j

    rules out nearly all rows, by products in float32 and a bound of their rounding error. The others are measured in
    float64.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        Finite rows.
    rows : ndarray of int of shape (n_queries,)
        Positions of the rows whose neighbours are searched.
    k : int
        Less than the number of rows.

    Returns
    -------
    sq_distances : ndarray of shape (n_queries, k), dtype float64
    found : ndarray of shape (n_queries, k), dtype intp
    """
    centered = Centered(X)
    sq, found = np.full((len(rows), k), np.inf), np.full((len(rows), k), -1, np.intp)
    slack = rounding(X.shape[1])
    size = min(_QUERIES, max(1, -(-len(rows) // 2)))
    stop = np.zeros(1, np.bool_)

    def search(start: int) -> None:
        part = slice(start, start + size)
        queries, own = centered.points(rows[part])
        for first in range(0, len(X), _CANDIDATES):
            if stop[0]:
                return
            ids = padded(np.arange(first, min(first + _CANDIDATES, len(X))))
            points, halves = centered.points(ids)
            halves *= np.float32(1 - slack)
            products = queries @ points.T
            compiled(scan, any_order=True)(
                X, rows[part], ids, products, own, halves, centered.scale, slack, sq[part], found[part]
            )
        compiled(measure)(X, rows[part], found[part], sq[part])

    in_threads(search, range(0, len(rows), size), stop, unit="blocks of neighbours")
    return sq, found
