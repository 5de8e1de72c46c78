"""How many labels a strategy saves until a score is reached, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..simulation import labels_needed
from ..simulation.histories import History, check_metric
from ..utils.checks import check_integer, check_share
from ..utils.frames import Table
from ..utils.random import draw_seed
from .curves import check_baseline, curves


@dataclass(frozen=True, eq=False)
class LabelsSaved(Table):
    """Labels that learners saved, compared with a baseline, until a score was reached.

    ``print`` describes it in words; as a table it has one row per learner.

    Parameters
    ----------
    score : float
        The score to reach.
    baseline : str
    names : tuple of str
        The learners that were compared with it.
    saved : ndarray of shape (n_learners,)
        Median over the repeats of how many more labels the baseline needed; NaN where runs ended too early to tell.
    low, high : ndarray of shape (n_learners,)
        Bootstrap interval of the median; infinite where the repeats do not bound it.
    n_reached : ndarray of int of shape (n_learners,)
        Repeats in which the learner reached the score.
    n_baseline_reached : int
        Repeats in which the baseline reached the score.
    n_repeats : int
    confidence : float
    best : ndarray of shape (n_learners,), default=None
        The highest score that each learner had in any repeat.
    baseline_best : float
        The highest score that the baseline had; NaN where it is not known.

    See Also
    --------
    labels_saved : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import LabelsSaved
    >>> saved, low, high = (np.array([value]) for value in (40.0, 20.0, np.inf))
    >>> print(LabelsSaved(0.9, "random", ("margin",), saved, low, high, np.array([5]), 4, 5, 0.95))
    Until 0.9, which random reached in 4 of 5 repeats:
    margin saved 40 labels (95 % interval 20 to inf), and reached it in 5.
    """

    score: float
    baseline: Any
    names: tuple[Any, ...]
    saved: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_reached: NDArray[np.intp]
    n_baseline_reached: int
    n_repeats: int
    confidence: float
    best: NDArray[np.float64] | None = None
    baseline_best: float = np.nan

    def __str__(self) -> str:
        lines = [
            f"Until {self.score:g}, which {self.baseline} reached in {self.n_baseline_reached} of {self.n_repeats} "
            f"repeats{_told(self.baseline_best, self.n_baseline_reached)}:"
        ]
        best = np.full(len(self.names), np.nan) if self.best is None else self.best
        for name, saved, low, high, n_reached, highest in zip(
            self.names, self.saved, self.low, self.high, self.n_reached, best, strict=True
        ):
            if not n_reached and not self.n_baseline_reached:
                lines.append(f"{name} did not reach it either{_told(highest, n_reached)}.")
                continue
            number = "an unknown number of" if np.isnan(saved) else f"{saved:g}"
            lines.append(
                f"{name} saved {number} labels ({100 * self.confidence:g} % interval {low:g} to {high:g}), and reached "
                f"it in {n_reached}{_told(highest, n_reached)}."
            )
        return "\n".join(lines)

    def _columns(self) -> dict[str, Any]:
        columns = {name: getattr(self, name) for name in ("saved", "low", "high", "n_reached")}
        return {"learner": list(self.names), **columns}


def labels_saved(
    histories: Mapping[Any, History],
    score: float,
    *,
    baseline: Any,
    metric: str = "score",
    confidence: float = 0.95,
    n_resamples: int = 9999,
    random_state: Any = None,
) -> LabelsSaved:
    """Labels that learners save against a baseline until they reach a score, with a bootstrap interval over repeats.

    A run that ended before it reached the score needed more labels than it had; how many is unknown. It bounds the
    labels saved from one side: if only the baseline did not reach the score, at least the difference in labels was
    saved; if only the learner did not, at most the difference. The medians of the lower and of the upper bounds enclose
    the median of the labels saved. They are equal, and the median is known, unless about half of the runs ended too
    early. The interval goes from the lower quantile of the resampled medians of the lower bounds to the upper quantile
    of those of the upper bounds.

    Parameters
    ----------
    histories : dict of str to dict of ndarray
        The result of :func:`skal.simulate`, whose repeats are pairs.
    score : float
        The score to reach. A learner reaches it at the first number of labels with at least this score.
    baseline : str
        Name of the learner that the others are compared with.
    metric : str, default="score"
        Which of the history's arrays.
    confidence : float, default=0.95
        Confidence of the interval. The interval consists of bootstrap percentiles, and is too narrow for fewer than ten
        repeats. One repeat bounds nothing.
    n_resamples : int, default=9999
        Number of bootstrap samples of the repeats.
    random_state : int, RandomState instance or None, default=None
        Seeds the bootstrap.

    Returns
    -------
    saved : LabelsSaved

    Raises
    ------
    ValueError
        If there are not equally many repeats, there is no such baseline, a history lacks the metric, or a parameter is
        invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import labels_saved
    >>> n_labeled = np.array([[10, 20, 30]] * 3)
    >>> histories = {
    ...     "random": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.6, 0.9], [0.5, 0.9, 0.9], [0.5, 0.6, 0.8]])},
    ...     "margin": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.9, 0.9], [0.9, 0.9, 0.9], [0.5, 0.9, 0.9]])},
    ... }
    >>> print(labels_saved(histories, 0.9, baseline="random", random_state=0))
    Until 0.9, which random reached in 2 of 3 repeats:
    margin saved 10 labels (95 % interval 10 to inf), and reached it in 3.
    >>> print(labels_saved(histories, 90, baseline="random", random_state=0))
    Until 90, which random reached in 0 of 3 repeats (its highest score was 0.9):
    margin did not reach it either (its highest score was 0.9).
    """
    others = check_baseline(histories, baseline)
    check_share("confidence", confidence)
    n_resamples = check_integer("n_resamples", n_resamples)
    for name, history in histories.items():
        check_metric(history, metric, name)
    needed = {name: labels_needed(history, score, metric=metric) for name, history in histories.items()}
    at_least = {name: _last_scored(history, metric) for name, history in histories.items()}
    n_repeats = len(needed[baseline])
    rng = np.random.default_rng(draw_seed(random_state))
    draws = rng.integers(n_repeats, size=(n_resamples, n_repeats))  # the same for all learners
    found = [
        _interval(
            *_bounds(at_least[name], needed[name], at_least[baseline], needed[baseline]), draws, confidence
        )
        for name in others
    ]
    saved, low, high = np.array(found).T
    return LabelsSaved(
        score=score,
        baseline=baseline,
        names=tuple(others),
        saved=saved,
        low=low,
        high=high,
        n_reached=np.array([np.count_nonzero(~np.isnan(needed[name])) for name in others]),
        n_baseline_reached=int(np.count_nonzero(~np.isnan(needed[baseline]))),
        n_repeats=n_repeats,
        confidence=confidence,
        best=np.array([_best(history, metric) for history in others.values()]),
        baseline_best=_best(histories[baseline], metric),
    )


def _best(history: History, metric: str) -> float:
    """The highest score; NaN where there is none."""
    return max((score for _, scores in curves(history, metric) for score in scores.tolist()), default=np.nan)


def _told(best: float, n_reached: int) -> str:
    """The highest score in words, where the one to reach was never reached."""
    return "" if n_reached or np.isnan(best) else f" (its highest score was {best:g})"


def _last_scored(history: History, metric: str) -> NDArray[np.float64]:
    """The labels of each repeat's last round with a score: more are needed for a score that no round has."""
    return np.array([max(n_labeled, default=0) for n_labeled, _ in curves(history, metric)], dtype=np.float64)


def _bounds(
    scored: NDArray[np.float64],
    needed: NDArray[np.float64],
    base_scored: NDArray[np.float64],
    base_needed: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between which numbers lies what each repeat saved."""
    at_least = np.where(np.isnan(needed), scored, needed)
    base_at_least = np.where(np.isnan(base_needed), base_scored, base_needed)
    low, high = base_at_least - at_least, base_at_least - at_least
    low[np.isnan(needed)], high[np.isnan(base_needed)] = -np.inf, np.inf
    return low, high


def _interval(
    low: NDArray[np.float64], high: NDArray[np.float64], draws: NDArray[np.intp], confidence: float
) -> tuple[float, float, float]:
    """The median where it is known, and the ends of its bootstrap interval."""
    lower, upper = np.median(low), np.median(high)
    saved = float(lower) if lower == upper else np.nan
    if draws.shape[1] == 1:
        return saved, -np.inf, np.inf
    tail = (1 - confidence) / 2
    # No interpolation, which infinite numbers do not have.
    return (
        saved,
        float(np.quantile(np.median(low[draws], axis=1), tail, method="lower")),
        float(np.quantile(np.median(high[draws], axis=1), 1 - tail, method="higher")),
    )
