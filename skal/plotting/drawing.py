"""What the displays share: axes to draw in, and means over repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def axes_or_new(ax: Any) -> Any:
    """The axes that were given, or new ones. matplotlib is imported here only."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def over_repeats(values: NDArray[Any]) -> Any:
    """Values of repeats as a masked array, whose means and extremes leave out what is NaN."""
    return np.ma.masked_array(values, np.isnan(values))


def mean_over_repeats(values: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of the repeats that have a value, NaN where none has."""
    return filled(over_repeats(values).mean(axis=0))


def filled(values: Any) -> NDArray[np.float64]:
    """A masked array as one with NaN."""
    return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
