"""How far annotators agree: as a share of answers, and beyond chance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree on the items that several of them have labelled.

    Parameters
    ----------
    n_items : int
        Items with two or more answers; all other attributes are about these.
    n_disputed : int
        Those on which no class has more than half of the answers.
    raw : float
        The share of pairs of answers to the same item that are the same; NaN without any.
    fleiss : float
        Fleiss' kappa: 1 is agreement, 0 is chance. NaN where it is not defined.
    cohen : dict of (annotator, annotator) to float
        Cohen's kappa of each pair of annotators with items in common; by name from a campaign, else by number.
    n_common : dict of (annotator, annotator) to int
        Number of items that each pair has in common.

    Examples
    --------
    >>> from skal.campaign import agreement
    >>> agreement([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 0, 1]).raw
    0.6666666666666666
    """

    n_items: int
    n_disputed: int
    raw: float
    fleiss: float
    cohen: dict[tuple[Any, Any], float] = field(default_factory=dict)
    n_common: dict[tuple[Any, Any], int] = field(default_factory=dict)


def agreement(items: ArrayLike, annotators: ArrayLike, classes: ArrayLike) -> Agreement:
    r"""Measure how far annotators agree.

    With :math:`n_{ik}` of the :math:`n_i \ge 2` answers to item i of class k, the agreement on it is
    :math:`P_i = \sum_k n_{ik} (n_{ik} - 1) / (n_i (n_i - 1))`. Fleiss' kappa is :math:`(\bar P - P_e) / (1 - P_e)` with
    :math:`P_e` the sum of the squared shares of the classes among these answers [1]_; items may have different numbers
    of them. Cohen's kappa has the shares of each of the two [2]_.

    Parameters
    ----------
    items, annotators, classes : array-like of int of shape (n_answers,)
        The item, annotator and class of each answer, numbered from 0; no annotator answers an item twice.

    Returns
    -------
    agreement : Agreement

    References
    ----------
    .. [1] Fleiss. Measuring nominal scale agreement among many raters. Psychological Bulletin 76, 1971.
    .. [2] Cohen. A coefficient of agreement for nominal scales. Educational and Psychological Measurement 20, 1960.

    Examples
    --------
    >>> from skal.campaign import agreement
    >>> found = agreement([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 0, 1, 1, 0])
    >>> found.raw, found.fleiss, found.cohen
    (0.5, 0.0, {(0, 1): 0.0})
    """
    items, annotators, classes = (np.asarray(each, dtype=np.intp) for each in (items, annotators, classes))
    _, items = np.unique(items, return_inverse=True)
    is_shared = np.bincount(items, minlength=1)[items] > 1 if len(items) else np.zeros(0, dtype=bool)
    items, annotators, classes = items[is_shared], annotators[is_shared], classes[is_shared]
    if not len(items):
        return Agreement(0, 0, np.nan, np.nan)
    _, items, n_answers = np.unique(items, return_inverse=True, return_counts=True)
    pairs, (at, counts) = n_answers * (n_answers - 1), _counts(items, classes)
    same = np.bincount(at, weights=counts * (counts - 1), minlength=len(n_answers))
    most = np.zeros(len(n_answers), dtype=np.intp)
    np.maximum.at(most, at, counts)
    shares = np.bincount(classes) / len(classes)
    cohen, n_common = _cohen(items, annotators, classes)
    return Agreement(
        n_items=len(n_answers),
        n_disputed=int((2 * most <= n_answers).sum()),
        raw=float(same.sum() / pairs.sum()),
        fleiss=_kappa(float((same / pairs).mean()), float((shares**2).sum())),
        cohen=cohen,
        n_common=n_common,
    )


def _counts(items: NDArray[np.intp], classes: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """How often each class is answered to each item, where it is: items and numbers."""
    keys, counts = np.unique(items * (int(classes.max()) + 1) + classes, return_counts=True)
    return keys // (int(classes.max()) + 1), counts


def _cohen(
    items: NDArray[np.intp], annotators: NDArray[np.intp], classes: NDArray[np.intp]
) -> tuple[dict[tuple[int, int], float], dict[tuple[int, int], int]]:
    kappas, n_common = {}, {}
    who = np.unique(annotators)
    own = {int(a): (items[annotators == a], classes[annotators == a]) for a in who}
    for i, one in enumerate(own):
        for other in list(own)[i + 1 :]:
            _, a, b = np.intersect1d(own[one][0], own[other][0], return_indices=True)
            if not len(a):
                continue
            left, right = own[one][1][a], own[other][1][b]
            n_classes = int(max(left.max(), right.max())) + 1
            shares = [np.bincount(each, minlength=n_classes) / len(a) for each in (left, right)]
            kappas[one, other] = _kappa(float((left == right).mean()), float(shares[0] @ shares[1]))
            n_common[one, other] = len(a)
    return kappas, n_common


def _kappa(observed: float, by_chance: float) -> float:
    """The agreement beyond chance; NaN where chance alone agrees always."""
    return float("nan") if by_chance >= 1 else (observed - by_chance) / (1 - by_chance)
