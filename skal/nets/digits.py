"""A small convolutional network for small images."""

from torch import nn

from .bases import FeatureNet
from .layers import pooled_convolutions
from .shapes import as_image_shape


class DigitsNet(FeatureNet):
    """Our own small convolutional network for images as small as scikit-learn's 8x8 digits.

    =============================  =============
    layer                          output at 8x8
    =============================  =============
    3x3 conv, padding 1, ReLU      32 x 8 x 8
    3x3 conv, padding 1, ReLU      64 x 8 x 8
    2x2 max pooling                64 x 4 x 4
    3x3 conv, padding 1, ReLU      64 x 4 x 4
    2x2 max pooling                64 x 2 x 2
    linear 256 x `n_classes`       `n_classes`
    =============================  =============

    It has no dropout, so training with weighted rows is exactly the same as with repeated rows.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size, meant for sides below 16.
    n_classes : int
        Number of logits.
    n_filters : int, default=32
        Channels of the first convolution; the other two have twice as many.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DigitsNet
    >>> DigitsNet((1, 8, 8), 10).embed(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 256])
    """

    def __init__(self, input_shape: tuple[int, ...], n_classes: int, n_filters: int = 32) -> None:
        channels, height, width = as_image_shape(input_shape)
        first = nn.Conv2d(channels, n_filters, 3, padding=1)
        others, n_features = pooled_convolutions((n_filters, height, width), (2 * n_filters,) * 2, 3)
        super().__init__(nn.Sequential(first, nn.ReLU(), *others), n_features, n_classes)
