"""How many labels of each class a learner has had, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..simulation import History
from ..simulation.histories import by_repeat, class_names
from .drawing import axes_or_new, mean_over_repeats

_FEW = 10  # classes that have a colour each


@dataclass(eq=False, repr=False)
class ClassCountsDisplay:
    """Labels of each class by round, one on top of the other.

    It is recommended to use :meth:`from_history`. All parameters are stored as attributes.

    Parameters
    ----------
    n_labeled : ndarray of shape (n_rounds,)
    counts : ndarray of shape (n_rounds, n_classes)
        Labels of each class, the mean over the repeats.
    classes : sequence of str
        Their names.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    areas_ : list of matplotlib PolyCollection
        One for each class, from below.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skal.plotting import ClassCountsDisplay
    >>> history = {"n_labeled": np.array([10, 20]), "class_counts": np.array([[6, 4], [8, 12]])}
    >>> ClassCountsDisplay.from_history(history, classes=["cat", "dog"]).counts
    array([[ 6.,  4.],
           [ 8., 12.]])
    """

    n_labeled: NDArray[Any]
    counts: NDArray[np.float64]
    _: KW_ONLY
    classes: Sequence[Any]

    @classmethod
    def from_history(
        cls,
        history: History,
        *,
        classes: Sequence[Any] | None = None,
        shares: bool = False,
        ax: Any = None,
        **area_kwargs: Any,
    ) -> Self:
        """Draw the class counts of a ``history_``, or their mean over the repeats of a result of :func:`skal.simulate`.

        Parameters
        ----------
        history : dict of ndarray
            A history with ``class_counts``.
        classes : sequence of str, default=None
            Names of the classes, in the order of ``np.unique`` of the labels, such as ``learner.classes_``; by default
            those of the history, or their numbers if it is a plain dict.
        shares : bool, default=False
            Whether to draw the share of each class instead of its number of labels.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default.
        **area_kwargs : dict
            Passed to matplotlib's ``stackplot``.

        Returns
        -------
        display : ClassCountsDisplay

        Raises
        ------
        ValueError
            If there are no class counts, or not as many names as classes.
        """
        arrays = by_repeat(history)
        if "class_counts" not in arrays:
            raise ValueError(
                f"The history has no 'class_counts'; it has {sorted(history)}. Give the history_ of a "
                "SimulatedLearner, or one that simulate returned: these have the labels of each class by round."
            )
        counts = mean_over_repeats(arrays["class_counts"])
        names = class_names(history, counts.shape[1]) if classes is None else list(classes)
        if len(names) != counts.shape[1]:
            raise ValueError(
                f"{len(names)} names of classes were given, and the history counts labels of {counts.shape[1]}; give "
                "a name for each."
            )
        n_labeled = mean_over_repeats(arrays["n_labeled"])
        return cls(n_labeled, counts, classes=names).plot(shares=shares, ax=ax, **area_kwargs)

    def plot(self, *, shares: bool = False, ax: Any = None, **area_kwargs: Any) -> Self:
        """Draw the areas.

        Parameters
        ----------
        shares : bool, default=False
        ax : matplotlib Axes, default=None
        **area_kwargs : dict
            Passed to matplotlib's ``stackplot``.

        Returns
        -------
        display : ClassCountsDisplay
        """
        self.ax_ = ax = axes_or_new(ax)
        self.figure_ = ax.figure
        import matplotlib as mpl

        heights = self.counts
        if shares:
            heights = heights / np.maximum(heights.sum(axis=1, keepdims=True), 1)
        few = len(self.classes) <= _FEW
        colors = mpl.colormaps["tab10" if few else "turbo"](
            np.arange(len(self.classes)) if few else np.linspace(0, 1, len(self.classes))
        )
        labels = [str(name) for name in self.classes]
        self.areas_ = ax.stackplot(
            self.n_labeled, heights.T, **{"labels": labels, "colors": colors} | area_kwargs
        )
        ax.set(xlabel="Number of labels", ylabel="Share of the labels" if shares else "Labels of each class")
        # From top to bottom as the areas lie.
        ax.legend(self.areas_[::-1], labels[::-1], title="Class", ncols=1 + len(labels) // 20)
        return self
