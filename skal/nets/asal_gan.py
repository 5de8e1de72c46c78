"""The convolutional generators and critics of ASAL's experiments, and a small pair for 8x8 digits."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from .bases import Critic, MapGenerator
from .layers import LeakyReLU
from .scales import deconvolution, halvings
from .shapes import as_image_shape


class ConvGenerator(MapGenerator):
    """Generator: a linear layer, then 5x5 transposed convolutions that each double the sides.

    The sides of the maps are those of the image, halved repeatedly and rounded up: 28, 14, 7, 4. If a side is odd, the
    transposed convolution that makes it leaves out its last line.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image to generate, (C, H, W) or (H, W).
    n_latent : int, default=128
        Length of a latent vector.
    channels : tuple of int, default=(256, 128, 64)
        Channels of the maps, from the smallest on; each map except the last is followed by one with twice the sides.
    batch_norm : bool, default=False
        Whether batch normalisation follows each layer except the last.

    Attributes
    ----------
    output_range : tuple of float
        Range of the pixels that it generates: (0, 1) for a sigmoid, (-1, 1) for tanh.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ConvGenerator
    >>> ConvGenerator((1, 28, 28))(torch.zeros(2, 128)).shape
    torch.Size([2, 1, 28, 28])
    """

    output_range = (0.0, 1.0)

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_latent: int = 128,
        channels: tuple[int, ...] = (256, 128, 64),
        batch_norm: bool = False,
    ) -> None:
        n_channels, height, width = as_image_shape(input_shape)
        sizes = halvings((height, width), len(channels))[::-1]
        super().__init__(input_shape, n_latent, (channels[0], *sizes[0]), batch_norm=batch_norm)
        layers: list[nn.Module] = []
        for (n_in, n_out), (size, target) in zip(
            pairwise((*channels, n_channels)), pairwise(sizes), strict=True
        ):
            if layers:
                layers += [nn.BatchNorm2d(n_in), nn.ReLU()] if batch_norm else [nn.ReLU()]
            layers.append(deconvolution(n_in, n_out, 5, size, target))
        self.maps = nn.Sequential(*layers, nn.Sigmoid() if self.output_range == (0.0, 1.0) else nn.Tanh())


class ConvCritic(Critic):
    """Critic, or discriminator: 5x5 convolutions of stride 2 with LeakyReLU 0.2, then a linear layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W).
    channels : tuple of int, default=(64, 128, 256)
        Channels of the convolutions.
    batch_norm : bool, default=False
        Whether batch normalisation follows all convolutions except the first; a gradient penalty forbids it.
    dropout : float, default=0.0
        Share of the activations dropped in training after each LeakyReLU, for the consistency term.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ConvCritic
    >>> ConvCritic((1, 28, 28)).embed(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 4096])
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        channels: tuple[int, ...] = (64, 128, 256),
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        n_channels, height, width = as_image_shape(input_shape)
        features = nn.Sequential()
        for layer, (n_in, n_out) in enumerate(pairwise((n_channels, *channels))):
            norm = [nn.BatchNorm2d(n_out)] if batch_norm and layer > 0 else []
            thinning = [nn.Dropout(dropout)] if dropout else []
            features.extend(
                [nn.Conv2d(n_in, n_out, 5, stride=2, padding=2), *norm, LeakyReLU(0.2), *thinning]
            )
        features.append(nn.Flatten())
        super().__init__(features, channels[-1] * math.prod(halvings((height, width), len(channels))[-1]))


