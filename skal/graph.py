"""k-nearest-neighbour graphs of a pool and the diffusion of labels on them (DGAL, Section 4.1)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array

from .neighbors import CellIndex
from .neighbors.base import as_float32 as _as_float32
from .neighbors.graph_index import SMALL_POOL as _SMALL_POOL
from .utils.random import draw_seed

__all__ = ["LabelDiffusion", "cover_steps", "nearest_neighbors", "transition_matrix"]

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

# Up to here exact neighbours take less time than pynndescent's compilation.
_EXACT_ROWS = 200_000
_QUERIES = 1 << 13  # of which the neighbours are in memory in float64
# What the weights are left with where float32 ends: every edge counts, and no row is cut off.
_LEAST_EXPONENT = -80.0
_PART_ROWS = 1 << 14  # rows that a thread takes at a time
_SCORED_ROWS = 1 << 11  # fit into the cache, and are too few for torch to start threads
_KEPT_BYTES = 1 << 31
_UNREACHED = 255
_MAX_STEPS = 254


def nearest_neighbors(
    X: ArrayLike, n_neighbors: int, *, method: str = "auto", random_state: Any = None
) -> tuple[Floats, Ints]:
    """Find the nearest other rows of every row.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Finite rows, compared in float32.
    n_neighbors : int
        Of a row, itself not counted; where there are fewer other rows, all of them.
    method : {"auto", "exact", "approximate"}, default="auto"
        "exact" is a `CellIndex`, "approximate" is nearest-neighbour descent with pynndescent, whose first call of a
        process compiles for a minute. "auto" is exact up to 200,000 rows, "approximate" up to 4096.
    random_state : int, RandomState instance or None, default=None
        Decides the approximate neighbours.

    Returns
    -------
    distances : ndarray of shape (n_samples, n_neighbors), dtype float32
        Euclidean distances, ascending.
    indices : ndarray of shape (n_samples, n_neighbors), dtype int32
        Positions of the neighbours.

    Raises
    ------
    ValueError
        For NaN or infinity, no rows, another `method`, or an `n_neighbors` that is not a positive integer.

    Examples
    --------
    >>> from skal.graph import nearest_neighbors
    >>> distances, indices = nearest_neighbors([[0.0], [1.0], [3.0], [3.5]], n_neighbors=2)
    >>> indices
    array([[1, 2],
           [0, 2],
           [3, 1],
           [2, 1]], dtype=int32)
    """
    if method not in ("auto", "exact", "approximate"):
        raise ValueError(f'method={method!r} was given; use "auto", "exact" or "approximate"')
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral) or n_neighbors < 1:
        raise ValueError(f"n_neighbors={n_neighbors!r} was given; it must be an integer of at least 1")
    X = _as_float32(check_array(X, dtype="numeric"))
    k = min(int(n_neighbors), len(X) - 1)
    distances, indices = np.empty((len(X), k), np.float32), np.empty((len(X), k), np.int32)
    if len(X) > {"auto": _EXACT_ROWS, "exact": np.inf, "approximate": _SMALL_POOL}[method]:
        from pynndescent import NNDescent  # takes seconds

        # Some more neighbours cost little and make the nearest ones right.
        graph = NNDescent(X, n_neighbors=min(k + 5, len(X)), random_state=draw_seed(random_state))
        found, found_distances = graph.neighbor_graph
        _without_self(found, found_distances, np.arange(len(X)), distances, indices)
        rows = np.flatnonzero((indices < 0).any(axis=1))  # for which it has found too few
        if not len(rows):
            return distances, indices
        index = CellIndex(random_state=0).fit(X)
    else:
        index = CellIndex(random_state=0).fit(X)
        rows = index.rows_[index.rows_ >= 0]  # neighbours of rows of one cell are searched for together
    for start in range(0, len(rows), _QUERIES):
        part = rows[start : start + _QUERIES]
        found_distances, found = index.kneighbors(X[part], k + 1)
        _without_self(found, found_distances, part, distances, indices)
    return distances, indices


def _without_self(
    found: NDArray[Any], found_distances: NDArray[Any], rows: NDArray[Any], distances: Floats, indices: Ints
) -> None:
    """Store the nearest of what was found for some rows, but for these rows themselves."""
    k = indices.shape[1]
    found, found_distances = found[:, : k + 1], found_distances[:, : k + 1]
    others = found != rows[:, None]
    # Among many duplicates a row may not be its own nearest; the farthest goes then.
    others[others.all(axis=1), -1] = False
    indices[rows] = found[others].reshape(len(rows), k)
    distances[rows] = found_distances[others].reshape(len(rows), k)


def _self_tuning(distances: Floats, indices: Ints) -> Floats:
    scale = distances[:, -1]
    return (distances / scale[:, None]) * (distances / scale[indices])  # squares would leave float32's range


def _graph_learning(distances: Floats, indices: Ints) -> Floats:
    return 4 * (distances / distances[:, -1:]) ** 2


KERNELS: dict[str, Callable[[Floats, Ints], Floats]] = {
    "self_tuning": _self_tuning,
    "graph_learning": _graph_learning,
}


def transition_matrix(distances: ArrayLike, indices: ArrayLike, *, kernel: str = "self_tuning") -> Any:
    r"""Turn neighbours into the probabilities of a random walk.

    .. math:: M = T^{-1} W, \quad T = \mathrm{diag}(\sum_j W_{ij}), \quad W = (A + A^\top) / 2

    (DGAL [1]_, Equation 2), where A has an entry for each neighbour j of a row i, of one of the kernels

    - ``"self_tuning"``: :math:`\exp(-d_{ij}^2 / (\sigma_i \sigma_j))` [2]_,
    - ``"graph_learning"``: :math:`\exp(-4 d_{ij}^2 / \sigma_i^2)`, that of the package GraphLearning [3]_,

    with the distance to a row's farthest given neighbour as :math:`\sigma_i`. The paper leaves kernel, scale and
    symmetrisation open.

    Parameters
    ----------
    distances, indices : array-like of shape (n_samples, n_neighbors)
        As `nearest_neighbors` returns them.
    kernel : {"self_tuning", "graph_learning"}, default="self_tuning"

    Returns
    -------
    transitions : scipy.sparse.csr_array of shape (n_samples, n_samples), dtype float32
        Every row with a neighbour sums to one; the diagonal is empty.

    Raises
    ------
    ValueError
        For another kernel, arrays of different shapes, distances that are negative or not finite, or indices that are
        no positions.

    Notes
    -----
    Exponents end at -80: an edge between a dense and a sparse region keeps a positive weight, where float32 would end
    and cut the sparse row off. Duplicates are at distance 0 and have the weight 1.

    References
    ----------
    .. [1] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.
    .. [2] Zelnik-Manor and Perona, "Self-Tuning Spectral Clustering", NeurIPS 2004.
    .. [3] Calder, Cook, Thorpe and Slepčev, "Poisson Learning", ICML 2020.

    Examples
    --------
    >>> from skal.graph import nearest_neighbors, transition_matrix
    >>> transition_matrix(*nearest_neighbors([[0.0], [1.0], [2.0]], n_neighbors=2)).toarray().round(2)
    array([[0.  , 0.62, 0.38],
           [0.5 , 0.  , 0.5 ],
           [0.38, 0.62, 0.  ]], dtype=float32)
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel={kernel!r} was given; use one of {sorted(KERNELS)}")
    distances, indices = np.asarray(distances, np.float32), np.asarray(indices, np.int32)
    if distances.shape != indices.shape or distances.ndim != 2:
        raise ValueError(
            f"distances and indices have the shapes {distances.shape} and {indices.shape}; give both as "
            "(n_samples, n_neighbors)"
        )
    n_samples, k = distances.shape
    if k and not (np.isfinite(distances).all() and distances.min() >= 0):
        raise ValueError(
            "distances has entries that are negative or not finite; give those of nearest_neighbors"
        )
    if k and not 0 <= indices.min() <= indices.max() < n_samples:
        raise ValueError(
            f"indices reach from {indices.min()} to {indices.max()}; they must be positions of the {n_samples} rows"
        )
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        exponents = -KERNELS[kernel](distances, indices) if k else distances
    weights = np.exp(np.maximum(exponents, _LEAST_EXPONENT))
    weights[distances == 0] = 1
    starts = np.arange(n_samples + 1) * k
    directed = sparse.csr_array((weights.ravel(), indices.ravel(), starts), shape=(n_samples, n_samples))
    walks = (directed + directed.T.tocsr()).tocsr()  # halving changes no share
    sums = np.maximum(walks.sum(axis=1), np.finfo(np.float32).tiny)
    walks.data /= np.repeat(sums, np.diff(walks.indptr))
    return walks


