"""How convolutional networks halve an image and double it back to its exact size."""

import math

from torch import nn

Size = tuple[int, int]


def halvings(size: Size, times: int, *, ceil: bool = True) -> list[Size]:
    """Return ``size`` and the sizes after each of ``times`` halvings, rounded up or down."""
    sizes = [size]
    for _ in range(times):
        height, width = sizes[-1]
        sizes.append(((height + ceil) // 2, (width + ceil) // 2))
    return sizes


def deconvolution(
    n_in: int, n_out: int, kernel_size: int, size: Size, output_size: Size, *, bias: bool = True
) -> nn.ConvTranspose2d:
    """Return a deconvolution of stride 2 that makes images of ``output_size`` from images of ``size``.

    ``output_size`` is about twice ``size``, one of `halvings`: rounded up if ``kernel_size`` is odd, down if it is
    even. Side n becomes 2n - 1 (odd kernels) or 2n (even ones); the output padding adds a pixel if one is missing.
    """
    padding = (kernel_size - 1) // 2
    height, width = (
        large - (2 * (small - 1) + kernel_size - 2 * padding)
        for small, large in zip(size, output_size, strict=True)
    )
    return nn.ConvTranspose2d(n_in, n_out, kernel_size, 2, padding, (height, width), bias=bias)


def keep_variance(module: nn.Module) -> None:
    """Initialize the convolutions so that activations keep their variance through ReLUs (He et al., 2015).

    torch's own initial weights more than halve the variance at each layer, so that nothing of the input is left after
    the six layers of a narrow autoencoder.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            n_inputs = float(layer.in_channels * math.prod(layer.kernel_size))
            if isinstance(layer, nn.ConvTranspose2d):  # each output sees every stride-th tap only
                n_inputs /= math.prod(layer.stride)
            nn.init.normal_(layer.weight, std=math.sqrt(2 / n_inputs))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
