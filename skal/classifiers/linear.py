"""Softmax regression and linear support vector machines, trained by gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import StrOptions
from torch import Tensor, nn

from ..nets import Linear
from .base import BaseNetClassifier
from .batch import Batch


@dataclass(eq=False, repr=False, kw_only=True)
class LinearClassifier(BaseNetClassifier):
    r"""Softmax regression or a linear SVM on flattened rows, by one linear layer, :class:`skal.nets.Linear`.

    Its embeddings are the flattened rows. An L2 penalty is ``optimizer_params={"weight_decay": ...}``.

    Parameters
    ----------
    loss : {"cross_entropy", "hinge"}, default="cross_entropy"
        "hinge" makes it a support vector machine, for strategies that look at decision values, such as
        ``ASAL(objective="min_distance")``: the mean of :math:`\max(0, 1 + \max_{j \neq y} f_j(x) - f_y(x))` [1]_. With
        two classes this is the usual hinge loss of the difference of their values. Probabilities are then the softmax
        of decision values, and not calibrated.
    {optimizer, optimizer_params}
    lr : float, default=1e-2
        Learning rate.
    max_epochs : int, default=100
        Passes over the rows; fewer if early stopping ends training.
    {batch_size, validation_fraction, patience, image_shape, dtype, scale, augment, class_weight, classes, amp, device,
    warm_start, callbacks, verbose, random_state}

    Attributes
    ----------
    {classes_, net_, module_, input_shape_, dtype_, scale_, takes_bytes_, device_, n_features_in_, feature_names_in_}

    References
    ----------
    .. [1] Crammer and Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines", JMLR
       2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import LinearClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> LinearClassifier(random_state=0).fit(X, y).score(X, y) > 0.9
    True
    >>> LinearClassifier(loss="hinge", random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "loss": [StrOptions({"cross_entropy", "hinge"})],
    }

    loss: str = "cross_entropy"
    lr: float = 1e-2
    max_epochs: int = 100

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        return Linear

    def losses(self, net: Any, labeled: Batch, unlabeled: Batch | None) -> dict[str, Tensor]:
        """Compute the loss of a training step.

        Parameters
        ----------
        net, labeled, unlabeled
            See :meth:`NetClassifier.losses`.
        """
        return {
            "loss": labeled.cross_entropy() if self.loss == "cross_entropy" else labeled.mean(hinge(labeled))
        }


def hinge(batch: Batch) -> Tensor:
    """Return how far each labelled row is from a margin of one over all other classes, of shape (n_rows,).

    Examples
    --------
    >>> import torch
    >>> from skal.classifiers import Batch
    >>> from skal.classifiers.linear import hinge
    >>> logits = torch.tensor([[2.0, 0.0, 1.5], [0.0, 3.0, 1.0]])
    >>> hinge(Batch(rows=torch.zeros(2, 3), logits=logits, classes=torch.tensor([0, 1])))
    tensor([0.5000, 0.0000])
    """
    if batch.classes is None:
        raise TypeError("unlabelled rows have no hinge loss; ask the labelled batch for it")
    own = batch.classes[:, None]
    others = batch.logits.scatter(1, own, -torch.inf)
    return (1 + others.amax(dim=1) - batch.logits.gather(1, own)[:, 0]).clamp_min(0)
