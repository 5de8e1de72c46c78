"""What the classifiers that learn from unlabelled rows too share: partial labels, and networks for plain rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight

from ..labels import UNLABELED, check_partial_labels, labeled_mask
from ..nets import MLP
from .cnn import CNNClassifier


class AnyRowsClassifier(CNNClassifier):
    """Base of the classifiers that take plain rows as they are: "auto" is :class:`skal.nets.MLP` for them."""

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        # Plain rows are no line of pixels here: each feature has a scale of its own.
        is_plain = len(row_shape) == 1 and self.image_shape is None
        return row_shape if is_plain else super()._input_shape(row_shape)

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., torch.nn.Module]:
        if self.architecture == "auto" and len(input_shape) == 1:
            return MLP
        return super()._module_class(input_shape)


class PartialLabelsClassifier(AnyRowsClassifier):
    """Base of the classifiers whose `fit` takes the unlabelled rows along."""

    uses_unlabeled = True

    def _validate_partial(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, *, reset: bool
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_], NDArray[Any] | None]:
        """Return all rows, their labels, which of them have one, and the weights of those."""
        rows, labels = self._validate(X, y if y is None else check_partial_labels(y), reset=reset)
        labeled = _labeled_mask(labels)
        if not labeled.any():
            raise ValueError(
                f"{type(self).__name__} needs rows of at least two classes, got no label; label some rows"
            )
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, rows)[labeled]
        return rows, labels, labeled, weight

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean accuracy on the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,)
            Labels, complete or partial.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            If no row is labelled.
        """
        labels = check_partial_labels(y)
        labeled = _labeled_mask(labels)
        if labeled.all():
            return super().score(X, labels, sample_weight)
        if not labeled.any():
            raise ValueError("y has no labelled row, so there is nothing to score; label at least one")
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)[labeled]
        known = _safe_indexing(X, np.flatnonzero(labeled))
        return super().score(known, labels[labeled], sample_weight)


def _labeled_mask(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which rows have a label; among strings -1 marks one too that has none, as an `ActiveLearner` marks it."""
    labeled = labeled_mask(labels)
    return labeled & np.asarray(labels != UNLABELED, dtype=bool) if labels.dtype.kind == "O" else labeled
