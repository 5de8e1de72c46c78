"""Any torch module as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import nn

from ..nets import MLP
from .base import BaseNetClassifier


@dataclass(eq=False, repr=False, kw_only=True)
class NetClassifier(BaseNetClassifier):
    """A torch module as a scikit-learn classifier, trained by skorch.

    It does everything that scikit-learn expects of a classifier: labels of any kind, sample weights, clones, pickles,
    and the same result for the same `random_state`. The global random states are not touched.

    Parameters
    ----------
    module : type or callable, default=skal.nets.MLP
        A class of `torch.nn.Module`, not an instance. It is built when the data are known. It gets `module_params` and,
        if it accepts them, ``input_shape`` (tuple, the shape of one row) and ``n_classes`` (int). It maps rows
        ``(N, *input_shape)`` to logits ``(N, n_classes)``.
    module_params : dict, default=None
        Further arguments of the module.
    {optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, image_shape, dtype, scale,
    augment, class_weight, classes, amp, device, warm_start, callbacks, verbose, random_state}

    Attributes
    ----------
    {classes_, net_, module_, input_shape_, dtype_, scale_, takes_bytes_, device_, n_features_in_, feature_names_in_}

    Notes
    -----
    Rows of weight zero are ignored. Within a batch the loss is the weighted mean; whole numbers as weights therefore
    equal repeated rows if one batch holds all rows.

    Ctrl-C ends training and is raised again; what has been learned is kept. A callback that raises `KeyboardInterrupt`,
    which is skorch's way to stop early, does not count as an interrupt.

    For another loss, of the labelled rows and optionally of unlabelled rows, write a subclass with a method `losses`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import NetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = NetClassifier(module_params={"hidden": (32,)}, lr=0.01, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 3)
    >>> clf.embed(X[:2]).shape
    (2, 32)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "module": [callable],
        "module_params": [dict, None],
    }

    module: Callable[..., nn.Module] = field(default=MLP, kw_only=False)
    module_params: dict[str, Any] | None = None

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        return self.module
