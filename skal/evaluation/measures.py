"""One number for a learning curve: its area, or where it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..simulation.histories import History, by_repeat
from .curves import Curve, check_between, curves

Measure = str | Callable[[History], NDArray[Any]]


def area_under_curve(
    history: Mapping[str, Any], *, metric: str = "score", between: tuple[float, float] | None = None
) -> NDArray[np.float64]:
    """Normalized area under the learning curve of each repeat: the mean score over the numbers of labels.

    .. math:: A = \\frac{1}{n_b - n_a} \\int_{n_a}^{n_b} s(n) \\, dn

    where the score s is linear between the rounds (trapezoid rule). A learner whose score never changes has that score.

    Parameters
    ----------
    history : dict of ndarray
        A ``history_``, or one of the results of :func:`skal.simulate`.
    metric : str, default="score"
        Which of the history's arrays.
    between : tuple of (float, float), default=None
        The numbers of labels :math:`n_a < n_b`; by default the first and the last round of the repeat that have a
        score. Give them if stopping ended some repeats early, as areas over different ranges cannot be compared.

    Returns
    -------
    areas : ndarray of shape (n_repeats,)
        NaN for a repeat that does not cover this range, or has one round only.

    Raises
    ------
    ValueError
        If the history has no such metric, or the numbers are not in increasing order.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import area_under_curve
    >>> history = {"n_labeled": np.array([10, 20, 40]), "score": np.array([0.5, 0.7, 0.9])}
    >>> area_under_curve(history).round(3), area_under_curve(history, between=(10, 20)).round(3)
    (array([0.733]), array([0.6]))
    """
    check_between(between)
    return np.array([_area(curve, between) for curve in curves(history, metric)])


def _area(curve: Curve, between: tuple[float, float] | None) -> float:
    n_labeled, scores = curve
    if len(n_labeled) < 2:
        return np.nan
    low, high = (n_labeled[0], n_labeled[-1]) if between is None else between
    if low < n_labeled[0] or high > n_labeled[-1]:
        return np.nan
    inside = (n_labeled > low) & (n_labeled < high)
    numbers = np.concatenate([[low], n_labeled[inside], [high]])
    return float(np.trapezoid(np.interp(numbers, n_labeled, scores), numbers) / (high - low))


def final_score(history: Mapping[str, Any], *, metric: str = "score") -> NDArray[np.float64]:
    """The last score of each repeat.

    Parameters
    ----------
    history : dict of ndarray
        A ``history_``, or one of the results of :func:`skal.simulate`.
    metric : str, default="score"
        Which of the history's arrays.

    Returns
    -------
    scores : ndarray of shape (n_repeats,)
        NaN for a repeat without any score.

    Raises
    ------
    ValueError
        If the history has no such metric.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import final_score
    >>> final_score({"n_labeled": np.array([[10, 20]] * 2), "score": np.array([[0.5, 0.7], [0.6, np.nan]])})
    array([0.7, 0.6])
    """
    return np.array([scores[-1] if len(scores) else np.nan for _, scores in curves(history, metric)])


def measured(history: History, measure: Measure, metric: str) -> NDArray[np.float64]:
    """A measure of each repeat: "area", "final", or a function of the history."""
    if measure == "area":
        return area_under_curve(history, metric=metric)
    if measure == "final":
        return final_score(history, metric=metric)
    if not callable(measure):
        raise ValueError(
            f"measure={measure!r} was given; it must be 'area', 'final', or a function of a history that returns a "
            "number for each repeat."
        )
    values = np.asarray(measure(history), dtype=np.float64)
    n_repeats = len(by_repeat(history)["n_labeled"])
    if values.shape != (n_repeats,):
        raise ValueError(
            f"measure={measure!r} returned an array of shape {values.shape} for a history of {n_repeats} repeats; it "
            "must return a number for each."
        )
    return values
