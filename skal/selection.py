"""Batch selectors: top-k, k-center greedy, k-means++ on gradient embeddings, k-medians.

They take plain arrays and give integer arrays of row positions, and know nothing of labels or estimators.
Distances are evaluated in float64, block by block, and as late as possible: the distance of a row to its
nearest pick can only fall, so that an old one is an upper bound, and most rows never need a new one.
"""

from collections.abc import Callable, Iterator
from functools import cache, wraps
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController  # comes with scikit-learn

__all__ = [
    "FarthestFirst",
    "badge_kmeans_plusplus",
    "k_medians",
    "top_k",
]

Floats = NDArray[np.floating]
Rows = NDArray[np.intp]
Counts = NDArray[np.int32]

# Numbers in one temporary: 2**17 float64 are 1 MiB, about a core's second-level cache.
_BLOCK_SIZE = 2**17
_N_WEISZFELD = 5

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()


def _single_threaded(function: Callable[P, T]) -> Callable[P, T]:
    """Keep BLAS to one thread: the products fit a cache, and waiting for a second one can cost ten times more."""

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _threadpools().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited


def top_k(scores: ArrayLike, k: int, rng: np.random.Generator | None = None) -> Rows:
    """Positions of the k highest scores, best first; equal scores in order of position, or at random.

    A partition finds the k-th score in O(n), and only what is at least as high is sorted.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Infinities are allowed, NaN is not.
    k : int
        Between 0 and n.
    rng : numpy.random.Generator, default=None
        Orders equal scores at random.

    Returns
    -------
    positions : ndarray of shape (k,), dtype intp

    Raises
    ------
    ValueError
        If a score is NaN or k is not between 0 and n.

    Examples
    --------
    >>> from skal.selection import top_k
    >>> top_k([0.1, 0.7, 0.3, 0.7, 0.3], 3)
    array([1, 3, 2])
    """
    scores = np.asarray(scores)
    if scores.ndim != 1:
        raise ValueError(f"scores has shape {scores.shape}; give one score a row, shape (n,).")
    _check_k(k, len(scores), least=0)
    if np.isnan(scores).any():
        raise ValueError(
            f"{np.isnan(scores).sum()} of {len(scores)} scores are NaN and have no rank; "
            "check the classifier's probabilities or the strategy's formula."
        )
    if k == 0:
        return np.empty(0, dtype=np.intp)
    # The partition is arbitrary among scores equal to the k-th, so only its value is used.
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    above, equal = np.flatnonzero(scores > kth), np.flatnonzero(scores == kth)
    if rng is not None:
        above, equal = rng.permutation(above), rng.choice(equal, k - len(above), replace=False)
    # A stable sort of the reversed list, reversed: descending, ties in the order that they have.
    order = np.argsort(scores[above][::-1], kind="stable")[::-1]
    return np.concatenate([above[::-1][order], equal[: k - len(above)]])


