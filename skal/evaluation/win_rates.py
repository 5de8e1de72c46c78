"""Win rates: on how many of several data sets one strategy is better than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.frames import Table
from .experiments import Experiments, as_experiments, matrix_columns
from .measures import Measure, measured
from .significance import differences_of


@dataclass(frozen=True, eq=False)
class WinRates(Table):
    """The share of the data sets on which each learner is better than each other one.

    As a table it has one row per learner that wins, and one column per learner that loses.

    Parameters
    ----------
    names : tuple of str
    rates : ndarray of shape (n_learners, n_learners)
        In row i and column j the share of the data sets on which i is better than j; a tie counts half. NaN on the
        diagonal.
    n_experiments : int
        Number of data sets.

    See Also
    --------
    win_rates : Makes them.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import WinRates
    >>> WinRates(("random", "margin"), np.array([[np.nan, 0.25], [0.75, np.nan]]), 4).mean_rates
    array([0.25, 0.75])
    """

    names: tuple[Any, ...]
    rates: NDArray[np.float64]
    n_experiments: int

    @property
    def mean_rates(self) -> NDArray[np.float64]:
        """The mean rate of each learner against all others: shape (n_learners,)."""
        return np.nansum(self.rates, axis=1) / (len(self.names) - 1)

    def _columns(self) -> dict[str, Any]:
        return matrix_columns(self.names, self.rates)


def win_rates(experiments: Experiments, *, measure: Measure = "area", metric: str = "score") -> WinRates:
    """Count the data sets on which each learner is better than each other, by the mean over the repeats.

    Parameters
    ----------
    experiments : dict of str to dict of str to dict of ndarray
        A result of :func:`skal.simulate` for each data set, of the same learners.
    measure : {"area", "final"} or callable, default="area"
        What is compared, as in :func:`paired_tests`; higher is better.
    metric : str, default="score"
        Which of the history's arrays has the scores.

    Returns
    -------
    rates : WinRates

    Raises
    ------
    ValueError
        If there are fewer than two learners, those of two data sets differ, a history lacks the metric, a measure
        returns no number for each repeat, or a learner has no number at all on a data set.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import win_rates
    >>> n_labeled = np.array([10, 20])
    >>> def result(random, margin):
    ...     scores = {"random": random, "margin": margin}
    ...     return {name: {"n_labeled": n_labeled, "score": np.array(each)} for name, each in scores.items()}
    >>> experiments = {"digits": result([0.5, 0.7], [0.5, 0.8]), "letters": result([0.1, 0.4], [0.1, 0.3])}
    >>> win_rates(experiments).rates
    array([[nan, 0.5],
           [0.5, nan]])
    """
    found = as_experiments(experiments)
    names = tuple(next(iter(found.values())))
    rates = np.zeros((len(names), len(names)))
    for data_set, histories in found.items():
        values = np.array([measured(histories[name], measure, metric) for name in names])
        # A repeat that has no number for one learner says nothing of the others either: they are compared in pairs.
        means = values[:, ~np.isnan(values).any(axis=0)]
        if not means.size:
            raise ValueError(
                f"No repeat on {data_set!r} has a number for every learner; give another measure, such as 'final'."
            )
        mean = means.mean(axis=1)
        rates += (np.sign(differences_of(mean[:, np.newaxis], mean)) + 1) / 2
    np.fill_diagonal(rates, np.nan)
    return WinRates(names, rates / len(found), len(found))
