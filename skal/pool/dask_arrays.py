"""Pools that are dask arrays: rows that are computed on demand, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.checks import squares_fit
from .arrays import NUMBERS, ArrayPool
from .checksum import checksum
from .lazy import LazyPool
from .rows import Part, Rows, Share, n_positions

_DIGESTED_ROWS = 16  # each may lie in a chunk of its own, which is computed for it
# Tasks that are under way where no cluster keeps account of them.
_TASKS_AT_A_TIME = 32


class DaskPool(LazyPool):
    """A dask array of shape (n_rows, ...), whose chunks have all columns and known sizes.

    It is identified by its name, which dask derives from how it is computed. Passes over it are tasks for the active
    scheduler, one for each chunk of rows, or for several small neighbouring chunks.
    """

    def __init__(self, X: Any) -> None:
        given = f"A dask array of shape {X.shape} and dtype {X.dtype} was given"
        if X.ndim == 0 or (X.ndim == 1 and X.dtype.kind in NUMBERS):
            raise ValueError(
                f"{given}; give rows, of shape (n_rows, n_columns): X.reshape(-1, 1) for one column."
            )
        if np.isnan(X.shape).any():
            raise ValueError(
                f"{given}, whose number of rows or columns is not known; call X.compute_chunk_sizes() first, or "
                "frame.to_dask_array(lengths=True) for a data frame."
            )
        if not isinstance(X._meta, np.ndarray) or isinstance(X._meta, np.ma.MaskedArray):
            raise TypeError(
                f"{given} whose chunks are {type(X._meta).__name__}; give chunks of numpy arrays, such as "
                "X.map_blocks(lambda block: block.toarray()) for sparse ones."
            )
        super().__init__(X)

    @staticmethod
    def holds(X: Any) -> bool:
        return type(X).__module__.startswith("dask.array")

    @cached_property
    def _rows(self) -> Any:
        """The array in chunks that have all columns."""
        return self.X.rechunk(dict.fromkeys(range(1, self.X.ndim), -1))

    @cached_property
    def chunk_ends(self) -> NDArray[np.intp]:
        ends = np.cumsum(self._rows.chunks[0])
        return ends[np.diff(ends, prepend=0) > 0]

    def take(self, rows: Rows | slice) -> NDArray[Any]:
        if isinstance(rows, slice):
            return np.asarray(self._rows[rows].compute())
        positions, places = np.unique(rows, return_inverse=True)
        return np.asarray(self._rows[positions].compute())[places]

    def stack(self, others: list[Any]) -> Any:
        import dask.array as da

        new = ArrayPool(self.take(slice(0))).stack(others)
        return da.concatenate([self._rows, da.from_array(new, chunks=(-1,) * new.ndim)])

    @property
    def storage(self) -> Hashable:
        return "dask", self.X.name

    @property
    def is_in_file(self) -> bool:
        return False

    @cached_property
    def overflow(self) -> str | None:
        if self.X.dtype.kind not in "fc":
            return None
        shares = [Share(span, [Part(span, slice(None), span)]) for span in self.spans(1)]
        if all(fits for fits, _ in self.executed(lambda block, part: squares_fit(block), shares)):
            return None
        return super().overflow

    def digest(self, max_bytes: int) -> Hashable:
        rows = self.take(slice(None, None, max(1, -(-len(self) // _DIGESTED_ROWS))))
        return "dask", self.X.shape, self.X.dtype.str, checksum(rows, max_bytes)

    def executed(
        self, function: Callable[[Any, Part], Any], shares: list[Share]
    ) -> Iterator[tuple[Any, Part]]:
        """Call a function with the blocks of shares, on the workers of the active scheduler.

        Parameters
        ----------
        function : callable
            It is sent to each worker once. If a worker is lost, others are asked again.
        shares : list of Share
            Each within neighbouring chunks.

        Yields
        ------
        answer : object
        part : Part
        """
        import dask

        # Chunks of a share become one, and what computes them becomes one task with the function: a task that waited
        # for its rows would leave a worker idle, and rows that waited would fill it.
        ends, is_end = np.cumsum(self._rows.chunks[0]), np.ones(self._rows.numblocks[0], dtype=bool)
        for share in shares:
            first, last = np.searchsorted(ends, _ends_of(share.rows), side="right")
            is_end[first:last] = False
        starts = np.append(0, ends[is_end])
        rows = self._rows.rechunk({0: tuple(np.diff(starts).tolist())})
        places = [int(np.searchsorted(starts, _ends_of(share.rows)[0], side="right")) - 1 for share in shares]
        work = _Work(
            function, dict(zip(places, zip(starts[places].tolist(), shares, strict=True), strict=True))
        )
        call = dask.delayed(work, pure=False, traverse=False)
        answers_of = rows.map_blocks(
            _worked,
            call=call,
            dtype=object,
            chunks=((1,) * rows.numblocks[0], *((1,),) * (rows.ndim - 1)),
            meta=np.empty((0,) * rows.ndim, dtype=object),
        )
        found = answers_of.to_delayed(optimize_graph=True).ravel()
        tasks = [found[place] for place in places]
        client = _client()
        if client is None:
            scheduler = dask.base.get_scheduler(collections=[self.X])
            for at in range(0, len(tasks), _TASKS_AT_A_TIME):
                for answers in dask.compute(*tasks[at : at + _TASKS_AT_A_TIME], scheduler=scheduler):
                    yield from answers.item()
            return
        from distributed import as_completed

        asked = set(client.compute(tasks))
        try:
            with _waiting():
                for future, answers in as_completed(asked, with_results=True):
                    asked.discard(future)  # the cluster need not keep the answers
                    future.release()
                    yield from answers.item()
        except BaseException:  # a pass that was given up
            client.cancel([future for future in asked if not future.cancelled()])
            raise


class _Work:
    """A function in a graph, which dask would otherwise call or look into, and the share of each chunk."""

    def __init__(self, function: Callable[[Any, Part], Any], shares: dict[int, tuple[int, Share]]) -> None:
        self.function, self.shares = function, shares


def _worked(block: NDArray[Any], call: _Work, block_id: tuple[int, ...]) -> NDArray[Any]:
    """A worker's result for a chunk, in an array of one element."""
    start, share = call.shares[block_id[0]]
    answers = np.empty((1,) * block.ndim, dtype=object)
    answers.flat[0] = list(answered(call.function, np.asarray(block)[_shifted(share.rows, -start)], share))
    return answers