def cover_steps(n_samples: int, n_neighbors: int) -> int:
    r"""Return :math:`\lceil \log_K N \rceil`, the steps after which a walk may have seen the graph (DGAL, appendix B).

    Parameters
    ----------
    n_samples, n_neighbors : int
        N and K; a K of 1 counts as 2.

    Returns
    -------
    n_steps : int
        At least 1.

    Examples
    --------
    >>> from skal.graph import cover_steps
    >>> cover_steps(60_000, 10)
    5
    """
    n_steps, seen = 1, max(n_neighbors, 2)
    while seen < n_samples:
        n_steps, seen = n_steps + 1, seen * max(n_neighbors, 2)
    return n_steps


def _min(hits: torch.Tensor) -> torch.Tensor:
    return (2 * hits - hits.sum(dim=1, keepdim=True)).abs().amin(dim=1)


def _norm(hits: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(2 * hits - hits.sum(dim=1, keepdim=True), dim=1)


def _simplex(hits: torch.Tensor) -> torch.Tensor:
    return hits + (1 - hits.sum(dim=1, keepdim=True)) / hits.shape[1]


def _confidence(hits: torch.Tensor) -> torch.Tensor:
    return _simplex(hits).amax(dim=1)


def _margin(hits: torch.Tensor) -> torch.Tensor:
    first, second = hits.topk(2, dim=1).values.unbind(dim=1)  # the share of the unreached mass cancels out
    return first - second


def _entropy(hits: torch.Tensor) -> torch.Tensor:
    p = _simplex(hits).clamp(min=0)
    return torch.special.xlogy(p, p).sum(dim=1)


UNCERTAINTIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "min": _min,
    "norm": _norm,
    "confidence": _confidence,
    "margin": _margin,
    "entropy": _entropy,
}


