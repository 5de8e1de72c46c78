"""Displays in the manner of scikit-learn's: computed once, drawn and restyled at will."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from .simulation import History


class LearningCurveDisplay:
    """Learning curves of one or several strategies in one axes.

    It is recommended to use :meth:`from_history`. All parameters are stored as attributes.

    Parameters
    ----------
    histories : dict of str to dict of ndarray
        Results of :func:`skal.simulate`.
    metric : str, default="score"
        Which array of the histories is drawn against ``n_labeled``.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        The mean over the repeats.
    bands_ : dict of str to matplotlib PolyCollection
        The spread over the repeats, where there are several.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skal.plotting import LearningCurveDisplay
    >>> history = {"n_labeled": np.array([[10, 20]] * 2), "score": np.array([[0.8, 0.9], [0.7, 0.8]])}
    >>> display = LearningCurveDisplay.from_history({"random": history})
    >>> display.lines_["random"].get_ydata()
    array([0.75, 0.85])
    """

    def __init__(self, histories: Mapping[str, History], *, metric: str = "score") -> None:
        self.histories = histories
        self.metric = metric

    @classmethod
    def from_history(
        cls,
        histories: History | Mapping[str, History],
        *,
        metric: str = "score",
        band: str | None = "std",
        ax: Any = None,
        name: str | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw the curves of a ``history_`` or of the result of :func:`skal.simulate`.

        Parameters
        ----------
        histories : dict of ndarray, or dict of str to dict of ndarray
            One history, with or without a leading axis of repeats, or several by name.
        metric : str, default="score"
            The array to draw, such as ``"score"``, ``"query_time"`` or ``"query_entropy"``.
        band : {"std", "min_max"} or None, default="std"
            What the band around the mean shows: one standard deviation, or the extremes.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default. Several displays can share one.
        name : str, default=None
            The legend's name of a single history.
        **line_kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LearningCurveDisplay

        Raises
        ------
        ValueError
            If the histories have no such metric.
        """
        several = all(isinstance(value, Mapping) for value in histories.values())
        named: Any = histories if several else {name or "": histories}
        for label, history in named.items():
            if metric not in history:
                raise ValueError(
                    f"The history {label!r} has no {metric!r}; it has {sorted(history)}. A score needs validation "
                    "rows: validation_fraction, or X_val and y_val in fit."
                )
        return cls(named, metric=metric).plot(band=band, ax=ax, **line_kwargs)

    def plot(self, *, band: str | None = "std", ax: Any = None, **line_kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        band : {"std", "min_max"} or None, default="std"
        ax : matplotlib Axes, default=None
        **line_kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LearningCurveDisplay
        """
        if band not in ("std", "min_max", None):
            raise ValueError(f"band={band!r} was given; it must be 'std', 'min_max' or None.")
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.bands_ = {}, {}
        for name, history in self.histories.items():
            n_labeled = np.atleast_2d(history["n_labeled"])[0]
            values = np.atleast_2d(history[self.metric])
            mean = values.mean(axis=0)
            (line,) = ax.plot(n_labeled, mean, label=name or None, **line_kwargs)
            self.lines_[name] = line
            if band is not None and len(values) > 1:
                std = values.std(axis=0)
                low, high = (
                    (mean - std, mean + std) if band == "std" else (values.min(axis=0), values.max(axis=0))
                )
                self.bands_[name] = ax.fill_between(
                    n_labeled, low, high, alpha=0.2, color=line.get_color(), lw=0
                )
        ax.set_xlabel("Number of labels")
        ax.set_ylabel(self.metric.replace("_", " ").capitalize())
        if any(self.histories):
            ax.legend()
        return self
