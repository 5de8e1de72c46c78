"""The random walk on the graph of a pool."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..neighbors.base import positions_dtype
from ..utils.progress import progress
from .nearest import Floats, Ints

# The least weight stays a positive number of float32: every edge counts, and no row is cut off.
_LEAST_EXPONENT = -80.0


# The exponents of neighbours at some distances.
KERNELS: dict[str, Callable[[Floats, Ints], Floats]] = {
    # Squares of distances would leave the range of float32.
    "self_tuning": lambda distances, indices: (
        (distances / distances[:, -1:]) * (distances / distances[:, -1][indices])
    ),
    "graph_learning": lambda distances, indices: 4 * (distances / distances[:, -1:]) ** 2,
}


def transition_matrix(
    distances: ArrayLike, indices: ArrayLike, *, kernel: str = "self_tuning", symmetric: bool = True
) -> Any:
    r"""Turn neighbours into the probabilities of a random walk.

    .. math:: M = T^{-1} W, \quad T = \mathrm{diag}(\sum_j W_{ij}), \quad W = (A + A^\top) / 2

    (DGAL [1]_, Equation 2), where A has an entry for each neighbour j of a row i, given by one of the kernels

    - ``"self_tuning"``: :math:`\exp(-d_{ij}^2 / (\sigma_i \sigma_j))` [2]_,
    - ``"graph_learning"``: :math:`\exp(-4 d_{ij}^2 / \sigma_i^2)`, that of the package GraphLearning [3]_,

    where :math:`\sigma_i` is the distance of row i to its farthest given neighbour. The paper leaves kernel, scale
    and symmetrisation open.

    Parameters
    ----------
    distances, indices : array-like of shape (n_samples, n_neighbors)
        The result of `nearest_neighbors`.
    kernel : {"self_tuning", "graph_learning"}, default="self_tuning"
    symmetric : bool, default=True
        False uses :math:`W = A`: a walk goes from a row only to the row's own neighbours, and reaches fewer rows.

    Returns
    -------
    transitions : scipy.sparse.csr_array of shape (n_samples, n_samples), dtype float32
        Each row with a neighbour sums to one; the diagonal is empty.

    Raises
    ------
    ValueError
        For another kernel, arrays of different shapes, distances that are negative or not finite, or indices that are
        not positions of rows.

    Notes
    -----
    Exponents are cut off at -80, so that an edge between a dense and a sparse region keeps a positive weight. In
    float32 the weight would otherwise become zero and cut the sparse row off. Duplicates are at distance 0 and have the
    weight 1.

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
    distances, indices = np.asarray(distances, np.float32), np.asarray(indices)
    indices = indices.astype(positions_dtype(len(indices)), copy=False)
    if distances.shape != indices.shape or distances.ndim != 2:
        shapes = f"{distances.shape} and {indices.shape}"
        raise ValueError(f"distances and indices have shapes {shapes}; give both as (n_samples, n_neighbors)")
    n_samples, k = distances.shape
    if k and not (np.isfinite(distances).all() and distances.min() >= 0):
        raise ValueError("distances has negative or not finite entries; give those of nearest_neighbors")
    if k and not 0 <= indices.min() <= indices.max() < n_samples:
        given = f"from {indices.min()} to {indices.max()}"
        raise ValueError(f"indices go {given}; they must be positions of the {n_samples} rows")
    with progress("steps of the transition matrix", 4) as advance:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            exponents = -KERNELS[kernel](distances, indices) if k else distances
        weights = np.exp(np.maximum(exponents, _LEAST_EXPONENT))
        weights[distances == 0] = 1
        advance(1)
        starts = np.arange(n_samples + 1) * k
        walks = sparse.csr_array((weights.ravel(), indices.ravel(), starts), shape=(n_samples, n_samples))
        transposed = walks.T.tocsr() if symmetric else None
        advance(1)
        walks = walks if transposed is None else (walks + transposed).tocsr()  # halving changes no share
        advance(1)
        sums = np.maximum(walks.sum(axis=1), np.finfo(np.float32).tiny)
        walks.data /= np.repeat(sums, np.diff(walks.indptr))
        advance(1)
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
