"""BatchBALD: the batch whose labels together tell most about which member is right (Kirsch et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import NamedTuple, Self

import numpy as np

from ..utils.progress import counted
from ..utils.threads import one_blas_thread
from .lazy import LazyMaximum
from .points import Floats, Positions, blocks, check_k

_SETTLED = 0.01  # share of the members' entropy that is left once labels tell them apart


class JointInformation(NamedTuple):
    """The result of `batch_bald`.

    Attributes
    ----------
    rows : ndarray of shape (k,), dtype intp
        In order of choice.
    information : float
        How much their labels, together with those of the pending rows, tell about the members, in nats.
    is_exact : bool
        Whether all combinations of the labels were counted. If not, `information` is an estimate.
    """

    rows: Positions
    information: float
    is_exact: bool


@one_blas_thread
def batch_bald(
    probabilities: Floats,
    k: int,
    rng: np.random.Generator,
    candidates: Positions | None = None,
    pending: Positions | None = None,
    *,
    max_combinations: int = 1024,
) -> JointInformation:
    r"""Choose rows greedily by the mutual information between all their labels and the member that is right.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_members, n_classes)
        The predictions of members that are equally likely to be right.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
        Draws combinations of labels, and decides between rows that add the same information.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that may be picked, by default all.
    pending : ndarray of int of shape (n_pending,), default=None
        Rows that were picked before, none of them a candidate: the information of their labels is not counted again.
    max_combinations : int, default=1024
        The maximum number of combinations of the picks' labels. Up to this number, all combinations are counted, each
        with its probability; beyond it, this many are drawn.

    Returns
    -------
    joint : JointInformation

    Raises
    ------
    ValueError
        If k is not between 1 and the number of candidates.

    Notes
    -----
    With the posterior :math:`r_m(w)` of the members after a combination m of the picks' labels, row i adds

    .. math:: I(y_i; w \mid y_S) = \sum_m p(m) \Big( H\big[\sum_w r_m(w) p_w(y_i)\big]
        - \sum_w r_m(w) H[p_w(y_i)] \Big)

    It can only fall as S grows, so old values are upper bounds, and lazy greedy search picks what the naive one
    does. Means of several posteriors give upper bounds, too, which are measured first. If combinations are drawn (by
    systematic sampling), the value is a mean over them, and a row counts with the least value measured so far. Once
    less than a hundredth of the members' entropy is left, the choice starts again among the remaining rows.

    Memory beyond the input is O(n_samples * n_members + max_combinations * (n_members + n_classes)).

    References
    ----------
    .. [1] Kirsch, van Amersfoort, Gal, BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
       learning, NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import batch_bald
    >>> a, b = [[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0.2, 0.8], [1, 0], [0.2, 0.8]]
    >>> joint = batch_bald(np.array([a, a, b]), 2, np.random.default_rng(0))  # the second says nothing new
    >>> 2 in joint.rows, round(joint.information, 3)
    (True, 1.116)
    """
    pending = np.empty(0, np.intp) if pending is None else pending
    if candidates is None:
        candidates = np.setdiff1d(np.arange(len(probabilities)), pending)
    check_k(k, len(candidates))
    members, nothing = _Members(probabilities), _Combinations.none(probabilities.shape[1])
    alone = members.gains(nothing, candidates)
    known = reduce(
        lambda known, row: known.extended(members.of(row), max_combinations, rng), pending, nothing
    )
    picks: list[int] = []
    search, recent = LazyMaximum(alone.copy()), known
    for _ in counted(range(k), "picks"):
        if recent.left <= _SETTLED * nothing.left:
            search, recent = LazyMaximum(alone.copy()), nothing
        measures = [partial(members.gains_at, each, candidates) for each in (recent.merged(), recent)]
        picked = search.argmax(measures, rng)
        search.bounds[picked] = alone[picked] = -np.inf
        picks.append(picked)
        p = members.of(candidates[picked])
        known, recent = (each.extended(p, max_combinations, rng) for each in (known, recent))
    return JointInformation(candidates[picks], nothing.left - known.left, known.is_exact)


@dataclass(frozen=True)
class _Combinations:
    """Combinations of some rows' labels: the probability of each, and what it tells about the members."""

    weights: Floats  # of shape (n_combinations,), with the sum one
    posteriors: Floats  # of shape (n_combinations, n_members): the probability of each member after each
    is_exact: bool = True  # whether they are all, rather than drawn

    @classmethod
    def none(cls, n_members: int) -> Self:
        return cls(np.ones(1), np.full((1, n_members), 1 / n_members))

    @property
    def left(self) -> float:
        """The uncertainty about the members that the labels leave: the entropy H(w | y_S), in nats."""
        return float(self.weights @ _surprises(self.posteriors).sum(axis=1))

    def merged(self) -> Self:
        """Means of the posteriors with the same likeliest member. They tell less, so a row adds at least as much."""
        groups = (
            np.arange(self.posteriors.shape[1])[:, np.newaxis] == self.posteriors.argmax(axis=1)
        ) * self.weights
        groups = groups[groups.any(axis=1)]
        weights = groups.sum(axis=1)
        return replace(self, weights=weights, posteriors=groups @ self.posteriors / weights[:, np.newaxis])

    def extended(self, p: Floats, n_most: int, rng: np.random.Generator) -> Self:
        """Combinations with the labels of one more row, of shape (n_members, n_classes); `n_most` at most."""
        weights = (self.weights[:, np.newaxis] * (self.posteriors @ p)).ravel()
        kept = np.flatnonzero(weights)
        is_exact = self.is_exact and len(kept) <= n_most
        if len(kept) > n_most:
            # Equal steps from a random start: nothing is drawn much more often than its share says.
            steps = (np.arange(n_most) + rng.random()) / n_most
            edges = np.cumsum(weights[kept])
            kept = kept[np.searchsorted(edges[:-1] / edges[-1], steps, side="right")]
            weights = np.full(n_most, 1 / n_most)
        else:
            weights = weights[kept] / weights[kept].sum()
        before, label = np.divmod(kept, p.shape[1])
        posteriors = self.posteriors[before] * p.T[label]
        return type(self)(weights, posteriors / posteriors.sum(axis=1, keepdims=True), is_exact)


