"""The classifier of ASAL's MNIST experiments."""

from .bases import HiddenNet
from .layers import pooled_convolutions


class LeNet(HiddenNet):
    """LeNet-like classifier of ASAL [1]_, supplement Table 5, column "Classifier".

    ===========================  ===============
    layer                        output at 28x28
    ===========================  ===============
    5x5 conv, padding 2, ReLU    32 x 28 x 28
    2x2 max pooling              32 x 14 x 14
    5x5 conv, padding 2, ReLU    64 x 14 x 14
    2x2 max pooling              64 x 7 x 7
    linear 3136 x 1024, ReLU     1024
    dropout 0.5                  1024
    linear 1024 x `n_classes`    `n_classes`
    ===========================  ===============

    The table does not state the padding: 2 is the padding that turns 28x28 pixels into 3136 features. Other sizes and
    channels change only the first linear layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size.
    n_classes : int
        Number of logits.
    dropout : float, default=0.5
        Share of the 1024 units dropped in training.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import LeNet
    >>> LeNet((1, 28, 28), 10).embed(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 1024])
    """

    def __init__(self, input_shape: tuple[int, ...], n_classes: int, dropout: float = 0.5) -> None:
        super().__init__(*pooled_convolutions(input_shape, (32, 64), 5), 1024, n_classes, dropout)