class FarthestFirst:
    """Farthest-first traversal of the rows of X that remembers the distances to its centers.

    `add` declares centers (labelled rows); `pick` returns the k-center greedy picks given those centers and
    forgets them again, so that asking twice gives the same rows. What was learnt about the distances to the
    centers stays, and the next round pays only for the centers that are new.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows. They are referred to, not copied.

    Notes
    -----
    Algorithm 1 of Sener & Savarese (2018), the 2-approximation of Gonzalez (1985). Every pick is
    exactly the naive algorithm's, ties going to the lowest position, but rows are compared by an upper bound
    of their squared distance to the nearest center. Only rows whose bound reaches the best exact
    distance are measured, against the centers that they have missed; a small active block that holds the
    farthest rows is kept exact. The worst case is the naive algorithm's O(n_samples * n_features) a pick,
    usual data need a small fraction. Memory beyond X: four numbers a row.

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
        self._points = _Rows(X)
        self._bounds = np.full(len(X), np.inf)
        self._seen = np.zeros(len(X), dtype=np.int32)
        self._centers: Rows = np.empty(0, dtype=np.intp)

    @_single_threaded
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

    @_single_threaded
    def pick(self, k: int, candidates: ArrayLike | None = None) -> Rows:
        """The k rows that greedily shrink the largest distance to a center, in order of choice.

        Parameters
        ----------
        k : int
            At most the number of candidates.
        candidates : array-like of shape (n_samples,) of bool or (n_candidates,) of int, default=None
            The rows that may be picked; None stands for all that are not centers.

        Returns
        -------
        rows : ndarray of shape (k,), dtype intp
            Without any center the first is the row farthest from the mean of X.

        Raises
        ------
        ValueError
            If k is more than there are candidates.
        """
        outside = self._candidate_bounds(candidates)
        _check_k(k, int(np.count_nonzero(outside >= 0)), least=0)
        picks: list[int] = []
        if k > 0 and not len(self._centers):
            picks.append(self._points.farthest_from_mean(outside >= 0))
            rough = self._points.rough_sq_distances(None, self._points.take(picks))
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

        while len(picks) < k:
            while active.best <= highest:
                # The highest bounds first, which may raise the best and will last for a while.
                fetch(max(_kth_largest(outside, self._n_some(len(picks))), 0))
                # Then all that may still beat the best, or tie with it at a lower position.
                fetch(max(active.best, 0))
                highest = outside.max()
            picks.append(active.pop())
            if len(active) > 2 * self._n_active:
                rows, values = active.shrink(self._n_active)
                outside[rows], seen[rows] = values, len(picks)
                highest = outside.max()
        return np.array(picks, dtype=np.intp)

    def _candidate_bounds(self, candidates: ArrayLike | None) -> Floats:
        """A copy of the bounds, -1 where a row may not be picked."""
        allowed = np.full(len(self._bounds), candidates is None)
        if candidates is not None:
            allowed[np.asarray(candidates)] = True
        allowed[self._centers] = False
        return np.where(allowed, self._bounds, -1.0)

    def _n_some(self, n_picks: int) -> int:
        """Rows that one block of distances to all centers and picks has room for."""
        return min(self._n_active // 4, 16 + _BLOCK_SIZE // (len(self._centers) + n_picks + 1))

    def _measure(self, rows: Rows, bounds: Floats, seen: Counts, picks: list[int], floor: float) -> Rows:
        """Make the bounds of the leading rows exact, and tell which; the others' are lowered."""
        if len(rows) > self._n_active and picks:
            # Cheap bounds spare most of many rows the rest.
            rough = self._points.rough_sq_distances(rows, self._points.take(picks))
            bounds[rows] = np.minimum(bounds[rows], rough)
            rows = rows[bounds[rows] >= floor]
        self._catch_up(rows, self._bounds, self._seen, self._centers, floor)
        bounds[rows] = np.minimum(bounds[rows], self._bounds[rows])
        if len(rows) > self._n_active:
            floor = max(floor, _kth_largest(bounds[rows], self._n_active // 4))
        rows = rows[bounds[rows] >= floor]
        self._catch_up(rows, bounds, seen, np.array(picks, dtype=np.intp), floor)
        return rows[bounds[rows] >= floor]

    def _catch_up(self, rows: Rows, bounds: Floats, seen: Counts, centers: Rows, floor: float) -> None:
        """Lower the bounds of rows by the centers they have not seen, giving up on rows below the floor."""
        while (rows := rows[(seen[rows] < len(centers)) & (bounds[rows] >= floor)]).size:
            start = int(seen[rows].min())
            stop = min(start + max(256, _BLOCK_SIZE // len(rows)), len(centers))
            nearest = self._points.min_sq_distances(rows, centers[start:stop])
            bounds[rows] = np.minimum(bounds[rows], nearest)
            seen[rows] = np.maximum(seen[rows], stop)


@_single_threaded
def badge_kmeans_plusplus(
    embeddings: Floats,
    probabilities: Floats,
    k: int,
    rng: np.random.Generator,
    candidates: Rows | None = None,
) -> Rows:
    """Batch of BADGE: k-means++ seeding of the rows' gradient embeddings.

    The gradient embedding of a row is the outer product of its residual, one-hot predicted class minus
    probabilities, and its penultimate features. The first pick has the largest gradient, every next one is
    drawn with probability proportional to the squared distance to its nearest pick.

    Parameters
    ----------
    embeddings : ndarray of shape (n_samples, n_features)
        Penultimate features.
    probabilities : ndarray of shape (n_samples, n_classes)
        Predicted class probabilities.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that may be picked; None stands for all.

    Returns
    -------
    rows : ndarray of shape (k,), dtype intp
        In order of choice. Once every row equals a pick, the rest is drawn uniformly from the rows left.

    Notes
    -----
    The outer products are never formed: their inner product is that of the residuals times that of
    the features. The draw is exact rejection sampling: a row is proposed by its last known squared distance, an
    upper bound, and accepted with the ratio of the present one to it; all distances are brought up to date, by
    one matrix product with the picks made since, when too many proposals have been refused. At
    most O(n_samples * k * (n_features + n_classes)) operations, and two numbers a row beyond the input.

    References
    ----------
    .. [1] Ash, Zhang, Krishnamurthy, Langford & Agarwal, Deep Batch Active Learning by Diverse, Uncertain
       Gradient Lower Bounds, ICLR 2020, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import badge_kmeans_plusplus
    >>> features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 9.0]])
    >>> proba = np.array([[0.5, 0.5], [0.6, 0.4], [0.6, 0.4]])
    >>> badge_kmeans_plusplus(features, proba, 1, np.random.default_rng(0))
    array([2])
    """
    if len(embeddings) != len(probabilities):
        raise ValueError(
            f"{len(embeddings)} rows of embeddings and {len(probabilities)} of probabilities; "
            "give both for the same rows."
        )
    points = _GradientEmbeddings(embeddings, probabilities, candidates)
    _check_k(k, len(points))
    return points.positions(_plus_plus(points, int(points.sq_norms.argmax()), k, rng))


@_single_threaded
def k_medians(
    X: Floats, k: int, rng: np.random.Generator, candidates: Rows | None = None, *, max_iter: int = 100
) -> Rows:
    """Rows of X that locally minimise the sum of all rows' distances to the nearest of them.

    The K-median baseline of Sener & Savarese (2018): a k-medoids search over Euclidean distances. Rows
    are assigned to their nearest median; the geometric median of every cluster (Weiszfeld's iteration) proposes
    its nearest member, which replaces the old one where the cluster's sum of distances falls. The
    objective never rises.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
        Draws the start, k-means++ with distances in place of their squares.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that take part; None stands for all.
    max_iter : int, default=100
        Rounds of assignment and update; fewer when nothing changes.

    Returns
    -------
    rows : ndarray of shape (k,), dtype intp
        Distinct rows by size of their cluster, largest first, ties by position.

    Notes
    -----
    O(n_samples * k * n_features) operations a round in blocked matrix products, O(n_samples) memory beyond X.

    References
    ----------
    .. [1] Sener & Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018,
       section 5.
    .. [2] Weiszfeld, Sur le point pour lequel la somme des distances de n points donnes est minimum, 1937.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import k_medians
    >>> X = np.array([[9.0], [0.0], [1.0], [2.0]])
    >>> k_medians(X, 2, np.random.default_rng(0))
    array([2, 0])
    """
    points = _Rows(X, candidates)
    _check_k(k, len(points))
    medians = _plus_plus(points, int(rng.integers(len(points))), k, rng, weight=np.sqrt)
    labels = points.nearest(medians)
    settled = np.zeros(k, dtype=bool)
    for _ in range(max_iter):
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=k))
        previous = medians.copy()
        for cluster in np.flatnonzero(~settled):
            members = order[ends[cluster - 1] if cluster else 0 : ends[cluster]]
            medians[cluster] = points.better_median(members, medians[cluster])
        if np.array_equal(medians, previous):
            break
        before, labels = labels, points.nearest(medians)
        # The proposal depends on the members alone: an unchanged cluster has nothing new to try.
        moved = labels != before
        settled[:] = True
        settled[labels[moved]] = settled[before[moved]] = False
    sizes = np.bincount(labels, minlength=k)
    return points.positions(medians[np.lexsort((medians, -sizes))])


class _ActiveBlock:
    """The rows whose distances are kept exact, in order of position."""

    def __init__(self, points: "_Rows") -> None:
        self._points = points
        self._rows = np.empty(0, dtype=np.intp)
        self._sq_distances = np.empty(0)
        self._block = points.take(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def best(self) -> float:
        return float(self._sq_distances.max(initial=-1))

    def join(self, rows: Rows, sq_distances: Floats) -> None:
        rows = np.concatenate([self._rows, rows])
        order = np.argsort(rows)
        self._rows = rows[order]
        self._sq_distances = np.concatenate([self._sq_distances, sq_distances])[order]
        self._block = self._points.take(self._rows)

    def pop(self) -> int:
        """Take out the farthest row, lowest position first, and measure the others against it."""
        best = int(self._sq_distances.argmax())
        np.minimum(self._sq_distances, _sq_norms(self._block - self._block[best]), out=self._sq_distances)
        self._sq_distances[best] = -1
        return int(self._rows[best])

    def shrink(self, n_rows: int) -> tuple[Rows, Floats]:
        """Let go of all but the farthest rows."""
        keep = self._sq_distances >= _kth_largest(self._sq_distances, n_rows)
        left = self._rows[~keep], self._sq_distances[~keep]
        self._rows, self._sq_distances, self._block = (
            self._rows[keep],
            self._sq_distances[keep],
            self._block[keep],
        )
        return left


class _Points(Protocol):
    """Vectors, possibly implicit, that k-means++ can measure."""

    def __len__(self) -> int: ...

    def min_sq_distances(self, rows: Rows | None, centers: Rows) -> Floats: ...


class _Chosen:
    """Some rows, or all, counted from zero without a copy of them."""

    def __init__(self, n_rows: int, candidates: Rows | None) -> None:
        self._candidates = candidates
        self._n_rows = n_rows if candidates is None else len(candidates)

    def __len__(self) -> int:
        return self._n_rows

    def positions(self, rows: Any) -> Any:
        """Where rows (an array, a list or a slice) stand among all rows."""
        return rows if self._candidates is None else self._candidates[rows]


class _Rows(_Chosen):
    """Rows of X as points of Euclidean space."""

    def __init__(self, X: Floats, candidates: Rows | None = None) -> None:
        super().__init__(len(X), candidates)
        self.X = X
        # Any shift will do to keep a common offset from drowning the differences. A float32 one is subtracted
        # from float32 or grid-valued data without rounding, and so keeps equal distances equal.
        sample = np.mean(X[:: max(1, len(X) // 1024)], axis=0, dtype=np.float64)
        largest = np.finfo(np.float32).max
        self.shift = sample.clip(-largest, largest).astype(np.float32)
        self.dtype = np.result_type(X.dtype, np.float32)

    def _raw(self, rows: Rows | slice | list[int]) -> Floats:
        positions = self.positions(rows)
        return self.X[positions] if isinstance(positions, slice) else self.X.take(positions, axis=0)

    def take(self, rows: Rows | slice | list[int]) -> Floats:
        """Rows in float64, shifted."""
        return self._raw(rows).astype(np.float64) - self.shift

    def blocks(self, rows: Rows | None = None, width: int = 0) -> Iterator[tuple[slice, Floats]]:
        """Rows in float64 with as many at a time as leave room for `width` numbers more beside each."""
        n_rows, n_features = len(self if rows is None else rows), self.X.shape[1]
        for block in _slices(n_rows, n_features + width):
            yield block, self.take(block if rows is None else rows[block])

    def min_sq_distances(self, rows: Rows | None, centers: Rows) -> Floats:
        """Squared distance of rows, or all, to the nearest center."""
        return self._nearest(rows, centers)[1]

    def nearest(self, centers: Rows) -> Rows:
        """Which center is nearest to every row; every center to itself, duplicates of it or not."""
        nearest = self._nearest(None, centers)[0]
        nearest[centers] = np.arange(len(centers))
        return nearest

    def _nearest(self, rows: Rows | None, centers: Rows) -> tuple[Rows, Floats]:
        # The product finds the nearest center; the distance itself is taken from the difference, so
        # that it is exactly zero for duplicates and does not depend on how rows and centers were grouped.
        targets = self.take(centers)
        sq_norms = _sq_norms(targets)
        n_rows = len(self if rows is None else rows)
        nearest, sq_distances = np.empty(n_rows, dtype=np.intp), np.empty(n_rows)
        for block, points in self.blocks(rows, len(centers)):
            nearest[block] = (sq_norms - 2 * points @ targets.T).argmin(axis=1)
            sq_distances[block] = _sq_norms(points - targets[nearest[block]])
        return nearest, sq_distances

    def rough_sq_distances(self, rows: Rows | None, targets: Floats) -> Floats:
        """Upper bounds, from products in the data's precision, of the squared distance to the nearest target."""
        targets = targets.astype(self.dtype)
        sq_norms = _sq_norms(targets)[:, np.newaxis]
        margin = (self.X.shape[1] + 16) * np.finfo(self.dtype).eps
        bounds = np.empty(len(self if rows is None else rows))
        for block in _slices(len(bounds), self.X.shape[1] + len(targets)):
            chosen = self._raw(block if rows is None else rows[block])
            points = np.subtract(chosen, self.shift, dtype=self.dtype)
            products = (-2 * targets) @ points.T
            products += sq_norms
            own = _sq_norms(points)
            bounds[block] = np.maximum(own + products.min(axis=0), 0) + margin * (own + sq_norms.max())
        return bounds

    def farthest_from_mean(self, allowed: NDArray[np.bool_]) -> int:
        # Sums of a block in the data's own precision, as the mean needs no more digits than the data have.
        total = np.zeros(self.X.shape[1])
        for block in _slices(len(self), self.X.shape[1]):
            total += np.subtract(self._raw(block), self.shift, dtype=self.dtype).sum(axis=0)
        mean = total[np.newaxis] / len(self)
        bounds = np.where(allowed, self.rough_sq_distances(None, mean), -1)
        best = _sq_norms(self.take([int(bounds.argmax())]) - mean)
        rows = np.flatnonzero(bounds >= best)
        return int(rows[_sq_norms(self.take(rows) - mean).argmax()])

    def better_median(self, members: Rows, median: int) -> int:
        """The member nearest to the cluster's geometric median where its sum of distances is smaller."""
        center = sum(points.sum(axis=0) for _, points in self.blocks(members)) / len(members)
        for _ in range(_N_WEISZFELD):
            distances = self._distances(members, center)
            smallest = 1e-9 * distances.max()
            if smallest == 0:
                return median
            weights = 1 / np.maximum(distances, smallest)
            weights /= weights.sum()
            center = sum(weights[block] @ points for block, points in self.blocks(members))
        proposed = int(members[self._distances(members, center).argmin()])
        old, new = (self._distances(members, self.take([row])).sum() for row in (median, proposed))
        return proposed if new < old else median

    def _distances(self, rows: Rows, point: Floats) -> Floats:
        return np.sqrt(np.concatenate([_sq_norms(points - point) for _, points in self.blocks(rows)]))


class _GradientEmbeddings(_Chosen):
    """Outer products of residual and features, by their inner products only."""

    def __init__(self, embeddings: Floats, probabilities: Floats, candidates: Rows | None) -> None:
        super().__init__(len(embeddings), candidates)
        self.embeddings, self.probabilities = embeddings, probabilities
        self.sq_norms = np.empty(len(self))
        for block in _slices(len(self), embeddings.shape[1] + probabilities.shape[1]):
            residuals, features = self.take(block)
            self.sq_norms[block] = _sq_norms(residuals) * _sq_norms(features)

    def take(self, rows: Rows | slice) -> tuple[Floats, Floats]:
        rows = self.positions(rows)
        residuals = -self.probabilities[rows].astype(np.float64)
        residuals[np.arange(len(residuals)), residuals.argmin(axis=1)] += 1
        return residuals, self.embeddings[rows].astype(np.float64)

    def min_sq_distances(self, rows: Rows | None, centers: Rows) -> Floats:
        """Squared distance of rows, or all, to the nearest center; what is rounding only is zero."""
        residuals_c, features_c = self.take(centers)
        residuals_c *= -2
        sq_norms = self.sq_norms[centers, np.newaxis]
        out = np.empty(len(self if rows is None else rows))
        for block in _slices(len(out), self.embeddings.shape[1] + 2 * len(centers)):
            chosen = block if rows is None else rows[block]
            residuals, features = self.take(chosen)
            products = residuals_c @ residuals.T
            products *= features_c @ features.T
            products += sq_norms
            own = self.sq_norms[chosen]
            nearest = products.min(axis=0) + own
            out[block] = np.where(nearest > 1e-13 * own, nearest, 0)
        return out


def _plus_plus(
    points: _Points,
    first: int,
    k: int,
    rng: np.random.Generator,
    weight: Callable[[Floats], Floats] = lambda sq_distances: sq_distances,
) -> Rows:
    """k distinct rows, each next drawn with the weight of its squared distance to the nearest so far."""
    # Proposals refused before a pass over all rows is the cheaper way on.
    patience = 16 + len(points) // 1000
    picks, n_known = [first], 0
    sq_distances = np.full(len(points), np.inf)
    while len(picks) < k:
        recent = np.array(picks[n_known:])
        sq_distances = np.minimum(sq_distances, points.min_sq_distances(None, recent))
        sq_distances[picks] = 0
        n_known, n_refused = len(picks), 0
        weights = weight(sq_distances)
        cumulative = np.cumsum(weights)
        if cumulative[-1] == 0:
            left = np.delete(np.arange(len(points)), picks)
            picks.extend(rng.choice(left, k - len(picks), replace=False).tolist())
        while len(picks) < k and n_refused < patience:
            row = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
            if row < len(points) and _accepts(points, row, picks[n_known:], weights[row], weight, rng):
                picks.append(row)
            else:
                n_refused += 1
    return np.array(picks)


def _accepts(
    points: _Points,
    row: int,
    recent: list[int],
    proposed: float,
    weight: Callable[[Floats], Floats],
    rng: np.random.Generator,
) -> bool:
    """Accept a row proposed by a former weight with the probability of the present one."""
    if row in recent:
        return False
    if not recent:
        return True
    present = weight(points.min_sq_distances(np.array([row]), np.array(recent)))[0]
    return bool(rng.random() * proposed < present)


def _check_k(k: int, available: int, least: int = 1) -> None:
    if not least <= k <= available:
        raise ValueError(f"k={k} rows asked of {available} candidates; k must be between {least} and that.")


def _kth_largest(values: Floats, k: int) -> float:
    k = min(k, len(values))
    return float(np.partition(values, len(values) - k)[len(values) - k])


def _slices(n_rows: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK_SIZE // max(1, width))
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def _sq_norms(points: Floats) -> Floats:
    return np.einsum("ij,ij->i", points, points)