class MNISTGenerator(ConvGenerator):
    """Generator of ASAL's MNIST experiments [1]_, supplement Table 5.

    ======================================  ===============
    layer                                   output at 28x28
    ======================================  ===============
    linear 128 x 4096, ReLU                 256 x 4 x 4
    5x5 deconv, stride 2, ReLU              128 x 7 x 7
    5x5 deconv, stride 2, ReLU              64 x 14 x 14
    5x5 deconv, stride 2, sigmoid           1 x 28 x 28
    ======================================  ===============

    The table gives the last layer 64 channels; an image has one.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image to generate, (C, H, W) or (H, W).
    n_latent : int, default=128
        Length of a latent vector.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import MNISTGenerator
    >>> MNISTGenerator((28, 28))(torch.zeros(2, 128)).shape
    torch.Size([2, 28, 28])
    """

    def __init__(self, input_shape: tuple[int, ...], n_latent: int = 128) -> None:
        super().__init__(input_shape, n_latent, channels=(256, 128, 64))


class MNISTCritic(ConvCritic):
    """Critic of ASAL's MNIST experiments [1]_, supplement Table 5.

    ======================================  ===============
    layer                                   output at 28x28
    ======================================  ===============
    5x5 conv, stride 2, LeakyReLU           64 x 14 x 14
    5x5 conv, stride 2, LeakyReLU           128 x 7 x 7
    5x5 conv, stride 2, LeakyReLU           256 x 4 x 4
    linear 4096 x 1                         1
    ======================================  ===============

    The table's 3136 inputs of the last layer are those of the classifier; 256 maps of 4x4 make 4096.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W).
    dropout : float, default=0.0
        Share of the activations dropped in training after each LeakyReLU, for the consistency term.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import MNISTCritic
    >>> MNISTCritic((28, 28))(torch.zeros(2, 28, 28)).shape
    torch.Size([2])
    """

    def __init__(self, input_shape: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__(input_shape, channels=(64, 128, 256), dropout=dropout)


class CIFARGenerator(ConvGenerator):
    """Generator of ASAL's CIFAR-10 and SVHN experiments [1]_, supplement Table 7.

    ======================================  ===============
    layer                                   output at 32x32
    ======================================  ===============
    linear 128 x 8192, batch norm, ReLU     512 x 4 x 4
    5x5 deconv, stride 2, batch norm, ReLU  256 x 8 x 8
    5x5 deconv, stride 2, batch norm, ReLU  128 x 16 x 16
    5x5 deconv, stride 2, tanh              3 x 32 x 32
    ======================================  ===============

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image to generate, (C, H, W) or (H, W).
    n_latent : int, default=128
        Length of a latent vector.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import CIFARGenerator
    >>> CIFARGenerator((3, 32, 32))(torch.zeros(2, 128)).shape
    torch.Size([2, 3, 32, 32])
    """

    output_range = (-1.0, 1.0)

    def __init__(self, input_shape: tuple[int, ...], n_latent: int = 128) -> None:
        super().__init__(input_shape, n_latent, channels=(512, 256, 128), batch_norm=True)


class CIFARCritic(ConvCritic):
    """Critic of ASAL's CIFAR-10 and SVHN experiments [1]_, supplement Table 7.

    ======================================  ===============
    layer                                   output at 32x32
    ======================================  ===============
    5x5 conv, stride 2, LeakyReLU           128 x 16 x 16
    5x5 conv, stride 2, LeakyReLU           256 x 8 x 8
    5x5 conv, stride 2, LeakyReLU           512 x 4 x 4
    linear 8192 x 1                         1
    ======================================  ===============

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W).
    batch_norm : bool, default=False
        Whether batch normalisation follows the second and third convolution, as in the DCGAN.
    dropout : float, default=0.0
        Share of the activations dropped in training after each LeakyReLU, for the consistency term.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import CIFARCritic
    >>> CIFARCritic((3, 32, 32)).embed(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 8192])
    """

    def __init__(self, input_shape: tuple[int, ...], batch_norm: bool = False, dropout: float = 0.0) -> None:
        super().__init__(input_shape, channels=(128, 256, 512), batch_norm=batch_norm, dropout=dropout)


class CelebAGenerator(ConvGenerator):
    """Generator of ASAL's CelebA and LSUN experiments [1]_, supplement Table 10.

    ======================================  ===============
    layer                                   output at 64x64
    ======================================  ===============
    linear 128 x 4096, batch norm, ReLU     256 x 4 x 4
    5x5 deconv, stride 2, batch norm, ReLU  256 x 8 x 8
    5x5 deconv, stride 2, batch norm, ReLU  128 x 16 x 16
    5x5 deconv, stride 2, batch norm, ReLU  64 x 32 x 32
    5x5 deconv, stride 2, tanh              3 x 64 x 64
    ======================================  ===============

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image to generate, (C, H, W) or (H, W).
    n_latent : int, default=128
        Length of a latent vector.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import CelebAGenerator
    >>> CelebAGenerator((3, 64, 64))(torch.zeros(2, 128)).shape
    torch.Size([2, 3, 64, 64])
    """

    output_range = (-1.0, 1.0)

    def __init__(self, input_shape: tuple[int, ...], n_latent: int = 128) -> None:
        super().__init__(input_shape, n_latent, channels=(256, 256, 128, 64), batch_norm=True)


class CelebACritic(ConvCritic):
    """Critic of ASAL's CelebA and LSUN experiments [1]_, supplement Table 10.

    ======================================  ===============
    layer                                   output at 64x64
    ======================================  ===============
    5x5 conv, stride 2, LeakyReLU           128 x 32 x 32
    5x5 conv, stride 2, LeakyReLU           256 x 16 x 16
    5x5 conv, stride 2, LeakyReLU           512 x 8 x 8
    5x5 conv, stride 2, LeakyReLU           512 x 4 x 4
    linear 8192 x 1                         1
    ======================================  ===============

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W).
    batch_norm : bool, default=False
        Whether batch normalisation follows all convolutions except the first, as in the DCGAN.
    dropout : float, default=0.0
        Share of the activations dropped in training after each LeakyReLU, for the consistency term.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import CelebACritic
    >>> CelebACritic((3, 64, 64)).embed(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 8192])
    """

    def __init__(self, input_shape: tuple[int, ...], batch_norm: bool = False, dropout: float = 0.0) -> None:
        super().__init__(input_shape, channels=(128, 256, 512, 512), batch_norm=batch_norm, dropout=dropout)


class DigitsGenerator(ConvGenerator):
    """Our own generator for images as small as scikit-learn's 8x8 digits.

    ======================================  =============
    layer                                   output at 8x8
    ======================================  =============
    linear 128 x 256, ReLU                  64 x 2 x 2
    5x5 deconv, stride 2, ReLU              32 x 4 x 4
    5x5 deconv, stride 2, sigmoid           1 x 8 x 8
    ======================================  =============

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image to generate, (C, H, W) or (H, W).
    n_latent : int, default=128
        Length of a latent vector.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DigitsGenerator
    >>> DigitsGenerator((8, 8))(torch.zeros(2, 128)).shape
    torch.Size([2, 8, 8])
    """

    def __init__(self, input_shape: tuple[int, ...], n_latent: int = 128) -> None:
        super().__init__(input_shape, n_latent, channels=(64, 32))


class DigitsCritic(ConvCritic):
    """Our own critic for images as small as scikit-learn's 8x8 digits.

    ======================================  =============
    layer                                   output at 8x8
    ======================================  =============
    5x5 conv, stride 2, LeakyReLU           32 x 4 x 4
    5x5 conv, stride 2, LeakyReLU           64 x 2 x 2
    linear 256 x 1                          1
    ======================================  =============

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W).
    dropout : float, default=0.0
        Share of the activations dropped in training after each LeakyReLU, for the consistency term.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DigitsCritic
    >>> DigitsCritic((8, 8)).embed(torch.zeros(2, 8, 8)).shape
    torch.Size([2, 256])
    """

    def __init__(self, input_shape: tuple[int, ...], dropout: float = 0.0) -> None:
        super().__init__(input_shape, channels=(32, 64), dropout=dropout)
