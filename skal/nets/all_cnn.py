"""The classifier of ASAL's CIFAR-10 experiments with ten classes."""

from torch import nn

from .bases import FeatureNet
from .scales import keep_variance
from .shapes import as_image_shape


class AllCNN(FeatureNet):
    """All-CNN-C [1]_, the classifier of ASAL [2]_, supplement Table 7, column "Classifier".

    =======================================  ===============
    layer                                    output at 32x32
    =======================================  ===============
    3x3 conv, padding 1, ReLU                96 x 32 x 32
    3x3 conv, padding 1, ReLU                96 x 32 x 32
    3x3 conv, stride 2, padding 1, ReLU      96 x 16 x 16
    dropout 0.5                              96 x 16 x 16
    3x3 conv, padding 1, ReLU                192 x 16 x 16
    3x3 conv, padding 1, ReLU                192 x 16 x 16
    3x3 conv, stride 2, padding 1, ReLU      192 x 8 x 8
    dropout 0.5                              192 x 8 x 8
    3x3 conv, ReLU                           192 x 6 x 6
    1x1 conv, ReLU                           192 x 6 x 6
    mean over the pixels                     192
    linear 192 x `n_classes`                 `n_classes`
    =======================================  ===============

    The tables have a 1x1 convolution to `n_classes` channels and then the mean over the pixels. Both are linear and can
    be swapped: the penultimate activations are the means of the 192 channels. [1]_ has a ReLU between the two, but the
    table of [2]_ does not. The tables do not state the padding: the mean is "over 6x6 spatial dimensions" in [1]_, so
    the seventh convolution has none.

    Other sizes change only the mean: there are 1,369,738 parameters for three channels and ten classes at any size.
    Without batch norm, the initial weights have to carry the signal through, so they are those of He et al. (2015).
    With torch's own, which leave a thousandth of the signal, the training below makes no progress on a few hundred
    images.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W), of at least 9x9 pixels.
    n_classes : int
        Number of logits.
    dropout : float, default=0.5
        Share of the activations dropped in training after each of the two convolutions of stride 2.
    input_dropout : float, default=0.0
        Share of the input dropped in training: 0.2 in [1]_, none in [2]_.

    Notes
    -----
    ASAL trains for 150 epochs by SGD with momentum 0.9, batches of 128 and a learning rate of 0.01, divided by 10 at
    the 130th and the 140th epoch (A.4); the example below does. The weight decay is from [1]_; [2]_ states none.

    References
    ----------
    .. [1] Springenberg, Dosovitskiy, Brox and Riedmiller, "Striving for Simplicity: The All Convolutional Net",
       ICLR workshop 2015.
    .. [2] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import AllCNN
    >>> AllCNN((3, 32, 32), 10).embed(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 192])

    As ASAL trains it:

    >>> from skal.classifiers import CNNClassifier
    >>> from skorch.callbacks import LRScheduler
    >>> clf = CNNClassifier(
    ...     "all_cnn",
    ...     optimizer=torch.optim.SGD,
    ...     optimizer_params={"momentum": 0.9, "weight_decay": 1e-3},
    ...     lr=0.01,
    ...     max_epochs=150,
    ...     batch_size=128,
    ...     callbacks=[LRScheduler("MultiStepLR", milestones=[130, 140], gamma=0.1)],
    ... )
    """

    def __init__(
        self, input_shape: tuple[int, ...], n_classes: int, dropout: float = 0.5, input_dropout: float = 0.0
    ) -> None:
        channels, _, _ = as_image_shape(input_shape, smallest=9)
        features = nn.Sequential(
            nn.Dropout(input_dropout) if input_dropout else nn.Identity(),
            *_convolution(channels, 96, 3, padding=1),
            *_convolution(96, 96, 3, padding=1),
            *_convolution(96, 96, 3, stride=2, padding=1),
            nn.Dropout(dropout),
            *_convolution(96, 192, 3, padding=1),
            *_convolution(192, 192, 3, padding=1),
            *_convolution(192, 192, 3, stride=2, padding=1),
            nn.Dropout(dropout),
            *_convolution(192, 192, 3),
            *_convolution(192, 192, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        super().__init__(features, 192, n_classes)
        keep_variance(self)


def _convolution(
    n_in: int, n_out: int, kernel_size: int, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, kernel_size, stride, padding), nn.ReLU()]
