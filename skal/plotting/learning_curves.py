"""Learning curves, with their spread and with marks where a strategy differs from a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from ..evaluation import PairedTests, paired_tests_by_labels
from ..evaluation.curves import check_histories
from ..simulation import History
from ..simulation.histories import by_repeat, check_metric
from .drawing import axes_or_new, filled, mean_over_repeats, over_repeats

_BANDS = {"std": "standard deviation", "min_max": "lowest to highest"}


@dataclass(eq=False, repr=False)
class LearningCurveDisplay:
    """Learning curves of one or several strategies in one axes.

    It is recommended to use :meth:`from_history`. All parameters are stored as attributes.

    Parameters
    ----------
    histories : dict of str to dict of ndarray
        Results of :func:`skal.simulate`.
    metric : str, default="score"
        Which array of the histories is drawn against ``n_labeled``.
    tests : dict of int to PairedTests, default=None
        Results of :func:`skal.evaluation.paired_tests_by_labels`, whose significant ones are marked.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        The mean over the repeats that have a value.
    bands_ : dict of str to matplotlib PolyCollection
        The spread over the repeats, where there are several.
    marks_ : dict of str to matplotlib PathCollection
        Points on the curves where they differ from the baseline.

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

    histories: Mapping[str, History]
    _: KW_ONLY
    metric: str = "score"
    tests: Mapping[int, PairedTests] | None = None

    @classmethod
    def from_history(
        cls,
        histories: History | Mapping[str, History],
        *,
        metric: str = "score",
        band: str | None = "std",
        baseline: str | None = None,
        test: str = "t",
        level: float = 0.05,
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
        baseline : str, default=None
            Name of the history that the others are tested against at each number of labels. The tests are paired by
            repeat and have Holm's correction for the number of curves; a filled point marks where a curve differs.
        test : {"t", "wilcoxon"}, default="t"
            As in :func:`skal.evaluation.paired_test`.
        level : float, default=0.05
            A point is marked if its corrected p-value is below this level.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default. Several displays can share one. If the histories have names, the
            legend explains the band and the points.
        name : str, default=None
            The name of a single history in the legend.
        **line_kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LearningCurveDisplay

        Raises
        ------
        ValueError
            If the histories have no such metric, or, with a `baseline`, fewer than two repeats or no number of labels
            in common.
        """
        several = all(isinstance(value, Mapping) for value in histories.values())
        named: Any = histories if several else {name or "": histories}
        for label, history in named.items():
            check_metric(history, metric, label)
        tests = None
        if baseline is not None:
            check_histories(histories)
            tests = paired_tests_by_labels(named, baseline=baseline, test=test, metric=metric)
        return cls(named, metric=metric, tests=tests).plot(band=band, level=level, ax=ax, **line_kwargs)

    def plot(
        self, *, band: str | None = "std", level: float = 0.05, ax: Any = None, **line_kwargs: Any
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        band : {"std", "min_max"} or None, default="std"
        level : float, default=0.05
            A point is marked if its corrected p-value is below this level.
        ax : matplotlib Axes, default=None
        **line_kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LearningCurveDisplay
        """
        if band not in (*_BANDS, None):
            raise ValueError(f"band={band!r} was given; it must be 'std', 'min_max' or None.")
        self.ax_ = ax = axes_or_new(ax)
        self.figure_ = ax.figure
        self.lines_: dict[str, Any] = {}
        self.bands_: dict[str, Any] = {}
        self.marks_: dict[str, Any] = {}
        for name, history in self.histories.items():
            arrays = by_repeat(history)
            n_labeled = mean_over_repeats(arrays["n_labeled"])
            values = over_repeats(arrays[self.metric])
            mean = values.mean(axis=0)
            (line,) = ax.plot(n_labeled, filled(mean), label=name or None, **line_kwargs)
            self.lines_[name] = line
            if band is not None and len(values) > 1:
                std = values.std(axis=0)
                low, high = mean - std, mean + std
                if band == "min_max":
                    low, high = values.min(axis=0), values.max(axis=0)
                self.bands_[name] = ax.fill_between(
                    n_labeled, filled(low), filled(high), alpha=0.2, color=line.get_color(), lw=0
                )
            self._mark(name, level)
        ax.set_xlabel("Number of labels")
        ax.set_ylabel(self.metric.replace("_", " ").capitalize())
        if any(self.histories):
            shown = [f"band: {_BANDS[band]}"] if band is not None and self.bands_ else []
            shown += [f"dots: p < {level:g} by Holm"] if self.marks_ else []
            ax.legend(title="\n".join(shown) or None)
        return self

    def _mark(self, name: str, level: float) -> None:
        tests = self.tests or {}
        significant = [
            number
            for number, test in tests.items()
            if name in test.names and test.adjusted[test.names.index(name)] < level
        ]
        if significant:
            line = self.lines_[name]
            is_marked = np.isin(line.get_xdata(), significant)
            self.marks_[name] = self.ax_.scatter(
                *line.get_xydata()[is_marked].T, s=20, color=line.get_color(), zorder=line.get_zorder() + 1
            )
