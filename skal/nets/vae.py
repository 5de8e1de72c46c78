"""Variational autoencoders for images."""

import math
from itertools import pairwise

import torch
from torch import nn

from .bases import PosteriorNet
from .scales import Size, deconvolution, halvings
from .shapes import as_image_shape, as_images
from .small_resnet import resnet18


class _ConvVAE(PosteriorNet):
    """A decoder of up to four deconvolutions, and the interface; a subclass names the encoder."""

    output_range = (0.0, 1.0)

    def __init__(self, input_shape: tuple[int, ...], n_latent: int, n_filters: int) -> None:
        super().__init__(input_shape, n_latent)
        channels, height, width = as_image_shape(input_shape, smallest=4)
        n_levels = min(4, min(height, width).bit_length() - 2)  # two pixels to a side remain
        sizes = halvings((height, width), n_levels, ceil=False)
        widths = [channels, *(n_filters * 2**level for level in range(n_levels))]
        self.encoder, n_features = self._encoder(widths, sizes)
        self.posterior = nn.Linear(n_features, 2 * n_latent)
        self.decoder = nn.Sequential(
            nn.Linear(n_latent, widths[-1] * math.prod(sizes[-1])),
            nn.ReLU(),
            nn.Unflatten(1, (widths[-1], *sizes[-1])),
        )
        for level in range(n_levels, 1, -1):
            n_in, n_out = widths[level], widths[level - 1]
            layer = deconvolution(n_in, n_out, 4, sizes[level], sizes[level - 1], bias=False)
            self.decoder.extend([layer, nn.BatchNorm2d(n_out), nn.ReLU()])
        self.decoder.extend([deconvolution(widths[1], channels, 4, sizes[1], sizes[0]), nn.Sigmoid()])

    def _encoder(self, widths: list[int], sizes: list[Size]) -> tuple[nn.Module, int]:
        """Return the encoder and the number of its features, given the channels and sizes of the decoder."""
        raise NotImplementedError

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and logarithm of the variance of the latent vectors, each (N, n_latent)."""
        mean, log_variance = self.posterior(self.encoder(as_images(x))).chunk(2, dim=1)
        return mean, log_variance


class ConvVAE(_ConvVAE):
    """Convolutional variational autoencoder like that of VAAL [1]_, but narrower.

    =====================================================  ===============  ===============
    layer                                                  output at 28x28  output at 32x32
    =====================================================  ===============  ===============
    4x4 conv, stride 2, padding 1, batch norm, ReLU        32 x 14 x 14     32 x 16 x 16
    4x4 conv, stride 2, padding 1, batch norm, ReLU        64 x 7 x 7       64 x 8 x 8
    4x4 conv, stride 2, padding 1, batch norm, ReLU        128 x 3 x 3      128 x 4 x 4
    4x4 conv, stride 2, padding 1, batch norm, ReLU        none             256 x 2 x 2
    linear, the mean and the log-variance                  2 x 50           2 x 50
    linear, ReLU                                           128 x 3 x 3      256 x 2 x 2
    4x4 deconv, stride 2, padding 1, batch norm, ReLU      none             128 x 4 x 4
    4x4 deconv, stride 2, padding 1, batch norm, ReLU      64 x 7 x 7       64 x 8 x 8
    4x4 deconv, stride 2, padding 1, batch norm, ReLU      32 x 14 x 14     32 x 16 x 16
    4x4 deconv, stride 2, padding 1, sigmoid               1 x 28 x 28      3 x 32 x 32
    =====================================================  ===============  ===============

    VAAL's has 128-256-512-1024 filters, which is ``n_filters=128`` here and takes sixteen times the arithmetic. DGAL
    [2]_ has "a CNN-based VAE" and does not state the layers.

    Images are halved up to four times, rounding down, while two pixels to a side remain: four times from 32x32, three
    times from 16x16, twice from 8x8. The deconvolutions pad their output if a pixel is missing.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W), of at least 4x4 pixels.
    n_latent : int, default=50
        Length of a latent vector.
    n_filters : int, default=32
        Filters of the first convolution; each further convolution has twice as many as the one before.

    Attributes
    ----------
    output_range : tuple of float
        Smallest and largest number that `decode` can give: (0, 1).

    References
    ----------
    .. [1] Sinha, Ebrahimi and Darrell, "Variational Adversarial Active Learning", ICCV 2019.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ConvVAE
    >>> net = ConvVAE((1, 28, 28))
    >>> mean, log_variance = net.encode(torch.zeros(5, 1, 28, 28))
    >>> mean.shape, log_variance.shape, net.decode(mean).shape
    (torch.Size([5, 50]), torch.Size([5, 50]), torch.Size([5, 1, 28, 28]))
    """

    def __init__(self, input_shape: tuple[int, ...], n_latent: int = 50, n_filters: int = 32) -> None:
        super().__init__(input_shape, n_latent, n_filters)

    def _encoder(self, widths: list[int], sizes: list[Size]) -> tuple[nn.Module, int]:
        encoder = nn.Sequential()
        for n_in, n_out in pairwise(widths):
            layer = nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=False)
            encoder.extend([layer, nn.BatchNorm2d(n_out), nn.ReLU()])
        return encoder.append(nn.Flatten()), widths[-1] * math.prod(sizes[-1])


class ResNetVAE(_ConvVAE):
    """Variational autoencoder whose encoder is ResNet-18 [1]_, as in DGAL [2]_ for CIFAR-100 and Mini-ImageNet.

    ==============================================================  ===============
    layer                                                           output at 32x32
    ==============================================================  ===============
    3x3 conv, batch norm, ReLU                                      64 x 32 x 32
    2 blocks of two 3x3 convs                                       64 x 32 x 32
    2 blocks of two 3x3 convs, the first of stride 2                128 x 16 x 16
    2 blocks of two 3x3 convs, the first of stride 2                256 x 8 x 8
    2 blocks of two 3x3 convs, the first of stride 2                512 x 4 x 4
    mean over the pixels                                            512
    linear, the mean and the log-variance                           2 x 50
    the decoder of :class:`ConvVAE` with 64 filters                 3 x 32 x 32
    ==============================================================  ===============

    The stem is the one for small images; DGAL states neither it nor the decoder.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W), of at least 4x4 pixels.
    n_latent : int, default=50
        Length of a latent vector.
    n_filters : int, default=64
        Filters of the encoder's first stage and of the decoder's last; 64 is ResNet-18.

    Attributes
    ----------
    output_range : tuple of float
        Smallest and largest number that `decode` can give: (0, 1).

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ResNetVAE
    >>> net = ResNetVAE((3, 32, 32), n_filters=8).eval()
    >>> mean, log_variance = net.encode(torch.zeros(2, 3, 32, 32))
    >>> mean.shape, net.decode(mean).shape
    (torch.Size([2, 50]), torch.Size([2, 3, 32, 32]))
    """

    def __init__(self, input_shape: tuple[int, ...], n_latent: int = 50, n_filters: int = 64) -> None:
        super().__init__(input_shape, n_latent, n_filters)

    def _encoder(self, widths: list[int], sizes: list[Size]) -> tuple[nn.Module, int]:
        return resnet18(widths[0], widths[1]), 8 * widths[1]
