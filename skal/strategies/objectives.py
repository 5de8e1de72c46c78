"""Measures of uncertainty, as functions of logits that torch can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_array
from torch import Tensor

from ..access import as_torch
from ..training.batches import as_tensor
from .score import ScoreStrategy

Objective = Callable[[Tensor], Tensor]


def entropy(logits: Tensor) -> Tensor:
    """Entropy of the classes in nats, of shape (n_samples,).

    Examples
    --------
    >>> import torch
    >>> from skal.strategies.objectives import entropy
    >>> entropy(torch.zeros(1, 2))
    tensor([0.6931])
    """
    log_p = logits.log_softmax(dim=1)
    # A probability of 0 has log -inf; 0 log 0 is 0.
    return -(log_p.exp() * log_p.clamp_min(torch.finfo(log_p.dtype).min)).sum(dim=1)


def min_distance(logits: Tensor) -> Tensor:
    """Minus the distance to the decision boundary in decision values, of shape (n_samples,).

    For two classes this is -|w.x + b|. For more classes, which the papers do not treat, it is minus the difference of
    the two largest values.

    Examples
    --------
    >>> import torch
    >>> from skal.strategies.objectives import min_distance
    >>> min_distance(torch.tensor([[0.0, -3.0]]))
    tensor([-3.])
    """
    top = logits.topk(2, dim=1).values
    return top[:, 1] - top[:, 0]


OBJECTIVES: dict[str, Objective] = {"entropy": entropy, "min_distance": min_distance}


def get_objective(objective: str | Objective) -> Objective:
    """Return an objective by its name; a callable is returned unchanged.

    Examples
    --------
    >>> from skal.strategies.objectives import get_objective, min_distance
    >>> get_objective("min_distance") is min_distance
    True
    """
    return OBJECTIVES[objective] if isinstance(objective, str) else objective


@dataclass(eq=False, repr=False, kw_only=True)
class ObjectiveSampling(ScoreStrategy):
    """Choose the rows with the largest objective.

    Parameters
    ----------
    objective : {"entropy", "min_distance"} or callable, default="entropy"
        As in :class:`ASAL`.
    random_state : int, RandomState instance or None, default=None
        Breaks ties.
    """

    objective: str | Objective = field(default="entropy", kw_only=False)

    requires = ("as_torch",)

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        rows = as_tensor(check_array(X, allow_nd=True))
        with torch.no_grad():  # on the CPU, where the rows are: they are few
            return get_objective(self.objective)(as_torch(estimator).cpu()(rows)).numpy()
