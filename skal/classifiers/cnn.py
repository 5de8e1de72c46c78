"""Convolutional classifiers by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import nn

from ..nets import ARCHITECTURES, MLP, DigitsNet, LeNet
from ..nets.packages import package_network
from ..nets.torchvision_net import TorchvisionNet
from .base import BaseNetClassifier
from .net import Net

# "auto" takes the LeNet from this side length on: two poolings and 5x5 windows need as many pixels.
_SMALLEST_LENET = 16


@dataclass(eq=False, repr=False, kw_only=True)
class CNNClassifier(BaseNetClassifier):
    """A convolutional classifier whose architecture is chosen by name or by the size of the images.

    X has images (N, C, H, W), gray images (N, H, W) or 2-D rows. 2-D rows without `image_shape` are read as square gray
    images if their length is a square number, and as one line of pixels otherwise.

    Parameters
    ----------
    architecture : str or type, default="auto"
        A name in `skal.nets.ARCHITECTURES`: "lenet", "lenet_waal", "all_cnn", "conv_small", "celeba", "digits",
        "resnet18", "resnet50", "vgg16_bn" or "vit_small"; the name of any other classification network of torchvision,
        such as "efficientnet_b0", or "torchvision:" and a name that is also in this list; "timm:" and the name of a
        network in timm, with or without the tag of its weights, such as "timm:convnext_atto.d2_in1k"; or a class of
        `torch.nn.Module` as in :class:`NetClassifier`. "auto" is "lenet" for images of 16x16 pixels and more, else
        "digits". The settings of the papers are in the docstrings of the networks, such as :class:`~skal.nets.AllCNN`.
    module_params : dict, default=None
        Further arguments of the architecture, such as ``{"dropout": 0.3}``. A file of pretrained weights, as in
        ``{"weights": "resnet18.pth"}``, is read at each `fit`; `load` does not need it. A network of torchvision also
        takes the name of weights, ``{"weights": "DEFAULT"}``, and one of timm ``{"pretrained": True}``: these packages
        download weights that are not in their caches. Pretrained networks usually need ``scale="imagenet"``. Networks
        of both packages accept any number of channels, and ``{"n_hidden": 50}``, the size of a linear embedding.
    {optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, image_shape, dtype, scale,
    augment, class_weight, classes, amp, device, warm_start, callbacks, verbose, random_state}

    Attributes
    ----------
    {classes_, net_, module_, input_shape_, dtype_, scale_, takes_bytes_, device_, n_features_in_, feature_names_in_}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import CNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X.astype("float32")
    >>> clf = CNNClassifier(max_epochs=10, random_state=0).fit(X[:500], y[:500])
    >>> clf.input_shape_, clf.score(X[500:], y[500:]) > 0.9
    ((1, 8, 8), True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "architecture": [str, callable],
        "module_params": [dict, None],
    }

    architecture: str | Callable[..., nn.Module] = field(default="auto", kw_only=False)
    module_params: dict[str, Any] | None = None

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape = super()._input_shape(row_shape)
        if len(shape) == 1:
            side = math.isqrt(shape[0])
            shape = (side, side) if side**2 == shape[0] else (1, shape[0])
        return (1, *shape) if len(shape) == 2 else shape

    def _make_net(
        self, input_shape: tuple[int, ...], classes: NDArray[Any] | None = None, **params: Any
    ) -> Net:
        net = super()._make_net(input_shape, classes, **params)
        module = self._module_class(input_shape)
        module = getattr(module, "func", module)
        if classes is None and isinstance(module, type) and issubclass(module, TorchvisionNet):
            # The file of the pretrained weights may be gone.
            net.module = partial(net.module, **module.without_weights)
        return net

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        if self.architecture == "auto":
            return LeNet if min(input_shape[-2:]) >= _SMALLEST_LENET else DigitsNet
        if not isinstance(self.architecture, str):
            return self.architecture
        own = ARCHITECTURES.get(self.architecture)
        return own or package_network(self.architecture, type(self).__name__, ARCHITECTURES)


@dataclass(eq=False, repr=False, kw_only=True)
class AnyRowsClassifier(CNNClassifier):
    """Base of the classifiers that accept plain rows: for these, "auto" is :class:`skal.nets.MLP`.

    Parameters
    ----------
    architecture : str or type, default="auto"
        As in :class:`CNNClassifier`: a name of a network, or a class of `torch.nn.Module`. "auto" is
        "lenet" for images of 16x16 pixels and more, "digits" for smaller ones, and :class:`skal.nets.MLP` for plain
        rows.
    """

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        # Plain rows are not a line of pixels here: each feature has its own scale.
        is_plain = len(row_shape) == 1 and self.image_shape is None
        return row_shape if is_plain else super()._input_shape(row_shape)

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        if self.architecture == "auto" and len(input_shape) == 1:
            return MLP
        return super()._module_class(input_shape)
