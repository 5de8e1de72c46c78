"""Pools in blocks: rows of any container, a bounded number of bytes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from .utils.validation import is_sparse

# Large enough that the fixed cost of a call vanishes, small enough to be no burden on memory.
_BLOCK_BYTES = 64 * 2**20
# Narrow rows: bounds what a classifier allocates a row (a forest's votes, a network's activations).
_BLOCK_ROWS = 2**16
# Above this share of wanted rows, predicting the few others costs less than copying the wanted ones.
_DENSE = 0.75


def row_blocks(
    X: Any, rows: ArrayLike | None = None, max_bytes: int = _BLOCK_BYTES
) -> Iterator[tuple[Any, slice]]:
    """Yield the wanted rows of `X` in blocks of bounded size.

    Parameters
    ----------
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
        Sparse matrices other than CSR are converted to it once.
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.
    max_bytes : int, default=64 MiB
        What a block holds at most (but at least one row, and no more than 65,536).

    Yields
    ------
    block : same type as `X`
        A view of an array where the block's rows lie one after another, a copy of them otherwise.
    where : slice
        The block is ``X[rows[where]]``, or ``X[where]`` without `rows`.

    Raises
    ------
    ValueError
        If `rows` is not a 1-D array of positions in `X`.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.blocks import row_blocks
    >>> X = np.arange(10.0).reshape(5, 2)
    >>> for block, where in row_blocks(X, rows=[4, 0, 1], max_bytes=32):
    ...     print(where, block.tolist())
    slice(0, 2, None) [[8.0, 9.0], [0.0, 1.0]]
    slice(2, 3, None) [[2.0, 3.0]]
    """
    if is_sparse(X):
        X = X.tocsr()
    n_samples = _num_samples(X)
    wanted = None if rows is None else _check_rows(rows, n_samples)
    n_rows = n_samples if wanted is None else len(wanted)
    step = min(max(1, int(max_bytes // _row_bytes(X))), _BLOCK_ROWS)
    for start in range(0, n_rows, step):
        where = slice(start, min(start + step, n_rows))
        positions: Any = where if wanted is None else _as_slice(wanted[where])
        # scikit-learn's indexing asks first what kind of frame it has, which takes as long as a small block.
        yield X[positions] if isinstance(X, np.ndarray) else _safe_indexing(X, positions), where


def blockwise(function: Callable[[Any], Any], X: Any, rows: ArrayLike | None = None) -> Any:
    """Apply a function of rows to the wanted rows of a pool, a block at a time.

    Where most rows of `X` are wanted, `function` sees contiguous views of `X`, and the answers for
    the other rows are dropped: copying rows costs as much as a linear model's prediction.

    Parameters
    ----------
    function : callable
        Maps a block of rows to an array with one entry a row, or to a tuple of such arrays. The
        entry of a row must not depend on the other rows.
    X : ndarray, memmap, sparse matrix or data frame of shape (n_samples, ...)
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.

    Returns
    -------
    answers : ndarray of shape (n_rows, ...) or tuple of such arrays
        In the order of `rows`.

    Raises
    ------
    ValueError
        If `rows` is not a 1-D array of positions in `X`, or `function` returns another number of
        entries than rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.blocks import blockwise
    >>> blockwise(lambda block: block.sum(axis=1), np.eye(4), rows=[3, 1])
    array([1., 1.])
    """
    n_samples = _num_samples(X)
    wanted = None if rows is None else _check_rows(rows, n_samples)
    n_rows = n_samples if wanted is None else len(wanted)
    if n_rows == 0 and n_samples > 0:  # classifiers refuse an empty block; one row tells the shape
        answers = blockwise(function, X, rows=[0])
        return tuple(a[:0] for a in answers) if isinstance(answers, tuple) else answers[:0]
    outputs: tuple[NDArray[Any], ...] | None = None
    single = True
    for block, keep, where in _plan(X, wanted, n_samples):
        answers = function(block)
        single = not isinstance(answers, tuple)
        parts = (answers,) if single else answers
        for part in parts:
            if len(part) != block.shape[0]:
                raise ValueError(
                    f"{block.shape[0]} rows were given and {len(part)} answers came back; there must be one a row."
                )
        if isinstance(where, slice) and where == slice(0, n_rows):  # one block holds all
            return answers
        if outputs is None:
            outputs = tuple(np.empty((n_rows, *part.shape[1:]), part.dtype) for part in parts)
        for output, part in zip(outputs, parts, strict=True):
            output[where] = part[keep]
    if outputs is None:
        raise ValueError(f"X has no rows (shape={X.shape}); at least 1 is required.")
    return outputs[0] if single else outputs


def _check_rows(rows: ArrayLike, n_samples: int) -> NDArray[np.intp]:
    positions = np.asarray(rows)
    if positions.size == 0:
        positions = positions.astype(np.intp)
    if positions.ndim != 1 or positions.dtype.kind not in "iu":
        raise ValueError(
            f"rows has shape {positions.shape} and dtype {positions.dtype}; it must be a 1-D array of integer "
            "positions: use np.flatnonzero(mask) for a mask."
        )
    if positions.size and (positions.min() < 0 or positions.max() >= n_samples):
        raise ValueError(
            f"rows has positions from {positions.min()} to {positions.max()}; positions in a pool of {n_samples} "
            f"rows go from 0 to {n_samples - 1}."
        )
    return positions.astype(np.intp, copy=False)


def _row_bytes(X: Any) -> float:
    if is_sparse(X):
        return max(1.0, (X.data.nbytes + X.indices.nbytes) / max(1, X.shape[0]))
    # A cell of a data frame is counted as eight bytes.
    return max(1, getattr(getattr(X, "dtype", None), "itemsize", 8) * int(np.prod(X.shape[1:])))


def _as_slice(positions: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Positions that follow one another as a slice, which indexes without a copy."""
    first, last = positions[0], positions[-1]
    if last - first + 1 == len(positions) and (np.diff(positions) == 1).all():
        return slice(int(first), int(last) + 1)
    return positions


def _plan(X: Any, wanted: NDArray[np.intp] | None, n_samples: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yield a block, which of its rows are wanted, and their places among the wanted rows."""
    if wanted is None or len(wanted) < _DENSE * n_samples:
        for block, where in row_blocks(X, wanted):
            yield block, slice(None), where
        return
    order = np.argsort(wanted, kind="stable")
    ascending = wanted[order]
    for block, span in row_blocks(X):
        low, high = np.searchsorted(ascending, (span.start, span.stop))
        if low < high:
            yield block, _as_slice(ascending[low:high] - span.start), order[low:high]
