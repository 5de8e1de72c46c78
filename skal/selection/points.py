"""Points whose distances the selectors measure, in blocks that fit into a core's cache."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.checks import squares_fit

Floats = NDArray[np.floating]
Positions = NDArray[np.intp]

# Numbers in one temporary array: 2**17 float64 are 1 MiB, about a core's second-level cache.
BLOCK_SIZE = 2**17


# Numbers whose squares fit into float32, with room for sums.
_LARGE, _SMALL = 1e15, 1e-15

_SAMPLE_NUMBERS, _FEWEST, _MOST = 2**20, 9, 128  # numbers and rows of the sample for a median

# Squared distances of products, beside the squared lengths: of fifteen digits, six are left.
_CLOSE = 1e-9


class Points(ABC):
    """Some rows of a pool, or all of them, counted from zero without a copy.

    Parameters
    ----------
    n_rows : int
        Rows of the pool.
    width : int
        Numbers per row.
    candidates : ndarray of int of shape (n_candidates,) or None
        Positions of the rows that are points; None stands for all.
    """

    def __init__(self, n_rows: int, width: int, candidates: Positions | None) -> None:
        self.width = width
        self._candidates = candidates
        self._n_points = n_rows if candidates is None else len(candidates)

    def __len__(self) -> int:
        return self._n_points

    def positions(self, rows: Any) -> Any:
        """Return the positions of points (an array, a list or a slice) in the pool."""
        return rows if self._candidates is None else self._candidates[rows]

    def blocks(self, rows: Positions | None, beside: int) -> Iterator[tuple[slice, Any]]:
        """Yield slices of `rows`, or of all points, and the points in them.

        A block leaves room for `beside` more numbers per point.
        """
        for block in blocks(len(self if rows is None else rows), self.width + beside):
            yield block, block if rows is None else rows[block]

    @abstractmethod
    def min_sq_distances(self, rows: Positions | None, centers: Positions) -> Floats:
        """Return the squared distance of each of `rows`, or of all points, to the nearest center."""

    def plus_plus(
        self,
        first: Iterable[int],
        k: int,
        rng: np.random.Generator,
        weight: Callable[[Floats], Floats] | None = None,
    ) -> Positions:
        """Draw distinct points by k-means++ until there are k: the farther from those drawn so far, the likelier.

        The draw is exact rejection sampling. A point is proposed with its last known weight, an upper bound, and
        accepted with the ratio of its present weight to that. After too many refusals one pass brings all weights
        up to date.

        Parameters
        ----------
        first : iterable of int
            The first picks, at least one.
        k : int
        rng : numpy.random.Generator
        weight : callable, default=None
            Weights from squared distances; by default the squared distances themselves.

        Returns
        -------
        picks : ndarray of shape (k,), dtype intp
            In order of choice, the first picks included. Once every point equals a pick, the rest is drawn uniformly.
        """

        def weights_of(rows: Positions | None, picks: list[int]) -> Floats:
            sq_distances = self.min_sq_distances(rows, np.array(picks))
            return sq_distances if weight is None else weight(sq_distances)

        # After so many refusals a pass over all points is the cheaper way on.
        patience = 16 + len(self) // 1000
        picks, n_known = [int(pick) for pick in first], 0
        weights = np.full(len(self), np.inf)
        while len(picks) < k:
            weights = np.minimum(weights, weights_of(None, picks[n_known:]))
            weights[picks] = 0
            n_known, n_refused = len(picks), 0
            cumulative = np.cumsum(weights)
            if cumulative[-1] == 0:
                left = np.delete(np.arange(len(self)), picks)
                picks.extend(rng.choice(left, k - len(picks), replace=False).tolist())
            while len(picks) < k and n_refused < patience:
                row = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
                recent = picks[n_known:]
                is_new = row < len(self) and row not in recent
                if is_new and (
                    not recent or rng.random() * weights[row] < weights_of(np.array([row]), recent)[0]
                ):
                    picks.append(row)
                else:
                    n_refused += 1
        return np.array(picks)


class EuclideanPoints(Points):
    """Rows of X as points of Euclidean space."""

    def __init__(self, X: Floats, candidates: Positions | None = None) -> None:
        if candidates is not None and len(candidates) == len(X) and (candidates == np.arange(len(X))).all():
            candidates = None  # slices of X need no copy
        super().__init__(len(X), X.shape[1], candidates)
        if not squares_fit(X):
            raise ValueError(
                f"The points go from {X.min():g} to {X.max():g}, and squared distances between them overflow in "
                f"{X.dtype}; scale them, or the rows that they are computed from."
            )
        self.X = X
        self.shift = middle(X)
        self.dtype = np.result_type(X.dtype, np.float32)

    def _raw(self, rows: Positions | slice | list[int]) -> Floats:
        positions = self.positions(rows)
        return self.X[positions] if isinstance(positions, slice) else self.X.take(positions, axis=0)

    def _rough(self, rows: Positions | slice) -> Floats:
        return np.subtract(self._raw(rows), self.shift, dtype=self.dtype)

    def write(self, rows: Positions | slice, target: Floats) -> None:
        """Write points into an array, rounded to its precision."""
        np.subtract(self._raw(rows), self.shift, out=target, casting="same_kind")

    def take(self, rows: Positions | slice | list[int]) -> Floats:
        """Return points in float64, shifted."""
        return self._raw(rows).astype(np.float64) - self.shift

    def min_sq_distances(self, rows: Positions | None, centers: Positions) -> Floats:
        return self.nearest(rows, centers)[1]

    def nearest(self, rows: Positions | None, centers: Positions) -> tuple[Positions, Floats]:
        """Return which center is nearest to each of `rows`, or of all points, and its squared distance."""
        # The product finds the nearest center. The distance itself comes from the difference: so it is
        # exactly zero for duplicates and does not depend on how rows and centers were grouped.
        targets = self.take(centers)
        norms = sq_norms(targets)
        n_rows = len(self if rows is None else rows)
        nearest, sq_distances = np.empty(n_rows, dtype=np.intp), np.empty(n_rows)
        for block, chosen in self.blocks(rows, len(centers)):
            points = self.take(chosen)
            nearest[block] = (norms - 2 * points @ targets.T).argmin(axis=1)
            sq_distances[block] = sq_norms(points - targets[nearest[block]])
        return nearest, sq_distances

    def rough_sq_distances(self, rows: Positions | None, targets: Floats) -> Floats:
        """Return upper bounds of the squared distances to the nearest target, from products in the data's precision."""
        targets = targets.astype(self.dtype)
        norms = sq_norms(targets)[:, np.newaxis]
        margin = (self.width + 16) * np.finfo(self.dtype).eps
        bounds = np.empty(len(self if rows is None else rows))
        for block, chosen in self.blocks(rows, len(targets)):
            points = self._rough(chosen)
            products = (-2 * targets) @ points.T
            products += norms
            own = sq_norms(points)
            bounds[block] = np.maximum(own + products.min(axis=0), 0) + margin * (own + norms.max())
        return bounds

    def farthest_from_mean(self, allowed: NDArray[np.bool_]) -> int:
        """Return the allowed point that is farthest from the mean of all points, the first of equals."""
        # Sums of a block in the data's own precision: the mean needs no more digits than the data have.
        total = np.zeros(self.width)
        for _, block in self.blocks(None, 0):
            total += self._rough(block).sum(axis=0)
        mean = total[np.newaxis] / len(self)
        bounds = np.where(allowed, self.rough_sq_distances(None, mean), -1)
        best = sq_norms(self.take([int(bounds.argmax())]) - mean)
        rows = np.flatnonzero(bounds >= best)
        exact = [sq_norms(self.take(chosen) - mean) for _, chosen in self.blocks(rows, 0)]
        return int(rows[np.concatenate(exact).argmax()])


