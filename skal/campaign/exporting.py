"""Labels in the forms that other programs read."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.replacing import replacing

Table = dict[str, list[Any]]


def write(path: str | os.PathLike[str], table: Table) -> None:
    """Write a table, completely or not at all, in the format that the name of the file ends with.

    Raises
    ------
    ValueError
        If there is no such format.
    ImportError
        If parquet is wanted, and neither pandas with pyarrow nor polars is there.
    """
    formats: dict[str, Callable[[Table], bytes]] = {
        ".csv": as_csv, ".jsonl": as_json_lines, ".ndjson": as_json_lines, ".parquet": as_parquet
    }  # fmt: skip
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise ValueError(f"{os.fspath(path)!r} was given; the name must end with one of {sorted(formats)}.")
    data = formats[suffix](table)
    with replacing(path) as file:
        file.write(data)


def as_csv(table: Table) -> bytes:
    """A line per row, with names in the first; nothing where a value is missing."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return text.getvalue().encode()


def as_json_lines(table: Table) -> bytes:
    """An object per line."""
    lines = (dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True))
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def as_parquet(table: Table) -> bytes:
    """A table of pandas or polars, whichever is there."""
    data = io.BytesIO()
    if find_spec("polars"):
        import polars

        polars.DataFrame(table, strict=False).write_parquet(data)
    elif find_spec("pandas") and find_spec("pyarrow"):
        import pandas

        pandas.DataFrame(table).to_parquet(data, index=False)
    else:
        raise ImportError(
            "Parquet needs polars, or pandas with pyarrow: pip install polars. CSV and JSON Lines need nothing."
        )
    return data.getvalue()


def plain(column: Any) -> list[Any]:
    """A column as values that JSON has: dates as texts, and None for what is missing."""
    array = np.asarray(column)
    if array.dtype.kind == "M":
        return [f"{each}Z" for each in array.astype(str)]
    return [None if isinstance(each, float) and each != each else each for each in array.tolist()]
