"""The multi-layer perceptron."""

import math
from collections.abc import Sequence

from torch import nn

from .bases import FeatureNet
from .layers import dense_layers


class MLP(FeatureNet):
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
        sizes = [math.prod(input_shape), *hidden]
        super().__init__(dense_layers(sizes, nn.ReLU, dropout), sizes[-1], n_classes)
