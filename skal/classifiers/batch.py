"""The input of a classifier's loss in a training step: rows, and the network's outputs for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional as F


@dataclass(eq=False)
class Batch:
    """Rows of a training step, and the outputs of the network for them.

    Labelled and unlabelled rows go through the network together, in one pass: batch normalisation treats them alike.

    Parameters
    ----------
    rows : Tensor of shape (n_rows, ...)
        The rows in the form that the network gets; ``net.infer`` returns the logits of such rows.
    logits : Tensor of shape (n_rows, n_classes)
    features : Tensor of shape (n_rows, n_features) or None
        The features that the classifier's `recorder` recorded; None unless the classifier has ``uses_features = True``.
    classes : Tensor of int of shape (n_rows,) or None
        Positions of the labels in ``classes_``; None for unlabelled rows.
    weight : Tensor of shape (n_rows,) or None
        Sample weights, if `fit` was given any.

    Examples
    --------
    >>> import torch
    >>> from skal.classifiers import Batch
    >>> batch = Batch(rows=torch.zeros(2, 3), logits=torch.zeros(2, 4), classes=torch.tensor([0, 3]))
    >>> len(batch), round(batch.cross_entropy().item(), 4)
    (2, 1.3863)
    """

    rows: Tensor
    logits: Tensor
    features: Any = None
    classes: Tensor | None = None
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def cross_entropy(self) -> Tensor:
        """Return the mean cross entropy of the labels, weighted if the rows have weights.

        Returns
        -------
        loss : Tensor of shape ()

        Raises
        ------
        TypeError
            If the rows are unlabelled.
        """
        if self.classes is None:
            raise TypeError("unlabelled rows have no cross entropy; ask the labelled batch for it")
        if self.weight is None:
            return F.cross_entropy(self.logits, self.classes)
        return self.mean(F.cross_entropy(self.logits, self.classes, reduction="none"))

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the rows, weighted if they have weights.

        Parameters
        ----------
        values : Tensor of shape (n_rows,)

        Returns
        -------
        mean : Tensor of shape ()
        """
        return values.mean() if self.weight is None else (values * self.weight).sum() / self.weight.sum()
