"""Tables that come in another order, or with new rows anywhere: their rows are put into their places by name."""

from __future__ import annotations

import warnings

import numpy as np

from ..exceptions import PoolWarning
from ..pool import Pool, Rows, as_pool
from ..utils.warnings import callers_level
from .ids import Ids


def in_saved_order(pool: Pool, ids: Ids | None, n_saved: int) -> tuple[Pool, str | None]:
    """The rows of a saved learner, in its order, out of a pool that may have more of them.

    Parameters
    ----------
    pool : Pool
    ids : Ids or None
        The saved names; None where there were none, or the index only counted the rows.
    n_saved : int
        How many rows there were.

    Returns
    -------
    pool : Pool
        The one that was given where nothing tells which rows these are: what is in it decides then.
    warning : str or None
        What was done, if anything.

    Raises
    ------
    ValueError
        If the index names other rows.
    """
    now = Ids.of(None, pool)
    if now is None:
        if len(pool) <= n_saved or pool.is_lazy:
            return pool, None
        rows: Rows | slice = slice(n_saved)
    else:
        saved = Ids(np.arange(n_saved)) if ids is None else ids
        found = saved.found_in(now)
        if found is None and ids is not None and not np.array_equal(saved.names, now.names):
            raise ValueError(
                f"X has other ids than the learner that was saved, such as {now.names.tolist()[0]!r} for "
                f"{saved.names.tolist()[0]!r}; give the original pool with its index."
            )
        if found is None or np.array_equal(found, np.arange(len(pool))):
            return pool, None
        rows = found
    if n_new := len(pool) - n_saved:
        what = f"all rows of the saved pool and {n_new} more, which learner.grow(X) takes in"
    else:
        what = "the rows of the saved pool in another order, by its index"
    return as_pool(pool.take(rows)), (
        f"X has {what}. The learner keeps the order it was saved in: query gives rows of learner.X_, and "
        "pd.Series(learner.labels_, index=learner.ids_) are its labels by name."
    )


def with_new_rows_last(pool: Pool, ids: Ids | None, n_before: int) -> Pool:
    """A longer frame, in which the rows of before come first, as they were.

    Parameters
    ----------
    pool : Pool
    ids : Ids or None
        The names of the rows of before; None where the index only counted them.
    n_before : int

    Returns
    -------
    pool : Pool
        The one that was given where its index does not tell which rows are new.

    Warns
    -----
    PoolWarning
        If rows were moved.
    """
    now = Ids.of(None, pool)
    before = Ids(np.arange(n_before)) if ids is None else ids
    if now is None or np.array_equal(before.names, now.names[:n_before]):
        return pool
    rows = before.found_in(now)
    if rows is None:
        return pool
    is_new = np.ones(len(pool), dtype=bool)
    is_new[rows] = False
    warnings.warn(
        "X has the rows of before in another order, by its index. They keep their places, and the new ones come after "
        "them: query gives rows of learner.X_.",
        PoolWarning,
        stacklevel=callers_level(),
    )
    return as_pool(pool.take(np.concatenate([rows, np.flatnonzero(is_new)])))
