"""The classifier of ASAL's CelebA experiments."""

from .bases import HiddenNet
from .layers import pooled_convolutions


class CelebACNN(HiddenNet):
    """Classifier of ASAL [1]_ for CelebA, supplement Table 10, column "Classifier".

    ===========================  ===============
    layer                        output at 64x64
    ===========================  ===============
    3x3 conv, padding 1, ReLU    16 x 64 x 64
    2x2 max pooling              16 x 32 x 32
    3x3 conv, padding 1, ReLU    32 x 32 x 32
    2x2 max pooling              32 x 16 x 16
    3x3 conv, padding 1, ReLU    64 x 16 x 16
    2x2 max pooling              64 x 8 x 8
    linear 4096 x 1024, ReLU     1024
    dropout 0.5                  1024
    linear 1024 x `n_classes`    `n_classes`
    ===========================  ===============

    The table ends in one logit for its two classes; here there are two logits, whose difference corresponds to it. The
    table does not state the padding: 1 is the padding that turns 64x64 pixels into 4096 features. Other sizes and
    channels change only the first linear layer.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size.
    n_classes : int
        Number of logits.
    dropout : float, default=0.5
        Share of the 1024 units dropped in training.

    Notes
    -----
    ASAL trains for 30 epochs by Adam with a learning rate of 0.001 and batches of 50 (A.5):
    ``CNNClassifier("celeba", max_epochs=30, batch_size=50)``.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import CelebACNN
    >>> CelebACNN((3, 64, 64), 2).embed(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 1024])
    """

    def __init__(self, input_shape: tuple[int, ...], n_classes: int, dropout: float = 0.5) -> None:
        super().__init__(*pooled_convolutions(input_shape, (16, 32, 64), 3), 1024, n_classes, dropout)
