"""Results as data frames, of pandas or polars."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from sklearn import get_config


def make_frame(columns: Mapping[str, Any], library: str | None = None) -> Any:
    """Columns as a data frame.

    Parameters
    ----------
    columns : dict of str to array-like of shape (n_rows,)
    library : {"pandas", "polars"} or None, default=None
        None stands for polars where ``sklearn.set_config(transform_output="polars")`` asks for it, and else for pandas.

    Returns
    -------
    frame : pandas.DataFrame or polars.DataFrame

    Raises
    ------
    ValueError
        If there is no such library.
    ImportError
        If it is not installed.

    Examples
    --------
    >>> from skal.utils.frames import make_frame
    >>> make_frame({"labels": [10, 20], "score": [0.8, 0.9]})
       labels  score
    0      10    0.8
    1      20    0.9
    """
    if library is None:
        library = "polars" if get_config()["transform_output"] == "polars" else "pandas"
    if library not in ("pandas", "polars"):
        raise ValueError(f"library={library!r} was given; it must be 'pandas', 'polars' or None.")
    try:
        frames = importlib.import_module(library)
    except ImportError as error:
        other = {"pandas": "polars", "polars": "pandas"}[library]
        raise ImportError(
            f"to_frame needs {library}, which is not installed: pip install {library}, or give library={other!r}."
        ) from error
    return frames.DataFrame(dict(columns))
