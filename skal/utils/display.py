"""Texts for people to read."""

from __future__ import annotations


def shortened(text: str, longest: int) -> str:
    """A text, cut off where it is too long for its place.

    Parameters
    ----------
    text : str
    longest : int
        Characters that there is room for, the ellipsis among them.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from skal.utils.display import shortened
    >>> shortened("aardvark", 5), shortened("ant", 5)
    ('aard…', 'ant')
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
