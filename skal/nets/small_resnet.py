"""The residual network with 18 layers, for small images."""

import torch
from torch import nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut around them.

    The shortcut is the input itself, or a 1x1 convolution of it if stride or channels change the shape.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            # A strided 1x1 convolution is the same; torch 2.6 to 2.13 corrupt memory in its backward pass, on CPUs,
            # with few channels last.
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(1, stride),
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rectified sum of residual and shortcut."""
        return torch.relu(self.residual(x) + self.shortcut(x))


def resnet18(channels: int, n_filters: int = 64) -> nn.Sequential:
    """Return ResNet-18 up to its ``8 * n_filters`` pooled features: a stem and four stages of two blocks.

    The stem is the one for small images: a 3x3 convolution of stride 1 and no pooling.
    """
    widths = [n_filters, 2 * n_filters, 4 * n_filters, 8 * n_filters]
    layers = nn.Sequential(
        nn.Conv2d(channels, n_filters, 3, padding=1, bias=False), nn.BatchNorm2d(n_filters), nn.ReLU()
    )
    for n_in, n_out, stride in zip([n_filters, *widths], widths, [1, 2, 2, 2], strict=False):
        layers.append(nn.Sequential(BasicBlock(n_in, n_out, stride), BasicBlock(n_out, n_out)))
    return layers.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
