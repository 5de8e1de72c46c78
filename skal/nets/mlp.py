"""The multi-layer perceptron."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class MLP(nn.Module):
    """Fully connected layers with ReLU on the flattened row.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    n_classes : int
        Number of logits.
    hidden : sequence of int, default=(128,)
        Units of each hidden layer.
    dropout : float, default=0.0
        Share of hidden units dropped in training, after each hidden layer.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import MLP
    >>> MLP((20,), 3, hidden=(64, 32)).embed(torch.zeros(5, 20)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        hidden: Sequence[int] = (128,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = [math.prod(input_shape), *hidden]
        self.features = nn.Sequential(nn.Flatten())
        for n_in, n_out in pairwise(sizes):
            self.features.extend([nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)])
        self.head = nn.Linear(sizes[-1], n_classes)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layer's activations, shape (N, hidden[-1])."""
        return self.features(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (N, n_classes)."""
        return self.head(self.embed(x))
