"""Texts: one a line, or in a column of a CSV or JSON Lines file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...utils.display import shortened
from .items import Items, note_on_unreadable

PART = 20_000  # characters that the page shows at once
_LONG = 1500  # characters, above which a text is in smaller type, from the top
_NAME = 80  # characters that name a text in the table of labels


class Texts(Items):
    """Texts, shown in parts where they are long."""

    kind, noun = "text", "text"

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)

    def __len__(self) -> int:
        return len(self.texts)

    def name(self, row: int) -> str:
        return shortened(" ".join(self.texts[row][: 4 * _NAME].split()), _NAME)

    def shown(self, row: int) -> dict[str, Any]:
        return self.text(row, 0)

    def raw(self) -> list[str]:
        return self.texts

    def pool(self, folder: Path) -> list[str]:
        return self.texts

    def note(self) -> str:
        return note_on_unreadable(self.texts, self.noun)

    def text(self, row: int, start: int) -> dict[str, Any]:
        text = self.texts[row]
        if not 0 <= start <= len(text):
            raise LookupError(f"text {row} has no character {start}")
        end = start + PART
        n_left = max(0, len(text) - end)
        # Halves of a character pair, which JSON can write, are no text that could be sent.
        part = text[start:end].encode(errors="replace").decode()
        return {"row": row, "part": part, "is_long": len(text) > _LONG, "end": end, "n_left": n_left}
