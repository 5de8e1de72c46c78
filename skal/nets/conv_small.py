"""The classifier of ASAL's SVHN and LSUN experiments."""

from torch import nn

from .bases import FeatureNet
from .shapes import as_image_shape


class ConvSmall(FeatureNet):
    """Conv-Small of virtual adversarial training [1]_, the classifier of ASAL [2]_ for SVHN and LSUN.

    ============================================  ===============
    layer                                         output at 32x32
    ============================================  ===============
    three 3x3 convs, padding 1                    64 x 32 x 32
    2x2 max pooling, dropout 0.5                  64 x 16 x 16
    three 3x3 convs, padding 1                    128 x 16 x 16
    2x2 max pooling, dropout 0.5                  128 x 8 x 8
    3x3 conv                                      128 x 6 x 6
    1x1 conv                                      128 x 6 x 6
    1x1 conv                                      128 x 6 x 6
    mean over the pixels                          128
    linear 128 x `n_classes`                      `n_classes`
    ============================================  ===============

    Batch norm and a leaky ReLU of slope 0.1 follow each convolution. The batch norm on the logits that [1]_ has for
    SVHN is left out: [2]_ does not mention it.

    For LSUN's 64x64 pixels, ASAL makes the first convolution 5x5 with stride 2 (supplement A.7). Here this is
    ``first_stride=2``, and the table holds from there on. Other sizes change only the mean.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W), of at least 9x9 pixels, or 17x17 with ``first_stride=2``.
    n_classes : int
        Number of logits.
    dropout : float, default=0.5
        Share of the activations dropped in training after each pooling.
    n_filters : int, default=64
        Channels of the first three convolutions; the others have twice as many. 64 gives the network of [1]_ for SVHN,
        and 96 the one for CIFAR-10.
    first_stride : int, default=1
        Stride of the first convolution, whose kernel has ``2 * first_stride + 1`` pixels to a side.

    Notes
    -----
    ASAL trains for 120 epochs by Adam with a learning rate of 0.001 and batches of 128 (A.6, A.7):
    ``CNNClassifier("conv_small", max_epochs=120, batch_size=128)``.

    References
    ----------
    .. [1] Miyato, Maeda, Koyama and Ishii, "Virtual Adversarial Training: A Regularization Method for Supervised and
       Semi-Supervised Learning", TPAMI 2018.
    .. [2] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ConvSmall
    >>> ConvSmall((3, 32, 32), 10).embed(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 128])
    >>> ConvSmall((3, 64, 64), 10, first_stride=2).embed(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 128])
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        dropout: float = 0.5,
        n_filters: int = 64,
        first_stride: int = 1,
    ) -> None:
        channels, _, _ = as_image_shape(input_shape, smallest=8 * first_stride + 1)
        n, m = n_filters, 2 * n_filters
        features = nn.Sequential(
            *_convolution(channels, n, 2 * first_stride + 1, stride=first_stride, padding=first_stride),
            *_convolution(n, n, 3, padding=1),
            *_convolution(n, n, 3, padding=1, pooled=True),
            nn.Dropout(dropout),
            *_convolution(n, m, 3, padding=1),
            *_convolution(m, m, 3, padding=1),
            *_convolution(m, m, 3, padding=1, pooled=True),
            nn.Dropout(dropout),
            *_convolution(m, m, 3),
            *_convolution(m, m, 1),
            *_convolution(m, m, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        super().__init__(features, m, n_classes)


def _convolution(
    n_in: int, n_out: int, kernel_size: int, stride: int = 1, padding: int = 0, pooled: bool = False
) -> list[nn.Module]:
    # Leaky ReLU behind the pooling: the same function and gradients for a quarter of the work. Rounding up lets
    # smaller images through.
    pooling = [nn.MaxPool2d(2, ceil_mode=True)] if pooled else []
    # Batch norm subtracts any bias.
    convolution = nn.Conv2d(n_in, n_out, kernel_size, stride, padding, bias=False)
    return [convolution, nn.BatchNorm2d(n_out), *pooling, nn.LeakyReLU(0.1)]
