"""Any torch module as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import nn

from ..nets import MLP
from ..utils.docstrings import inherits_doc
from .base import BaseNetClassifier


@inherits_doc()
@dataclass(eq=False, repr=False, kw_only=True)
class NetClassifier(BaseNetClassifier):
    """A torch module as a scikit-learn classifier, trained by skorch.

    Everything that scikit-learn asks of a classifier holds: any labels, weights, clones, pickles, the same result
    for the same `random_state`; the global random states are never touched.

    Parameters
    ----------
    module : type or callable, default=skal.nets.MLP
        A class of `torch.nn.Module`, never an instance. It is built when the data are known, with those of
        ``input_shape`` (tuple, the shape of a row) and ``n_classes`` (int) that it takes, and with
        `module_params`. It maps rows (N, *input_shape) to logits (N, n_classes).
    module_params : dict, default=None
        Further arguments of the module.
    {optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, image_shape, dtype, amp,
    device, warm_start, callbacks, verbose, random_state}

    Attributes
    ----------
    {classes_, net_, module_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_}

    Notes
    -----
    Rows of weight zero take no part at all. Within a batch the loss is the weighted mean; whole numbers as weights
    therefore equal repeated rows as long as one batch holds them all.

    Ctrl-C ends the training and keeps what was learned, as it does in skorch.

    A subclass with a method `losses` has a loss of its own, of the labelled rows and, if it wants, of the unlabelled
    ones.

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
        **BaseNetClassifier._parameter_constraints,
        "module": [callable],
        "module_params": [dict, None],
    }

    module: Callable[..., nn.Module] = field(default=MLP, kw_only=False)
    module_params: dict[str, Any] | None = None

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        return self.module

    def _module_params(self) -> dict[str, Any] | None:
        return self.module_params
