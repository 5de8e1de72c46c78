"""The linear network: softmax regression."""

import math

import torch
from torch import nn

from .bases import HeadNet


class Linear(HeadNet):
    """One linear layer on the flattened row: the network of softmax regression.

    The weights start at zero. The loss is convex, so this start loses nothing, and rows on any scale start from equal
    class probabilities.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    n_classes : int
        Number of logits.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import Linear
    >>> Linear((1, 8, 8), 10)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(self, input_shape: tuple[int, ...], n_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(math.prod(input_shape), n_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the flattened rows, shape (N, n_features)."""
        return x.flatten(1)
