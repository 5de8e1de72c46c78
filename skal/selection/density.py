"""How similar each row is to all rows on average, without a matrix of pairs."""

import numpy as np
from numpy.typing import NDArray

from ..utils.threads import one_blas_thread
from .points import Floats, measure_close, middle

_BLOCK_NUMBERS = 1 << 18  # of distances, or of coordinates, in memory at a time


def mean_cosine(X: NDArray[np.number]) -> Floats:
    """Mean cosine of the angles between each row of X and all rows, itself included.

    It is the product of the row's direction and the mean direction, in O(n_samples * n_features). A row of zeros has no
    direction, and its cosines are zero.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows.

    Returns
    -------
    means : ndarray of shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import mean_cosine
    >>> mean_cosine(np.array([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    array([0.5 , 0.5 , 0.25, 0.  ])
    """
    if not len(X):
        return np.zeros(0)
    blocks = _blocks(len(X), X.shape[1])
    mean = sum(_directions(X[block]).sum(axis=0) for block in blocks) / len(X)
    return np.concatenate([_directions(X[block]) @ mean for block in blocks])


@one_blas_thread
def mean_closeness(X: NDArray[np.number]) -> Floats:
    """Mean of 1 / (1 + d) over the Euclidean distances d between each row of X and all rows, itself included.

    Each pair is visited once, in blocks: O(n_samples ** 2 * n_features) time, and memory for one block of pairs.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Finite rows.

    Returns
    -------
    means : ndarray of shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import mean_closeness
    >>> mean_closeness(np.array([[0.0], [1.0], [3.0]])).round(3)
    array([0.583, 0.611, 0.528])
    """
    totals = np.zeros(len(X))
    if not len(X):
        return totals
    shift = middle(X)
    blocks = _blocks(len(X), max(512, X.shape[1]))
    for i, block in enumerate(blocks):
        rows = X[block].astype(np.float64) - shift
        norms = np.einsum("ij,ij->i", rows, rows)
        for other in blocks[i:]:
            others = rows if other == block else X[other].astype(np.float64) - shift
            pairs = rows @ (-2 * others.T)
            pairs += norms[:, np.newaxis]
            pairs += np.einsum("ij,ij->i", others, others)
            measure_close(pairs, rows, norms, others)
            np.sqrt(pairs, out=pairs)
            pairs += 1
            np.reciprocal(pairs, out=pairs)
            totals[block] += pairs.sum(axis=1)
            if other != block:
                totals[other] += pairs.sum(axis=0)
    return totals / len(X)


def _blocks(n_rows: int, width: int) -> list[slice]:
    step = max(1, _BLOCK_NUMBERS // max(1, width))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def _directions(rows: NDArray[np.number]) -> Floats:
    """Return rows of length one in float64, with zeros where they are zero."""
    points: Floats = rows.astype(np.float64)
    largest = np.abs(points).max(axis=1, keepdims=True, initial=0)
    points /= np.where(largest > 0, largest, 1)  # whose squares neither overflow nor vanish
    lengths = np.sqrt(np.einsum("ij,ij->i", points, points))[:, np.newaxis]
    return points / np.where(lengths > 0, lengths, 1)
