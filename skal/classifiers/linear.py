"""Softmax regression trained by gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ..nets import Linear
from ..utils.docstrings import inherits_doc
from .base import BaseNetClassifier


@inherits_doc()
@dataclass(eq=False, repr=False, kw_only=True)
class LinearClassifier(BaseNetClassifier):
    """Softmax regression on the flattened row, by one linear layer, :class:`skal.nets.Linear`.

    Its embeddings are the flattened rows. An L2 penalty is ``optimizer_params={"weight_decay": ...}``.

    Parameters
    ----------
    {optimizer, optimizer_params}
    lr : float, default=1e-2
        Learning rate.
    max_epochs : int, default=100
        Passes over the rows; fewer where early stopping ends them.
    {batch_size, validation_fraction, patience, image_shape, dtype, scale, augment, class_weight, classes, amp, device,
    warm_start, callbacks, verbose, random_state}

    Attributes
    ----------
    {classes_, net_, module_, input_shape_, dtype_, scale_, takes_bytes_, device_, n_features_in_, feature_names_in_}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import LinearClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> LinearClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    lr: float = 1e-2
    max_epochs: int = 100

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        return Linear
