"""The items of a folder or file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .images import Images
from .items import Items
from .tables import Table
from .texts import Texts

_LINES = {".jsonl", ".ndjson"}
_TABLES = {".csv", ".tsv", *_LINES}
_WORDS = 4.0  # in the mean, from which the cells of a column are texts to be read


def read_items(
    path: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    column: str | None = None,
    kind: str | None = None,
) -> Items:
    """Read the items to be labelled.

    Parameters
    ----------
    path : str or path-like
        A folder of images, or a file: CSV, TSV or JSON Lines with column names, or any other file with one text per
        line. Texts and cells are shown as they are written in the file.
    folder : str or path-like, default=None
        The folder of the campaign, which remembers which images there were; by default the name of `path` and
        ``.campaign``.
    column : str, default=None
        The column of a table that holds the texts to label.
    kind : {"image", "text", "table"}, default=None
        The kind of the items. By default "image" for a folder. A table is read as texts if it has one column, or one
        column of sentences and no numbers; otherwise as rows.

    Returns
    -------
    items : Items

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If the file or folder is empty, or has no such column, or `kind` is unknown or does not fit.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.campaign.page import read_items
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "houses.csv")
    ...     _ = file.write_text("rooms,price\\n3,100\\n5,200\\n")
    ...     items = read_items(file)
    >>> items.kind, len(items), items.name(1)
    ('table', 2, '5, 200')
    """
    root = Path(path).expanduser().absolute()  # images are read later
    if kind not in (None, "image", "text", "table"):
        raise ValueError(f"kind={kind!r} was given; it must be 'image', 'text' or 'table'.")
    if not root.exists():
        raise FileNotFoundError(
            f"{root} is not there; give a folder of images, or a file of texts or of a table."
        )
    if root.is_dir():
        if kind not in (None, "image") or column is not None:
            raise ValueError(f"{root} is a folder, which holds images; give a file for texts and tables.")
        return Images.read(root, campaign_folder(root) if folder is None else Path(folder))
    if kind == "image":
        raise ValueError(f"{root} is a file; give the folder that the images are in.")
    if root.suffix.lower() not in _TABLES:
        if kind == "table" or column is not None:
            raise ValueError(f"{root} has no columns; give a file that ends with one of {sorted(_TABLES)}.")
        return Texts(_checked(root, lines_of(root)))
    frame, written = _frames(root)
    _checked(root, frame)
    if column is None and kind != "table":
        column = _texts_in(frame, needed=kind == "text")
    if column is None:
        return Table(frame, written)
    if column not in written.columns:
        raise ValueError(f"{root} has no column {column!r}; there are {list(written.columns[:20])}.")
    return Texts(written[column].tolist())


def campaign_folder(root: Path) -> Path:
    """Where the campaign about a folder or file is, unless something else is said: beside it."""
    root = root.resolve()
    return root.with_name(f"{root.name}.campaign")


def lines_of(file: Path) -> list[str]:
    """The lines of a file; `str.splitlines` would end them at other characters, too, which are parts of texts."""
    lines = file.read_text("utf-8-sig", errors="replace").split("\n")
    return lines if lines[-1] else lines[:-1]


def _frames(root: Path) -> tuple[Any, Any]:
    """A table to learn from, and the same as it is written in the file, which annotators see."""
    import pandas as pd

    if root.suffix.lower() in _LINES:
        pairs = [_record(root, line) for line in lines_of(root) if line.strip()]
        written = pd.DataFrame([cells for _, cells in pairs], dtype=object)
        return pd.DataFrame([record for record, _ in pairs]), written.fillna("")
    how: dict[str, Any] = {"sep": "\t" if root.suffix.lower() == ".tsv" else ",", "encoding": "utf-8-sig"}
    how["encoding_errors"] = "replace"
    try:
        frame = pd.read_csv(root, **how)
    except pd.errors.ParserError as error:
        raise ValueError(
            f"{root} is no such table ({str(error).strip()}); put texts that hold the separator, quotes or line "
            "ends in quotes."
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):  # the first cells would name rows, unseen
        raise ValueError(
            f"{root} has rows with more cells than there are names of columns; put texts that hold the separator in "
            "quotes, and name each column."
        )
    return frame, pd.read_csv(root, dtype=str, keep_default_na=False, **how)


def _record(root: Path, line: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What a line of JSON holds, and its cells as they are written."""
    try:
        record = json.loads(line)
    except (RecursionError, ValueError) as error:
        raise ValueError(
            f"{root} holds {line[:80]!r}, which is no JSON ({error}); mend this line."
        ) from error
    if not isinstance(record, dict):
        raise ValueError(
            f'{root} holds {line[:80]!r}; each line must be an object, such as {{"text": "one"}}.'
        )
    cells = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    for name, cell in cells.items():
        if not isinstance(cell, str):
            cells[name] = "" if cell is None else json.dumps(record[name], ensure_ascii=False)
    return record, cells


def _texts_in(frame: Any, *, needed: bool) -> str | None:
    """The column of a table that is to be read: its only one, or the only one of sentences beside no numbers."""
    if frame.shape[1] == 1 and (needed or frame.dtypes.iloc[0].kind not in "iufb"):
        return str(frame.columns[0])
    words = {
        name: frame[name].head(1000).astype(str).str.split().str.len().mean()
        for name in frame.columns
        if frame[name].dtype.kind not in "iufbcmM"
    }
    long = [name for name, mean in words.items() if mean >= _WORDS]
    if len(long) == 1 and (needed or len(words) == frame.shape[1]):
        return str(long[0])
    if needed:
        raise ValueError(
            f"Several columns may be the texts; give column=..., or --column, one of {list(map(str, frame.columns))}."
        )
    return None


def _checked(root: Path, rows: Any) -> Any:
    if not len(rows):
        raise ValueError(f"{root} is empty.")
    return rows
