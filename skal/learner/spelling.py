"""Dates, times and missing values of tables as what JSON has."""

from __future__ import annotations

import importlib
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ..utils.arrays import as_objects

_PLAIN: dict[str, tuple[type, Any, Any]] = {
    "date": (date, date.isoformat, date.fromisoformat),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "Decimal": (Decimal, str, Decimal),
    "UUID": (UUID, str, UUID),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}
_PANDAS = {"Timestamp": "Timestamp", "Period": "Period", "NaTType": "NaT", "NAType": "NA"}
_ZONE = re.compile(r"(?!dateutil)[\w+:-]+(/[\w+-]+)*")  # and no file of another place
KINDS = {*_PLAIN, *_PANDAS.values()}


def spelled(value: Any) -> list[Any] | None:
    """What `unspelled` makes a value of again: its kind, a number or a text, and what else it needs.

    Parameters
    ----------
    value : object

    Returns
    -------
    spelled : list of str, int and None, or None
        None where there is no such list, or what is made of it would not be the same.
    """
    kind = type(value)
    name = kind.__name__
    if kind is _PLAIN.get(name, (None,))[0]:
        found = [name, _PLAIN[name][1](value)]
    elif name in _PANDAS and kind.__module__.partition(".")[0] == "pandas":
        found = [_PANDAS[name]]
        if name == "Period":
            found += [value.ordinal, value.freqstr]
        elif name == "Timestamp":
            moment = value.asm8  # in UTC, where no hour is there twice
            zone = None if value.tz is None else str(value.tz)
            found += [int(moment.astype(np.int64)), np.datetime_data(moment.dtype)[0], zone]
    else:
        return None
    try:
        again = unspelled(*found)
    except (LookupError, TypeError, ValueError):  # of a zone without a name
        return None
    return found if again is value or (again == value and _zone(again) == _zone(value)) else None


def spelled_all(values: list[Any]) -> tuple[str, NDArray[Any], list[Any]] | None:
    """The kind of values, their numbers or texts, and what else all of them need; None where that is not the same."""
    found = []
    for value in values:
        if (each := spelled(value)) is None or len(each) < 2:
            return None
        found.append(each)
    if len({(kind, *rest) for kind, _, *rest in found}) != 1:
        return None
    kind, _, *rest = found[0]
    own = [each[1] for each in found]
    return kind, np.array(own, np.int64) if rest else as_objects(own), rest


def unspelled(kind: str, *content: Any) -> Any:
    """The value of which `spelled` has made this.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    *content : int, str or None

    Returns
    -------
    value : object
    """
    if kind in _PLAIN:
        return _PLAIN[kind][2](*content)
    pandas = importlib.import_module("pandas")
    if kind == "Period":
        ordinal, frequency = content
        return pandas.Period(ordinal=ordinal, freq=frequency)
    if kind == "Timestamp":
        number, unit, zone = content
        moment = pandas.Timestamp(np.datetime64(number, unit))
        if zone is None:
            return moment
        if not _ZONE.fullmatch(zone):
            raise ValueError(f"{zone!r} is the name of no time zone")
        return moment.tz_localize("UTC").tz_convert(zone)
    return getattr(pandas, kind)


def _zone(value: Any) -> str:
    return str(getattr(value, "tzinfo", None))
