"""Passes over a pool: a function of a block of rows, called wherever the work of the pool is done.

A pass calls a *function*, picklable by cloudpickle, with a block and the positions of its rows. Its results are small,
or one entry per row, and are put together in any order. `executed` is the one place that decides who calls the
function: this process, the workers of a joblib backend, or the dask scheduler to which a lazy pool belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context, get_config
from sklearn.utils.validation import _num_samples

from ..utils.progress import reported
from ..utils.scratch import scratch_empty
from .base import Pool
from .blocks import as_pool
from .dask_arrays import DaskPool, answered
from .rows import NO_ROWS, Part, Rows, Share, as_slice, check_positions, cut, n_positions

PartFunction = Callable[[Any, Part], Any]

# Above this share of wanted rows, predicting the few others costs less than copying the wanted ones.
_DENSE = 0.75
# Tasks per worker of joblib: few, as each takes the function along, but enough that nobody waits for the last.
_TASKS_PER_WORKER = 4


def blockwise(
    function: Callable[[Any], Any], X: Any, rows: ArrayLike | None = None, *, row_bytes: float | None = None
) -> Any:
    """Apply a function of rows to the wanted rows of a pool, a block at a time.

    If most rows of `X` are wanted, `function` gets contiguous views of `X`, and the answers for the other rows are
    dropped, because copying rows costs as much as a linear model's prediction.

    Parameters
    ----------
    function : callable
        Maps a block of rows to an array with one entry per row, or to a tuple of such arrays. The
        entry of a row must not depend on the other rows.
    X : Pool or container of n_samples rows
    rows : array-like of int of shape (n_rows,), default=None
        Positions of the wanted rows, in any order. By default all of them.
    row_bytes : float, default=None
        The bytes that a row takes in `function`, its answer included; a block takes at most 32 MiB. By default the
        row's own numbers count, with integers as float64.

    Returns
    -------
    answers : ndarray of shape (n_rows, ...) or tuple of such arrays
        In the order of `rows`. Above 1 GiB they are a memory map of a temporary file.

    Raises
    ------
    ValueError
        If `rows` is not a 1-D array of positions in `X`, or `function` returns another number of
        entries than rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import blockwise
    >>> blockwise(lambda block: block.sum(axis=1), np.eye(4), rows=[3, 1])
    array([1., 1.])
    """
    pool = as_pool(X)
    wanted = None if rows is None else check_positions(rows, len(pool))
    n_rows = len(pool) if wanted is None else len(wanted)
    if not len(pool):
        raise ValueError(f"X has no rows (shape={(len(pool), *pool.row_shape)}); at least 1 is required.")
    if n_rows == 0:  # classifiers refuse an empty block; one row tells the shape
        answers = blockwise(function, pool, rows=[0])
        return tuple(a[:0] for a in answers) if isinstance(answers, tuple) else answers[:0]

    def wanted_answers(block: Any, part: Part) -> NDArray[Any] | tuple[NDArray[Any], ...]:
        answers = function(block)
        if isinstance(answers, tuple):
            return tuple(kept(each, block, part) for each in answers)
        return kept(answers, block, part)

    outputs: tuple[NDArray[Any], ...] | None = None
    is_tuple = False
    for answers, part in executed(wanted_answers, pool, wanted, row_bytes=row_bytes):
        if isinstance(part.where, slice) and part.where == slice(0, n_rows):  # one block holds all
            return answers
        is_tuple = isinstance(answers, tuple)
        parts = answers if is_tuple else (answers,)
        if outputs is None:
            outputs = tuple(scratch_empty((n_rows, *each.shape[1:]), each.dtype) for each in parts)
        for output, each in zip(outputs, parts, strict=True):
            output[part.where] = each
    assert outputs is not None
    return outputs if is_tuple else outputs[0]


def kept(answers: NDArray[Any], block: Any, part: Part) -> NDArray[Any]:
    """The answers of a function for the wanted rows of a block.

    Parameters
    ----------
    answers : ndarray of shape (n_block, ...)
    block : container of n_block rows
    part : Part

    Returns
    -------
    answers : ndarray of shape (part.n_rows, ...)

    Raises
    ------
    ValueError
        If there is not one answer per row of the block.
    """
    n_block = _num_samples(block)
    if len(answers) != n_block:
        raise ValueError(
            f"{n_block} rows were given and {len(answers)} answers came back; there must be one per row."
        )
    return answers[part.keep]


def executed(
    function: PartFunction, pool: Pool, rows: Rows | None = None, *, row_bytes: float | None = None
) -> Iterator[tuple[Any, Part]]:
    """Call a function with blocks of the wanted rows of a pool, wherever the pool's work is done.

    The active scheduler works on dask pools. Inside ``joblib.parallel_config(backend, n_jobs=n)``, the workers of this
    backend work on other pools; otherwise this thread does.

    Parameters
    ----------
    function : callable
        Called as ``function(block, part)``, possibly in another process, and possibly again after a worker was lost. It
        must not change anything.
    pool : Pool
    rows : ndarray of int of shape (n_rows,), default=None
        Positions of the wanted rows. By default all of them.
    row_bytes : float, default=None
        The bytes that a row takes in `function`; a block takes at most 32 MiB.

    Yields
    ------
    answer : object
        The result of `function`.
    part : Part
        The rows that it belongs to; the parts come in any order.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import as_pool
    >>> from skal.pool.passes import executed
    >>> [(total, part.rows) for total, part in executed(lambda block, part: block.sum(), as_pool(np.eye(4)))]
    [(np.float64(4.0), slice(0, 4, None))]
    """
    n_rows = len(pool) if rows is None else len(rows)
    answers = _answers(function, pool, plan(pool, rows, row_bytes))
    return reported(answers, n_rows, lambda pair: pair[1].n_rows)


def _answers(
    function: PartFunction, pool: Pool, shares: list[Share]
) -> Generator[tuple[Any, Part], None, None]:
    if len(shares) > 1:
        sent = partial(_configured, function, get_config())
        if isinstance(pool, DaskPool):
            yield from pool.executed(sent, shares)
            return
        backend, n_jobs = get_active_backend()
        n_workers = joblib.effective_n_jobs(n_jobs)
        # That of multiprocessing has to be asked for lists.
        if n_workers > 1 and backend.supports_return_generator:
            yield from _by_joblib(sent, pool, shares, n_workers)
            return
    for share in shares:
        yield from answered(function, pool.read(share.rows), share)


def _configured(function: PartFunction, config: dict[str, Any], block: Any, part: Part) -> Any:
    """Call a function under the configuration of scikit-learn that the caller has: each thread has its own."""
    with config_context(**config):
        return function(block, part)


def plan(pool: Pool, wanted: Rows | None, row_bytes: float | None = None) -> list[Share]:
    """Cut the wanted rows of a pool into shares to be read at a time, and these into blocks of bounded size.

    Parameters
    ----------
    pool : Pool
    wanted : ndarray of int of shape (n_rows,) or None
        Positions, in any order; None for all of them.
    row_bytes : float, default=None
        The bytes that a row takes where it is used, by default its `float_bytes`.

    Returns
    -------
    shares : list of Share
        The rows of each share lie in neighbouring chunks of a lazy pool, unless there is only one share.
    """
    step = pool.block_rows(row_bytes)
    if wanted is None:
        return [
            Share(span, [Part(rows, slice(None), rows) for rows in cut(n_positions(span), step, span.start)])
            for span in pool.spans(step)
        ]
    n_wanted = len(wanted)
    are_most = n_wanted >= _DENSE * len(pool)
    if not are_most and (n_wanted <= step or not pool.is_lazy):
        parts = [Part(as_slice(wanted[where]), slice(None), where) for where in cut(n_wanted, step)]
        return [Share(part.rows, [part]) for part in parts]
    order = np.argsort(wanted, kind="stable")
    ascending, shares = wanted[order], []

    def within(rows: slice) -> slice:
        """Which of the wanted rows, in increasing order, are among the given ones."""
        return slice(*np.searchsorted(ascending, (rows.start, rows.stop)))

    for span in pool.spans(step):
        own = within(span)
        n_own = own.stop - own.start
        if n_own and pool.is_lazy and n_own < _DENSE * n_positions(span):
            blocks = cut(n_own, step, own.start)
            parts = [Part(as_slice(ascending[at]), slice(None), as_slice(order[at])) for at in blocks]
            shares.append(Share(as_slice(ascending[own]), parts))
        elif n_own:
            blocks = cut(n_positions(span), step, span.start)
            found = [(rows, within(rows)) for rows in blocks]
            parts = [
                Part(rows, as_slice(ascending[at] - rows.start), as_slice(order[at]))
                if at.stop > at.start
                else Part(rows, NO_ROWS, NO_ROWS)
                for rows, at in found
            ]
            shares.append(Share(span, parts))
    return shares


def _by_joblib(
    function: PartFunction, pool: Pool, shares: list[Share], n_workers: int
) -> Iterator[tuple[Any, Part]]:
    """The answers of the workers of joblib's backend, which read rows of files themselves."""
    if pool.is_in_file:
        n_tasks = min(len(shares), n_workers * _TASKS_PER_WORKER)
        bounds = [i * len(shares) // n_tasks for i in range(n_tasks + 1)]
        tasks = (joblib.delayed(_read_and_answered)(function, pool, shares[i:j]) for i, j in pairwise(bounds))
    else:
        tasks = (joblib.delayed(answered)(function, pool.read(share.rows), share) for share in shares)
    for answers in joblib.Parallel(return_as="generator_unordered")(tasks):
        yield from answers


def _read_and_answered(function: PartFunction, pool: Pool, shares: list[Share]) -> list[tuple[Any, Part]]:
    return [pair for share in shares for pair in answered(function, pool.read(share.rows), share)]
