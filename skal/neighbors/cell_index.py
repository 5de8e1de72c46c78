"""The exact index."""

import os
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ..exceptions import ModelFileError
from ..pool import NO_ROWS, Rows
from ..utils.kernels import compiled, readonly
from ..utils.threads import in_threads
from .base import Answer, Floats, NeighborIndex, positions_dtype
from .cell_files import ARRAYS, Arrays, Checksums, read_cells, write_cells
from .cells import cut, float_blocks
from .search import WIDTH, search

_GROUP = 64  # queries that are searched for together
# Numbers of which a search may read all before it looks for an interrupt: less than a second.
_QUICK = 1 << 30


@dataclass(eq=False, repr=False, kw_only=True)
class CellIndex(NeighborIndex):
    """Exact nearest rows in less than linear time, because the triangle inequality rules out most cells.

    The pool is cut into k-means cells. A query measures its distance to all centers and searches the nearest cells
    first. Of the other cells it skips all parts that the best distance found so far cannot reach. It rules out further
    rows column by column, so features whose variance decreases from the first one on, like those of a PCA, are the
    fastest. All bounds leave room for rounding: the answer is that of a comparison of all distances in float64.

    Parameters
    ----------
    n_cells : int or "auto", default="auto"
        Number of k-means cells; empty ones are dropped. "auto" takes the square root of the number of rows.
        Any number gives the same answers. Above 1024, the actual number is only approximately this, because cells are
        then cut in two steps.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that k-means sees. Any value gives the same answers.

    Attributes
    ----------
    n_samples_fit_ : int
        Rows of the pool.
    n_features_in_ : int
        Columns.
    centers_ : ndarray of shape (n_cells, n_features), dtype float32
        Centers of the cells.
    first_chunk_ : ndarray of shape (n_cells + 1,), dtype int64
        Where the chunks of each cell start and stop.
    shells_ : ndarray of shape (n_chunks, 2), dtype float32
        Least and largest distance of a chunk's rows to the center of their cell.
    features_ : ndarray of shape (n_chunks, n_features, 32), dtype float32
        The rows, ordered by cell and by distance to its center, in chunks of 32 that lie column by column. The last
        chunk of a cell is filled up with infinity.
    rows_ : ndarray of shape (n_chunks, 32), dtype int32 or int64
        Positions in the pool; -1 where a chunk is filled up.

    Notes
    -----
    The row x of a cell with center c is at least ``abs(d(q, c) - d(x, c))`` away from the query q. Only the features
    and the position of each row are kept, 204 bytes per row for 50 features; filling up adds about 16 rows per cell.
    `fit` reads its rows three times, block by block, also from a `numpy.memmap`, and makes no other copy of them.

    Distances are the roots of sums in float64, column after column, of squared differences of float32 features.
    Rows at equal distances are in order of position.

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

    n_cells: int | str = field(default="auto", kw_only=False)
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_cells": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "random_state": ["random_state"],
    }

    def _build(self, pool: NDArray[Any], seed: int) -> None:
        n_samples = len(pool)
        n_cells = round(n_samples**0.5) if self.n_cells == "auto" else int(self.n_cells)
        centers, cells, radii = cut(pool, min(n_cells, n_samples), np.random.default_rng(seed))

        sizes = np.bincount(cells, minlength=len(centers))
        first_chunk = np.concatenate([[0], np.cumsum(-(-sizes // WIDTH))])
        n_chunks = int(first_chunk[-1])
        # Where each row goes: into the chunks of its cell, at its rank.
        order = np.lexsort((radii, cells))
        ranked = cells[order]
        starts = np.cumsum(sizes) - sizes
        places = np.empty(n_samples, dtype=np.int64)
        places[order] = first_chunk[ranked] * WIDTH + np.arange(n_samples) - starts[ranked]

        rows = np.full((n_chunks, WIDTH), -1, dtype=positions_dtype(n_samples))
        rows.ravel()[places] = np.arange(n_samples)
        features = np.full((n_chunks, pool.shape[1], WIDTH), np.inf, dtype=np.float32)
        for block, where in float_blocks(pool, "rows of the index"):
            chunk, lane = np.divmod(places[where], WIDTH)
            features[chunk, :, lane] = block
        farthest = np.where(rows >= 0, radii[rows], 0).max(axis=1)
        shells = np.stack([radii[rows[:, 0]], farthest], axis=1)

        self._checksums: Checksums | None = None
        self.centers_, self.first_chunk_, self.features_, self.rows_ = centers, first_chunk, features, rows
        # Rounded outwards, so that float32 shells hold all their rows.
        with np.errstate(over="ignore"):
            self.shells_ = np.nextafter(shells.astype(np.float32), np.array([-np.inf, np.inf], np.float32))

    def _search(self, queries: Floats, k: int, excluded: Rows = NO_ROWS) -> Answer:
        """Return the nearest rows that are not excluded; -1 at infinity where fewer than k are."""
        sq_distances = np.full((len(queries), k), np.inf)
        rows = np.full((len(queries), k), -1, dtype=np.intp)
        queries = readonly(queries)
        # Sums over all cells run along the cells.
        arrays = [np.ascontiguousarray(self.centers_.T), *(getattr(self, name) for name in ARRAYS[1:])]
        arrays = [readonly(array) for array in arrays]
        n_chunks = len(self.rows_)
        read = np.zeros(n_chunks + 1, np.bool_)
        # Queries of a group share what they read, but each thread gets at least one group.
        size = min(-(-len(queries) // torch.get_num_threads()), _GROUP)
        kernel = compiled(search)

        def run(start: int) -> None:
            part = slice(start, start + size)
            answer = queries[part], sq_distances[part], rows[part]
            cell = kernel(*arrays, self.n_samples_fit_, readonly(excluded), *answer, read)
            if cell >= 0:
                outside = f"its cell {cell} leads outside its arrays"
                raise self._damage(outside if cell < len(self.centers_) else "its rows are not finite")

        is_quick = len(queries) * self.features_.size <= _QUICK
        stop = None if is_quick else read[n_chunks:]
        in_threads(run, range(0, len(queries), size), stop, unit="groups of neighbours")
        if self._checksums:
            self._checksums.check(self._arrays(), np.flatnonzero(read[:n_chunks]))
        if k > 1:
            order = np.arange(len(rows))[:, None], np.lexsort((rows, sq_distances))
            sq_distances, rows = sq_distances[order], rows[order]
        return np.sqrt(sq_distances), rows

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted index to one file, safetensors with JSON.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced as soon as the new one is complete.

        Raises
        ------
        NotFittedError
            If the index is not fitted.
        ModelFileError
            If the index comes from a file that is damaged.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        arrays = self._arrays()
        if self._checksums:  # what is damaged must not get new checksums
            self._checksums.check(arrays, np.arange(len(self.rows_)))
        state = self.random_state if isinstance(self.random_state, Integral) else None
        params = {"n_cells": self.n_cells, "random_state": state}
        write_cells(path, type(self).__name__, params, self.n_samples_fit_, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap_mode: str | None = None) -> Self:
        """Load an index that `save` has written.

        Parameters
        ----------
        path : str or path-like
        mmap_mode : {None, "r"}, default=None
            "r" leaves the arrays in the file, and queries read the parts that they search. The data that every search
            reads, and that each row is present once, are checked here. Each chunk of 32 rows has its own checksum,
            which is compared when a query first reads the chunk.

        Returns
        -------
        index : CellIndex
            Fitted. A `random_state` that was not an integer is None.

        Raises
        ------
        ModelFileError
            If the file does not hold an index of skal, is truncated or damaged, or comes from a newer skal. Later
            queries, and `save`, raise it for damaged rows.
        ValueError
            For another `mmap_mode`.
        OSError
            If the file cannot be read.
        """
        if mmap_mode not in (None, "r"):
            raise ValueError(f'mmap_mode={mmap_mode!r} was given; use "r" to map the file or None to read it')
        params, n_samples, arrays, checksums = read_cells(path, cls.__name__, mapped=mmap_mode == "r")
        try:
            index = cls(**params)
            index._validate_params()
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{path} holds no {cls.__name__}: {error}") from error
        for name, array in arrays.items():
            setattr(index, name, array)
        index.n_samples_fit_, index.n_features_in_ = n_samples, index.centers_.shape[1]
        index._checksums = checksums
        return index

    def _arrays(self) -> Arrays:
        return {name: np.asarray(getattr(self, name)) for name in ARRAYS}

    def _damage(self, what: str) -> ValueError:
        if self._checksums:
            return ModelFileError(
                f"{self._checksums.path} was forged: {what}; fit the index and save it again"
            )
        return ValueError(f"this {type(self).__name__} was changed after its fit: {what}; fit it again")