def answered(function: Callable[[Any, Part], Any], read: Any, share: Share) -> list[tuple[Any, Part]]:
    """The answers of a function for the blocks of a share.

    Parameters
    ----------
    function : callable
    read : container of n_rows rows
        The rows of the share.
    share : Share
    """
    if len(share.parts) == 1:
        return [(function(read, share.parts[0]), share.parts[0])]
    answers, start = [], 0
    for part in share.parts:
        stop = start + n_positions(part.rows)
        answers.append((function(read[start:stop], part), part))
        start = stop
    return answers


def _ends_of(rows: Rows | slice) -> tuple[int, int]:
    return (rows.start, rows.stop - 1) if isinstance(rows, slice) else (int(rows[0]), int(rows[-1]))


def _shifted(rows: Rows | slice, by: int) -> Rows | slice:
    return slice(int(rows.start + by), int(rows.stop + by)) if isinstance(rows, slice) else rows + by


@contextmanager
def _waiting() -> Iterator[None]:
    """Leave the place of a task that waits for other tasks, such as a fit in a grid search on the cluster, to these."""
    from distributed import rejoin, secede
    from distributed.worker import thread_state

    has_left = False
    if getattr(thread_state, "key", None) is not None:
        with suppress(Exception):  # it may have left already
            secede()
            has_left = True
    try:
        yield
    finally:
        if has_left:
            rejoin()


def _client() -> Any:
    """The client of the cluster that dask works on, if it does."""
    with suppress(ImportError, ValueError):
        from dask.base import get_scheduler
        from distributed import Client

        client = getattr(get_scheduler(), "__self__", None)
        return client if isinstance(client, Client) else None
    return None
