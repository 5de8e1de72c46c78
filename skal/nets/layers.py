"""Layers that several architectures share."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from .scales import halvings
from .shapes import as_image_shape


class LeakyReLU(nn.Module):
    """``x`` where it is positive and ``negative_slope * x`` elsewhere, as `torch.nn.LeakyReLU`.

    This and `ReLU` are ``x`` times a mask that autograd treats as a constant, so that a gradient penalty can
    differentiate them twice at no extra cost. The second derivative, zero wherever it exists, then does not appear as a
    term. torch's own layers return it as a tensor of zeros, which the second backward pass of a penalty carries through
    every layer below.

    Parameters
    ----------
    negative_slope : float, default=0.2
        Slope on the left; 0.2 is the one of DCGAN and of the Wasserstein GANs.
    """

    def __init__(self, negative_slope: float = 0.2) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations, of the shape and dtype of ``x``."""
        # Scalars of x's dtype: Python ones would make the mask, and with it the product, float32.
        return x * torch.where(x > 0, x.new_ones(()), x.new_full((), self.negative_slope))

    def extra_repr(self) -> str:
        """Name the slope in the module's repr."""
        return f"negative_slope={self.negative_slope}"


class ReLU(nn.Module):
    """``x`` where it is positive and zero elsewhere, as `torch.nn.ReLU`; see `LeakyReLU`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations, of the shape and dtype of ``x``."""
        return x * (x > 0)


def dense_layers(sizes: Sequence[int], activation: Callable[[], nn.Module], dropout: float) -> nn.Sequential:
    """Return a linear layer from size to size on flattened rows, each with an activation and dropout."""
    layers = nn.Sequential(nn.Flatten())
    for n_in, n_out in pairwise(sizes):
        layers.extend([nn.Linear(n_in, n_out), activation(), nn.Dropout(dropout)])
    return layers


def pooled_convolutions(
    input_shape: tuple[int, ...], channels: Sequence[int], kernel_size: int
) -> tuple[nn.Sequential, int]:
    """Return convolutions with ReLU and 2x2 max pooling, flattened, and the number of their features."""
    n_channels, *size = as_image_shape(input_shape)
    layers = nn.Sequential()
    for n_in, n_out in pairwise((n_channels, *channels)):
        convolution = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2)
        # Rounding up lets the smallest images through. A ReLU behind the pooling is the same function, with the same
        # gradients, for a quarter of the work.
        layers.extend([convolution, nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()])
    n_features = channels[-1] * math.prod(halvings((size[0], size[1]), len(channels))[-1])
    return layers.append(nn.Flatten()), n_features
