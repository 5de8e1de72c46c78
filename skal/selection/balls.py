"""Balls around rows: how many rows each would cover, and how large they may be."""

import copy
import threading
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..utils.progress import counted
from ..utils.threads import in_threads, one_blas_thread
from .points import EuclideanPoints, Floats, Positions, check_k, sq_norms, square_dtype

_BLOCK_ROWS = 1024
_SAMPLED = 256  # rows that tell how large squares are


class BallCover:
    """Greedy maximum coverage: each pick is the row whose ball covers the most rows that no earlier ball covers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows. They are not copied and must not change.
    sq_radius : float
        Rows are covered by a center at a squared distance of less than this.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that take part, by default all.

    Attributes
    ----------
    gains : ndarray of shape (n_candidates,), dtype int64
        For each row, how many rows a ball around it would cover that are not covered yet.
    covered : ndarray of shape (n_candidates,) of bool

    Notes
    -----
    No graph is kept. One pass over all pairs counts the neighbours of each row. After that, a row is measured only once
    more, when it becomes covered, so each pair is measured at most twice, whatever the number of picks. Products, in
    float32 where its precision suffices, decide all pairs except those near the radius, whose distances are computed
    from differences in float64. Memory beyond X is O(n_samples).

    References
    ----------
    .. [1] Nemhauser, Wolsey & Fisher, An analysis of approximations for maximizing submodular set functions, 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import BallCover
    >>> cover = BallCover(np.array([[0.0], [1.0], [2.0], [9.0]]), sq_radius=2.0)
    >>> cover.gains
    array([2, 3, 2, 1])
    >>> cover.add([0])
    >>> cover.gains
    array([0, 1, 1, 1])
    """

    @one_blas_thread
    def __init__(self, X: Floats, sq_radius: float, candidates: Positions | None = None) -> None:
        self._points = EuclideanPoints(X, candidates)
        self._sq_radius, self._dtype = sq_radius, _dtype_for(self._points, sq_radius)
        n_points = len(self._points)
        self.gains, self.covered = np.zeros(n_points, np.int64), np.zeros(n_points, bool)
        lock = threading.Lock()

        def count(start: int) -> None:
            rows = np.arange(start, min(start + _BLOCK_ROWS, n_points))
            for where, near in self._near(rows, start):
                after = near[:, max(rows[-1] + 1 - where.start, 0) :]  # each pair of two blocks is seen once
                columns, own = near.sum(axis=0), after.sum(axis=1)
                with lock:
                    self.gains[where] += columns
                    self.gains[rows] += own

        in_threads(count, range(0, n_points, _BLOCK_ROWS))

    @one_blas_thread
    def add(self, centers: Positions | list[int]) -> None:
        """Cover the rows that are near some centers.

        Parameters
        ----------
        centers : array-like of int of shape (n_centers,)
            Among the rows that take part, counted from zero.
        """
        centers = np.asarray(centers, dtype=np.intp)
        before = self.covered.copy()
        for start in range(0, len(centers), _BLOCK_ROWS):
            for where, near in self._near(centers[start : start + _BLOCK_ROWS]):
                self.covered[where] |= near.any(axis=0)
        new = np.flatnonzero(self.covered & ~before)
        for start in range(0, len(new), _BLOCK_ROWS):
            for where, near in self._near(new[start : start + _BLOCK_ROWS]):
                self.gains[where] -= near.sum(axis=0)

    def with_centers(self, centers: Positions) -> Self:
        """A copy in which the rows near some more centers are covered.

        Parameters
        ----------
        centers : ndarray of int of shape (n_centers,)
            As in `add`.

        Returns
        -------
        cover : BallCover
        """
        other = copy.copy(self)
        other.gains, other.covered = self.gains.copy(), self.covered.copy()
        other.add(centers)
        return other

    def pick(
        self, k: int, candidates: Positions, pending: Positions, rng: np.random.Generator
    ) -> tuple[Positions, float]:
        """Return the k rows that greedily cover the most, in order of choice, and forget them again.

        Parameters
        ----------
        k : int
            At most the number of candidates.
        candidates : ndarray of int of shape (n_candidates,)
            The rows that may be picked, counted among those that take part, as everywhere here.
        pending : ndarray of int of shape (n_pending,)
            Rows that were picked before; they cover the rows near them, and do not become centers.
        rng : numpy.random.Generator
            Decides between rows that would cover equally many rows. Once everything is covered, picks are random.

        Returns
        -------
        rows : ndarray of shape (k,), dtype intp
        coverage : float
            The share of all rows that are covered after the picks.
        """
        check_k(k, len(candidates))
        other = self.with_centers(pending)
        left, picks = np.ones(len(candidates), bool), []
        for _ in counted(range(k), "picks"):
            gains = np.where(left, other.gains[candidates], -1)
            picked = int(rng.choice(np.flatnonzero(gains == gains.max())))
            left[picked] = False
            picks.append(int(candidates[picked]))
            other.add(picks[-1:])
        return np.array(picks, dtype=np.intp), float(other.covered.mean())

    def _near(self, rows: Positions, first: int = 0) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
        """Yield parts of the points from the first one, and which of them are near each of some rows."""
        points, dtype = self._points, self._dtype
        shifted = points.take(rows).astype(dtype)
        norms = sq_norms(shifted)[:, np.newaxis]
        others = np.arange(first, len(points))
        for block, chosen in points.blocks(others, len(rows)):
            targets = points.take(chosen).astype(dtype)
            own = sq_norms(targets)
            excess = shifted @ targets.T
            excess *= -2
            excess += norms
            excess += own - np.asarray(self._reach, dtype)
            near = excess < 0
            np.abs(excess, out=excess)
            # The largest norms of a block first: few of its pairs need a look at their own.
            close = np.flatnonzero(excess <= self._rounding(norms.max() + own.max()))
            left, right = np.divmod(close, len(chosen))
            is_close = excess.flat[close] <= self._rounding(norms[left, 0] + own[right])
            left, right = left[is_close], right[is_close]
            for start in range(0, len(left), _BLOCK_ROWS):
                part = slice(start, start + _BLOCK_ROWS)
                exact = sq_norms(points.take(rows[left[part]]) - points.take(chosen[right[part]]))
                near[left[part], right[part]] = exact < self._sq_radius
            yield slice(first + block.start, first + block.stop), near

    @property
    def _reach(self) -> float:
        """The squared radius, or the largest number that there is."""
        return min(float(self._sq_radius), float(np.finfo(self._dtype).max))

    def _rounding(self, squares: Floats) -> Floats:
        """Return how far squared distances may be off, given the sum of the squares of the two rows."""
        width, digits = self._points.width, np.finfo(self._dtype)
        return (
            2 * (width + 16) * digits.eps * (squares + np.minimum(squares, self._reach)) + width * digits.tiny
        )


