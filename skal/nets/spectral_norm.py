"""Spectral normalisation: layers whose largest singular value is one.

Modules with torch's own spectral normalisation cannot be pickled.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Power iterations on the initial weights; training continues from these vectors with one iteration per pass.
_FIRST_ITERATIONS = 15


class SpectralNorm(nn.Module):
    """A linear layer or convolution whose weight, as a matrix with one row per output, has spectral norm one [1]_.

    Each pass in training makes one power iteration from the singular vectors of the last pass; evaluation uses these
    unchanged. The gradient treats them as constants.

    Parameters
    ----------
    layer : torch.nn.Linear or convolution

    References
    ----------
    .. [1] Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.
    """

    u: Tensor
    v: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        weight = self.weight.detach().flatten(1)
        self.register_buffer("u", weight.new_empty(weight.shape[0]).normal_())
        self.register_buffer("v", weight.new_zeros(weight.shape[1]))
        self._iterate(_FIRST_ITERATIONS)

    @property
    def weight(self) -> Tensor:
        """The weight before normalisation."""
        return self.layer.weight  # type: ignore[return-value]

    def normalized_weight(self) -> Tensor:
        """Return the weight divided by its largest singular value."""
        # The next pass may overwrite them before the gradient of this one is computed.
        u, v = self.u.clone(), self.v.clone()
        return self.weight / (u @ self.weight.flatten(1) @ v)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layer with the normalised weight."""
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            if self.training:
                self._iterate(1)
            weight = self.normalized_weight()
        # Without a look at the layer's own weight: several threads may run this in evaluation.
        if isinstance(self.layer, nn.Linear):
            return F.linear(x, weight, self.layer.bias)
        return self.layer._conv_forward(x, weight, self.layer.bias)  # type: ignore[operator]

    @torch.no_grad()
    def _iterate(self, n_iterations: int) -> None:
        weight = self.weight.flatten(1)
        for _ in range(n_iterations):
            self.v.copy_(F.normalize(weight.T @ self.u, dim=0))
            self.u.copy_(F.normalize(weight @ self.v, dim=0))


def normalize_spectrally(module: nn.Module) -> nn.Module:
    """Give all linear layers and convolutions inside a module spectral normalisation, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            setattr(module, name, SpectralNorm(child))
        else:
            normalize_spectrally(child)
    return module
