"""Lines across the decision boundary of a linear classifier, and the answers of annotators about their points."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances

from ..access import as_torch
from ..labels import labeled_mask
from .query import Samples


def answered_lines(outside: Iterable[Samples], n_features: int) -> NDArray[np.float64]:
    """Find lines among labelled samples: successive points on one straight line.

    Parameters
    ----------
    outside : iterable of Samples
        The samples of `ActiveLearner.extend`, in their order.
    n_features : int

    Returns
    -------
    lines : ndarray of shape (n_lines, 2, n_features)
        The first and the last point of each.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import as_pool
    >>> from skal.strategies.lines import answered_lines
    >>> from skal.strategies.query import Samples
    >>> points = as_pool(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, 2.0]]))
    >>> lines = answered_lines([Samples(points, np.arange(5), np.zeros(5, dtype=np.int32))], 2)
    >>> lines[:, 1] - lines[:, 0]
    array([[2., 0.],
           [3., 1.],
           [0., 1.]])
    """
    lines = [np.empty((0, 2, n_features))]
    for samples in outside:
        points = np.asarray(samples.pool.dense(samples.rows), dtype=np.float64)
        steps = np.diff(points, axis=0)
        units = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), np.finfo(float).tiny)
        turns = 1 + np.flatnonzero((units[1:] * units[:-1]).sum(axis=1) < 1 - 1e-6)
        ends = np.unique(np.concatenate([[0], turns, [len(steps)]]))
        lines.append(np.stack([points[ends[:-1]], points[ends[1:]]], axis=1))
    return np.concatenate(lines)


def answered_rows(outside: Iterable[Samples], n_features: int) -> NDArray[np.float64]:
    """Return labelled samples as lines without length.

    Parameters
    ----------
    outside : iterable of Samples
        The samples of `ActiveLearner.extend`.
    n_features : int

    Returns
    -------
    lines : ndarray of shape (n_samples, 2, n_features)
        Twice the same point.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool import as_pool
    >>> from skal.strategies.lines import answered_rows
    >>> from skal.strategies.query import Samples
    >>> points = as_pool(np.array([[0.0, 0.0], [1.0, 2.0]]))
    >>> answered_rows([Samples(points, np.arange(2), np.zeros(2, dtype=np.int32))], 2)[1]
    array([[1., 2.],
           [1., 2.]])
    """
    rows = [np.asarray(samples.pool.dense(samples.rows), dtype=np.float64) for samples in outside]
    return np.repeat(np.concatenate([np.empty((0, n_features)), *rows])[:, None], 2, axis=1)


def distance_to_lines(rows: NDArray[np.float64], lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far rows are from the nearest of some lines, which extend beyond their ends.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    lines : ndarray of shape (n_lines, 2, n_features)
        Two points of each.

    Returns
    -------
    distances : ndarray of shape (n_rows,)

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies.lines import distance_to_lines
    >>> distance_to_lines(np.array([[3.0, 4.0]]), np.array([[[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 5.0]]]))
    array([2.])
    """
    shift = lines[:, 0].mean(axis=0)  # a common offset would drown the differences
    rows, starts, along = rows - shift, lines[:, 0] - shift, lines[:, 1] - lines[:, 0]
    units = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), np.finfo(float).tiny)
    projected = rows @ units.T - (starts * units).sum(axis=1)
    squared = euclidean_distances(rows, starts, squared=True) - projected**2
    return np.sqrt(np.maximum(squared, 0)).min(axis=1)


def hyperplane(estimator: Any, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the decision function ``w.x + b`` of a linear classifier of two classes, in the space of its rows.

    Parameters
    ----------
    estimator : fitted classifier
        Anything that `as_torch` takes, so pipelines of scalers too.
    points : ndarray of shape (n_points, n_features)
        Where the gradient is computed, which must be the same everywhere.

    Returns
    -------
    w : ndarray of shape (n_features,)
    b : float

    Raises
    ------
    ValueError
        If there are not two classes, or the decision values are constant or not linear in the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies.lines import hyperplane
    >>> X = np.array([[-1.0, 0.0], [1.0, 0.0]])
    >>> w, b = hyperplane(LogisticRegression().fit(X, [0, 1]), X)
    >>> bool(w[0] > 0), bool(abs(w[1]) < 1e-6), bool(abs(b) < 1e-6)
    (True, True, True)
    """
    rows = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    logits = as_torch(estimator).cpu()(rows).double()
    name = type(estimator).__name__
    if logits.shape[1] != 2:
        raise ValueError(
            f"{name} has {logits.shape[1]} classes; ADBA needs a linear classifier of two classes."
        )
    values = logits[:, 1] - logits[:, 0]
    gradients = torch.autograd.grad(values.sum(), rows)[0].numpy()
    w = gradients.mean(axis=0)
    if np.abs(gradients - w).max() > 1e-3 * np.abs(w).max():
        raise ValueError(
            f"The decision values of {name} are not linear in the rows, so there is no hyperplane; use a linear "
            "classifier of two classes, such as LogisticRegression() or LinearSVC(), after scalers or PCA if needed."
        )
    if not w.any():
        raise ValueError(
            f"The decision values of {name} are the same for all rows, so there is no hyperplane; label other rows."
        )
    return w, float((values.detach().numpy() - points @ w).mean())


def find_crossings(answers: NDArray[Any], classes: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the crossing of each line that contradicts the fewest labels of its points.

    Parameters
    ----------
    answers : ndarray of shape (n_lines, n_points)
        One label per point; an unlabelled point contradicts nothing.
    classes : ndarray of shape (2,)

    Returns
    -------
    crossings : ndarray of shape (n_lines,)
        Halfway between two points; NaN if the whole line is of one class.
    first : ndarray of shape (n_lines,)
        The class at the beginning of each line.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies.lines import find_crossings
    >>> find_crossings(np.array([[0, 0, 1, 1], [1, 1, 1, 1], [1, 0, 1, 0]]), np.array([0, 1]))
    (array([1.5, nan, 2.5]), array([0, 1, 1]))
    """
    is_class = answers[..., None] == classes
    unknown = answers[~is_class.any(axis=2)]
    unknown = unknown[labeled_mask(unknown)]
    if len(unknown):
        raise ValueError(
            f"The annotator answered {unknown.tolist()[0]!r}; the classes are {classes.tolist()}."
        )
    counts = is_class.cumsum(axis=1)  # among the first 1, 2, ... points
    rest = counts[:, -1:] - counts
    # Contradictions if class c is first and the other begins after 1, 2, ... points: the other before that, c after.
    wrong = counts[..., ::-1] + rest
    # Among equals the latest crossing wins, so that a line of one class has none.
    n_lines, n_points, _ = wrong.shape
    best = wrong[:, ::-1].reshape(n_lines, 2 * n_points).argmin(axis=1)
    n_first = n_points - best // 2
    return np.where(n_first < n_points, n_first - 0.5, np.nan), classes[best % 2]
