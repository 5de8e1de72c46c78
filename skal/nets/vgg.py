"""The VGG network of WAAL's SVHN and CIFAR-10 experiments."""

import os
from typing import ClassVar

from torch import nn

from ..utils.torchvision import import_torchvision
from .shapes import as_image_shape
from .torchvision_net import TorchvisionNet, load_weights, read_body


class VGG16BN(TorchvisionNet):
    """VGG-16 [1]_ with batch normalisation, torchvision's layers with the head of WAAL [2]_: 512-50-ReLU-dropout-10.

    ===================================================  ===============
    layer                                                output at 32x32
    ===================================================  ===============
    2 of: 3x3 conv, batch norm, ReLU; 2x2 max pooling    64 x 16 x 16
    2 of: 3x3 conv, batch norm, ReLU; 2x2 max pooling    128 x 8 x 8
    3 of: 3x3 conv, batch norm, ReLU; 2x2 max pooling    256 x 4 x 4
    3 of: 3x3 conv, batch norm, ReLU; 2x2 max pooling    512 x 2 x 2
    3 of: 3x3 conv, batch norm, ReLU; 2x2 max pooling    512 x 1 x 1
    linear 512 x `n_hidden`, ReLU                        `n_hidden`
    dropout                                              `n_hidden`
    linear `n_hidden` x `n_classes`                      `n_classes`
    ===================================================  ===============

    The head is that of the WAAL paper, in place of two layers of 4096 units on 7x7 pixels. Larger images and other
    channels change only the first linear layer and the first convolution.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W), of at least 32x32 pixels.
    n_classes : int
        Number of logits.
    n_hidden : int, default=50
        Units of the hidden layer, the embedding. The paper uses 100 for the larger images of STL-10.
    dropout : float, default=0.5
        Share of the hidden units dropped in training.
    weights : str or path-like, default=None
        A file with pretrained weights under torchvision's names: a state dict that torch has saved, or one of
        safetensors with the suffix ".safetensors". Its linear layers are left out. For gray images, the first kernels
        are summed over the three channels. The published weights expect pixels that are standardised by the means and
        deviations of ImageNet's channels.

    Raises
    ------
    FileNotFoundError
        If the file `weights` does not exist.
    ValueError
        If the file holds no weights or those of another network, or the images are too small.

    References
    ----------
    .. [1] Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
    .. [2] Shui, Zhou, Gagné and Wang, "Deep Active Learning: Unified and Principled Method for Query and
       Training", AISTATS 2020.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import VGG16BN
    >>> with torch.device("meta"):  # the shapes only
    ...     VGG16BN((3, 32, 32), 10).embed(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 50])
    """

    _n_filters: ClassVar = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        n_hidden: int = 50,
        dropout: float = 0.5,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        import_torchvision()
        from torchvision.models.vgg import make_layers

        channels, height, width = as_image_shape(input_shape, smallest=32)
        # Between two poolings; torchvision's letter for one.
        layers = make_layers([size for stage in self._n_filters for size in (*stage, "M")], batch_norm=True)
        layers[0] = nn.Conv2d(channels, self._n_filters[0][0], 3, padding=1)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))
        body = nn.Sequential()
        body.add_module("features", layers)
        if weights is not None:
            state = read_body(weights, "classifier.", "features.0.weight", channels)
            load_weights(body, state, weights)
        body.add_module("flatten", nn.Flatten())
        n_features = self._n_filters[-1][-1] * (height // 32) * (width // 32)
        super().__init__(body, n_features, n_classes, n_hidden)
        self.hidden = nn.Sequential(nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Dropout(dropout))

    @property
    def features(self) -> nn.Module:
        """All layers before the head, whose output WAAL's critic sees."""
        return self.body