class _Members:
    """The information of the labels of rows about the members."""

    def __init__(self, probabilities: Floats) -> None:
        n_rows, n_members, n_classes = probabilities.shape
        self._probabilities, self._entropies = probabilities, np.empty((n_rows, n_members))
        for block in blocks(n_rows, n_members * n_classes):
            self._entropies[block] = _surprises(probabilities[block].astype(np.float64)).sum(axis=2)

    def of(self, row: int) -> Floats:
        """Return the probabilities of a row, of shape (n_members, n_classes)."""
        return self._probabilities[row].astype(np.float64)

    def gains_at(self, known: _Combinations, candidates: Positions, places: Positions) -> Floats:
        return self.gains(known, candidates[places])

    def gains(self, known: _Combinations, rows: Positions) -> Floats:
        """Return how much the label of each of some rows would add, in nats."""
        n_combinations, n_members = known.posteriors.shape
        n_classes = self._probabilities.shape[2]
        gains = -self._entropies[rows] @ (known.weights @ known.posteriors)
        for block in blocks(len(rows), max(n_combinations, n_members) * n_classes):
            p = self._probabilities[rows[block]].transpose(1, 0, 2).reshape(n_members, -1)
            mixed = known.posteriors @ p.astype(np.float64)
            gains[block] += (known.weights @ _surprises(mixed)).reshape(-1, n_classes).sum(axis=1)
        return np.maximum(gains, 0)


def _surprises(probabilities: Floats) -> Floats:
    """Return -p log p, and zero for p = 0, in a quarter of the time that scipy's `entr` takes."""
    logarithms = np.maximum(probabilities, np.finfo(np.float64).tiny)
    np.log(logarithms, out=logarithms)
    logarithms *= -probabilities
    return logarithms
