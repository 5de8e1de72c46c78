"""DeepFool: the rows whose label the smallest change turns into another (Ducoffe and Precioso, 2018)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..access import as_torch, batch_rows
from ..pool import as_pool
from ..training.batches import as_tensor
from .base import POSITIVE_INTEGER
from .score import ScoreStrategy

# The most that the rows of a batch take; a batch holds a few more arrays of this size, and the network's activations.
_BATCH_BYTES = 16 * 2**20


@dataclass(eq=False, repr=False, kw_only=True)
class DeepFool(ScoreStrategy):
    r"""Choose the rows with the smallest adversarial perturbation, which lie nearest to a decision boundary [1]_.

    The distance to the boundary is that of the DeepFool attack [2]_. From a row x with label k, it moves to the nearest
    boundary of the linearised classifier f, again and again, until the label changes (Algorithm 2):

    .. math::

        w_j = \nabla f_j(x) - \nabla f_k(x), \quad f'_j = f_j(x) - f_k(x), \quad
        l = \arg\min_{j \neq k} \frac{|f'_j|}{\lVert w_j \rVert_2}, \quad
        x \leftarrow x + \frac{|f'_l|}{\lVert w_l \rVert_2^2} w_l

    The score is minus the Euclidean norm of the sum of the steps. For a linear classifier, this is the distance to the
    nearest boundary.

    Parameters
    ----------
    max_iter : int, default=50
        The most steps per row. If the label has not changed by then, the norm of the steps so far counts.
    {random_state}

    Notes
    -----
    The classifier must be one that `as_torch` takes. With a pipeline, distances are measured between rows of the pool,
    before its first step; scale the pool if its features have different units.

    Rows take their steps together, each as if it were alone: a backward pass serves all rows of a batch, and rows that
    have arrived make room for others. A step still costs one backward pass per class, and a row takes a few steps. Over
    a large pool, query a random subset: ``RandomSubset(10_000, DeepFool())``.

    There is no overshoot [2]_ beyond the boundary, and steps are not clipped to the range of pixels. Rows where no
    logit has a gradient, or whose steps overflow, cannot be moved to another label: their distance is infinite.

    References
    ----------
    .. [1] Ducoffe and Precioso, "Adversarial Active Learning for Deep Networks: a Margin Based Approach",
       arXiv:1802.09841, 2018.
    .. [2] Moosavi-Dezfooli, Fawzi and Frossard, "DeepFool: a simple and accurate method to fool deep neural networks",
       CVPR 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import DeepFool, RandomSubset
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X, y)
    >>> rows = DeepFool(random_state=0).fit(X).query(X, n_queries=4, estimator=classifier)
    >>> sorted(y[rows].tolist())  # the first class stands apart
    [1, 2, 2, 2]
    >>> RandomSubset(20, DeepFool(), random_state=0).fit(X).query(X, estimator=classifier).shape
    (1,)
    """

    requires = ("as_torch",)
    reads_rows = True

    max_iter: int = field(default=50, kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {"max_iter": POSITIVE_INTEGER}

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        logits_of = as_torch(estimator)
        weight = _widest(logits_of)
        row_bytes = weight.element_size() * int(np.prod(X.shape[1:]))
        size = min(batch_rows(estimator, X), _BATCH_BYTES // row_bytes)
        return -perturbation_norms(logits_of, X, max_iter=self.max_iter, batch_size=max(1, size))


def perturbation_norms(
    logits_of: nn.Module, X: Any, *, max_iter: int = 50, batch_size: int = 1024
) -> NDArray[np.float64]:
    """Euclidean norms of the perturbations by which DeepFool changes the labels of rows.

    Parameters
    ----------
    logits_of : torch.nn.Module
        Maps rows to logits, each row by itself. Its weights need no gradients.
    X : ndarray, sparse matrix or data frame of shape (n_samples, ...)
    max_iter : int, default=50
    batch_size : int, default=1024
        Rows that move together. The result does not depend on it.

    Returns
    -------
    norms : ndarray of shape (n_samples,)
        Infinite where no step leads to another label.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from skal.strategies.deep_fool import perturbation_norms
    >>> perturbation_norms(nn.Identity(), np.array([[0.0, 1.0]])).round(2)
    array([0.71])
    """
    weight, pool = _widest(logits_of), as_pool(X)
    norms, start, n_moving = np.empty(len(pool)), 0, 0
    moving: list[Tensor] = []  # rows, their perturbations, labels, steps made, and positions
    while start < len(pool) or n_moving:
        if start < len(pool) and n_moving <= batch_size // 2:
            stop = min(start + batch_size - n_moving, len(pool))
            x = as_tensor(pool.dense(slice(start, stop))).to(weight.device, weight.dtype)
            with torch.no_grad():
                labels = logits_of(x).argmax(dim=1)
            positions = torch.arange(start, stop, device=x.device)
            new = [x, torch.zeros_like(x), labels, torch.zeros_like(labels), positions]
            moving = [torch.cat(pair) for pair in zip(moving, new, strict=True)] if moving else new
            start = stop
        moving, arrived, lengths = _step(logits_of, moving, max_iter)
        norms[arrived.numpy(force=True)] = lengths.numpy(force=True)
        n_moving = len(moving[0])
    return norms


def _step(logits_of: nn.Module, moving: list[Tensor], max_iter: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Move all rows by a step; return those that continue, the positions of the others, and their norms."""
    x, moved, labels, steps, positions = moving
    ahead = moved + _to_nearest_boundary(logits_of, x + moved, labels)
    with torch.no_grad():
        arrived = logits_of(x + ahead).argmax(dim=1) != labels
    lost = ~ahead.flatten(1).isfinite().all(dim=1)
    # A step too small to change anything would be repeated forever, as on the boundary itself.
    still = (ahead == moved).flatten(1).all(dim=1)
    leaving = arrived | lost | still | (steps + 1 >= max_iter)
    norms = torch.linalg.vector_norm(ahead[leaving].flatten(1), dim=1).where(~lost[leaving], torch.inf)
    going = [part[~leaving] for part in (x, ahead, labels, steps + 1, positions)]
    return going, positions[leaving], norms


def _to_nearest_boundary(logits_of: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Return the steps to the nearest boundaries of the linearised classifier; infinite if there is no boundary."""
    x = x.detach().requires_grad_()
    logits = logits_of(x)
    own = logits.gather(1, labels[:, None])
    nearest = torch.full_like(own[:, 0], torch.inf).detach()
    steps = torch.full_like(x.flatten(1), torch.inf).detach()
    n_rivals = logits.shape[1] - 1
    for rival in range(n_rivals):
        others = rival + (labels <= rival).long()  # each row's classes but its own
        gap = (logits.gather(1, others[:, None]) - own)[:, 0]
        normal = torch.autograd.grad(gap.sum(), x, retain_graph=rival < n_rivals - 1)[0].flatten(1)
        gap = gap.detach().abs()
        norm = torch.linalg.vector_norm(normal, dim=1)
        distance = torch.where(gap == 0, gap, gap / norm)
        nearer = distance < nearest
        nearest = torch.where(nearer, distance, nearest)
        unit = normal[nearer] / norm[nearer, None].clamp_min(torch.finfo(norm.dtype).tiny)
        steps[nearer] = distance[nearer, None] * unit
    return steps.view_as(x)


def _widest(module: nn.Module) -> Tensor:
    """Return a tensor of the module whose number type loses nothing of its rows."""
    tensors = [each for each in chain(module.parameters(), module.buffers()) if each.is_floating_point()]
    return max(tensors, key=Tensor.element_size, default=torch.zeros((), dtype=torch.float64))
