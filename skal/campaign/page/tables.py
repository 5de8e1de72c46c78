"""Rows of a table, a CSV or JSON Lines file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .items import Items, note_on_unreadable

_COLUMNS = 200  # that the page shows
_CELL = 2_000  # characters of a cell
_NAME = 80


class Table(Items):
    """Rows of a data frame.

    Parameters
    ----------
    frame : pandas.DataFrame
    written : pandas.DataFrame, default=None
        The cells as the file has them, which are shown: numbers and missing values can be written in several ways.
    """

    kind, noun = "table", "row"

    def __init__(self, frame: Any, written: Any = None) -> None:
        self.frame = frame
        self._written = frame if written is None else written

    def __len__(self) -> int:
        return len(self.frame)

    def name(self, row: int) -> str:
        return ", ".join(value for _, value in self._cells(row, 3))[:_NAME]

    def shown(self, row: int) -> dict[str, Any]:
        n_left = max(0, self.frame.shape[1] - _COLUMNS)
        return {"row": row, "fields": self._cells(row, _COLUMNS), "n_left": n_left}

    def raw(self) -> Any:
        return self.frame

    def pool(self, folder: Path) -> Any:
        return self.frame

    def note(self) -> str:
        rows = ("".join(map(str, row)) for row in self._written.itertuples(index=False))
        return note_on_unreadable(rows, self.noun)

    def _cells(self, row: int, n_columns: int) -> list[tuple[str, str]]:
        columns = self._written.columns[:n_columns]
        return [(_text(name), _text(self._written[name].iloc[row])) for name in columns]


def _text(value: Any) -> str:
    if value is None or value != value or value == "":
        return "–"
    text = str(value)
    text = text if len(text) <= _CELL else f"{text[:_CELL]} … ({len(text)} characters)"
    return text.encode(errors="replace").decode()
