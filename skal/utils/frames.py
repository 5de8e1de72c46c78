"""Results as pandas or polars data frames."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from typing import Any

from sklearn import get_config


class Table(ABC):
    """Base class of results that are also a table. An author writes ``_columns()``."""

    def to_frame(self, library: str | None = None) -> Any:
        """The result as a data frame.

        Parameters
        ----------
        library : {"pandas", "polars"} or None, default=None
            None stands for polars if ``sklearn.set_config(transform_output="polars")`` asks for it, and otherwise for
            pandas.

        Returns
        -------
        frame : pandas.DataFrame or polars.DataFrame

        Raises
        ------
        ValueError
            If there is no such library.
        ImportError
            If it is not installed.
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
        return frames.DataFrame(self._columns())

    @abstractmethod
    def _columns(self) -> dict[str, Any]:
        """The columns by name: arrays or lists of equal length."""
