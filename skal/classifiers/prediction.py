"""The predictions of all our classifiers, from the logits of a net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..training.recording import Recorder


class PredictionMixin(ClassifierMixin):
    """Predictions from the logits of `net_`. They do not change it, so several threads may predict at the same time."""

    classes_: NDArray[Any]
    embed_and_predict_proba: Callable[[ArrayLike], tuple[NDArray[np.floating], NDArray[np.floating]]]

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the labels of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows in either of the two shapes: flat, or that of `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        (codes,) = self._ask(X, lambda net, rows: (net.infer(rows).argmax(1),))
        return self.classes_[codes]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the number type of the network; columns in the order of `classes_`.
        """
        (probabilities,) = self._ask(X, lambda net, rows: (net.infer(rows).softmax(1),))
        return probabilities

    def embed(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the penultimate activations, which are the input of the network's last layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_embedding)

        Raises
        ------
        TypeError
            If the network has no such layer.
        """
        return self.embed_and_predict_proba(X)[0]

    def _check_fitted(self) -> None:
        super()._check_fitted()  # type: ignore[misc]
        classes = self.classes_
        # Twice, as scikit-learn would warn of labels that are all different.
        check_classification_targets(np.repeat(classes, 2))
        if classes.ndim != 1 or len(classes) < 2 or not np.array_equal(np.unique(classes), classes):
            raise ValueError(f"{classes!r} are not the sorted labels of two classes or more")

    def _ask(
        self: Any,
        X: ArrayLike,
        compute: Callable[..., tuple[Tensor, ...]],
        make_recorder: Callable[[nn.Module, int], Recorder] | None = None,
    ) -> list[NDArray[Any]]:
        """Apply a function to all rows, block by block.

        It gets the net and the rows or, with a recorder, the net, the logits and the values recorded in the same pass.
        """
        check_is_fitted(self)
        rows = self._validate(X, reset=False)
        net = self.net_.for_prediction()
        if make_recorder is None:
            return self._in_blocks(rows, lambda block: compute(net, net.prepare_rows(block)))
        recorder = make_recorder(net.module_, len(self.classes_))
        return self._in_blocks(
            rows, lambda block: compute(net, *net.record(recorder, net.prepare_rows(block)))
        )