def middle(X: NDArray[np.number]) -> NDArray[np.float32]:
    """Return the median of a sample of rows. Shifting by it keeps a common offset from drowning the differences.

    Any shift would do, except one that a few distant rows have dragged away. In float32 it is subtracted from float32
    or grid-valued data without rounding, and so keeps equal distances equal.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    middle : ndarray of shape (n_features,), dtype float32
    """
    n_rows = min(max(_SAMPLE_NUMBERS // max(1, X.shape[1]), _FEWEST), _MOST)
    sample = X[:: max(1, len(X) // n_rows)]
    median = np.partition(sample, len(sample) // 2, axis=0)[len(sample) // 2].astype(np.float64)
    largest = np.finfo(np.float32).max
    return median.clip(-largest, largest).astype(np.float32)


def are_close(sq_distances: Floats, norms: Floats) -> NDArray[np.bool_]:
    """Return which squared distances are so small relative to the norms of their points that products drown them.

    Parameters
    ----------
    sq_distances : ndarray of shape (n_points, n_targets)
    norms : ndarray of shape (n_points,)

    Returns
    -------
    are_close : ndarray of bool of shape (n_points, n_targets)
    """
    return sq_distances < _CLOSE * norms[:, np.newaxis]  # type: ignore[no-any-return]


def measure_close(sq_distances: Floats, points: Floats, norms: Floats, targets: Floats) -> None:
    """Measure by differences those squared distances that are so small relative to the norms that products drown them.

    Parameters
    ----------
    sq_distances : ndarray of shape (n_points, n_targets), dtype float64
        Sums of products, which are changed in place.
    points : ndarray of shape (n_points, n_features), dtype float64
    norms : ndarray of shape (n_points,)
        The squared lengths of the points. Targets that are so close have nearly the same.
    targets : ndarray of shape (n_targets, n_features), dtype float64
    """
    close = np.flatnonzero(are_close(sq_distances, norms))
    for block in blocks(len(close), points.shape[1]):
        rows, columns = np.divmod(close[block], len(targets))
        sq_distances[rows, columns] = sq_norms(points[rows] - targets[columns])


def square_dtype(X: Floats) -> type[np.floating[Any]]:
    """Return the precision in which squares of rows fit: float32 if possible."""
    largest = max(float(X.max()), -float(X.min()))
    return np.float32 if _SMALL < largest < _LARGE else np.float64


def blocks(n_rows: int, n_numbers: int) -> Iterator[slice]:
    """Yield slices of rows that fit into the cache, given how many numbers each row takes."""
    step = max(1, BLOCK_SIZE // max(1, n_numbers))
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def pending_first(
    pending: Positions | None, candidates: Positions | None, n_rows: int
) -> tuple[Positions | None, int]:
    """Return the rows that take part, those that were picked before at the front, and the number of these."""
    if pending is None or not len(pending):
        return candidates, 0
    if candidates is None:
        candidates = np.setdiff1d(np.arange(n_rows), pending)
    return np.concatenate([pending, candidates]), len(pending)


def sq_norms(points: Floats) -> Floats:
    """Return the squared length of each row."""
    return np.einsum("ij,ij->i", points, points)


def kth_largest(values: Floats, k: int) -> float:
    """Return the k-th largest value; the least if there are fewer than k."""
    k = min(k, len(values))
    return float(np.partition(values, len(values) - k)[len(values) - k])


def check_k(k: int, available: int, least: int = 1) -> None:
    """Raise ValueError unless k rows can be chosen."""
    if not least <= k <= available:
        raise ValueError(f"k={k} rows asked of {available} candidates; k must be between {least} and that.")
