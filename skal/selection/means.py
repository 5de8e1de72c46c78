"""k-means: clusters of rows, in blocks and without a copy of the rows."""

import numpy as np
from scipy.sparse import csc_array

from ..utils.progress import counted
from ..utils.threads import in_threads, one_blas_thread
from .points import EuclideanPoints, Floats, Positions, blocks, check_k, sq_norms, square_dtype

# Seeds are sought among about so many rows per cluster or in all, a share of them drawn by their squares, and each is
# the best of so many rows. More of any made the clusters of MNIST no better; a smaller share missed heavy tails.
_SEEDED, _LEAST, _BY_SQUARES, _TRIALS = 20, 1000, 0.3, 4
_HELD = 2**20  # numbers of these rows, where they are wide: 8 MiB

# Steps, as multiples of those to the means, and the share of the sum of squares that a round must take off.
_OVER_RELAXED = 2.0, 4e-3
_PLAIN = 1.0, 1e-3
_FAR = 1e-3  # where the nearest center is nearer, relative to the origin, float32 has too few digits
_KEPT = 2**22  # numbers in float32 that a round need not convert again: 16 MiB
_BLOCK = 2**19  # numbers in float32 at a time: 2 MiB, which still fit into the caches of a core
_SUMS = 2**22  # numbers in the sums of parts: 16 MiB
_NEAR = 1e-5  # where two rows are nearer, relative to their squares, float32 has too few digits for a seed


@one_blas_thread
def k_means(
    X: Floats, k: int, rng: np.random.Generator, candidates: Positions | None = None, *, max_iter: int = 100
) -> tuple[Positions, Floats]:
    """Cluster rows of X, close to a local minimum of the sum of squared distances to the means of the clusters.

    Lloyd's algorithm [1]_ from the seeds of greedy k-means++ [2]_ among some of the rows [4]_, over-relaxed [3]_: at
    first, a center c moves not to the mean m of its rows but twice as far, to 2 m - c, where the sum of squares is the
    same as at c. So no round raises the sum, and half as many rounds bring it as far down. The last rounds are plain
    ones.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
        Draws the seeds.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that take part, by default all.
    max_iter : int, default=100
        The maximum number of rounds of each kind, over-relaxed and plain. They end earlier when a round lowers the sum
        by less than a 250th (over-relaxed) or a thousandth (plain).

    Returns
    -------
    labels : ndarray of shape (n_candidates,), dtype intp
        The cluster of each row. If there are duplicate rows, some clusters may be empty.
    sq_distances : ndarray of shape (n_candidates,)
        The squared distance of each row to the mean of its cluster, in float64.

    Raises
    ------
    ValueError
        If k is not between 1 and the number of candidates.

    Notes
    -----
    A round takes O(n_samples * k * n_features) operations in blocked matrix products, in float32 except for rows whose
    nearest center cannot be told in this precision. Memory beyond X is O(n_samples + k * n_features). Of this, the
    seeds take at most 16 MiB, or three times k rows if that is more, and the sums of threads another 16 MiB.

    References
    ----------
    .. [1] Lloyd, Least squares quantization in PCM, 1982.
    .. [2] Arthur & Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.
    .. [3] Salakhutdinov & Roweis, Adaptive overrelaxed bound optimization methods, ICML 2003.
    .. [4] Bachem, Lucic, Krause, Scalable k-means clustering via lightweight coresets, KDD 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import k_means
    >>> labels, sq_distances = k_means(np.array([[0.0], [2.0], [9.0]]), 2, np.random.default_rng(0))
    >>> bool(labels[0] == labels[1] != labels[2]), sq_distances
    (True, array([1., 1., 0.]))
    """
    points = EuclideanPoints(X, candidates)
    check_k(k, len(points))
    centers = _seeds(points, k, rng)
    rounds = _Rounds(points, k)
    _, _, centers = rounds.round(centers)
    _, centers = rounds.descend(centers, *_OVER_RELAXED, max_iter)
    labels, means = rounds.descend(centers, *_PLAIN, max_iter)
    return labels, _sq_distances(points, labels, means)


