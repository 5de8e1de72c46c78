"""k-center greedy: the rows farthest from all that are labelled or picked (Sener and Savarese, 2018)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils.progress import counted
from ..utils.threads import one_blas_thread
from .points import BLOCK_SIZE, EuclideanPoints, Floats, Positions, check_k, kth_largest, sq_norms

_MOST_KEPT = 2048  # rows in float64; the active block has fewer, except for rows at equal distances


class FarthestFirst:
    """Farthest-first traversal of the rows of X that remembers the distances to its centers.

    `add` declares centers (labelled rows); `pick` returns the k-center greedy picks given those centers and
    forgets the picks again, so that asking twice gives the same rows. The distances to the centers are kept, and the
    next round measures only the new centers. Both methods change what is kept, so only one thread may call them at a
    time.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows. They are not copied and must not change.

    Notes
    -----
    Algorithm 1 of Sener & Savarese (2018), the 2-approximation of Gonzalez (1985). Every pick is exactly that of the
    naive algorithm, and ties go to the lowest position. The difference is that rows are first compared by an upper
    bound of their squared distance to the nearest center. Only rows whose bound reaches the best exact distance are
    measured, against the centers that they have missed. A small active block that holds the farthest rows is kept
    exact. The worst case is that of the naive algorithm, O(n_samples * n_features) per pick; typical data need a small
    fraction of this. Memory beyond X is four numbers per row.

    References
    ----------
    .. [1] Sener & Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018.
    .. [2] Gonzalez, Clustering to minimize the maximum intercluster distance, 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import FarthestFirst
    >>> traversal = FarthestFirst(np.array([[0.0], [1.0], [4.0], [9.0]]))
    >>> traversal.add([0])
    >>> traversal.pick(2)
    array([3, 2])
    >>> traversal.add([3])
    >>> traversal.pick(1)
    array([2])
    """

    # Centers of the rough first pass; rows of the active block.
    _n_rough = 64
    _n_active = 512

    def __init__(self, X: Floats) -> None:
        self._points = EuclideanPoints(X)
        self._bounds = np.full(len(X), np.inf)
        self._seen = np.zeros(len(X), dtype=np.int32)
        self._centers: Positions = np.empty(0, dtype=np.intp)

    @one_blas_thread
    def add(self, rows: ArrayLike) -> None:
        """Declare rows as centers; they are never picked.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
            Positions in X.
        """
        rows = np.asarray(rows, dtype=np.intp)
        if rows.size == 0:
            return
        if not len(self._centers):
            some = rows[:: -(-len(rows) // self._n_rough)]
            self._bounds = self._points.rough_sq_distances(None, self._points.take(some))
        self._centers = np.concatenate([self._centers, rows])

    @one_blas_thread
    def pick(
        self, k: int, candidates: ArrayLike | None = None, pending: Positions | None = None
    ) -> Positions:
        """Return the k rows that greedily shrink the largest distance to a center, in order of choice.

        Parameters
        ----------
        k : int
            Between 0 and the number of candidates.
        candidates : array-like of shape (n_samples,) of bool or (n_candidates,) of int, default=None
            The rows that may be picked, by default all that are not centers.
        pending : ndarray of int of shape (n_pending,), default=None
            Rows that were picked before. They count as picks here, but do not become centers.

        Returns
        -------
        rows : ndarray of shape (k,), dtype intp
            Without any center, the first pick is the row farthest from the mean of X.

        Raises
        ------
        ValueError
            If k is not between 0 and the number of candidates that are not centers.
        """
        outside = self._candidate_bounds(candidates)
        picks: list[int] = [] if pending is None else list(pending)
        n_before = len(picks)
        outside[picks] = -1
        check_k(k, int(np.count_nonzero(outside >= 0)), least=0)
        if k > 0 and not len(self._centers):
            picks = picks or [self._points.farthest_from_mean(outside >= 0)]
            some = picks[:: -(-len(picks) // self._n_rough)]  # any of them give upper bounds
            rough = self._points.rough_sq_distances(None, self._points.take(some))
            outside = np.where(outside >= 0, rough, -1)
            outside[picks] = -1
        seen = np.zeros(len(outside), dtype=np.int32)
        active = _ActiveBlock(self._points)
        highest = np.inf

        def fetch(least: float) -> None:
            rows = np.flatnonzero(outside >= least)
            rows = self._measure(rows, outside, seen, picks, floor=max(min(least, active.best), 0))
            active.join(rows, outside[rows])
            outside[rows] = -1

        for _ in counted(range(n_before + k - len(picks)), "picks"):
            while active.best <= highest:
                # The rows with the highest bounds first: they may raise the best, and will last for a while.
                fetch(max(kth_largest(outside, self._n_some(len(picks))), 0))
                # Then all rows that may still beat the best, or tie with it at a lower position.
                fetch(max(active.best, 0))
                highest = outside.max()
            picks.append(active.pop())
            if len(active) > 2 * self._n_active:
                rows, values = active.shrink(self._n_active)
                outside[rows], seen[rows] = values, len(picks)
                highest = outside.max()
        return np.array(picks[n_before:], dtype=np.intp)

    def _candidate_bounds(self, candidates: ArrayLike | None) -> Floats:
        """Return a copy of the bounds, -1 where a row may not be picked."""
        allowed = np.full(len(self._bounds), candidates is None)
        if candidates is not None:
            allowed[np.asarray(candidates)] = True
        allowed[self._centers] = False
        return np.where(allowed, self._bounds, -1.0)

    def _n_some(self, n_picks: int) -> int:
        """Return how many rows one block of distances to all centers and picks has room for."""
        return min(self._n_active // 4, 16 + BLOCK_SIZE // (len(self._centers) + n_picks + 1))

    def _measure(
        self, rows: Positions, bounds: Floats, seen: NDArray[np.int32], picks: list[int], floor: float
    ) -> Positions:
        """Make the bounds of the leading rows exact, lower those of the others, and return the leading rows."""
        if len(rows) > self._n_active and picks:
            # Cheap bounds spare most of these many rows the exact distances.
            rough = self._points.rough_sq_distances(rows, self._points.take(picks))
            bounds[rows] = np.minimum(bounds[rows], rough)
            rows = rows[bounds[rows] >= floor]
        self._catch_up(rows, self._bounds, self._seen, self._centers, floor)
        bounds[rows] = np.minimum(bounds[rows], self._bounds[rows])
        if len(rows) > self._n_active:
            floor = max(floor, kth_largest(bounds[rows], self._n_active // 4))
        rows = rows[bounds[rows] >= floor]
        self._catch_up(rows, bounds, seen, np.array(picks, dtype=np.intp), floor)
        return rows[bounds[rows] >= floor]

    def _catch_up(
        self, rows: Positions, bounds: Floats, seen: NDArray[np.int32], centers: Positions, floor: float
    ) -> None:
        """Lower the bounds of rows by the centers that they have not seen; give up on rows below the floor."""
        while (rows := rows[(seen[rows] < len(centers)) & (bounds[rows] >= floor)]).size:
            start = int(seen[rows].min())
            stop = min(start + max(256, BLOCK_SIZE // len(rows)), len(centers))
            nearest = self._points.min_sq_distances(rows, centers[start:stop])
            bounds[rows] = np.minimum(bounds[rows], nearest)
            seen[rows] = np.maximum(seen[rows], stop)


class _ActiveBlock:
    """Rows whose distances to the nearest center or pick are kept exact, in order of position."""

    def __init__(self, points: EuclideanPoints) -> None:
        self._points = points
        self._rows = np.empty(0, dtype=np.intp)
        self._sq_distances = np.empty(0)
        self._block = self._kept()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def best(self) -> float:
        """The largest squared distance; -1 if no row is left to pick."""
        return float(self._sq_distances.max(initial=-1))

    def join(self, rows: Positions, sq_distances: Floats) -> None:
        """Add rows with their squared distances."""
        rows = np.concatenate([self._rows, rows])
        order = np.argsort(rows)
        self._rows = rows[order]
        self._sq_distances = np.concatenate([self._sq_distances, sq_distances])[order]
        self._block = self._kept()

    def pop(self) -> int:
        """Pick the farthest row, the one with the lowest position among equals, and measure the others against it."""
        best = int(self._sq_distances.argmax())
        if self._block is None:
            to_best = self._points.min_sq_distances(self._rows, self._rows[best : best + 1])
        else:
            to_best = sq_norms(self._block - self._block[best])
        np.minimum(self._sq_distances, to_best, out=self._sq_distances)
        self._sq_distances[best] = -1
        return int(self._rows[best])

    def shrink(self, n_rows: int) -> tuple[Positions, Floats]:
        """Keep only the farthest rows, and return the others with their squared distances."""
        keep = self._sq_distances >= kth_largest(self._sq_distances, n_rows)
        left = self._rows[~keep], self._sq_distances[~keep]
        self._rows, self._sq_distances = self._rows[keep], self._sq_distances[keep]
        self._block = self._kept()
        return left

    def _kept(self) -> Floats | None:
        """Return the rows in float64; None for too many, as where all distances are equal."""
        return self._points.take(self._rows) if len(self._rows) <= _MOST_KEPT else None
