"""What annotators look at: images in a folder, texts, or rows of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar


class Items(ABC):
    """Items to label, each at its position: the page shows nothing else.

    Attributes
    ----------
    kind : str
        The template that shows one, ``items/<kind>.html``.
    noun : str
        What one is called.

    Examples
    --------
    >>> from skal.campaign.page import Items
    >>> class Words(Items):
    ...     kind, noun = "text", "word"
    ...     def __init__(self, words):
    ...         self.words = words
    ...     def __len__(self):
    ...         return len(self.words)
    ...     def name(self, row):
    ...         return self.words[row]
    ...     def shown(self, row):
    ...         return {"row": row, "part": self.words[row], "n_left": 0}
    ...     def raw(self):
    ...         return self.words
    ...     def pool(self, folder):
    ...         return self.words
    >>> Words(["sun", "moon"]).shown(1)
    {'row': 1, 'part': 'moon', 'n_left': 0}
    """

    kind: ClassVar[str]
    noun: ClassVar[str]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, row: int) -> str:
        """What an item is called in the table of labels.

        Parameters
        ----------
        row : int

        Returns
        -------
        name : str
        """

    @abstractmethod
    def shown(self, row: int) -> dict[str, Any]:
        """What the template of the kind is filled with; it escapes all of it.

        Parameters
        ----------
        row : int

        Returns
        -------
        values : dict
        """

    @abstractmethod
    def raw(self) -> Any:
        """The items, for a learner of one's own.

        Returns
        -------
        items : list of Path, list of str or pandas.DataFrame
        """

    @abstractmethod
    def pool(self, folder: Path) -> Any:
        """What a classifier learns from.

        Parameters
        ----------
        folder : Path
            Of the campaign, which may keep what was computed.

        Returns
        -------
        X : container of n_rows rows
        """

    def image(self, row: int) -> tuple[bytes, str] | None:
        """An image and its media type.

        Parameters
        ----------
        row : int

        Returns
        -------
        image : tuple of bytes and str, or None
            None where there is none that can be shown.
        """
        return None

    def text(self, row: int, start: int) -> dict[str, Any]:
        """A part of a long text, as `shown` gives the first one.

        Parameters
        ----------
        row : int
        start : int
            Its first character.

        Returns
        -------
        values : dict

        Raises
        ------
        LookupError
            If there is none.
        """
        raise LookupError("only texts have parts")

    def note(self) -> str:
        """What the terminal says about the items, beside how many there are.

        Returns
        -------
        note : str
        """
        return ""


def note_on_unreadable(texts: Iterable[str], noun: str) -> str:
    """What to say where a file is not in UTF-8: annotators see what could not be read as the character for that."""
    n = sum("\ufffd" in text for text in texts)
    told = f"{n} {noun}s have characters that cannot be read, shown as \ufffd; is the file in UTF-8?"
    return told if n else ""