class _Rounds:
    """Rounds of Lloyd's algorithm over points, in float32 if its precision tells which center is nearest."""

    def __init__(self, points: EuclideanPoints, k: int) -> None:
        self._points = points
        self._step = max(1, _BLOCK // (points.width + k))
        self._dtype = square_dtype(points.X)
        self._kept: dict[int, Floats] = {}

    def descend(
        self, centers: Floats, step: float, tolerance: float, max_iter: int
    ) -> tuple[Positions, Floats]:
        """Return labels and means after rounds in which a center moves a multiple of the way to its mean."""
        total = np.inf
        for _ in counted(range(max_iter), "rounds of means"):
            before = total
            labels, total, means = self.round(centers)
            if total >= (1 - tolerance) * before:
                break
            centers = centers + step * (means - centers)
        return labels, means

    def round(self, centers: Floats) -> tuple[Positions, float, Floats]:
        """Return the nearest center of each point, the sum of squared distances to them, and the clusters' means."""
        norms, points = sq_norms(centers), self._points
        weights = np.vstack([-2 * centers.T, norms, np.ones(len(norms))]).astype(self._dtype)
        # As many parts for any number of threads, so that sums are rounded alike.
        starts = range(0, len(points), self._step)
        n_together = max(1, -(-len(starts) * weights.size // _SUMS))
        parts = [starts[first : first + n_together] for first in range(0, len(starts), n_together)]
        labels, totals = np.empty(len(points), np.intp), np.zeros(len(parts))
        sums = np.zeros((len(parts), *weights.T.shape), self._dtype)

        def assign(part: int) -> None:
            room = np.empty((self._step, len(centers)), self._dtype)
            for start in parts[part]:
                rows = self._rows(start)
                scores = np.matmul(rows, weights, out=room[: len(rows)])  # squared distances
                nearest = scores.argmin(axis=1)
                least = scores[np.arange(len(rows)), nearest]
                unclear = np.flatnonzero(least <= _FAR * rows[:, -1])
                if len(unclear):
                    exact = points.take(start + unclear)
                    nearest[unclear] = (norms - 2 * exact @ centers.T).argmin(axis=1)
                    least[unclear] = sq_norms(exact - centers[nearest[unclear]])
                labels[start : start + len(rows)] = nearest
                totals[part] += least.sum(dtype=np.float64)
                _add(sums[part], nearest, rows)

        in_threads(assign, range(len(parts)))
        return labels, float(totals.sum()), _means(sums.sum(axis=0)[:, :-2], labels, centers)

    def _rows(self, start: int) -> Floats:
        """Return points, one and their squares: with the weights of a center they make the squared distance to it."""
        if start in self._kept:
            return self._kept[start]
        width, stop = self._points.width, min(start + self._step, len(self._points))
        rows = np.ones((stop - start, width + 2), self._dtype)
        self._points.write(slice(start, stop), rows[:, :width])
        rows[:, -1] = sq_norms(rows[:, :width])
        if stop * rows.shape[1] <= _KEPT:
            self._kept[start] = rows
        return rows


def _seeds(points: EuclideanPoints, k: int, rng: np.random.Generator) -> Floats:
    """Return seeds of greedy k-means++: of a few rows that are drawn, the next one takes most off the sum.

    It is an outlier less often than a single row that is drawn.
    """
    positions, counts = _sampled(points, k, rng)
    rows = points.take(positions)
    if len(rows) == k:
        return rows
    squares = sq_norms(rows)
    dtype = square_dtype(rows)
    # In C order, which a product of four rows needs a third of the time for.
    columns = np.ones((rows.shape[1] + 2, len(rows)), dtype)
    columns[:-2], columns[-1] = rows.T, squares
    near, shares = (_NEAR * squares).astype(dtype), counts.astype(dtype)
    least = np.full(len(rows), np.inf, dtype)
    picks: list[int] = []
    drawn = rng.integers(len(rows), size=1)
    while True:
        weights = np.column_stack([-2 * rows[drawn], squares[drawn], np.ones(len(drawn))])
        sq_distances = weights.astype(dtype) @ columns
        unclear = np.flatnonzero(sq_distances <= near + near[drawn, None])
        for part in blocks(len(unclear), rows.shape[1]):
            draw, row = np.divmod(unclear[part], len(rows))
            sq_distances[draw, row] = sq_norms(rows[row] - rows[drawn[draw]])
        np.minimum(sq_distances, least, out=sq_distances)
        best = (sq_distances @ shares).argmin()
        picks.append(int(drawn[best]))
        if len(picks) == k:
            return rows[picks]
        least = sq_distances[best]
        cumulative = (counts * least).cumsum()
        if cumulative[-1] == 0:  # all others equal seeds
            left = np.delete(np.arange(len(rows)), picks)
            return rows[picks + rng.choice(left, k - len(picks), replace=False).tolist()]
        drawn = cumulative.searchsorted(rng.random(_TRIALS) * cumulative[-1], side="right")
        drawn = drawn.clip(max=len(rows) - 1)


def _sampled(points: EuclideanPoints, k: int, rng: np.random.Generator) -> tuple[Positions, Floats]:
    """Draw rows among which seeds are sought, and how many rows each stands for.

    Most are drawn alike, some by their squared distances to the origin, which is near the mean: a few far rows can have
    most of the sum ([4]_ of `k_means`).
    """
    n_points = len(points)
    n_rows = min(n_points, int(np.clip(_HELD // max(1, points.width), k, max(_SEEDED * k, _LEAST))))
    if n_rows < n_points:
        squares = np.concatenate([sq_norms(points.take(block)) for block, _ in points.blocks(None, 0)])
        by_squares = _BY_SQUARES * squares / max(squares.sum(), np.finfo(float).tiny)
        shares = n_rows * ((1 - _BY_SQUARES) / n_points + by_squares)
        rows = np.flatnonzero(rng.random(n_points) < shares)
        if len(rows) >= k:
            return rows, 1 / np.minimum(shares[rows], 1)
        return np.sort(rng.choice(n_points, k, replace=False)), np.ones(k)
    return np.arange(n_points), np.ones(n_points)


def _means(sums: Floats, labels: Positions, centers: Floats) -> Floats:
    """Return the means of the clusters; of empty ones the centers they had."""
    sizes = np.bincount(labels, minlength=len(centers))[:, None]
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), centers)


def _add(sums: Floats, labels: Positions, rows: Floats) -> None:
    """Add each row to the sum of its cluster."""
    # A tenth of the time of numpy.add.at; torch's index_add_ waits for threads, on a busy machine for long.
    ones, ends = np.ones(len(rows), rows.dtype), np.arange(len(rows) + 1)
    sums += csc_array((ones, labels, ends), shape=(len(sums), len(rows))) @ rows


def _sq_distances(points: EuclideanPoints, labels: Positions, centers: Floats) -> Floats:
    """Return the squared distance of each point to the mean of its cluster, in float64."""
    sums, sq_distances = np.zeros(centers.shape), np.empty(len(points))
    for block, _ in points.blocks(None, 0):
        _add(sums, labels[block], points.take(block))
    means = _means(sums, labels, centers)
    for block, _ in points.blocks(None, 0):
        sq_distances[block] = sq_norms(points.take(block) - means[labels[block]])
    return sq_distances
