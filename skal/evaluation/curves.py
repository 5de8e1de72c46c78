"""The learning curves in a history, repeat by repeat, and what several learners have in common."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..simulation.histories import History, by_repeat, check_metric

Curve = tuple[NDArray[Any], NDArray[np.float64]]


def curves(history: Mapping[str, Any], metric: str) -> list[Curve]:
    """The numbers of labels and the scores of each repeat, without the rounds that have no score."""
    check_metric(history, metric)
    found, arrays = [], by_repeat(history)
    for n_labeled, scores in zip(arrays["n_labeled"], arrays[metric], strict=True):
        is_there = ~(np.isnan(n_labeled) | np.isnan(scores))
        found.append((n_labeled[is_there], scores[is_there].astype(np.float64)))
    return found


def scores_at(history: Mapping[str, Any], metric: str, n_labeled: NDArray[Any]) -> NDArray[np.float64]:
    """The scores of each repeat at some numbers of labels: shape (n_repeats, n_numbers), NaN where it has none."""
    found = curves(history, metric)
    scores = np.full((len(found), len(n_labeled)), np.nan)
    for row, (numbers, values) in zip(scores, found, strict=True):
        _, there, which = np.intersect1d(n_labeled, numbers, return_indices=True)
        row[there] = values[which]
    return scores


def shared_numbers(histories: Mapping[Any, History], metric: str) -> NDArray[np.intp]:
    """The numbers of labels at which each of two or more learners has a score in some repeat, smallest first."""
    found = (
        np.concatenate([n_labeled for n_labeled, _ in curves(each, metric)]) for each in histories.values()
    )
    return np.asarray(reduce(np.intersect1d, found), dtype=np.intp)


def check_between(between: Any, *, may_be_one: bool = False) -> None:
    """ValueError unless a range is None, or two numbers of labels in increasing order."""
    if between is None:
        return
    given = np.asarray(between).tolist()
    are_two = isinstance(given, list) and len(given) == 2
    if not are_two or not (given[0] < given[1] or (may_be_one and given[0] == given[1])):
        raise ValueError(
            f"between={tuple(given) if are_two else given} was given; give two numbers of labels, of which the first "
            f"must be less than the second{', or the same' if may_be_one else ''}."
        )


def check_histories(histories: Mapping[Any, Any]) -> None:
    """ValueError where one history was given in place of several."""
    arrays = [name for name, history in histories.items() if not isinstance(history, Mapping)]
    if arrays:
        raise ValueError(
            f"One history was given, with the arrays {arrays}; give a dict of names to histories, the whole result of "
            "simulate."
        )


def check_baseline(histories: Mapping[Any, History], baseline: Any) -> dict[Any, History]:
    """The histories of the others; ValueError unless the baseline is among them and all have as many repeats."""
    check_histories(histories)
    if baseline not in histories:
        raise ValueError(f"baseline={baseline!r} was given; the histories are those of {list(histories)}.")
    if len(histories) < 2:
        raise ValueError(f"Only the baseline {baseline!r} was given; give the histories of others, too.")
    check_repeats(histories)
    return {name: history for name, history in histories.items() if name != baseline}


def check_repeats(histories: Mapping[Any, History]) -> None:
    """ValueError unless all learners have equally many repeats, as pairs need."""
    n_repeats = {name: len(by_repeat(history)["n_labeled"]) for name, history in histories.items()}
    if len(set(n_repeats.values())) > 1:
        raise ValueError(
            f"The learners have different numbers of repeats, {n_repeats}; repeats are compared in pairs that share "
            "their initial labels, so give all learners to one call of simulate."
        )
