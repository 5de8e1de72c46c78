"""The nearest other rows of each row of a pool."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.utils import check_array

from ..neighbors import CellIndex, checked_answer, make_index
from ..neighbors.base import Floats, as_float32, positions_dtype
from ..neighbors.on_device import nearest_on_device
from ..neighbors.partitions import nearest_by_partitions
from ..neighbors.products import distances_by_products
from ..neighbors.rule import cells_are_faster, exact_is_fast
from ..utils.checks import check_integer
from ..utils.progress import counted
from ..utils.random import draw_seed

Ints = NDArray[np.integer]

# Up to here all distances take less time than anything else.
_FEW_ROWS = 512
_QUERIES = 1 << 13  # whose neighbours are in memory in float64


def nearest_neighbors(
    X: ArrayLike,
    n_neighbors: int,
    *,
    method: Any = "auto",
    random_state: Any = None,
    device: str | torch.device = "cpu",
) -> tuple[Floats, Ints]:
    r"""Find the nearest other rows of every row.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Finite rows, compared in float32.
    n_neighbors : int
        Neighbours per row, without the row itself. All other rows if there are fewer.
    method : {"auto", "exact", "approximate"} or object, default="auto"
        "exact" compares all rows, by matrix products or, if they have few columns, by a `CellIndex`. "approximate"
        finds more than 0.95 of the neighbours on average; up to about 4000 rows it is exact as well. "auto" is exact if
        this takes no longer (see Notes). An object is an index or a transformer, see :func:`skal.neighbors.make_index`;
        its distances are in its own metric.
    random_state : int, RandomState instance or None, default=None
        Decides the approximate neighbours.
    device : str or torch.device, default="cpu"
        The device that searches exact neighbours; they are the same on every device.

    Returns
    -------
    distances : ndarray of shape (n_samples, n_neighbors), dtype float32
        Euclidean distances, ascending.
    indices : ndarray of shape (n_samples, n_neighbors), dtype int32 or int64
        Positions of the neighbours; int64 for more than 2**31 - 1 rows.

    Raises
    ------
    ValueError
        For NaN or infinity, numbers that float32 cannot hold, no rows, another `method`, an `n_neighbors` that is
        not a positive integer, or an object that finds too few neighbours, or positions that are not rows of the pool.
    TypeError
        For an object that is not an index.

    Warns
    -----
    UserWarning
        If the search finds too few of the nearest rows, estimated from a sample of the rows.

    Notes
    -----
    "auto" is exact for N rows of d columns and K neighbours if

    .. math:: N (0.5 + 0.012 d) \le 6000 + 4 w (1 + 0.01 \min(d, 64)) + K (350 + 6 d), \quad w = \max(1024, 16 K).

    Both sides are nanoseconds per row, measured once on two cores; they are fixed, so that the choice is the same on
    every machine. For K = 10, the limit is about 17,000 rows of 50 columns, or 6,400 rows of 768.

    For approximate neighbours, rows are compared within several k-means partitions of the pool, by their principal
    components if they have many columns, and then measured in the given space. A sample of the rows, whose neighbours
    are searched exactly, tells when enough have been found.

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
    is_named = isinstance(method, str)
    if is_named and method not in ("auto", "exact", "approximate"):
        raise ValueError(
            f'method={method!r} was given; use "auto", "exact", "approximate" or an object with kneighbors'
        )
    X = as_float32(check_array(X, dtype="numeric"))
    k = min(check_integer("n_neighbors", n_neighbors), len(X) - 1)
    if not is_named:
        return _nearest_by_index(X, k, make_index(method, random_state))
    if method != "approximate" and len(X) <= _FEW_ROWS:
        return _nearest_of_few(X, k)
    if k == 0:
        return np.empty((len(X), 0), np.float32), np.empty((len(X), 0), np.int32)
    if method == "auto":
        method = "exact" if exact_is_fast(len(X), X.shape[1], k) else "approximate"
    if method == "approximate":
        return nearest_by_partitions(X, k, draw_seed(random_state))
    if torch.device(device).type != "cpu":
        return nearest_on_device(X, k, torch.device(device))
    if cells_are_faster(len(X), X.shape[1]):
        return _nearest_by_index(X, k, CellIndex(random_state=0))
    return distances_by_products(X, k)


def _nearest_of_few(X: Floats, k: int) -> tuple[Floats, Ints]:
    """The same by comparing all pairs of rows."""
    distances = cdist(X, X)
    np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, indices, axis=1).astype(np.float32), indices.astype(np.int32)


def _nearest_by_index(X: Floats, k: int, index: Any) -> tuple[Floats, Ints]:
    """The same with an index, by one search for all rows of a part."""
    index = index.fit(X)
    distances = np.empty((len(X), k), np.float32)
    indices = np.empty((len(X), k), positions_dtype(len(X)))
    rows = np.arange(len(X))
    if isinstance(index, CellIndex):  # the neighbours of the rows of a cell are searched for together
        rows = index.rows_[index.rows_ >= 0]
    for start in counted(range(0, len(rows), _QUERIES), "blocks of neighbours"):
        part = rows[start : start + _QUERIES]
        answer = checked_answer(index.kneighbors(X[part], n_neighbors=k + 1), len(part), k + 1, len(X))
        _without_self(*answer, part, distances, indices)
    return distances, indices


def _without_self(found_distances: Any, found: Any, rows: Any, distances: Floats, indices: Ints) -> None:
    """Store the nearest of the rows found for some rows, and their distances, without these rows themselves."""
    k = indices.shape[1]
    others = found != rows[:, None]
    # Among many duplicates a row may not be among its own nearest; then the farthest goes.
    others[others.all(axis=1), -1] = False
    indices[rows] = found[others].reshape(len(rows), k)
    distances[rows] = found_distances[others].reshape(len(rows), k)
