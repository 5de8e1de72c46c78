"""What several annotators say together: the majority, or the classes that explain their answers best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils.checks import check_integer

_MAX_BYTES = 1 << 30  # of the probabilities of rows and of confusions


@dataclass(frozen=True)
class Consensus:
    """What annotators say together about items.

    Parameters
    ----------
    classes : ndarray of int of shape (n_items,)
        The most probable class of each item; -1 where two are.
    probabilities : ndarray of shape (n_items, n_classes)
        Of each class, for each item.
    confusions : ndarray of shape (n_annotators, n_classes, n_classes) or None
        The probability of each answer of an annotator, given the class of the item: one row per class, which sums to 1,
        or to 0 if the annotator has seen no such item. None if the method has no such matrix.
    n_iterations : int

    Examples
    --------
    >>> from skal.campaign import majority
    >>> majority([0, 0, 1], [1, 1, 0], n_items=2, n_classes=2).probabilities
    array([[0., 1.],
           [1., 0.]])
    """

    classes: NDArray[np.intp]
    probabilities: NDArray[np.float64]
    confusions: NDArray[np.float64] | None = None
    n_iterations: int = 0


def majority(items: ArrayLike, classes: ArrayLike, *, n_items: int, n_classes: int) -> Consensus:
    """The class that most annotators give to each item.

    Parameters
    ----------
    items : array-like of int of shape (n_answers,)
        The item of each answer.
    classes : array-like of int of shape (n_answers,)
        The class of each answer.
    n_items, n_classes : int

    Returns
    -------
    consensus : Consensus
        Shares of the answers as probabilities. An item without answers, or with a tie, has class -1.

    Raises
    ------
    ValueError
        If an item or a class is out of range.

    Examples
    --------
    >>> from skal.campaign import majority
    >>> majority([0, 0, 0, 1, 1], [1, 1, 0, 0, 1], n_items=2, n_classes=2).classes
    array([ 1, -1])
    """
    items, classes = _checked("items", items, n_items), _checked("classes", classes, n_classes)
    votes = np.zeros((n_items, n_classes))
    np.add.at(votes, (items, classes), 1)
    totals = votes.sum(axis=1, keepdims=True)
    shares = np.divide(votes, totals, out=np.zeros_like(votes), where=totals > 0)
    return Consensus(_best(shares), shares)


def dawid_skene(
    items: ArrayLike,
    annotators: ArrayLike,
    classes: ArrayLike,
    *,
    n_items: int,
    n_annotators: int,
    n_classes: int,
    smoothing: float = 0.01,
    max_iter: int = 200,
    tol: float = 1e-6,
) -> Consensus:
    r"""The classes of items from annotators who each have habits of their own, by expectation-maximisation.

    Annotator a answers l to an item of class k with probability :math:`\pi^a_{kl}`, independently of the others; class
    k has the share :math:`p_k`. From the shares of the votes :math:`T_{ik}`, two steps are taken in turns [1]_:

    .. math::
       \pi^a_{kl} = \frac{\sum_i T_{ik} n^a_{il} + s}{\sum_{l'} (\sum_i T_{ik} n^a_{il'} + s)}, \quad
       p_k = \frac{\sum_i T_{ik}}{\sum_{ik'} T_{ik'}}, \quad
       T_{ik} \propto p_k \prod_{a, l} (\pi^a_{kl})^{n^a_{il}},

    where :math:`n^a_{il}` is 1 if annotator a answered l to item i, and s the smoothing.

    Parameters
    ----------
    items, annotators, classes : array-like of int of shape (n_answers,)
        The item, annotator and class of each answer.
    n_items, n_annotators, n_classes : int
    smoothing : float, default=0.01
        Number of answers of each kind that each annotator is assumed to have given before, for each class. Without
        smoothing, an answer that was never given is considered impossible.
    max_iter : int, default=200
    tol : float, default=1e-6
        The steps end when no probability of an item changes by more than that.

    Returns
    -------
    consensus : Consensus
        An item without answers has class -1, and zeros.

    Raises
    ------
    ValueError
        If something is out of range, or the probabilities take more than 1 GiB.

    References
    ----------
    .. [1] Dawid and Skene. Maximum likelihood estimation of observer error-rates using the EM algorithm. Journal of the
       Royal Statistical Society C 28, 1979.

    Examples
    --------
    Anna and Bob agree, and Cleo says the opposite of both, which is as good as the truth:

    >>> from skal.campaign import dawid_skene
    >>> items = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4]
    >>> annotators = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 2]
    >>> classes = [0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1]
    >>> consensus = dawid_skene(items, annotators, classes, n_items=5, n_annotators=3, n_classes=2)
    >>> consensus.classes, consensus.confusions[2].round(1).tolist()
    (array([0, 1, 0, 1, 0]), [[0.0, 1.0], [1.0, 0.0]])
    """
    items, classes = _checked("items", items, n_items), _checked("classes", classes, n_classes)
    annotators = _checked("annotators", annotators, n_annotators)
    check_integer("max_iter", max_iter)
    if smoothing < 0 or tol < 0:
        raise ValueError(f"smoothing={smoothing!r} and tol={tol!r} were given; neither may be negative.")
    n_bytes = 8 * n_classes * (2 * n_items + n_annotators * n_classes + len(items))
    if n_bytes > _MAX_BYTES:
        raise ValueError(
            f"{n_items} items and {n_annotators} annotators with {n_classes} classes take {n_bytes >> 20} MiB of "
            "probabilities; use the majority."
        )
    posterior = majority(items, classes, n_items=n_items, n_classes=n_classes).probabilities
    answered = posterior.any(axis=1)
    said = annotators * n_classes + classes  # each kind of answer of each annotator
    for iteration in range(1, max_iter + 1):  # noqa: B007 - it is returned
        counts = np.full((n_annotators * n_classes, n_classes), float(smoothing))  # answers by classes
        np.add.at(counts, said, posterior[items])
        confusions = counts.reshape(n_annotators, n_classes, n_classes).swapaxes(1, 2)
        totals = confusions.sum(axis=2, keepdims=True)
        confusions = np.divide(confusions, totals, out=np.zeros_like(confusions), where=totals > 0)
        if not len(items):  # nobody has answered yet
            break
        before, posterior = posterior, _posterior(posterior, confusions, items, annotators, classes)
        posterior[~answered] = 0
        if np.abs(posterior - before).max(initial=0) <= tol:
            break
    return Consensus(_best(posterior), posterior, confusions, iteration)


def _posterior(
    posterior: NDArray[np.float64],
    confusions: NDArray[np.float64],
    items: NDArray[np.intp],
    annotators: NDArray[np.intp],
    classes: NDArray[np.intp],
) -> NDArray[np.float64]:
    """The probabilities of the classes of each item, given what each annotator's answers mean."""
    total = posterior.sum()
    with np.errstate(divide="ignore"):
        logs = np.tile(np.log(posterior.sum(axis=0) / max(total, 1)), (len(posterior), 1))
        np.add.at(logs, items, np.log(confusions[annotators, :, classes]))
    logs -= logs.max(axis=1, keepdims=True)
    likely = np.exp(logs)
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def _best(shares: NDArray[np.float64]) -> NDArray[np.intp]:
    """The column of the largest number of each row; -1 where there are several, up to rounding."""
    if not shares.size:
        return np.full(len(shares), -1, dtype=np.intp)
    most = shares.max(axis=1, keepdims=True)
    is_tie = (shares >= most - 1e-9).sum(axis=1) > 1
    return np.where(is_tie, -1, shares.argmax(axis=1))


def _checked(name: str, numbers: ArrayLike | Sequence[int], most: int) -> NDArray[np.intp]:
    array = np.asarray(numbers, dtype=np.intp)
    if array.ndim != 1 or ((array < 0) | (array >= most)).any():
        raise ValueError(f"{name} must be one-dimensional, with numbers from 0 to {most - 1}.")
    return array
