"""The nearest other rows of each row of a pool."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.utils import check_array

from ..neighbors import CellIndex
from ..neighbors.base import Floats, as_float32
from ..neighbors.graph_index import SMALL_POOL, build_graph
from ..utils.checks import check_integer
from ..utils.random import draw_seed

Ints = NDArray[np.int32]

# Up to here all distances take less time than an index.
_FEW_ROWS = 512
# Up to here exact neighbours take less time than pynndescent's compilation.
_EXACT_ROWS = 200_000
_QUERIES = 1 << 13  # whose neighbours are in memory in float64


def nearest_neighbors(
    X: ArrayLike, n_neighbors: int, *, method: str = "auto", random_state: Any = None
) -> tuple[Floats, Ints]:
    """Find the nearest other rows of every row.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Finite rows, compared in float32.
    n_neighbors : int
        Neighbours per row, which does not count itself. All other rows where there are fewer.
    method : {"auto", "exact", "approximate"}, default="auto"
        "exact" is a `CellIndex`. "approximate" is nearest-neighbour descent with pynndescent, whose first call on a
        machine compiles for a minute; up to 4096 rows it is exact as well. "auto" is exact up to 200,000 rows.
    random_state : int, RandomState instance or None, default=None
        Decides the approximate neighbours.

    Returns
    -------
    distances : ndarray of shape (n_samples, n_neighbors), dtype float32
        Euclidean distances, ascending.
    indices : ndarray of shape (n_samples, n_neighbors), dtype int32
        Positions of the neighbours.

    Raises
    ------
    ValueError
        For NaN or infinity, numbers that float32 cannot hold, no rows, another `method`, or an `n_neighbors` that is
        not a positive integer.

    Examples
    --------
    >>> from skal.graph import nearest_neighbors
    >>> distances, indices = nearest_neighbors([[0.0], [1.0], [3.0], [3.5]], n_neighbors=2)
    >>> indices
    array([[1, 2],
           [0, 2],
           [3, 1],
           [2, 1]], dtype=int32)
    """
    if method not in ("auto", "exact", "approximate"):
        raise ValueError(f'method={method!r} was given; use "auto", "exact" or "approximate"')
    X = as_float32(check_array(X, dtype="numeric"))
    k = min(check_integer("n_neighbors", n_neighbors), len(X) - 1)
    if method != "approximate" and len(X) <= _FEW_ROWS:
        return _nearest_of_few(X, k)
    distances, indices = np.empty((len(X), k), np.float32), np.empty((len(X), k), np.int32)
    if len(X) > {"auto": _EXACT_ROWS, "exact": np.inf, "approximate": SMALL_POOL}[method]:
        # Some more neighbours cost little and make the nearest ones right.
        graph = build_graph(X, draw_seed(random_state), min(k + 5, len(X)))
        _without_self(graph.neighbor_graph, np.arange(len(X)), distances, indices)
        rows = np.flatnonzero((indices < 0).any(axis=1))  # it has found too few for these
        if not len(rows):
            return distances, indices
        index = CellIndex(random_state=0).fit(X)
    else:
        index = CellIndex(random_state=0).fit(X)
        rows = index.rows_[index.rows_ >= 0]  # the neighbours of the rows of a cell are searched for together
    for start in range(0, len(rows), _QUERIES):
        part = rows[start : start + _QUERIES]
        _without_self(index.kneighbors(X[part], k + 1)[::-1], part, distances, indices)
    return distances, indices


def _nearest_of_few(X: Floats, k: int) -> tuple[Floats, Ints]:
    """The same by comparing all pairs of rows."""
    distances = cdist(X, X)
    np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, indices, axis=1).astype(np.float32), indices.astype(np.int32)


def _without_self(answer: tuple[Any, Any], rows: Any, distances: Floats, indices: Ints) -> None:
    """Store the nearest of the rows found for some rows, and their distances, without these rows themselves."""
    k = indices.shape[1]
    found, found_distances = (part[:, : k + 1] for part in answer)
    others = found != rows[:, None]
    # Among many duplicates a row may not be among its own nearest; then the farthest goes.
    others[others.all(axis=1), -1] = False
    indices[rows] = found[others].reshape(len(rows), k)
    distances[rows] = found_distances[others].reshape(len(rows), k)
