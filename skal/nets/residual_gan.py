"""The residual generator and critic of ASAL's CIFAR-10 experiments."""

import math

import torch
from torch import nn

from .bases import Critic, LatentNet
from .layers import ReLU
from .scales import Size, halvings
from .shapes import as_image_shape


class _Block(nn.Module):
    """The sum of a residual branch and a shortcut."""

    residual: nn.Module
    shortcut: nn.Module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.residual(x) + self.shortcut(x)


class _UpBlock(_Block):
    """Batch norm, ReLU and a 3x3 convolution, twice, the first on the image enlarged to ``size``."""

    def __init__(self, n_filters: int, size: Size) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(n_filters),
            nn.ReLU(),
            nn.Upsample(size),
            nn.Conv2d(n_filters, n_filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_filters),
            nn.ReLU(),
            nn.Conv2d(n_filters, n_filters, 3, padding=1),
        )
        # A 1x1 convolution of repeated pixels is the repeated convolution: the same with a quarter of the work.
        self.shortcut = nn.Sequential(nn.Conv2d(n_filters, n_filters, 1), nn.Upsample(size))


class _CriticBlock(_Block):
    """ReLU and a 3x3 convolution, twice, then a mean over 2x2 pixels in those that halve the image.

    The first block of a critic has no ReLU before its first convolution: it would cut the image at zero.
    """

    def __init__(
        self, n_in: int, n_out: int, *, first: bool = False, halve: bool = False, batch_norm: bool = False
    ) -> None:
        super().__init__()

        def convolution(n_in: int) -> list[nn.Module]:
            norm = [nn.BatchNorm2d(n_in)] if batch_norm else []
            return [*norm, ReLU(), nn.Conv2d(n_in, n_out, 3, padding=1)]

        self.residual = nn.Sequential(*convolution(n_in)[-1 if first else 0 :], *convolution(n_out))
        self.shortcut: nn.Module = nn.Identity()
        if halve:
            # At an odd edge this is the mean of the pixels that exist.
            self.residual.append(nn.AvgPool2d(2, ceil_mode=True))
            # A 1x1 convolution of means is the mean of the convolution: the same with a quarter of the work.
            self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(n_in, n_out, 1))


class ResidualGenerator(LatentNet):
    """Residual generator of ASAL's CIFAR-10 experiments [1]_, supplement Table 8, after WGAN-GP [2]_.

    =============================================  ===============
    layer                                          output at 32x32
    =============================================  ===============
    linear 128 x 2048                              128 x 4 x 4
    residual block, up                             128 x 8 x 8
    residual block, up                             128 x 16 x 16
    residual block, up                             128 x 32 x 32
    batch norm, ReLU, 3x3 conv, tanh               3 x 32 x 32
    =============================================  ===============

    A block is batch norm, ReLU, nearest upsampling, 3x3 conv, batch norm, ReLU, 3x3 conv, with a shortcut of upsampling
    and 1x1 conv. The table leaves out the batch norm and ReLU before the last convolution, which the reference has. For
    other sizes, the first maps have the sides after three halvings, rounded up.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size.
    n_latent : int, default=128
        Length of a latent vector.
    n_filters : int, default=128
        Filters of every convolution except the last.

    Attributes
    ----------
    output_range : tuple of float
        Smallest and largest number of an image: (-1, 1).

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.
    .. [2] Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, "Improved Training of Wasserstein GANs", NeurIPS 2017.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ResidualGenerator
    >>> ResidualGenerator((3, 32, 32), n_filters=16)(torch.zeros(2, 128)).shape
    torch.Size([2, 3, 32, 32])
    """

    output_range = (-1.0, 1.0)

    def __init__(self, input_shape: tuple[int, ...], n_latent: int = 128, n_filters: int = 128) -> None:
        super().__init__(input_shape, n_latent)
        channels, height, width = as_image_shape(input_shape)
        *larger, smallest = halvings((height, width), 3)
        self.layers = nn.Sequential(
            nn.Linear(n_latent, n_filters * math.prod(smallest)),
            nn.Unflatten(1, (n_filters, *smallest)),
            *(_UpBlock(n_filters, size) for size in reversed(larger)),
            nn.BatchNorm2d(n_filters),
            nn.ReLU(),
            nn.Conv2d(n_filters, channels, 3, padding=1),
            nn.Tanh(),
        )


class ResidualCritic(Critic):
    """Residual critic of ASAL's CIFAR-10 experiments [1]_, supplement Table 8, after WGAN-GP [2]_ and WGAN-CT [3]_.

    =============================================  ===============
    layer                                          output at 32x32
    =============================================  ===============
    residual block, down                           128 x 16 x 16
    residual block, down; dropout                  128 x 8 x 8
    residual block; dropout                        128 x 8 x 8
    residual block; dropout                        128 x 8 x 8
    ReLU, mean over the pixels                     128
    linear 128 x 1                                 1
    =============================================  ===============

    A block is ReLU, 3x3 conv, ReLU, 3x3 conv, without the first ReLU in the first block. A block "down" then takes
    means of 2x2 pixels, with a shortcut of the same means and a 1x1 conv. The table shows three blocks; the reference
    has these four.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size.
    dropout : float or tuple of three floats, default=0.0
        Share of the numbers dropped in training after the second, third and fourth block, for the consistency term.
        One number d stands for (0.4 d, d, d), so that 0.5 gives WGAN-CT's (0.2, 0.5, 0.5).
    batch_norm : bool, default=False
        Whether a batch norm precedes each ReLU of the blocks, except in the first block. It makes the images of a batch
        depend on each other, so a gradient penalty forbids it; the papers have none.
    n_filters : int, default=128
        Filters of every convolution.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.
    .. [2] Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, "Improved Training of Wasserstein GANs", NeurIPS 2017.
    .. [3] Wei, Gong, Liu, Lu and Wang, "Improving the Improved Training of Wasserstein GANs", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ResidualCritic
    >>> critic = ResidualCritic((3, 32, 32), n_filters=16)
    >>> critic(torch.zeros(2, 3, 32, 32)).shape, critic.embed(torch.zeros(2, 3, 32, 32)).shape
    (torch.Size([2]), torch.Size([2, 16]))
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        dropout: float | tuple[float, float, float] = 0.0,
        batch_norm: bool = False,
        n_filters: int = 128,
    ) -> None:
        channels, _, _ = as_image_shape(input_shape)
        rates = dropout if isinstance(dropout, tuple) else (0.4 * dropout, dropout, dropout)
        second, third, fourth = (nn.Dropout(rate) for rate in rates)
        features = nn.Sequential(
            _CriticBlock(channels, n_filters, first=True, halve=True),
            _CriticBlock(n_filters, n_filters, halve=True, batch_norm=batch_norm),
            second,
            _CriticBlock(n_filters, n_filters, batch_norm=batch_norm),
            third,
            _CriticBlock(n_filters, n_filters, batch_norm=batch_norm),
            fourth,
            ReLU(),
        )
        super().__init__(features, n_filters)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features before the last layer, shape (N, n_filters)."""
        return super().embed(x).mean(dim=(2, 3))
