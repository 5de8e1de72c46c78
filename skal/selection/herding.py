"""Greedy maximum of the mean largest kernel similarity (Bae et al., 2024)."""

from functools import partial

import numpy as np

from ..utils.progress import counted
from ..utils.threads import in_threads, one_blas_thread
from .lazy import LazyMaximum
from .points import EuclideanPoints, Floats, Positions, check_k, measure_close, sq_norms

_TOGETHER = 128  # rows whose gains are computed together
_LOST = 1e-10  # of the squared bandwidth: what rounding may take from squared distances
_LOOSE = 1e-2  # how far rounding in float32 may loosen the exponents of bounds
_SUMMED = 1e-5  # relative to a sum of similarities in float32: more than rounding takes from it
_MOST_BLOCKED = 512  # targets at once, so that a block of points has room beside them


class KernelHerding:
    r"""Greedy kernel coverage: each pick adds most to the targets' mean similarity to their nearest pick.

    The similarity of two rows is :math:`\exp(-\lVert x - x' \rVert^2 / \sigma^2)`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows. They are not copied and must not change.
    bandwidth : float, default=None
        :math:`\sigma`; by default the root mean square distance of the targets to their mean.
    targets : ndarray of int of shape (n_targets,), default=None
        The rows that are to be covered, by default all.

    Attributes
    ----------
    bandwidth : float
    similarities : ndarray of shape (n_targets,)
        The similarity of each target to the nearest row that was added; 0 without any such row.

    Notes
    -----
    The gain of a row, which is the similarity that it would add, can only fall. An old gain is therefore an upper
    bound, and a pick measures only the rows whose bounds reach the best gain: lazy greedy search, with the picks of the
    naive algorithm. The first bounds come from one pass over all pairs of rows and targets. Bounds are measured in
    float32, which takes half the time, and only gains that may be the best in float64. Memory beyond X is
    O(n_samples), plus the targets in both.

    References
    ----------
    .. [1] Bae, Noh, Sutherland, Generalized coverage for more robust low-budget active learning, ECCV 2024.
    .. [2] Minoux, Accelerated greedy algorithms for maximizing submodular set functions, 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import KernelHerding
    >>> X = np.array([[0.0], [1.0], [2.0], [9.0]])
    >>> herding = KernelHerding(X, bandwidth=1.0)
    >>> herding.pick(2, np.arange(4), np.arange(0), np.random.default_rng(0))[0]
    array([1, 3])
    """

    @one_blas_thread
    def __init__(self, X: Floats, bandwidth: float | None = None, targets: Positions | None = None) -> None:
        self._points = EuclideanPoints(X)
        self._targets = self._points.take(slice(0, len(X)) if targets is None else targets)
        self._norms = sq_norms(self._targets)
        if bandwidth is None:
            bandwidth = float(sq_norms(self._targets - self._targets.mean(axis=0)).mean() ** 0.5) or 1.0
        self.bandwidth = bandwidth
        self.similarities: Floats = np.zeros(len(self._targets))
        # The product of a scaled point, its square and one with these is minus the squared distance to a target in
        # bandwidths. The squares are shrunk by more than rounding may add to it.
        with np.errstate(over="ignore"):
            scaled = self._targets / bandwidth
            norms = sq_norms(scaled)
            n_rounded = 2 * (scaled.shape[1] + 8)
            is_close = n_rounded * np.finfo(np.float32).eps * norms.mean() < _LOOSE
            dtype = np.float32 if is_close else np.float64
            self._shrunk = 1 - n_rounded * float(np.finfo(dtype).eps)
            weights = np.vstack([2 * scaled.T, -np.ones(len(scaled)), -self._shrunk * norms])
            self._weights: Floats = weights.astype(dtype)
        self._n_rows = len(X)
        self._bounds: Floats | None = None

    @one_blas_thread
    def add(self, rows: Positions) -> None:
        """Declare rows as picked before, such as labelled ones.

        Parameters
        ----------
        rows : ndarray of int of shape (n_rows,)
        """
        self.similarities = self._with(self.similarities, rows)

    @one_blas_thread
    def pick(
        self, k: int, candidates: Positions, pending: Positions, rng: np.random.Generator
    ) -> tuple[Positions, float]:
        """Return the k rows that greedily add the most, in order of choice, and forget them again.

        Parameters
        ----------
        k : int
            At most the number of candidates.
        candidates : ndarray of int of shape (n_candidates,)
            The rows that may be picked.
        pending : ndarray of int of shape (n_pending,)
            Rows that were picked before; they are forgotten again, too.
        rng : numpy.random.Generator
            Decides between rows that add the same similarity.

        Returns
        -------
        rows : ndarray of shape (k,), dtype intp
        coverage : float
            The mean similarity of the targets to the nearest row that was added, is pending or was picked.
        """
        check_k(k, len(candidates))
        similarities = self._with(self.similarities, pending)
        if self._bounds is None:  # after the first labels, which make them tighter
            self._bounds = self._first_bounds()
        bounds = self._bounds[candidates]
        search = LazyMaximum(bounds, _TOGETHER)
        picks: list[int] = []
        for _ in counted(range(k), "picks"):
            measures = [
                partial(measure, candidates, similarities)
                for measure in (self._bounds_among, self._gains_among)
            ]
            picked = search.argmax(measures, rng)
            bounds[picked] = -np.inf
            picks.append(int(candidates[picked]))
            similarities = self._with(similarities, candidates[[picked]])
        return np.array(picks, dtype=np.intp), float(similarities.mean())

    def _first_bounds(self) -> Floats:
        """Return a bound of the gain of each row."""
        bounds = np.empty(self._n_rows)

        def measure(start: int) -> None:
            rows = np.arange(start, min(start + _TOGETHER, self._n_rows))
            bounds[rows] = self._bounds_of(rows, self.similarities)

        in_threads(measure, range(0, self._n_rows, _TOGETHER))
        return bounds

    def _bounds_of(self, rows: Positions, similarities: Floats) -> Floats:
        """Return bounds of the gains of some rows, little above them, in float32 where it has enough digits."""
        dtype = self._weights.dtype.type
        bounds, known = np.zeros(len(rows)), np.nextafter(similarities.astype(dtype), dtype(-1))
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            scaled = self._points.take(rows) / self.bandwidth
            ones = np.ones(len(rows))
            points = np.column_stack([scaled, self._shrunk * sq_norms(scaled), ones]).astype(dtype)
            for part in self._parts():
                found = points @ self._weights[:, part]
                np.minimum(found, 0, out=found)
                np.exp(found, out=found)
                found -= known[part]
                bounds += np.maximum(found, 0, out=found).sum(axis=1)
        bounds = (1 + _SUMMED) * bounds + len(known) * float(np.finfo(dtype).tiny)  # of what was rounded to 0
        return np.where(np.isnan(bounds), np.inf, bounds)

    def _similar(self, rows: Positions, part: slice) -> Floats:
        """Return the similarity of some rows to some targets, of shape (n_rows, n_targets)."""
        points, targets = self._points.take(rows), self._targets[part]
        norms = sq_norms(points)
        found = points @ targets.T
        found *= -2
        found += norms[:, np.newaxis]
        found += self._norms[part]
        if norms.max(initial=0) * np.finfo(np.float64).eps > _LOST * self.bandwidth * self.bandwidth:
            measure_close(found, points, norms, targets)
        np.maximum(found, 0, out=found)
        with np.errstate(over="ignore", under="ignore"):
            found /= -self.bandwidth
            found /= self.bandwidth
            return np.exp(found, out=found)

    def _parts(self) -> list[slice]:
        starts = range(0, len(self._targets), _MOST_BLOCKED)
        return [slice(start, start + _MOST_BLOCKED) for start in starts]

    def _bounds_among(self, candidates: Positions, similarities: Floats, places: Positions) -> Floats:
        return self._bounds_of(candidates[places], similarities)

    def _gains_among(self, candidates: Positions, similarities: Floats, places: Positions) -> Floats:
        return self._gains(candidates[places], similarities)

    def _gains(self, rows: Positions, similarities: Floats) -> Floats:
        """Return how much each row would add to the sum of similarities."""
        gains = np.zeros(len(rows))
        for part in self._parts():
            found = self._similar(rows, part)
            found -= similarities[part]
            gains += np.maximum(found, 0, out=found).sum(axis=1)
        return gains

    def _with(self, similarities: Floats, rows: Positions) -> Floats:
        """Return the similarities of the targets once some rows are picked, too."""
        similarities = similarities.copy()
        for start in range(0, len(rows), _TOGETHER):
            for part in self._parts():
                found = self._similar(rows[start : start + _TOGETHER], part)
                similarities[part] = np.maximum(similarities[part], found.max(axis=0))
        return similarities
