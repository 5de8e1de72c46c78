"""Which pool a campaign is about: it is known again by checksums."""

from __future__ import annotations

from typing import Any

from ..learner.ids import Ids
from ..pool import as_pool
from ..pool.checksum import how_columns_differ, object_checksum, what_differs
from ..utils.arrays import as_objects
from .naming import ids_in_order

_READ_BYTES = 1 << 26  # of a pool; of a larger one, evenly spaced rows are read


def identity(X: Any, items: Any = None) -> dict[str, Any]:
    """What tells a pool from others, in JSON.

    Parameters
    ----------
    X : container of n_rows rows
    items : sequence of n_rows items, default=None
        What annotators look at.

    Returns
    -------
    identity : dict
        ``n_rows``; ``container``, in words; ``columns``, name and type of each one of a table; ``rows``, a checksum;
        ``ids``, one of the names of the rows in any order, None where they have none; ``ids_in_order``, another one,
        None also where they are the positions; ``items``, a checksum or None.
    """
    return _outline(X, items) | {"rows": repr(as_pool(X).digest(_READ_BYTES))}


def _outline(X: Any, items: Any) -> dict[str, Any]:
    """All of an identity but the checksum of the rows."""
    pool = as_pool(X)
    ids = Ids.of(None, pool)
    in_order = ids_in_order(ids)
    if items is not None and len(items) != len(pool):
        raise ValueError(f"items has {len(items)} entries and X has {len(pool)} rows; give one item per row.")
    return {
        "n_rows": len(pool),
        "container": pool.description,
        "columns": pool.columns,
        "ids": None if ids is None else object_checksum(sorted(map(repr, ids.names.tolist()))),
        "ids_in_order": None if in_order is None else object_checksum(in_order),
        "items": None if items is None else _items_digest(items),
    }


def check_identity(then: dict[str, Any], X: Any, items: Any) -> None:
    """Refuse another pool than that of a campaign."""
    now = _outline(X, items)
    if now["n_rows"] != then["n_rows"]:
        raise ValueError(
            f"X has {now['n_rows']} rows, and the campaign is about a pool of {then['n_rows']}; give that pool. "
            "One with other rows is another campaign: import_labels takes labels over."
        )
    columns = how_columns_differ(then.get("columns", []), now["columns"])  # older campaigns lack them
    if columns is not None:
        raise ValueError(f"X is not the pool of the campaign: {columns}")
    if not as_pool(X).has_digest(then["rows"], _READ_BYTES):
        if then["ids"] is not None and now["ids"] == then["ids"]:
            raise ValueError(
                "X has the ids of the campaign's pool, but its rows are in another order or changed. Put them back "
                "into the original order, as X.sort_index() does where it was sorted: labels are kept by position."
            )
        raise ValueError(
            f"X is not the pool of the campaign: {what_differs(then.get('container'), now['container'])} Give the "
            "original one, in its original order. A pool with other rows is another campaign: import_labels takes "
            "labels over."
        )
    if "ids_in_order" in then and now["ids_in_order"] != then["ids_in_order"]:  # older campaigns lack it
        raise ValueError(
            "X has the rows of the campaign's pool, and another index: labels by ids would go to other rows. Give it "
            "with the original index, X.set_axis(index)."
        )
    if items is not None and then["items"] is not None and now["items"] != then["items"]:
        raise ValueError(
            "items are not those of the campaign, or in another order: answers would go to other rows than those that "
            "annotators see. Give the original ones."
        )


def _items_digest(items: Any) -> str:
    listed = items if hasattr(items, "dtype") else as_objects(items)
    return repr(as_pool(listed).digest(_READ_BYTES))
