"""Tables that come in another order, or with new rows anywhere: their rows are put into their places by name."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..exceptions import PoolWarning
from ..labels import is_missing
from ..pool import Candidates, Pool, Rows, as_pool
from ..utils.warnings import callers_level
from .ids import Ids, comparable


def places_of(pool: Pool, ids: Ids | None, n_before: int) -> Rows | None:
    """Where the rows of before are in a pool that may have more of them, and in another order.

    Parameters
    ----------
    pool : Pool
    ids : Ids or None
        The names of the rows of before; None where they had none, or their index only counted them.
    n_before : int

    Returns
    -------
    rows : ndarray of int of shape (n_before,) or None
        None where they come first, or nothing tells: what is in them decides then.
    """
    now = Ids.of(None, pool)
    if now is None or n_before > len(pool):  # a forged file may say any number
        return None
    before = Ids(np.arange(n_before)) if ids is None else ids
    return None if before.is_prefix_of(now) else before.found_in(now)


def has_rows_of(pool: Pool, names: Ids, own: Pool, own_names: Ids) -> bool:
    """Whether a pool has the rows of another one by names that may belong to several rows, as far as a few tell."""
    some = np.linspace(0, len(own) - 1, min(len(own), 20)).astype(np.intp)
    wanted = zip(some, own_names.names[some].tolist(), strict=True)
    rows = {name: row for row, name in wanted if not is_missing(name)}
    places: dict[Any, list[int]] = {name: [] for name in rows}
    for place, name in enumerate(names.names.tolist()):
        if not is_missing(name) and name in places:
            places[name].append(place)
    return all(
        any(
            as_pool(own.take(np.array([row]))).same_as(as_pool(pool.take(np.array([place]))))
            for place in places[name][:200]
        )
        for name, row in rows.items()
    )


def warn_of_rest(pool: Pool, own: Pool, known: Rows, skipped: Rows) -> None:
    """Warn where a pool is the pool of `fit` without its labelled rows, as far as twenty rows tell.

    Parameters
    ----------
    pool, own : Pool
        The one of a query, and that of `fit`.
    known, skipped : ndarray of int
        The labelled and the skipped rows of `own`, in increasing order.
    """
    n_gone = len(own) - len(pool)
    if not n_gone or not len(known) <= n_gone <= len(known) + len(skipped):
        return
    gone = known if n_gone == len(known) else np.union1d(known, skipped)
    if n_gone != len(gone):
        return
    some = np.unique(np.linspace(0, len(pool) - 1, 20).astype(np.intp))
    left = Candidates(gone, complement_in=len(own)).at(some)
    if as_pool(own.take(left)).same_as(as_pool(pool.take(some))):
        warnings.warn(
            "X_pool is the pool of fit without its labelled rows, and the rows returned are positions in X_pool; teach "
            "takes positions in the pool of fit. Call query() without X_pool: it leaves out labelled rows by itself.",
            PoolWarning,
            stacklevel=callers_level(),
        )


def has_other_index(pool: Pool, ids: Ids | None) -> bool:
    """Whether the names of the rows are others than those in the index of their frame, which is no order then."""
    own = Ids.of(None, pool)
    return ids is not None and own is not None and not ids.is_prefix_of(own)


def in_saved_order(
    pool: Pool, ids: Ids | None, n_saved: int, *, by_index: bool = True
) -> tuple[Pool, str | None]:
    """The rows of a saved learner, in its order, out of a pool that may have more of them.

    Parameters
    ----------
    pool : Pool
    ids : Ids or None
        As in `places_of`.
    n_saved : int
        How many rows there were.
    by_index : bool, default=True
        Whether an index names rows as `ids` does.

    Returns
    -------
    pool : Pool
        To be compared with the saved one.
    warning : str or None
        What was done, if anything.

    Raises
    ------
    ValueError
        If the index names other rows.
    """
    n_new = len(pool) - n_saved
    places: Rows | slice | None = places_of(pool, ids, n_saved) if by_index else None
    now = Ids.of(None, pool) if by_index else None
    if places is None and ids is not None and now is not None and not ids.is_prefix_of(now):
        there = {*comparable(now.names)}
        lost = [name for name in comparable(ids.names) if name not in there]
        what = f"{lost[:5]} are missing" if lost else "some belong to several rows"
        raise ValueError(
            f"X has other ids than the learner that was saved: {what}. Give the original pool with its index."
        )
    if places is None and n_new > 0 and not pool.is_lazy:
        places = slice(n_saved)
    if places is None:
        return pool, None
    what, then = "the rows of the saved pool in another order", ""
    if n_new:
        what, then = f"all rows of the saved pool and {n_new} more", "Take the new ones in with grow. "
    return as_pool(pool.take(places)), (
        f"X has {what}. The learner continues with the saved rows in their order. {then}query gives rows of "
        "learner.X_, and pd.Series(learner.labels_, index=learner.ids_) are its labels by name."
    )


def with_new_rows_last(pool: Pool, ids: Ids | None, n_before: int) -> Pool:
    """A longer pool, in which the rows of before come first, as they were.

    Parameters
    ----------
    pool : Pool
    ids : Ids or None
        As in `places_of`.
    n_before : int

    Raises
    ------
    ValueError
        If rows have to be moved, and new ones have the same name.

    Warns
    -----
    PoolWarning
        If rows were moved.
    """
    names = Ids.of(None, pool)
    if ids is not None and names is not None and not ids.is_prefix_of(names):
        names.check()  # tomorrow nobody could tell those apart that have the same name
    places = places_of(pool, ids, n_before)
    if places is None:
        return pool
    is_new = np.ones(len(pool), dtype=bool)
    is_new[places] = False
    warnings.warn(
        "X has the rows of before in another order. They keep their places, and the new ones come after them: query "
        "gives rows of learner.X_.",
        PoolWarning,
        stacklevel=callers_level(),
    )
    return as_pool(pool.take(np.concatenate([places, np.flatnonzero(is_new)])))
