"""Making pools from any container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from numbers import Number
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from skorch.helper import SliceDataset

from .arrays import NUMBERS, ArrayPool
from .base import Pool
from .dask_arrays import DaskPool
from .frames import FramePool
from .items import ItemPool
from .mappings import MappingPool
from .sparse import SparsePool
from .stored import StoredPool
from .torch_datasets import DatasetPool, DatasetRows

# The first that holds a container takes it; anything else becomes an array.
KINDS: tuple[type[Pool], ...] = (
    ArrayPool,
    SparsePool,
    FramePool,
    StoredPool,
    DaskPool,
    DatasetPool,
    MappingPool,
    ItemPool,
)


def as_pool(X: Any) -> Pool:
    """The pool of a container's rows, which are not validated; a pool is returned unchanged.

    Parameters
    ----------
    X : Pool or container of n_rows rows
        An array, memmap, tensor, sparse matrix, data frame, array of h5py, zarr or dask; a list, 1-D array or Series of
        texts or other objects; a mapping of arrays; a torch dataset. Lists of numbers become arrays.

    Returns
    -------
    pool : Pool

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import as_pool
    >>> pool = as_pool(np.eye(3))
    >>> len(pool), pool.row_shape, pool.take([2])
    (3, (3,), array([[0., 0., 1.]]))
    """
    if isinstance(X, Pool):
        return X
    if hasattr(X, "to_dask_array"):
        raise TypeError(
            f"A dask {type(X).__name__} was given, whose rows cannot be read by position; give "
            "X.to_dask_array(lengths=True), or X.compute() if it fits into memory."
        )
    if isinstance(X, torch.Tensor):
        X = X.numpy(force=True)
    elif isinstance(X, SliceDataset):
        X = DatasetRows(X.dataset, np.asarray(X.indices_))
    elif isinstance(X, list | tuple) and is_number(_first_leaf(X)):
        with suppress(ValueError):  # sequences of different lengths stay what they are
            array = np.asarray(X)
            X = array if array.dtype.kind in NUMBERS else X
    for kind in KINDS:
        if kind.holds(X):
            return kind(X)
    array = np.asarray(X)
    if array.ndim == 0:
        raise ValueError(
            f"Expected rows, got a single object of type {type(X).__name__} instead; give a list, an array or another "
            "container with an entry per row (of a polars LazyFrame, what collect() returns)."
        )
    return as_pool(array)


def _first_leaf(X: Any) -> Any:
    while isinstance(X, list | tuple) and len(X):
        X = X[0]
    return X


def is_number(leaf: Any) -> bool:
    """Whether something is a number, or an array of them."""
    return isinstance(leaf, Number | np.number | np.bool_ | np.ndarray | torch.Tensor)


def first_flawed(pool: Pool) -> int:
    """Position of the first row with NaN or infinity in a pool that has one."""
    for block, where in pool.blocks():
        part, start = as_pool(block), where.start
        if part.flaw is None:
            continue
        while len(part) > 1:
            half = as_pool(part.take(slice(len(part) // 2)))
            if half.flaw is None:
                start += len(half)
                half = as_pool(part.take(slice(len(half), None)))
            part = half
        return start
    raise ValueError("All rows are finite.")


def dense(X: Any) -> NDArray[Any]:
    """The rows of a container as an array.

    Parameters
    ----------
    X : Pool, ndarray, sparse matrix, data frame or array-like of shape (n_rows, ...)

    Returns
    -------
    rows : ndarray of shape (n_rows, ...)
        An array is returned unchanged.

    Examples
    --------
    >>> from scipy import sparse
    >>> from skal.pool import dense
    >>> dense(sparse.csr_array([[0, 2]]))
    array([[0, 2]])
    """
    return X if isinstance(X, np.ndarray) else as_pool(X).dense()


def owned(block: Any) -> Any:
    """A block of a pool for a transformer that may work in place, as with ``copy=False``.

    Parameters
    ----------
    block : container of rows

    Returns
    -------
    block : container of rows
        A copy of an array, a sparse matrix or a pandas frame; the container itself if it is of another kind, since
        nothing writes to these.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skal.pool import owned
    >>> X = np.array([[1.0], [3.0], [9.0]])
    >>> StandardScaler(copy=False).fit_transform(owned(X[:2])).tolist(), X.tolist()
    ([[-1.0], [1.0]], [[1.0], [3.0], [9.0]])
    """
    is_writable = isinstance(block, np.ndarray) or sparse.issparse(block) or hasattr(block, "iloc")
    return block.copy() if is_writable else block


def row_blocks(
    X: Any, rows: ArrayLike | None = None, max_bytes: float | None = None
) -> Iterator[tuple[Any, slice]]:
    """Yield the wanted rows of `X` in blocks of bounded size.

    Parameters
    ----------
    X : Pool, ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
        Sparse matrices other than CSR are converted to it once.
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.
    max_bytes : float, default=None
        The maximum number of bytes that a block takes once its integers are float64, by default 32 MiB (but at least
        one row, and no more than 65,536).

    Yields
    ------
    block : same type as `X`
        A view of an array if the rows of the block are consecutive, a copy of them otherwise.
    where : slice
        The block is ``X[rows[where]]``, or ``X[where]`` without `rows`.

    Raises
    ------
    ValueError
        If `rows` is not a 1-D array of positions in `X`.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import row_blocks
    >>> X = np.arange(10.0).reshape(5, 2)
    >>> for block, where in row_blocks(X, rows=[4, 0, 1], max_bytes=32):
    ...     print(where, block.tolist())
    slice(0, 2, None) [[8.0, 9.0], [0.0, 1.0]]
    slice(2, 3, None) [[2.0, 3.0]]
    """
    return as_pool(X).blocks(rows, max_bytes)
