"""Convolutional classifiers by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions

from ..nets import ARCHITECTURES, DigitsNet, LeNet
from ..nets.torchvision_net import TorchvisionNet
from ..training.net import TrainingNet
from .net_classifier import NetClassifier

# From this side on, "auto" takes the LeNet: two poolings and 5x5 windows have something to look at.
_SMALLEST_LENET = 16


class CNNClassifier(NetClassifier):
    """A convolutional `NetClassifier` whose architecture is chosen by name or by the size of the images.

    X has images (N, C, H, W), gray images (N, H, W) or 2-D rows. 2-D rows without `image_shape` are read as square
    gray images where their length is a square number, and as one line of pixels otherwise.

    Parameters
    ----------
    architecture : str or type, default="auto"
        A name in `skal.nets.ARCHITECTURES`: "lenet", "lenet_waal", "all_cnn", "conv_small", "celeba", "digits",
        "resnet18", "resnet50", "vgg16_bn" or "vit_small"; or a class of `torch.nn.Module` as in
        :class:`NetClassifier`. "auto" is "lenet" for images of 16x16 pixels and more, else "digits". The settings of
        the papers are in the docstrings of their networks, such as :class:`~skal.nets.AllCNN`.
    module_params : dict, default=None
        Further arguments of the architecture, such as ``{"dropout": 0.3}``. A file of pretrained weights, as in
        ``{"weights": "resnet18.pth"}``, is read at each `fit`; `load` needs it no more.
    optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, image_shape, dtype, amp, \
device, warm_start, callbacks, verbose, random_state
        As in :class:`NetClassifier`.

    Attributes
    ----------
    classes_, net_, module_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_
        As in :class:`NetClassifier`.

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
        "architecture": [StrOptions({"auto", *ARCHITECTURES}), callable],
        **{
            name: constraint
            for name, constraint in NetClassifier._parameter_constraints.items()
            if name != "module"
        },
    }

    def __init__(
        self,
        architecture: str | Callable[..., torch.nn.Module] = "auto",
        *,
        module_params: dict[str, Any] | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_params: dict[str, Any] | None = None,
        lr: float = 1e-3,
        max_epochs: int = 50,
        batch_size: int = 64,
        validation_fraction: float | None = None,
        patience: int = 10,
        image_shape: tuple[int, ...] | None = None,
        dtype: str = "auto",
        amp: bool = False,
        device: str | torch.device = "auto",
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            module_params=module_params,
            optimizer=optimizer,
            optimizer_params=optimizer_params,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            patience=patience,
            image_shape=image_shape,
            dtype=dtype,
            amp=amp,
            device=device,
            warm_start=warm_start,
            callbacks=callbacks,
            verbose=verbose,
            random_state=random_state,
        )
        self.architecture = architecture

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape = super()._input_shape(row_shape)
        if len(shape) == 1:
            side = math.isqrt(shape[0])
            shape = (side, side) if side**2 == shape[0] else (1, shape[0])
        return (1, *shape) if len(shape) == 2 else shape

    def _blank_net(self, tensors: dict[str, torch.Tensor], **params: Any) -> TrainingNet:
        net = super()._blank_net(tensors, **params)
        module = self._module_class(self.input_shape_)
        if isinstance(module, type) and issubclass(module, TorchvisionNet):
            net.module = partial(net.module, weights=None)  # the file of the pretrained ones may be gone
        return net

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., torch.nn.Module]:
        if self.architecture == "auto":
            return LeNet if min(input_shape[-2:]) >= _SMALLEST_LENET else DigitsNet
        return ARCHITECTURES[self.architecture] if isinstance(self.architecture, str) else self.architecture
