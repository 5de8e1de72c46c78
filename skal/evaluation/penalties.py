"""The pairwise penalty matrix of the BADGE paper: which strategy beats which, over data sets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..simulation.histories import by_repeat
from ..utils.checks import check_share
from ..utils.frames import Table
from .curves import check_between, scores_at, shared_numbers
from .experiments import Experiments, as_experiments, matrix_columns
from .significance import differences_of, paired_test


@dataclass(frozen=True, eq=False)
class PenaltyMatrix(Table):
    """How often each learner beats each other one.

    As a table it has one row per learner that beats, and one column per learner that is beaten.

    Parameters
    ----------
    names : tuple of str
    penalties : ndarray of shape (n_learners, n_learners)
        In row i and column j, how much learner i beat learner j: between 0 and the number of data sets.
    n_experiments : int
        Number of data sets.

    See Also
    --------
    penalty_matrix : Makes one.
    skal.plotting.PenaltyMatrixDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import PenaltyMatrix
    >>> matrix = PenaltyMatrix(("random", "margin"), np.array([[0.0, 0.25], [1.5, 0.0]]), 2)
    >>> matrix.mean_losses
    array([0.75 , 0.125])
    """

    names: tuple[Any, ...]
    penalties: NDArray[np.float64]
    n_experiments: int

    @property
    def mean_losses(self) -> NDArray[np.float64]:
        """The mean of each column, the lower the better: shape (n_learners,)."""
        return self.penalties.mean(axis=0)

    def _columns(self) -> dict[str, Any]:
        return matrix_columns(self.names, self.penalties)


def penalty_matrix(
    experiments: Experiments,
    *,
    metric: str = "score",
    alpha: float = 0.05,
    between: tuple[float, float] | None = None,
) -> PenaltyMatrix:
    """Count where each learner is significantly better than each other, as in the BADGE paper.

    At each of the L numbers of labels of a data set, each pair of learners is compared by a two-sided paired t-test
    over the repeats. Where i is the better one, the loser gets a penalty,

    .. math:: P_{ij} \\leftarrow P_{ij} + 1 / L

    so that a data set adds at most 1, whatever the number of its rounds.

    Parameters
    ----------
    experiments : dict of str to dict of str to dict of ndarray
        A result of :func:`skal.simulate` for each data set, of the same learners. A single result is accepted, too.
    metric : str, default="score"
        Which of the history's arrays; higher is better.
    alpha : float, default=0.05
        A learner is better if the p-value is below this level. There is no correction, as in the paper.
    between : tuple of (float, float), default=None
        The smallest and largest number of labels that count, of those at which both learners of a pair have a score; by
        default all of these. The first round never counts, wherever the range begins: up to where both learners have
        begun, no strategy has chosen the labels. Where all curves have met, no learner beats another, so end before
        that.

    Returns
    -------
    matrix : PenaltyMatrix

    Raises
    ------
    ValueError
        If there are fewer than two repeats or learners, the learners of two data sets differ, a history lacks the
        metric, the numbers are not in increasing order, or no number of labels is left.

    Notes
    -----
    The paper was not available when this was written, so its choice of numbers of labels is left to `between`.

    References
    ----------
    J. T. Ash, C. Zhang, A. Krishnamurthy, J. Langford, A. Agarwal. "Deep batch active learning by diverse, uncertain
    gradient lower bounds". ICLR 2020, pairwise comparisons.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import penalty_matrix
    >>> n_labeled = np.array([[10, 20, 30]] * 3)
    >>> histories = {
    ...     "random": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.6, 0.8], [0.5, 0.6, 0.8], [0.5, 0.7, 0.9]])},
    ...     "margin": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.7, 0.8], [0.5, 0.7, 0.7], [0.5, 0.8, 0.9]])},
    ... }
    >>> penalty_matrix({"digits": histories}).penalties
    array([[0. , 0. ],
           [0.5, 0. ]])
    """
    check_share("alpha", alpha)
    check_between(between, may_be_one=True)
    found = as_experiments(experiments)
    names = tuple(next(iter(found.values())))
    penalties = np.zeros((len(names), len(names)))
    for data_set, histories in found.items():
        for i, j in permutations(range(len(names)), 2):
            pair = {name: histories[name] for name in (names[i], names[j])}
            first = max(np.nanmin(by_repeat(history)["n_labeled"]) for history in pair.values())
            numbers = shared_numbers(pair, metric)
            numbers = numbers[numbers > first]
            if between is not None:
                numbers = numbers[(numbers >= between[0]) & (numbers <= between[1])]
            if not len(numbers):
                raise ValueError(
                    f"{names[i]!r} and {names[j]!r} share no number of labels after their first round"
                    f"{'' if between is None else f' between {between[0]} and {between[1]}'} on {data_set!r}; give "
                    "them the same n_initial and n_queries, or a wider range."
                )
            ours, theirs = (scores_at(history, metric, numbers).T for history in pair.values())
            wins = sum(_beats(*scores, alpha) for scores in zip(ours, theirs, strict=True))
            penalties[i, j] += wins / len(numbers)
    return PenaltyMatrix(names, penalties, len(found))


def _beats(ours: NDArray[np.float64], theirs: NDArray[np.float64], alpha: float) -> bool:
    is_different = paired_test(ours, theirs) < alpha  # not where it is NaN
    return bool(is_different and np.nansum(differences_of(ours, theirs)) > 0)
