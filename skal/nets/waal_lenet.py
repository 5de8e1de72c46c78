"""The LeNet of WAAL's FashionMNIST experiments."""

from torch import nn

from .bases import HiddenNet
from .shapes import as_image_shape


class WAALLeNet(HiddenNet):
    """The 10-20 LeNet of WAAL [1]_: "LeNet5 as feature extractor" and the head 320-50-ReLU-dropout-10.

    ===========================  ===============
    layer                        output at 28x28
    ===========================  ===============
    5x5 conv                     10 x 24 x 24
    2x2 max pooling, ReLU        10 x 12 x 12
    5x5 conv, dropout            20 x 8 x 8
    2x2 max pooling, ReLU        20 x 4 x 4
    linear 320 x 50, ReLU        50
    dropout                      50
    linear 50 x `n_classes`      `n_classes`
    ===========================  ===============

    The paper's appendix states the head; the widths 10 and 20 are from its code (and give the 320 features). Other
    sizes and channels change only the first linear layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W), of at least 16x16 pixels.
    n_classes : int
        Number of logits.
    dropout : float, default=0.5
        Share of the second convolution's channels and of the 50 units dropped in training.

    References
    ----------
    .. [1] Shui, Zhou, Gagné and Wang, "Deep Active Learning: Unified and Principled Method for Query and
       Training", AISTATS 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import WAALLeNet
    >>> WAALLeNet((1, 28, 28), 10).embed(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 50])
    """

    def __init__(self, input_shape: tuple[int, ...], n_classes: int, dropout: float = 0.5) -> None:
        channels, height, width = as_image_shape(input_shape, smallest=16)
        features = nn.Sequential(
            nn.Conv2d(channels, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, 5),
            nn.Dropout2d(dropout),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
        )
        n_features = 20 * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
        super().__init__(features, n_features, 50, n_classes, dropout)