class LabelDiffusion:
    r"""Diffusion of labels on a graph, by steps of a random walk that ends at labelled rows (DGAL [1]_, Section 4.1).

    What is diffused is :math:`q_{ic}^{(t)}`, the probability that a walk of t steps from row i meets a row of class c
    as its first labelled one (Equation 3):

    .. math:: q^{(t)}_{i} = \begin{cases} e_{y_i} & i \text{ labelled} \\ (M q^{(t-1)})_i & \text{else,}
        \end{cases} \qquad q^{(0)}_i = 0 \text{ where unlabelled.}

    Both of the paper's diffusions are this one, by linearity. With the reached mass :math:`m_i = \sum_c q_{ic}`, the
    one-vs-all signals of Equations 7 and 8, +1, -1 and 0 at first, are :math:`\chi_{ic} = 2 q_{ic} - m_i`, and
    the probability vectors of appendix C, 1/C at first, are :math:`p_{ic} = q_{ic} + (1 - m_i) / C`.

    Parameters
    ----------
    transitions : sparse matrix of shape (n_samples, n_samples)
        M, finite and without negative entries, as of `transition_matrix`. Rows sum to one, or to zero where a row is
        isolated.
    n_steps : int
        T, between 1 and 254.
    incremental : bool or "auto", default="auto"
        Whether all steps are kept, so that `diffuse` computes only the rows within `n_steps` hops of the labels that
        have changed, with the same result. They take 4 bytes for each row, class and step; "auto" keeps up to 2 GiB.
        Else there are two steps at a time, and what labels reach is computed anew.
    device : str or torch.device, default="cpu"
        Another one than the CPU computes whole steps there, with torch.

    Attributes
    ----------
    n_classes_ : int
        C, of the latest labels.
    n_updated_ : int
        How many rows the latest `diffuse` computed.

    Notes
    -----
    A copy or a pickle has the graph alone, and diffuses anew.

    The time goes into reading rows of q at random. The rows are renumbered so that neighbours lie close in memory
    (reverse Cuthill-McKee), which makes that two to three times faster at a million rows, and the first step reads
    labels alone.

    References
    ----------
    .. [1] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    A chain of five rows whose ends are labelled:

    >>> import numpy as np
    >>> from skal.graph import LabelDiffusion
    >>> chain = np.eye(5, k=1) + np.eye(5, k=-1)
    >>> diffusion = LabelDiffusion(chain / chain.sum(axis=1, keepdims=True), n_steps=2)
    >>> diffusion.diffuse([0, -1, -1, -1, 1]).one_vs_all()[:, 0]
    array([ 1. ,  0.5,  0. , -0.5, -1. ], dtype=float32)
    """

    n_classes_: int
    n_updated_: int
    _labels: Ints | None
    _steps: list[Floats]
    _matrix: torch.Tensor | None
    _hits: torch.Tensor | None

    def __init__(
        self,
        transitions: Any,
        n_steps: Any,
        *,
        incremental: bool | str = "auto",
        device: str | torch.device = "cpu",
    ) -> None:
        if (
            isinstance(n_steps, bool)
            or not isinstance(n_steps, Integral)
            or not 1 <= int(n_steps) <= _MAX_STEPS
        ):
            raise ValueError(f"n_steps={n_steps!r} was given; it must be an integer from 1 to {_MAX_STEPS}")
        matrix = sparse.csr_array(transitions, dtype=np.float32)
        n_samples = matrix.shape[0]
        if matrix.shape != (n_samples, n_samples):
            raise ValueError(f"transitions has the shape {matrix.shape}; give a square matrix")
        if not (np.isfinite(matrix.data).all() and (matrix.data >= 0).all()):
            raise ValueError("transitions has entries that are negative or not finite; give probabilities")
        if n_samples and matrix.sum(axis=1).max() > 1 + 1e-4:
            raise ValueError(
                f"a row of transitions sums to {matrix.sum(axis=1).max():g}; divide each row by its sum"
            )
        if incremental not in (True, False, "auto"):
            raise ValueError(f'incremental={incremental!r} was given; use True, False or "auto"')
        self.n_steps = int(n_steps)
        self.incremental = incremental
        self.device = torch.device(device)
        self._order = reverse_cuthill_mckee(sparse.csr_matrix(matrix))
        matrix = matrix[self._order][:, self._order].tocsr()
        matrix.sort_indices()
        self._walks = _parts(matrix)
        # Who hears of a row: those with a transition to it.
        heard = matrix.T.tocsr()
        heard.sort_indices()
        same = np.array_equal(heard.indptr, matrix.indptr) and np.array_equal(heard.indices, matrix.indices)
        self._hearers = self._walks[:2] if same else _parts(heard)[:2]
        self._forget()

    def diffuse(self, labels: ArrayLike, n_classes: int | None = None) -> Self:
        """Diffuse labels for `n_steps` steps.

        Parameters
        ----------
        labels : array-like of int of shape (n_samples,)
            Class of every row, from 0 on, or -1.
        n_classes : int, default=None
            C; by default one more than the largest label, and two at least.

        Returns
        -------
        self : LabelDiffusion

        Raises
        ------
        ValueError
            If `labels` are not integers from -1 to ``n_classes - 1``, one for each row, or `n_classes` is less than 2.
        """
        given = np.asarray(labels)
        if given.dtype.kind not in "iu" or given.shape != (len(self._order),):
            raise ValueError(
                f"labels has dtype {given.dtype} and shape {given.shape}; give {len(self._order)} integers"
            )
        if n_classes is not None and not (isinstance(n_classes, int | np.integer) and n_classes >= 2):
            raise ValueError(
                f"n_classes={n_classes!r} was given; it must be an integer of at least 2, or None"
            )
        given = given.astype(np.int64, copy=False)  # unsigned ones know no -1
        least, largest = int(given.min(initial=-1)), int(given.max(initial=-1))
        n_classes = max(2, largest + 1) if n_classes is None else int(n_classes)
        if largest >= n_classes or least < -1:
            raise ValueError(
                f"labels reach from {least} to {largest}; they must be between -1 and {n_classes - 1}"
            )
        codes: Ints = given.astype(np.int32)[self._order]
        if self.device.type == "cpu":
            self._diffuse_on_cpu(codes, n_classes)
        else:
            if self._matrix is None:
                self._matrix = _torch_csr(self._walks, self.device)
            self._hits = _torch_diffusion(
                self._matrix, torch.from_numpy(codes).long(), n_classes, self.n_steps
            )
            self.n_updated_ = len(codes)
        self.n_classes_ = n_classes
        return self

    def _diffuse_on_cpu(self, labels: Ints, n_classes: int) -> None:
        shape = (len(labels), -(-n_classes // 4) * 4)  # vector instructions take four numbers and more
        keep = self.incremental
        if keep == "auto":
            keep = 4 * shape[0] * shape[1] * self.n_steps <= _KEPT_BYTES
        if not keep or self._labels is None or self._steps[0].shape != shape:
            self._forget()
            self._labels = np.full_like(labels, -1)
            self._steps = [np.zeros(shape, np.float32) for _ in range(self.n_steps if keep else 2)]
        steps = [self._steps[t % len(self._steps)] for t in range(self.n_steps)]
        hops = self._hops(np.flatnonzero(labels != self._labels), labels)
        rows = np.flatnonzero(hops != _UNREACHED)
        self._labels = labels
        _, _, first_step, step = _compiled()
        _in_threads(first_step, rows, *self._walks, labels, hops, steps[0])
        for t in range(1, self.n_steps):
            _in_threads(step, rows, *self._walks, labels, hops, t + 1, steps[t - 1], steps[t])
        self._hits = torch.from_numpy(steps[-1])[:, :n_classes]
        self.n_updated_ = len(rows)

    def _hops(self, changed: NDArray[np.intp], labels: Ints) -> NDArray[np.uint8]:
        """Count the hops from changed labels to the rows that they can change; other labelled rows pass nothing on."""
        tell, hear, _, _ = _compiled()
        hops = np.full(len(labels), _UNREACHED, np.uint8)
        hops[changed] = 0
        n_left = len(labels) - len(changed)
        for t in range(1, self.n_steps + 1):
            if not len(changed) or not n_left:
                break
            # Breadth first, from the side that has fewer rows.
            if len(changed) < n_left:
                _in_threads(tell, changed, *self._hearers, labels, hops, t)
            else:
                _in_threads(hear, np.flatnonzero(hops == _UNREACHED), *self._walks[:2], labels, hops, t)
            changed = np.flatnonzero(hops == t)
            n_left -= len(changed)
        return hops

    def hits(self) -> Floats:
        """Return the probabilities q that a walk ends at each class, shape (n_samples, n_classes)."""
        return self._rowwise(lambda hits: hits)

    def one_vs_all(self) -> Floats:
        r"""Return the signals :math:`\chi` of Equation 8, between -1 and 1, shape (n_samples, n_classes)."""
        return self._rowwise(lambda hits: 2 * hits - hits.sum(dim=1, keepdim=True))

    def probabilities(self) -> Floats:
        """Return the probability vectors of appendix C, shape (n_samples, n_classes)."""
        return self._rowwise(_simplex)

    def reached(self) -> NDArray[np.bool_]:
        """Return which rows a label has reached, shape (n_samples,)."""
        return self._rowwise(lambda hits: hits.sum(dim=1) > 0)  # none is negative

    def uncertainty(self, measure: str = "min") -> Floats:
        r"""Return how certain the diffusion is about every row; the paper queries the smallest.

        Parameters
        ----------
        measure : {"min", "norm", "confidence", "margin", "entropy"}, default="min"
            - ``"min"``: :math:`\min_c |\chi_{ic}|` (Equation 9), small where nothing arrived and between two classes;
            - ``"norm"``: :math:`\lVert \chi_i \rVert_2`, small where little arrived;
            - ``"confidence"``, ``"margin"``, ``"entropy"``: largest probability, difference of the two largest, and
              negative entropy of the probability vectors, small where little arrived and between classes (appendix C).

        Returns
        -------
        uncertainty : ndarray of shape (n_samples,), dtype float32

        Raises
        ------
        ValueError
            For another measure.
        """
        if measure not in UNCERTAINTIES:
            raise ValueError(f"measure={measure!r} was given; use one of {sorted(UNCERTAINTIES)}")
        return self._rowwise(UNCERTAINTIES[measure])

    def _rowwise(self, function: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[Any]:
        """Apply a function to the hits, a part that fits into the cache at a time, and restore the order of rows."""
        if self._hits is None:
            raise NotFittedError("No label has been diffused yet; call diffuse(labels) first.")
        answers = torch.cat([function(part) for part in self._hits.split(_SCORED_ROWS)]).cpu().numpy()
        ordered = np.empty_like(answers)
        ordered[self._order] = answers
        return ordered

    def _forget(self) -> None:
        self._labels, self._steps, self._matrix, self._hits = None, [], None, None

    def __getstate__(self) -> dict[str, Any]:
        # What the next diffusion computes anew.
        return {**vars(self), "_labels": None, "_steps": [], "_matrix": None, "_hits": None}


def _parts(matrix: Any) -> tuple[NDArray[np.int64], Ints, Floats]:
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data


def _in_threads(kernel: Callable[..., None], rows: NDArray[np.intp], *args: Any) -> None:
    parts = [rows[start : start + _PART_ROWS] for start in range(0, len(rows), _PART_ROWS)]
    if (n_threads := min(torch.get_num_threads(), len(parts))) <= 1:
        for part in parts:
            kernel(part, *args)
    else:
        with ThreadPoolExecutor(n_threads) as threads:
            list(threads.map(lambda part: kernel(part, *args), parts))


@cache
def _compiled() -> tuple[Callable[..., None], ...]:
    import numba  # takes a second, and only a diffusion needs it

    return tuple(numba.njit(nogil=True, cache=True)(kernel) for kernel in (_tell, _hear, _first_step, _step))


# The rows of a part are those of its thread. What several threads may write to a row of hops is the same number.
def _tell(rows, indptr, indices, labels, hops, t):  # type: ignore[no-untyped-def]
    """Mark the rows that hear of the given ones."""
    for row in rows:
        for entry in range(indptr[row], indptr[row + 1]):
            hearer = indices[entry]
            if hops[hearer] == _UNREACHED and labels[hearer] < 0:
                hops[hearer] = t


def _hear(rows, indptr, indices, labels, hops, t):  # type: ignore[no-untyped-def]
    """Mark those of the given rows that hear of one marked before."""
    for row in rows:
        if labels[row] >= 0:
            continue
        for entry in range(indptr[row], indptr[row + 1]):
            if hops[indices[entry]] < t:
                hops[row] = t
                break


def _first_step(rows, indptr, indices, weights, labels, hops, current):  # type: ignore[no-untyped-def]
    """Compute the rows that labels have reached after one step."""
    for row in rows:
        if hops[row] > 1:
            continue
        current[row] = 0
        if labels[row] >= 0:
            current[row, labels[row]] = 1
            continue
        for entry in range(indptr[row], indptr[row + 1]):
            label = labels[indices[entry]]
            if label >= 0:
                current[row, label] += weights[entry]


def _step(rows, indptr, indices, weights, labels, hops, t, previous, current):  # type: ignore[no-untyped-def]
    """Compute the rows within t hops from those of the step before."""
    width = current.shape[1]
    for row in rows:
        if hops[row] > t:
            continue
        start, stop = indptr[row], indptr[row + 1]
        out = current[row]
        for c in range(width):
            out[c] = 0
        if labels[row] >= 0:
            out[labels[row]] = 1
            continue
        # Four neighbours for each time that the sums are stored; without a sign, positions need no check.
        for entry in range(start, stop - 3, 4):
            w0, w1, w2, w3 = weights[entry], weights[entry + 1], weights[entry + 2], weights[entry + 3]
            q0, q1 = previous[np.uint32(indices[entry])], previous[np.uint32(indices[entry + 1])]
            q2, q3 = previous[np.uint32(indices[entry + 2])], previous[np.uint32(indices[entry + 3])]
            for c in range(width):
                out[c] += (w0 * q0[c] + w1 * q1[c]) + (w2 * q2[c] + w3 * q3[c])
        for entry in range(stop - (stop - start) % 4, stop):
            weight, q = weights[entry], previous[np.uint32(indices[entry])]
            for c in range(width):
                out[c] += weight * q[c]


def _torch_csr(walks: tuple[NDArray[np.int64], Ints, Floats], device: torch.device) -> torch.Tensor:
    indptr, indices, weights = walks
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Sparse", UserWarning
        )  # a beta state, and checks that it leaves out
        return torch.sparse_csr_tensor(
            torch.from_numpy(indptr).int(),
            torch.from_numpy(indices),
            torch.from_numpy(weights),
            size=(len(indptr) - 1,) * 2,
            device=device,
        )


def _torch_diffusion(
    matrix: torch.Tensor, labels: torch.Tensor, n_classes: int, n_steps: int
) -> torch.Tensor:
    labels = labels.to(matrix.device)
    rows = torch.nonzero(labels >= 0).ravel()
    known = torch.nn.functional.one_hot(labels[rows], n_classes).to(torch.float32)
    hits = torch.zeros(len(labels), n_classes, device=matrix.device).index_copy_(0, rows, known)
    for _ in range(n_steps):
        hits = (matrix @ hits).index_copy_(0, rows, known)
    return hits
