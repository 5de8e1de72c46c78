"""Activations that a gradient penalty can differentiate twice at no extra cost.

Both are ``x`` times a mask that autograd takes for a constant. The second derivative, zero wherever it exists, is
then no term at all. torch's own give it as a tensor of zeros, which the second backward pass of a penalty
carries through every layer below.
"""

import torch
from torch import nn


class LeakyReLU(nn.Module):
    """``x`` where it is positive and ``negative_slope * x`` elsewhere, as `torch.nn.LeakyReLU`.

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
    """``x`` where it is positive and zero elsewhere, as `torch.nn.ReLU`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activations, of the shape and dtype of ``x``."""
        return x * (x > 0)
