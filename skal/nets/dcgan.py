"""The standard DCGAN generator and the SN-DCGAN critic for 32x32 images, which ALCG's experiments use."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from .bases import Critic, MapGenerator
from .layers import LeakyReLU
from .scales import deconvolution, halvings
from .shapes import as_image_shape


class DCGANGenerator(MapGenerator):
    """Generator of the DCGAN family [1]_ for 32x32 images.

    ==============================================  ===============
    layer                                           output at 32x32
    ==============================================  ===============
    linear, batch norm, ReLU                        512 x 4 x 4
    4x4 deconv, stride 2, batch norm, ReLU          256 x 8 x 8
    4x4 deconv, stride 2, batch norm, ReLU          128 x 16 x 16
    4x4 deconv, stride 2, batch norm, ReLU          64 x 32 x 32
    3x3 conv, tanh                                  3 x 32 x 32
    ==============================================  ===============

    Images of other sizes, from 8x8 pixels on, start from maps with an eighth of their sides, rounded down.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image to generate, (C, H, W) or (H, W).
    n_latent : int, default=128
        Length of a latent vector.
    channels : tuple of int, default=(512, 256, 128, 64)
        Channels of the maps, from the smallest on.

    Attributes
    ----------
    output_range : tuple of float
        Range of the pixels that it generates, (-1, 1).

    References
    ----------
    .. [1] Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018, Table 3.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DCGANGenerator
    >>> DCGANGenerator((3, 32, 32), channels=(8, 4, 4, 2))(torch.zeros(2, 128)).shape
    torch.Size([2, 3, 32, 32])
    """

    output_range = (-1.0, 1.0)

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_latent: int = 128,
        channels: tuple[int, ...] = (512, 256, 128, 64),
    ) -> None:
        n_channels, height, width = as_image_shape(input_shape, smallest=2 ** (len(channels) - 1))
        sizes = halvings((height, width), len(channels) - 1, ceil=False)[::-1]
        super().__init__(input_shape, n_latent, (channels[0], *sizes[0]), batch_norm=True)
        self.maps = nn.Sequential()
        for (n_in, n_out), (size, target) in zip(pairwise(channels), pairwise(sizes), strict=True):
            self.maps.extend([deconvolution(n_in, n_out, 4, size, target), nn.BatchNorm2d(n_out), nn.ReLU()])
        self.maps.extend([nn.Conv2d(channels[-1], n_channels, 3, padding=1), nn.Tanh()])


class DCGANCritic(Critic):
    """Critic, or discriminator, of the SN-DCGAN [1]_ for 32x32 images.

    ==============================================  ===============
    layer                                           output at 32x32
    ==============================================  ===============
    3x3 conv, LeakyReLU                             64 x 32 x 32
    4x4 conv, stride 2, LeakyReLU                   128 x 16 x 16
    3x3 conv, LeakyReLU                             128 x 16 x 16
    4x4 conv, stride 2, LeakyReLU                   256 x 8 x 8
    3x3 conv, LeakyReLU                             256 x 8 x 8
    4x4 conv, stride 2, LeakyReLU                   512 x 4 x 4
    3x3 conv, LeakyReLU                             512 x 4 x 4
    linear 8192 x 1                                 1
    ==============================================  ===============

    The slope is 0.2. The estimator that trains the critic adds the spectral normalisation.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W), of 8x8 pixels and more.
    channels : tuple of int, default=(64, 128, 256, 512)
        Channels of the maps, from the largest on.
    batch_norm : bool, default=False
        Whether batch normalisation follows all convolutions except the first, as in the DCGAN; a gradient penalty
        forbids it.

    References
    ----------
    .. [1] Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018, Table 3.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DCGANCritic
    >>> critic = DCGANCritic((3, 32, 32), channels=(2, 4, 4, 8))
    >>> critic(torch.zeros(2, 3, 32, 32)).shape, critic.embed(torch.zeros(2, 3, 32, 32)).shape
    (torch.Size([2]), torch.Size([2, 128]))
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        channels: tuple[int, ...] = (64, 128, 256, 512),
        batch_norm: bool = False,
    ) -> None:
        n_channels, height, width = as_image_shape(input_shape, smallest=2 ** (len(channels) - 1))
        height, width = halvings((height, width), len(channels) - 1, ceil=False)[-1]
        features = nn.Sequential(nn.Conv2d(n_channels, channels[0], 3, padding=1), LeakyReLU(0.2))
        for n_in, n_out in pairwise(channels):
            for n, kernel_size, stride in ((n_in, 4, 2), (n_out, 3, 1)):
                norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
                features.extend([nn.Conv2d(n, n_out, kernel_size, stride, 1), *norm, LeakyReLU(0.2)])
        features.append(nn.Flatten())
        super().__init__(features, channels[-1] * height * width)
