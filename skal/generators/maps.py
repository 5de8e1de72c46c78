"""Modules between X and the networks: from rows to features, and from latents to rows."""

from __future__ import annotations

from torch import Tensor, nn

from .scaled_net import ScaledNet


class _Map(nn.Module):
    """A method of one of a net's modules, with the maps between X and the module."""

    def __init__(self, module: nn.Module, method: str, net: ScaledNet) -> None:
        super().__init__()
        self.training = False  # this module alone: its parts belong to the net
        self.module = module
        self.method = method
        self.scaling = net.scaling_
        self.input_shape = net.input_shape


class RowsToFeatures(_Map):
    """Maps rows of X to features: onto the scale of the networks, then through a method of a module."""

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows.to(self.scaling.shift).reshape(-1, *self.input_shape)
        features = getattr(self.module, self.method)(self.scaling(rows))
        return (features[0] if isinstance(features, tuple) else features).flatten(1)


class LatentsToRows(_Map):
    """Maps latents to rows of X: through a method of a module, then to the scale and shape of X."""

    def __init__(self, module: nn.Module, method: str, net: ScaledNet, row_shape: tuple[int, ...]) -> None:
        super().__init__(module, method, net)
        self.row_shape = row_shape

    def forward(self, latents: Tensor) -> Tensor:
        rows = getattr(self.module, self.method)(latents.to(self.scaling.shift))
        return self.scaling.inverse(rows.reshape(-1, *self.input_shape)).reshape(-1, *self.row_shape)
