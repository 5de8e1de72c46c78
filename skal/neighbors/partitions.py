"""Approximate nearest other rows of all rows: compared within the cells of several partitions, and refined."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..utils.kernels import compiled
from ..utils.progress import counted
from ..utils.threads import in_threads
from .base import Floats, positions_dtype
from .k_means_cells import KMeansCells
from .pairs import measure, refine, reverse
from .products import Centered, Positions, distances_by_products, nearest_by_products

Lists = tuple[Floats, NDArray[Any]]

RECALL = 0.96  # of a sample, so that all rows have 0.95
_SAMPLE_ROWS = 512
_LEAST_K = 10  # shorter lists lead to fewer neighbours
_MOST_AROUND = 16  # neighbours of a row whose neighbours are looked at
_COMPONENTS = 64  # of the projection, or a multiple of them
_EXPLAINED = 0.75  # their share of the variance
_PROJECTED_ROWS = 10_000  # which decide the components
_MOST_COMPARED = 1 << 16  # rows that a row is compared with
_PART_ROWS = 4096


def least_width(k: int) -> int:
    """Return the number of rows with which each row is compared in a partition."""
    return max(1024, 16 * k)


def nearest_by_partitions(X: Floats, k: int, seed: int) -> tuple[Floats, NDArray[Any]]:
    """Find nearly all of the nearest other rows of all rows.

    k-means cuts the rows into cells, and each row is compared with the rows of its own and of the nearest cells, by
    matrix products of the rows, or of their first principal components if they have many columns. The nearest of these
    rows are measured in the given space. Partitions from different samples cut different neighbours apart. Between
    them, each row is compared with the neighbours of its neighbours. More and wider partitions follow until a sample of
    rows, whose neighbours are also searched exactly, has found 0.96 of them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), dtype float32
        Finite rows.
    k : int
        Less than the number of rows.
    seed : int

    Returns
    -------
    distances : ndarray of shape (n_samples, k), dtype float32
    found : ndarray of shape (n_samples, k), dtype int32 or int64
        In order of distance and position.

    Warns
    -----
    UserWarning
        If each row was compared with 65,536 others and less than 0.96 of the neighbours were found, as with independent
        columns of equal variance. For up to four times as many rows, the search is then exact.
    """
    rng, n_samples = np.random.default_rng(seed), len(X)
    kept, width = min(max(k, _LEAST_K), n_samples - 1), least_width(k)
    centered = _in_range(X)
    points = _projected(centered, rng)
    n_measured = kept + 2 if points is centered else 2 * kept + 8
    sample = np.sort(rng.choice(n_samples, min(n_samples, _SAMPLE_ROWS), replace=False))
    reach = nearest_by_products(centered.X, sample, k)[0][:, -1:] * (1 + 1e-5)  # room for sums in float32
    lists: Lists = (
        np.full((n_samples, kept), np.inf, np.float32),
        np.full((n_samples, kept), -1, positions_dtype(n_samples)),
    )
    n_compared, recall = 0, 0.0
    while recall < RECALL and n_compared + 2 * width <= min(n_samples / 2, _MOST_COMPARED):
        for _ in range(2):
            cells = KMeansCells(points, width, rng)
            cells.compare(centered.X, centered.scale, n_measured, *lists)
        lists = _refined(centered.X, cells.order, *lists)
        recall = float((lists[0][sample, :k] <= reach).mean())
        n_compared += 2 * width
        width = max(width, n_compared // 2)
    if recall < RECALL and n_samples <= 4 * _MOST_COMPARED:
        del lists  # a quarter of the memory
        return distances_by_products(X, k)
    if recall < RECALL:
        warnings.warn(
            f"About {recall:.0%} of the nearest neighbours were found: no partition separates such rows. Compare rows "
            'by fewer features, for example by PCA, or use method="exact"',
            stacklevel=3,
        )
    distances, found = (part[:, :k] for part in lists)
    lacking = np.flatnonzero((found < 0).any(axis=1))
    if len(lacking):
        found[lacking] = nearest_by_products(X, lacking, k)[1]

    def measured(start: int) -> None:
        rows = np.arange(start, min(start + _PART_ROWS, n_samples))
        sq = np.full((len(rows), k), np.inf)
        compiled(measure)(X, rows, found[start : start + _PART_ROWS], sq)
        distances[start : start + _PART_ROWS] = np.sqrt(sq)

    in_threads(measured, range(0, n_samples, _PART_ROWS), unit="blocks of distances")
    return distances, found


def _in_range(X: Floats) -> Centered:
    """The rows, scaled where float32 has no room for squares of their distances."""
    centered = Centered(X)
    return centered if 2.0**-40 < centered.scale < 2.0**40 else Centered(X * np.float32(centered.scale))


def _projected(centered: Centered, rng: np.random.Generator) -> Centered:
    """The first principal components, or the rows where these are not much fewer."""
    n_samples, n_features = centered.X.shape
    if n_features <= 3 * _COMPONENTS // 2:
        return centered
    rows = np.sort(rng.choice(n_samples, min(n_samples, _PROJECTED_ROWS), replace=False))
    sample = torch.from_numpy(centered.points(rows)[0])
    variances, axes = torch.linalg.eigh(sample.T @ sample)
    left = 1 - variances.flip(0).cumsum(0) / variances.sum().clamp(min=1e-30)
    n_components = -(-(1 + int((left > 1 - _EXPLAINED).sum())) // _COMPONENTS) * _COMPONENTS
    if n_components > 2 * n_features // 3:
        return centered
    axes = axes[:, -n_components:].flip(1)
    components = torch.empty(n_samples, n_components)
    for start in counted(range(0, n_samples, _PART_ROWS), "blocks of components"):
        part = components[start : start + _PART_ROWS]
        torch.mm(torch.from_numpy(centered.points(np.arange(start, start + len(part)))[0]), axes, out=part)
    return Centered(components.numpy(), shift=np.zeros(n_components), scale=1.0)


def _refined(X: Floats, order: Positions, sq: Floats, found: NDArray[Any]) -> Lists:
    """Compare each row with the neighbours of its neighbours, and of the rows whose neighbour it is."""
    n_samples, k = found.shape
    n_nearest = min(k, _MOST_AROUND)
    hearers, counts = np.full((n_samples, 2 * n_nearest), -1, found.dtype), np.zeros(n_samples, np.int32)
    for place in counted(range(n_nearest), "rounds of neighbours"):
        compiled(reverse)(found, place, hearers, counts)
    table_size = 1 << (2 * (3 * n_nearest * (n_nearest + 1) + k + 1)).bit_length()  # never full
    lists = np.empty_like(sq), np.empty_like(found)
    kernel = compiled(refine, any_order=True)
    parts = [order[start : start + _PART_ROWS] for start in range(0, n_samples, _PART_ROWS)]
    in_threads(
        lambda rows: kernel(X, rows, sq, found, hearers, n_nearest, table_size, *lists),
        parts,
        unit="blocks of neighbours' neighbours",
    )
    return lists
