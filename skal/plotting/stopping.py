"""What a stopping criterion has measured, and where it stops."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..stopping import StoppingCriterion
from .drawing import axes_or_new


@dataclass(eq=False, repr=False)
class StoppingDisplay:
    """The values of a criterion round by round, their mean over the rounds that decide, and the threshold.

    It is recommended to use :meth:`from_criterion`. All parameters are stored as attributes.

    Parameters
    ----------
    n_labeled : ndarray of int of shape (n_rounds,)
    values : ndarray of shape (n_rounds,)
        The measured values; NaN where nothing could be measured.
    threshold : float
    n_rounds : int, default=1
        How many rounds are averaged.
    labels_left : float or None, default=None
        Estimate of the labels that are still worth buying, if there is one and the pool has that many rows.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    values_ : matplotlib Line2D
    mean_ : matplotlib Line2D
        The mean over the last `n_rounds` rounds; it is not in the legend if `n_rounds` is 1.
    threshold_ : matplotlib Line2D
    end_ : matplotlib Line2D or None
        Where the criterion stops or is expected to stop, if there is a clear trend.

    See Also
    --------
    skal.stopping.StoppingReport : The report on one round, in words.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import SimulatedLearner
    >>> from skal.plotting import StoppingDisplay
    >>> from skal.stopping import StabilizingPredictions
    >>> from skal.strategies import UncertaintySampling
    >>> learner = SimulatedLearner(
    ...     LogisticRegression(max_iter=1000), UncertaintySampling(), stopping=StabilizingPredictions(), random_state=0
    ... ).fit(*load_iris(return_X_y=True))
    >>> StoppingDisplay.from_criterion(learner.stopping_).n_labeled[:3]
    array([10, 20, 30])
    """

    n_labeled: NDArray[Any]
    values: NDArray[np.float64]
    _: KW_ONLY
    threshold: float
    n_rounds: int = 1
    labels_left: float | None = None

    @classmethod
    def from_criterion(cls, criterion: StoppingCriterion, *, ax: Any = None, **line_kwargs: Any) -> Self:
        """Draw what a criterion has measured.

        Parameters
        ----------
        criterion : StoppingCriterion
            Updated at least once, such as ``learner.stopping_`` of a simulation.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default.
        **line_kwargs : dict
            Passed to matplotlib's ``plot`` for the mean.

        Returns
        -------
        display : StoppingDisplay

        Raises
        ------
        NotFittedError
            If the criterion has seen no round yet.
        """
        history, report = criterion.history_, criterion.report_
        # An end far beyond the pool says nothing, and would leave no room for what was measured.
        outlasts_pool = report.n_left is not None and report.labels_left > report.n_left
        display = cls(
            history["n_labeled"],
            history["value"],
            threshold=criterion.threshold,
            n_rounds=criterion.n_rounds,
            labels_left=None if outlasts_pool else report.labels_left,
        )
        return display.plot(ax=ax, **line_kwargs)

    def plot(self, *, ax: Any = None, **line_kwargs: Any) -> Self:
        """Draw the values.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **line_kwargs : dict
            Passed to matplotlib's ``plot`` for the mean.

        Returns
        -------
        display : StoppingDisplay
        """
        self.ax_ = ax = axes_or_new(ax)
        self.figure_ = ax.figure
        means = np.full(len(self.values), np.nan)
        for end in range(self.n_rounds, len(self.values) + 1):
            means[end - 1] = self.values[end - self.n_rounds : end].mean()
        (self.values_,) = ax.plot(
            self.n_labeled, self.values, "o", markersize=4, color="grey", label="each round"
        )
        label = f"mean of {self.n_rounds} rounds" if self.n_rounds > 1 else None
        self.mean_ = ax.plot(self.n_labeled, means, **{"label": label} | line_kwargs)[0]
        self.threshold_ = ax.axhline(
            self.threshold, color="black", linestyle="--", linewidth=1, label="threshold"
        )
        self.end_ = None
        if self.labels_left is not None and np.isfinite(self.labels_left):
            end = self.n_labeled[-1] + self.labels_left
            label = f"stops at about {end:.0f}" if self.labels_left else f"has stopped at {end:.0f}"
            self.end_ = ax.axvline(end, color="black", linestyle=":", linewidth=1, label=label)
        if self.threshold > 0 and (self.values > 0).any():
            ax.set_yscale("log")
        ax.set(xlabel="Number of labels", ylabel="Criterion")
        ax.legend()
        return self
