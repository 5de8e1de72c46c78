"""Ids of rows as texts: the same in a file that is written, in one that is read, and in the checksum of a pool."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..learner.ids import Ids


def id_texts(ids: Ids) -> list[str]:
    """The text of each id; that of a date does not depend on the unit that it is kept in.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.campaign.naming import id_texts
    >>> from skal.learner.ids import Ids
    >>> id_texts(Ids(np.array(["2026-11-01", "2026-11-02T12:00"], dtype="datetime64[ns]")))
    ['2026-11-01', '2026-11-02T12:00']
    """
    names = ids.names
    if names.dtype.kind == "M":
        return [str(np.datetime_as_string(name, unit="auto")) for name in names]
    if names.dtype.kind == "m":
        return [f"{name / np.timedelta64(1, 's')} s" for name in names]
    return [str(name) for name in names.tolist()]


def id_column(ids: Ids) -> list[Any]:
    """The ids as values of a table: as they are where all are numbers or all are strings, else their texts.

    Raises
    ------
    ValueError
        If different ids have the same text.
    """
    names, texts = ids.names.tolist(), id_texts(ids)
    if ids.names.dtype.kind not in "Mm" and any(
        all(isinstance(name, kind) for name in names) for kind in (str, int | float)
    ):
        return [None if name != name else name for name in names]
    if len(known := dict(zip(texts, names, strict=True))) < len(set(names)):
        one, other = next((n, known[t]) for n, t in zip(names, texts, strict=True) if known[t] != n)
        raise ValueError(
            f"The ids {one!r} and {other!r} are the same in a file. Campaign.open(folder).export(path) writes the "
            "positions of the rows alone."
        )
    return list(texts)


def ids_in_order(ids: Ids | None) -> list[str] | None:
    """What tells ids from others, with their order; None where there are none, or they are the positions."""
    if ids is None or (ids.names.dtype.kind in "iu" and np.array_equal(ids.names, np.arange(len(ids)))):
        return None
    if ids.names.dtype.kind in "Mm":
        return id_texts(ids)
    return [
        f"{type(name).__name__} {text}" for name, text in zip(ids.names.tolist(), id_texts(ids), strict=True)
    ]


def positions_of(ids: Ids) -> dict[str, int]:
    """The position of each text; -1 where it is that of several rows."""
    found: dict[str, int] = {}
    for position, text in enumerate(id_texts(ids)):
        found[text] = -1 if text in found else position
    return found
