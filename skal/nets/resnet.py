"""The residual networks of DGAL's EMNIST, SVHN and CIFAR-10 experiments."""

import os

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from ..utils.torchvision import import_torchvision
from .shapes import as_image_shape
from .torchvision_net import TorchvisionNet, load_weights, read_body

# "auto" takes the stem for small images below this side, where the other one leaves at most 2x2 pixels.
_SMALLEST_IMAGENET = 64


class _ResNet(TorchvisionNet):
    """A residual network of torchvision; the subclasses name the blocks, and how many of them the stages have."""

    _block: str
    _n_blocks: tuple[int, ...]

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        stem: str = "auto",
        n_hidden: int | None = None,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        import_torchvision()
        from torchvision.models import resnet

        channels, height, width = as_image_shape(input_shape)
        if stem not in ("auto", "small", "imagenet"):
            raise InvalidParameterError(f'stem={stem!r} was given; pass "auto", "small" or "imagenet"')
        small = stem == "small" or (stem == "auto" and min(height, width) < _SMALLEST_IMAGENET)
        body = resnet.ResNet(getattr(resnet, self._block), list(self._n_blocks))
        n_features = body.fc.in_features
        body.fc = nn.Identity()
        if small:
            body.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
            body.maxpool = nn.Identity()
        elif channels != 3:
            body.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        if small or channels != 3:
            nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")
        for stage in (body.layer2, body.layer3, body.layer4):
            stage[0].downsample[0] = SampledConv2d(stage[0].downsample[0])
        if weights is not None:
            state = read_body(weights, "fc.", "conv1.weight", channels)
            if small and state.get("conv1.weight", body.conv1.weight).shape[2:] == (7, 7):
                state["conv1.weight"] = body.conv1.weight.detach()
            load_weights(body, state, weights)
        super().__init__(body, n_features, n_classes, n_hidden)


class SampledConv2d(nn.Module):
    """A strided 1x1 convolution, computed by taking every stride-th pixel first, with the same weight.

    torch 2.6 to 2.13 corrupt memory in the backward pass of the convolution itself, on CPUs, with few channels last.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.stride = convolution.stride
        self.weight = convolution.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the convolution returns."""
        rows, columns = self.stride
        return F.conv2d(x[:, :, ::rows, ::columns], self.weight)


class ResNet18(_ResNet):
    """ResNet-18 [1]_, torchvision's module with a stem for small images: the classifier of DGAL [2]_ for EMNIST.

    =====================================  ================  ====================
    layer                                  small, at 32x32   imagenet, at 224x224
    =====================================  ================  ====================
    stem: 3x3 conv, batch norm, ReLU       64 x 32 x 32
    stem: 7x7 conv, stride 2, batch norm,
    ReLU, 3x3 max pooling of stride 2                        64 x 56 x 56
    2 blocks of two 3x3 convs              64 x 32 x 32      64 x 56 x 56
    2 blocks, the first of stride 2        128 x 16 x 16     128 x 28 x 28
    2 blocks, the first of stride 2        256 x 8 x 8       256 x 14 x 14
    2 blocks, the first of stride 2        512 x 4 x 4       512 x 7 x 7
    mean over the pixels                   512               512
    linear, with `n_hidden`                `n_hidden`        `n_hidden`
    linear                                 `n_classes`       `n_classes`
    =====================================  ================  ====================

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size and number of channels.
    n_classes : int
        Number of logits.
    stem : {"auto", "small", "imagenet"}, default="auto"
        The first layers. "auto" is "small" if a side has fewer than 64 pixels, else "imagenet".
    n_hidden : int, default=None
        Size of a linear layer, without activation, before the last one: the embedding. DGAL's appendix A has 50. None
        is the plain network, whose embedding is the mean over the pixels.
    weights : str or path-like, default=None
        A file with pretrained weights under torchvision's or timm's names: a state dict that torch has saved, or one
        of safetensors with the suffix ".safetensors". The last layer is left out. For gray images, the first kernels
        are summed over the three channels. 7x7 kernels do not fit into the small stem: its 3x3 convolution stays
        random, and all other layers take their weights. The published weights expect pixels that are standardised by
        the means and deviations of ImageNet's channels.

    Raises
    ------
    FileNotFoundError
        If the file `weights` does not exist.
    ValueError
        If the file holds no weights or those of another network, or `stem` is unknown.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024, appendix A, Table 1.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ResNet18
    >>> ResNet18((1, 28, 28), 10, n_hidden=50).embed(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 50])
    """

    _block = "BasicBlock"
    _n_blocks = (2, 2, 2, 2)


class ResNet50(_ResNet):
    """ResNet-50 [1]_, torchvision's module with a stem for small images: the classifier of DGAL [2]_ for CIFAR-10.

    It has the stems and stages of :class:`ResNet18`, but with 3, 4, 6 and 3 blocks, each of a 1x1, a 3x3 and a 1x1
    convolution (the 3x3 one has the stride), and with 256, 512, 1024 and 2048 channels, so 2048 features. DGAL also
    trains it on SVHN.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); any size and number of channels.
    n_classes : int
        Number of logits.
    stem, n_hidden, weights
        As in :class:`ResNet18`.

    Raises
    ------
    FileNotFoundError, ValueError
        As in :class:`ResNet18`.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024, appendix A, Table 1.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ResNet50
    >>> with torch.device("meta"):  # the shapes only
    ...     ResNet50((3, 32, 32), 10).embed(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 2048])
    """

    _block = "Bottleneck"
    _n_blocks = (3, 4, 6, 3)
