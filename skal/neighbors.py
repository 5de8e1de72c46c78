"""Nearest rows of a pool: an exact index that skips most rows, an approximate one, matching without replacement.

An index is any object with scikit-learn's ``fit(X)`` and ``kneighbors(X, n_neighbors)``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from .exceptions import ModelFileError
from .training.files import map_file, write_file
from .utils.random import draw_seed

__all__ = ["CellIndex", "GraphIndex", "make_index", "match"]

Floats = NDArray[np.floating]
Rows = NDArray[np.intp]
Answer = tuple[NDArray[np.float64], Rows]

_WIDTH = 32  # rows of a chunk, the lanes of the kernel: as many sums as the registers of AVX2 hold
_NEAREST_CELLS = 8  # searched first, in order of distance; they hold the answer nearly always
_GROUP = 64  # queries that are searched for together
_BLOCK_ROWS = 4096
_SAMPLE_PER_CELL = 32
_N_LLOYD = 5
_SMALL_POOL = 4096
_MAX_ANSWERS = 1 << 22  # numbers that are in memory at a time


class CellIndex(BaseEstimator):
    """Exact nearest rows in less than linear time, by cells that the triangle inequality rules out.

    The pool is cut into k-means cells. A query measures its distance to all centers and searches the nearest cells
    first; of the others, it skips all parts that the best distance found so far cannot reach. What is left is
    given up column by column, so that features whose variance falls from the first on, as those of a PCA do, are
    fastest. All bounds leave room for rounding: the answer is that of a comparison of all distances in float64.

    Parameters
    ----------
    n_cells : int or "auto", default="auto"
        Number of k-means cells, of which empty ones are dropped. "auto" takes the square root of the number of rows.
        Any number gives the same answers.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that k-means sees. Any gives the same answers.

    Attributes
    ----------
    n_samples_fit_ : int
        Rows of the pool.
    n_features_in_ : int
        Columns.
    centers_ : ndarray of shape (n_cells, n_features), dtype float32
        Centers of the cells.
    first_chunk_ : ndarray of shape (n_cells + 1,), dtype int64
        Where the chunks of every cell start and stop.
    shells_ : ndarray of shape (n_chunks, 2), dtype float32
        Least and largest distance of a chunk's rows to the center of their cell.
    features_ : ndarray of shape (n_chunks, n_features, 32), dtype float32
        The rows, ordered by cell and by distance to its center, in chunks of 32 that lie column by column. The last
        chunk of a cell is filled with infinity.
    rows_ : ndarray of shape (n_chunks, 32), dtype int32 or int64
        Positions in the pool, -1 where a chunk is filled.

    Notes
    -----
    The row x of a cell with center c is at least ``abs(d(q, c) - d(x, c))`` away from the query q. Nothing of the
    pool's size is kept but the features and the position of every row, 204 bytes for 50 features; filling adds about
    16 rows a cell. `fit` reads its rows three times, block by block, and makes no other copy of them.

    Distances are the roots of sums in float64, column after column, of squared differences of float32 features.
    Equal ones are in order of position.

    Examples
    --------
    >>> from skal.neighbors import CellIndex
    >>> index = CellIndex(random_state=0).fit([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [9.0, 9.0]])
    >>> distances, rows = index.kneighbors([[0.0, 0.0]], n_neighbors=3)
    >>> rows
    array([[0, 2, 1]])
    >>> distances
    array([[0., 0., 5.]])
    """

    _parameter_constraints: dict = {
        "n_cells": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "random_state": ["random_state"],
    }
    _arrays = ("centers_", "first_chunk_", "shells_", "features_", "rows_")

    centers_: NDArray[np.float32]
    first_chunk_: NDArray[np.int64]
    shells_: NDArray[np.float32]
    features_: NDArray[np.float32]
    rows_: NDArray[np.signedinteger]
    n_features_in_: int

    def __init__(
        self, n_cells: int | str = "auto", *, random_state: int | np.random.RandomState | None = None
    ) -> None:
        self.n_cells = n_cells
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Build the cells.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The pool. Other numbers than float32 are cast block by block; a `numpy.memmap` is read block by block.
        y : None
            Ignored.

        Returns
        -------
        self : CellIndex

        Raises
        ------
        ValueError
            For NaN or infinity, also in float32, for no rows, or another number of dimensions than two.
        """
        pool: NDArray[Any] = validate_data(self, X, dtype="numeric")
        n_samples = len(pool)
        n_cells = round(n_samples**0.5) if self.n_cells == "auto" else int(self.n_cells)
        rng = np.random.default_rng(draw_seed(self.random_state))
        centers, cells, radii = _cut(pool, min(n_cells, n_samples), rng)

        sizes = np.bincount(cells, minlength=len(centers))
        first_chunk = np.concatenate([[0], np.cumsum(-(-sizes // _WIDTH))])
        order = np.lexsort((radii, cells))
        starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
        # Where every row goes: the chunks of its cell, and its rank there.
        places = np.empty(n_samples, dtype=np.int64)
        ranked = cells[order]
        places[order] = first_chunk[ranked] * _WIDTH + np.arange(n_samples) - starts[ranked]

        shape = (int(first_chunk[-1]), _WIDTH)
        rows = np.full(shape, -1, dtype=np.int32 if n_samples < 2**31 else np.int64)
        rows.ravel()[places] = np.arange(n_samples)
        features = np.full((shape[0], pool.shape[1], _WIDTH), np.inf, dtype=np.float32)
        for block, where in _float_blocks(pool):
            chunk, lane = np.divmod(places[where], _WIDTH)
            features[chunk, :, lane] = block
        shells = np.empty((shape[0], 2))
        shells[:, 0] = radii[rows[:, 0]]
        shells[:, 1] = np.where(rows >= 0, radii[rows], 0).max(axis=1)

        self.n_samples_fit_ = n_samples
        self.centers_ = centers
        self.first_chunk_ = first_chunk
        # Rounded outwards, so that float32 shells hold all their rows.
        with np.errstate(over="ignore"):
            self.shells_ = np.nextafter(shells.astype(np.float32), np.array([-np.inf, np.inf], np.float32))
        self.features_ = features
        self.rows_ = rows
        return self

    def kneighbors(self, X: ArrayLike, n_neighbors: int = 1) -> Answer:
        """Find the nearest rows of the pool.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Queries; compared in float32.
        n_neighbors : int, default=1
            Between 1 and the number of rows of the pool.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), dtype float64
            Euclidean distances, ascending.
        indices : ndarray of shape (n_queries, n_neighbors), dtype intp
            Positions in the pool; of equal distances the lower one first.

        Raises
        ------
        NotFittedError
            If the index is not fitted.
        ValueError
            For NaN or infinity, another number of columns, or an `n_neighbors` that is not in the range.
        """
        return self._available_neighbors(*_check_query(self, X, n_neighbors))

    def _available_neighbors(
        self, queries: Floats, k: int, available: NDArray[np.bool_] | None = None
    ) -> Answer:
        """Return the nearest available rows; -1 at infinity where fewer than k are."""
        sq_distances = np.full((len(queries), k), np.inf)
        rows = np.full((len(queries), k), -1, dtype=np.intp)
        search = _compiled_search()
        parts = [_readonly(getattr(self, name)) for name in self._arrays]
        # Sums over all cells run along the cells.
        parts[0] = _readonly(np.ascontiguousarray(parts[0].T))
        mask = _readonly(np.ones(0, dtype=np.bool_) if available is None else available)
        # Queries of a group share what they read; every thread gets one group at least.
        n_threads = min(torch.get_num_threads(), len(queries))
        size = min(-(-len(queries) // n_threads), _GROUP)

        def run(start: int) -> None:
            part = slice(start, start + size)
            search(*parts, mask, queries[part], sq_distances[part], rows[part])

        starts = range(0, len(queries), size)
        if n_threads == 1:
            list(map(run, starts))
        else:
            with ThreadPoolExecutor(n_threads) as threads:
                list(threads.map(run, starts))
        return np.sqrt(sq_distances), rows

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted index to one file, safetensors with JSON.

        Parameters
        ----------
        path : str or path-like
            A file that exists is replaced, when the new one is complete.

        Raises
        ------
        NotFittedError
            If the index is not fitted.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        arrays = {name: torch.from_numpy(np.asarray(getattr(self, name))) for name in self._arrays}
        state = self.random_state if isinstance(self.random_state, Integral) else None
        content = {
            "index": type(self).__name__,
            "params": {"n_cells": self.n_cells, "random_state": state},
            "n_samples": self.n_samples_fit_,
        }
        write_file(path, arrays, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap_mode: str | None = None) -> Self:
        """Load an index that `save` has written.

        Parameters
        ----------
        path : str or path-like
        mmap_mode : {None, "r"}, default=None
            "r" leaves the arrays in the file, from which queries read the parts that they search. The checksum is not
            verified then, which would read all of it; a truncated file is noticed.

        Returns
        -------
        index : CellIndex
            Fitted. A `random_state` that was no integer is None.

        Raises
        ------
        ModelFileError
            If the file is none of skal's or no index, is truncated or damaged, or of a newer skal.
        ValueError
            For another `mmap_mode`.
        OSError
            If the file cannot be read.
        """
        if mmap_mode not in (None, "r"):
            raise ValueError(
                f'mmap_mode={mmap_mode!r} was given; use "r" to map the file or None to read all of it'
            )
        arrays, content = map_file(path, verify=mmap_mode is None)
        if mmap_mode is None:
            arrays = {name: np.array(array) for name, array in arrays.items()}
        if content.get("index") != cls.__name__ or set(arrays) != set(cls._arrays):
            raise ModelFileError(
                f"{path} is a file of skal, but holds no {cls.__name__}; give one that its save has written"
            )
        index = cls(**content["params"])
        for name, array in arrays.items():
            setattr(index, name, array)
        index.n_samples_fit_ = content["n_samples"]
        index.n_features_in_ = index.centers_.shape[1]
        return index


class GraphIndex(BaseEstimator):
    """Approximate nearest rows by a neighbour graph, with pynndescent.

    Faster than `CellIndex` where thousands of queries meet one pool; misses a few of the nearest rows. The graph
    is always asked for ten neighbours at least, as asking it for one finds the nearest in half of the cases
    only, and the distances of what it finds are computed anew.

    Parameters
    ----------
    epsilon : float, default=0.3
        How much farther than the farthest neighbour found so far the search still looks, as a share of that distance.
        More of it misses less and takes longer; pynndescent's own 0.1 misses a tenth of the nearest rows where their
        dimension is high.
    random_state : int, RandomState instance or None, default=None
        Decides the graph.

    Attributes
    ----------
    n_samples_fit_ : int
        Rows of the pool.
    n_features_in_ : int
        Columns.
    index_ : pynndescent.NNDescent or CellIndex
        The graph; pools of fewer than 4096 rows get a `CellIndex` and exact answers.

    Notes
    -----
    The first `fit` of a process compiles, for tens of seconds. The pool is kept in float32 twice, beside the graph.

    References
    ----------
    .. [1] Dong, Moses and Li, Efficient k-nearest neighbor graph construction for generic similarity
       measures, WWW 2011.

    Examples
    --------
    >>> from skal.neighbors import GraphIndex
    >>> index = GraphIndex(random_state=0).fit([[0.0], [1.0], [5.0]])
    >>> index.kneighbors([[4.0]], n_neighbors=2)
    (array([[1., 3.]]), array([[2, 1]]))
    """

    _parameter_constraints: dict = {
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }
    _n_asked = 10

    n_features_in_: int

    def __init__(
        self, *, epsilon: float = 0.3, random_state: int | np.random.RandomState | None = None
    ) -> None:
        self.epsilon = epsilon
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Build the graph.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The pool; other numbers than float32 are cast.
        y : None
            Ignored.

        Returns
        -------
        self : GraphIndex

        Raises
        ------
        ValueError
            For NaN or infinity, also in float32, for no rows, or another number of dimensions than two.
        """
        pool: NDArray[Any] = validate_data(self, X, dtype="numeric")
        seed = draw_seed(self.random_state)
        if len(pool) < _SMALL_POOL:
            self.index_ = CellIndex(random_state=seed).fit(pool)
        else:
            from pynndescent import NNDescent  # takes seconds

            # The graph puts its own copy into another order.
            self._pool = _as_float32(pool)
            self.index_ = NNDescent(self._pool, random_state=seed)
            self.index_.prepare()
        self.n_samples_fit_ = len(pool)
        return self

    def kneighbors(self, X: ArrayLike, n_neighbors: int = 1) -> Answer:
        """Find rows of the pool that are nearest, but for a few.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)
            Queries; compared in float32.
        n_neighbors : int, default=1
            Between 1 and the number of rows of the pool.

        Returns
        -------
        distances : ndarray of shape (n_queries, n_neighbors), dtype float64
            Euclidean distances of the rows found, ascending.
        indices : ndarray of shape (n_queries, n_neighbors), dtype intp
            Distinct positions in the pool; of equal distances the lower one first.

        Raises
        ------
        NotFittedError
            If the index is not fitted.
        ValueError
            For NaN or infinity, another number of columns, or an `n_neighbors` that is not in the range.
        """
        queries, k = _check_query(self, X, n_neighbors)
        if isinstance(self.index_, CellIndex):
            return self.index_._available_neighbors(queries, k)
        pool = self._pool
        asked = max(self._n_asked, k)
        distances, rows = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.intp)
        found = np.full((len(queries), 1), -1)
        if asked <= self.n_samples_fit_ // 8:  # a walk through more of the graph is slower than reading all
            found, _ = self.index_.query(queries, k=asked, epsilon=self.epsilon)
        for i, (query, candidates) in enumerate(zip(queries, found, strict=True)):
            candidates = np.unique(candidates[candidates >= 0])
            if len(candidates) < k:
                candidates = np.arange(self.n_samples_fit_)
            sq_distances = _sq_distances(pool, candidates, query)
            best = np.lexsort((candidates, sq_distances))[:k]
            distances[i], rows[i] = np.sqrt(sq_distances[best]), candidates[best]
        return distances, rows


def make_index(index: Any, random_state: Any = None) -> Any:
    """Return an unfitted index.

    Parameters
    ----------
    index : "exact", "approximate" or object
        `CellIndex`, `GraphIndex`, or an object with ``fit(X)`` and ``kneighbors(X, n_neighbors)``, such as
        `sklearn.neighbors.NearestNeighbors`, which is cloned where it has parameters.
    random_state : int, RandomState instance or None, default=None
        That of the two named ones.

    Returns
    -------
    index : object

    Raises
    ------
    ValueError
        For another name.
    TypeError
        For an object without these methods, or a class.

    Examples
    --------
    >>> from skal.neighbors import make_index
    >>> make_index("exact", random_state=0)
    CellIndex(random_state=0)
    """
    named: dict[str, Any] = {"exact": CellIndex, "approximate": GraphIndex}
    if isinstance(index, str):
        if index not in named:
            raise ValueError(f'index={index!r} was given; use "exact", "approximate" or an index object')
        return named[index](random_state=random_state)
    methods = ("fit", "kneighbors")
    if isinstance(index, type) or not all(callable(getattr(index, name, None)) for name in methods):
        raise TypeError(
            f'index={index!r} was given; use "exact", "approximate" or an instance with fit(X) and '
            "kneighbors(X, n_neighbors), such as sklearn.neighbors.NearestNeighbors()"
        )
    return clone(index) if hasattr(index, "get_params") and not isinstance(index, type) else index


def match(
    index: Any, queries: ArrayLike, available: ArrayLike, n_neighbors: int = 1
) -> tuple[Rows, NDArray[np.float64], int]:
    """Match queries with rows of a pool, without replacement.

    In their order, the queries take their `n_neighbors` nearest rows among the available ones that no earlier query
    has taken. The index is never rebuilt: a query that finds too few such rows asks for twice as many.

    Parameters
    ----------
    index : object
        Fitted on the pool.
    queries : array-like of shape (n_queries, n_features)
    available : array-like of bool of shape (n_samples,)
        False for rows that must not be taken, such as labelled ones.
    n_neighbors : int, default=1
        Rows a query takes.

    Returns
    -------
    rows : ndarray of shape (n_queries, n_neighbors), dtype intp
        Distinct positions in the pool, nearest first in each line; -1 where no available row was left.
    distances : ndarray of shape (n_queries, n_neighbors), dtype float64
        The distances to them; infinite where no row was left.
    n_collisions : int
        Summed over the queries: how many of a query's `n_neighbors` nearest available rows an earlier query had
        taken.

    Raises
    ------
    ValueError
        If `available` is not a mask, or `n_neighbors` is not an integer of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.neighbors import CellIndex, match
    >>> index = CellIndex(random_state=0).fit([[0.0], [1.0], [2.0], [5.0]])
    >>> rows, distances, n_collisions = match(index, [[0.9], [1.2], [0.4]], [False, True, True, True])
    >>> rows.ravel(), n_collisions
    (array([1, 2, 3]), 2)
    """
    free = np.array(available)
    if free.dtype != np.bool_ or free.ndim != 1:
        raise ValueError(
            f"available has dtype {free.dtype} and shape {free.shape}; give a mask, a bool for every row of the pool"
        )
    n_samples = getattr(index, "n_samples_fit_", len(free))
    if n_samples != len(free):
        raise ValueError(
            f"available has {len(free)} entries and the index {n_samples} rows; give one for every row"
        )
    wanted = _check_n_neighbors(n_neighbors)
    mask = free.copy()
    n_available = int(np.count_nonzero(mask))
    ask: Callable[[Any, int], Answer]
    if isinstance(index, CellIndex):
        queries, _ = _check_query(index, queries, 1)

        def ask(block: Any, k: int) -> Answer:
            return index._available_neighbors(block, k, mask)

    else:
        queries = np.asarray(queries)

        def ask(block: Any, k: int) -> Answer:
            return index.kneighbors(block, n_neighbors=k)

    rows = np.full((len(queries), wanted), -1, dtype=np.intp)
    distances = np.full((len(queries), wanted), np.inf)
    n_collisions = 0
    first_k = min(wanted, len(free))
    for start in range(0, len(queries), max(1, _MAX_ANSWERS // first_k)):
        block = queries[start : start + max(1, _MAX_ANSWERS // first_k)]
        for i, answer in enumerate(zip(*ask(block, first_k), strict=True), start):
            k, least = first_k, min(wanted, n_available)
            n_left = int(np.count_nonzero(free)) if n_available < wanted * len(queries) else n_available
            while True:
                found_distances, found = answer
                candidates = (found >= 0) & mask[found]
                usable = candidates & free[found]
                enough = np.count_nonzero(usable) >= min(wanted, n_left)
                if (enough and np.count_nonzero(candidates) >= least) or k == len(free):
                    break
                k = min(2 * k, len(free))
                answer = tuple(part[0] for part in ask(queries[i : i + 1], k))
            n_collisions += int(np.count_nonzero(~free[found[candidates][:wanted]]))
            taken = np.flatnonzero(usable)[:wanted]
            rows[i, : len(taken)] = found[taken]
            distances[i, : len(taken)] = found_distances[taken]
            free[found[taken]] = False
    return rows, distances, n_collisions


def _check_n_neighbors(n_neighbors: Any) -> int:
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral) or n_neighbors < 1:
        raise ValueError(f"n_neighbors={n_neighbors!r} was given; it must be an integer of at least 1")
    return int(n_neighbors)


def _check_query(index: Any, X: ArrayLike, n_neighbors: Any) -> tuple[NDArray[np.float32], int]:
    check_is_fitted(index)
    k = _check_n_neighbors(n_neighbors)
    if k > index.n_samples_fit_:
        raise ValueError(
            f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k}, n_samples_fit = {index.n_samples_fit_}"
        )
    return _as_float32(validate_data(index, X, dtype="numeric", reset=False)), k


def _as_float32(X: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(X, dtype=np.float32)
    if cast is not X and not np.isfinite(cast).all():
        raise ValueError(
            f"X has numbers up to {np.abs(X).max():g}, which float32 cannot hold; scale them to less than 3e38"
        )
    return cast


def _float_blocks(X: NDArray[Any]) -> Iterator[tuple[NDArray[np.float32], slice]]:
    for start in range(0, len(X), _BLOCK_ROWS):
        where = slice(start, start + _BLOCK_ROWS)
        yield _as_float32(X[where]), where


def _sq_distances(X: NDArray[np.float32], rows: Rows, query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Squared distances of some rows to one query, summed as the kernel does it."""
    total = np.zeros(len(rows))
    for j, value in enumerate(query.astype(np.float64)):
        total += (X[rows, j] - value) ** 2
    return total


def _cut(
    X: NDArray[Any], n_cells: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float64]]:
    """Return centers of k-means, the cell of every row, and its distance to the center in float64.

    Only the distances must be right: the bounds hold for any centers and any cells.
    """
    sample = np.sort(rng.choice(len(X), min(len(X), _SAMPLE_PER_CELL * n_cells), replace=False))
    points = torch.from_numpy(_as_float32(X[sample])).double()
    # Numbers of any size take part, without overflow.
    shift = points.mean(dim=0)
    scale = (points - shift).abs().max().clamp(min=np.finfo(np.float64).tiny)

    def scaled(block: torch.Tensor) -> torch.Tensor:
        return ((block - shift) / scale).float()

    points = scaled(points)
    means = points[torch.from_numpy(rng.permutation(len(points))[:n_cells])]
    for _ in range(_N_LLOYD):
        labels = torch.cat([_nearest(block, means) for block in points.split(_BLOCK_ROWS)])
        counts = torch.bincount(labels, minlength=len(means))
        sums = torch.zeros_like(means).index_add_(0, labels, points)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], means)
    centers = (means.double() * scale + shift).float()

    cells, radii = np.empty(len(X), dtype=np.int32), np.empty(len(X))
    for rows, where in _float_blocks(X):
        block = torch.from_numpy(rows).double()
        labels = _nearest(scaled(block), means)
        cells[where] = labels.numpy()
        radii[where] = (block - centers[labels].double()).square().sum(dim=1).sqrt().numpy()
    used, cells[:] = np.unique(cells, return_inverse=True)
    return centers.numpy()[used], cells, radii


def _nearest(points: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
    return torch.addmm(means.square().sum(dim=1) / 2, points, means.T, alpha=-1).argmin(dim=1)


def _readonly(array: NDArray[Any]) -> NDArray[Any]:
    """A plain view that cannot be written to: arrays in memory and in a file are one type to the compiler."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


@cache
def _compiled_search() -> Callable[..., None]:
    import numba  # takes a second, and only the first search needs it

    # Without the GIL but serial: numba's own threads must not be entered by several Python threads at a time.
    return numba.njit(nogil=True, cache=True)(_search)


def _search(centers, first_chunk, shells, features, rows, available, queries, sq_distances, found):  # type: ignore[no-untyped-def]  # fmt: skip
    """Put the nearest available rows of every query, and their squared distances, in ascending order.

    The centers come as columns, shape (n_features, n_cells).
    """
    n_features, n_cells = centers.shape
    n_queries, k = found.shape
    sums = np.empty(_WIDTH, np.float32)
    slack = 1 + (n_features + 8) * 2.0**-23  # what a sum in float32 can be too large by
    to_center = np.zeros((n_queries, n_cells))
    for i in range(n_queries):
        distances = to_center[i]
        for j in range(n_features):
            value = np.float64(queries[i, j])
            for c in range(n_cells):
                difference = centers[j, c] - value
                distances[c] += difference * difference
        for c in range(n_cells):
            distances[c] = np.sqrt(distances[c])

    sizes = np.zeros(n_queries, np.intp)  # of the heaps in sq and best, the farthest of the nearest on top
    reaches = np.full(n_queries, np.inf)  # distance of the farthest one, rounded up
    limits = np.full(n_queries, np.float32(np.inf))  # its square, for sums in float32
    searched = np.zeros((n_queries, n_cells), np.bool_)
    n_first = n_queries * _NEAREST_CELLS
    for step in range(n_first + n_cells * n_queries):
        if step < n_first:  # every query's nearest cells
            i, cell, least = step // _NEAREST_CELLS, -1, np.inf
            for c in range(n_cells):
                if to_center[i, c] < least and not searched[i, c]:
                    cell, least = c, to_center[i, c]
        else:  # then cell by cell, all queries together, as memory is the slowest part
            cell, i = divmod(step - n_first, n_queries)
        if cell >= 0 and not searched[i, cell]:
            searched[i, cell] = True
            query, sq, best = queries[i], sq_distances[i], found[i]
            size, reach, limit = sizes[i], reaches[i], limits[i]
            low, high = to_center[i, cell] * (1 - 1e-12), to_center[i, cell] * (1 + 1e-12)
            for chunk in range(first_chunk[cell], first_chunk[cell + 1]):
                if low - shells[chunk, 1] > reach or shells[chunk, 0] - high > reach:
                    continue
                block = features[chunk]
                for lane in range(_WIDTH):
                    sums[lane] = 0
                n_alive = np.int32(1)
                for j in range(0, n_features - 7, 8):
                    q0, q1, q2, q3 = query[j], query[j + 1], query[j + 2], query[j + 3]
                    q4, q5, q6, q7 = query[j + 4], query[j + 5], query[j + 6], query[j + 7]
                    n_alive = np.int32(0)
                    for lane in range(
                        _WIDTH
                    ):  # vector instructions; the count has the width of the sums for them
                        d0, d1 = block[j, lane] - q0, block[j + 1, lane] - q1
                        d2, d3 = block[j + 2, lane] - q2, block[j + 3, lane] - q3
                        d4, d5 = block[j + 4, lane] - q4, block[j + 5, lane] - q5
                        d6, d7 = block[j + 6, lane] - q6, block[j + 7, lane] - q7
                        left = (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
                        total = sums[lane] + (left + ((d4 * d4 + d5 * d5) + (d6 * d6 + d7 * d7)))
                        sums[lane] = total
                        n_alive += np.int32(total <= limit)
                    if n_alive == 0:
                        break
                if n_alive == 0:
                    continue
                for j in range(n_features - n_features % 8, n_features):
                    for lane in range(_WIDTH):
                        difference = block[j, lane] - query[j]
                        sums[lane] += difference * difference
                for lane in range(_WIDTH):
                    row = rows[chunk, lane]
                    if not sums[lane] <= limit or row < 0 or (len(available) and not available[row]):
                        continue
                    exact = 0.0
                    for j in range(n_features):
                        difference = np.float64(block[j, lane]) - np.float64(query[j])
                        exact += difference * difference
                    if size < k:  # up from the end of the heap
                        place = size
                        size += 1
                        while place > 0:
                            parent = (place - 1) // 2
                            if sq[parent] > exact or (sq[parent] == exact and best[parent] > row):
                                break
                            sq[place], best[place] = sq[parent], best[parent]
                            place = parent
                    elif exact < sq[0] or (exact == sq[0] and row < best[0]):  # down from its top
                        place = 0
                        while 2 * place + 1 < k:
                            child = 2 * place + 1
                            if child + 1 < k and (
                                sq[child + 1] > sq[child]
                                or (sq[child + 1] == sq[child] and best[child + 1] > best[child])
                            ):
                                child += 1
                            if exact > sq[child] or (exact == sq[child] and row > best[child]):
                                break
                            sq[place], best[place] = sq[child], best[child]
                            place = child
                    else:
                        continue
                    sq[place], best[place] = exact, row
                    if size == k:
                        reach = np.sqrt(sq[0]) * (1 + 1e-12)
                        limit = np.float32(sq[0] * slack + 1e-37)
            sizes[i], reaches[i], limits[i] = size, reach, limit
    for i in range(n_queries):
        # A stable sort by distance keeps the order of equal ones.
        order = np.argsort(found[i, : sizes[i]])
        order = order[np.argsort(sq_distances[i, : sizes[i]][order], kind="mergesort")]
        sq_distances[i, : sizes[i]] = sq_distances[i, : sizes[i]][order]
        found[i, : sizes[i]] = found[i, : sizes[i]][order]
