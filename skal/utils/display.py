"""Texts for people to read."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text for any font and file: half of a surrogate pair, which has no UTF-8, becomes a question mark.

    Examples
    --------
    >>> from skal.utils.display import printable
    >>> printable("café " + chr(0xD83D))
    'café ?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def shortened(text: str, longest: int) -> str:
    """A text in one line, cut off if it is too long.

    Parameters
    ----------
    text : str
    longest : int
        The maximum number of characters, including the ellipsis.

    Examples
    --------
    >>> from skal.utils.display import shortened
    >>> shortened("aardvark", 5), shortened("ant", 5), shortened("a\\nb", 5)
    ('aard…', 'ant', 'a b')
    """
    text = " ".join(printable(text).splitlines())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
