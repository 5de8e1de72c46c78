"""The autoencoders of ASAL's experiments."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from .bases import CodeNet
from .scales import Size, deconvolution, halvings, keep_variance
from .shapes import as_image_shape


class _ConvAutoEncoder(CodeNet):
    """Steps that halve an image, then the same number that double it; a table names their layers."""

    def __init__(self, input_shape: tuple[int, ...], channels: Sequence[int]) -> None:
        image_channels, height, width = as_image_shape(input_shape)
        sizes = halvings((height, width), len(channels))
        widths = (image_channels, *channels)
        super().__init__(input_shape, widths[-1] * math.prod(sizes[-1]))

        self.encoder = nn.Sequential()
        for step, (n_in, n_out) in enumerate(pairwise(widths), start=1):
            self.encoder.extend(self._down(n_in, n_out, last=step == len(channels)))
        self.encoder.append(nn.Flatten())

        self.decoder = nn.Sequential(nn.Unflatten(1, (widths[-1], *sizes[-1])))
        for step in range(len(channels), 0, -1):
            n_in, n_out = widths[step], widths[step - 1]
            self.decoder.extend(self._up(n_in, n_out, sizes[step], sizes[step - 1], last=step == 1))
        keep_variance(self)

    def _down(self, n_in: int, n_out: int, *, last: bool) -> list[nn.Module]:
        raise NotImplementedError

    def _up(self, n_in: int, n_out: int, size: Size, output_size: Size, *, last: bool) -> list[nn.Module]:
        raise NotImplementedError


class MNISTAutoEncoder(_ConvAutoEncoder):
    """Autoencoder of ASAL's MNIST experiments [1]_, supplement Table 4.

    =====================================  ===============
    layer                                  output at 28x28
    =====================================  ===============
    5x5 conv, stride 2, leaky ReLU         3 x 14 x 14
    5x5 conv, stride 2, leaky ReLU         6 x 7 x 7
    5x5 conv, stride 2, leaky ReLU         12 x 4 x 4
    flattened: the code                    192
    5x5 deconv, stride 2, ReLU             6 x 7 x 7
    5x5 deconv, stride 2, ReLU             3 x 14 x 14
    5x5 deconv, stride 2, sigmoid          1 x 28 x 28
    =====================================  ===============

    Not in the table: padding 2, slope 0.2. Other sizes are halved, rounding up, and the deconvolutions pad their output
    if a pixel is missing.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size.
    channels : sequence of int, default=(3, 6, 12)
        Channels of each convolution. ASAL's experiments on two digits use a third of them, (1, 2, 4), for a code of 64
        numbers.

    Attributes
    ----------
    n_latent : int
        Length of a code.
    output_range : tuple of float
        Smallest and largest number that `decode` can give: (0, 1).

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import MNISTAutoEncoder
    >>> net = MNISTAutoEncoder((1, 28, 28), channels=(1, 2, 4))
    >>> code = net.encode(torch.zeros(5, 1, 28, 28))
    >>> code.shape, net.decode(code).shape
    (torch.Size([5, 64]), torch.Size([5, 1, 28, 28]))
    """

    output_range = (0.0, 1.0)

    def __init__(self, input_shape: tuple[int, ...], channels: Sequence[int] = (3, 6, 12)) -> None:
        super().__init__(input_shape, channels)

    def _down(self, n_in: int, n_out: int, *, last: bool) -> list[nn.Module]:
        return [nn.Conv2d(n_in, n_out, 5, stride=2, padding=2), nn.LeakyReLU(0.2)]

    def _up(self, n_in: int, n_out: int, size: Size, output_size: Size, *, last: bool) -> list[nn.Module]:
        return [deconvolution(n_in, n_out, 5, size, output_size), nn.Sigmoid() if last else nn.ReLU()]


class CIFARAutoEncoder(_ConvAutoEncoder):
    """Autoencoder of ASAL's CIFAR-10 and SVHN experiments [1]_, supplement Table 6.

    ==================================================  ===============
    layer                                               output at 32x32
    ==================================================  ===============
    3x3 conv, batch norm, ReLU, 2x2 max pooling         64 x 16 x 16
    3x3 conv, batch norm, ReLU, 2x2 max pooling         32 x 8 x 8
    3x3 conv, batch norm, ReLU, 2x2 max pooling         16 x 4 x 4
    flattened: the code                                 256
    3x3 deconv, stride 2, batch norm, ReLU              32 x 8 x 8
    3x3 deconv, stride 2, batch norm, ReLU              64 x 16 x 16
    3x3 deconv, stride 2, batch norm, sigmoid           3 x 32 x 32
    ==================================================  ===============

    Not in the table: padding 1. Other sizes are halved, rounding up, and the deconvolutions pad their output if a pixel
    is missing. No layer before a batch norm has a bias, because the batch norm would remove it.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size.
    channels : sequence of int, default=(64, 32, 16)
        Channels of each convolution.

    Attributes
    ----------
    n_latent : int
        Length of a code.
    output_range : tuple of float
        Smallest and largest number that `decode` can give: (0, 1).

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import CIFARAutoEncoder
    >>> net = CIFARAutoEncoder((3, 32, 32))
    >>> code = net.encode(torch.zeros(5, 3, 32, 32))
    >>> code.shape, net.decode(code).shape
    (torch.Size([5, 256]), torch.Size([5, 3, 32, 32]))
    """

    output_range = (0.0, 1.0)

    def __init__(self, input_shape: tuple[int, ...], channels: Sequence[int] = (64, 32, 16)) -> None:
        super().__init__(input_shape, channels)

    def _down(self, n_in: int, n_out: int, *, last: bool) -> list[nn.Module]:
        convolution = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)]

    def _up(self, n_in: int, n_out: int, size: Size, output_size: Size, *, last: bool) -> list[nn.Module]:
        layer = deconvolution(n_in, n_out, 3, size, output_size, bias=False)
        return [layer, nn.BatchNorm2d(n_out), nn.Sigmoid() if last else nn.ReLU()]


class CelebAAutoEncoder(_ConvAutoEncoder):
    """Autoencoder of ASAL's CelebA and LSUN experiments [1]_, supplement Table 9.

    ==================================================  ===============
    layer                                               output at 64x64
    ==================================================  ===============
    5x5 conv, stride 2, batch norm, ReLU                128 x 32 x 32
    5x5 conv, stride 2, batch norm, ReLU                64 x 16 x 16
    5x5 conv, stride 2, batch norm, ReLU                32 x 8 x 8
    5x5 conv, stride 2                                  16 x 4 x 4
    flattened: the code                                 256
    5x5 deconv, stride 2, batch norm, ReLU              32 x 8 x 8
    5x5 deconv, stride 2, batch norm, ReLU              64 x 16 x 16
    5x5 deconv, stride 2, batch norm, ReLU              128 x 32 x 32
    5x5 deconv, stride 2, tanh                          3 x 64 x 64
    ==================================================  ===============

    Not in the table: padding 2. Other sizes are halved, rounding up, and the deconvolutions pad their output if a pixel
    is missing. No layer before a batch norm has a bias, because the batch norm would remove it.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size.
    channels : sequence of int, default=(128, 64, 32, 16)
        Channels of each convolution.

    Attributes
    ----------
    n_latent : int
        Length of a code.
    output_range : tuple of float
        Smallest and largest number that `decode` can give: (-1, 1).

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import CelebAAutoEncoder
    >>> net = CelebAAutoEncoder((3, 64, 64))
    >>> code = net.encode(torch.zeros(5, 3, 64, 64))
    >>> code.shape, net.decode(code).shape
    (torch.Size([5, 256]), torch.Size([5, 3, 64, 64]))
    """

    output_range = (-1.0, 1.0)

    def __init__(self, input_shape: tuple[int, ...], channels: Sequence[int] = (128, 64, 32, 16)) -> None:
        super().__init__(input_shape, channels)

    def _down(self, n_in: int, n_out: int, *, last: bool) -> list[nn.Module]:
        convolution = nn.Conv2d(n_in, n_out, 5, stride=2, padding=2, bias=last)
        return [convolution] if last else [convolution, nn.BatchNorm2d(n_out), nn.ReLU()]

    def _up(self, n_in: int, n_out: int, size: Size, output_size: Size, *, last: bool) -> list[nn.Module]:
        layer = deconvolution(n_in, n_out, 5, size, output_size, bias=last)
        return [layer, nn.Tanh()] if last else [layer, nn.BatchNorm2d(n_out), nn.ReLU()]