def _dtype_for(points: EuclideanPoints, sq_radius: float) -> type[np.floating[Any]]:
    """Return the precision that decides most pairs: float32, unless it rounds more than a hundredth of the radius."""
    some = points.take(slice(0, len(points), max(1, len(points) // _SAMPLED)))
    rounding = 4 * (points.width + 16) * np.finfo(np.float32).eps * np.quantile(sq_norms(some), 0.9)
    return np.float64 if 100 * rounding > sq_radius else square_dtype(points.X)


@one_blas_thread
def pure_sq_radius(
    X: Floats,
    labels: Positions,
    purity: float,
    candidates: Positions | None = None,
    sample: Positions | None = None,
) -> float:
    """Return the largest squared radius at which a given share of the balls holds rows of one label only.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows.
    labels : ndarray of int of shape (n_candidates,)
        The cluster of each row that takes part.
    purity : float
        The share, above 0 and at most 1.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that take part, by default all.
    sample : ndarray of int, default=None
        The centers of the balls, among the rows that take part; by default all of them.

    Returns
    -------
    sq_radius : float
        Infinite if there is only one label.

    Notes
    -----
    A ball is pure up to the distance from its center to the nearest row of another label. The radius is therefore a
    quantile of these distances, and no radius needs to be tried.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import pure_sq_radius
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0], [5.0]])
    >>> labels = np.array([0, 0, 0, 1, 1])
    >>> pure_sq_radius(X, labels, purity=1.0), pure_sq_radius(X, labels, purity=0.6)
    (4.0, 9.0)
    """
    points = EuclideanPoints(X, candidates)
    sample = np.arange(len(points)) if sample is None else sample
    check_k(len(sample), len(points))
    nearest = np.full(len(sample), np.inf)
    own = labels[sample]
    for label in np.unique(own):
        mine = np.flatnonzero(own == label)
        others = np.flatnonzero(labels != label)
        for start in range(0, len(others), _BLOCK_ROWS):
            found = points.min_sq_distances(sample[mine], others[start : start + _BLOCK_ROWS])
            nearest[mine] = np.minimum(nearest[mine], found)
    n_impure = int((1 - purity) * len(sample) + 1e-9)
    return float(np.partition(nearest, n_impure)[n_impure])
