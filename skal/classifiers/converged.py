"""A callback that ends training without held-out rows once the loss has converged."""

from __future__ import annotations

from typing import Any

import numpy as np

from .net import BestEpoch


class Converged(BestEpoch):
    """Ends training when the loss on the training rows, measured in evaluation mode, no longer falls.

    `validation_fraction` needs rows to spare, which the first rounds of active learning do not have. The losses of the
    training steps, ``train_loss``, are no good measure either: the noise of dropout and batch normalisation hides the
    small improvements of a network that is still at chance level, and each loss belongs to different weights. This
    callback takes one more pass over the training rows per epoch.

    Parameters
    ----------
    monitor : str, default="converging_loss"
        The name of the loss in the history of the net. The loss is the cross entropy, with the weights of the rows.
    patience : int, default=10
        Epochs without a smaller loss before training stops.
    **params
        Further parameters of skorch's ``EarlyStopping``: ``threshold``, by default 1e-4 of the loss, is how much the
        loss must fall to count as an improvement; ``load_best=True`` restores the weights of the best epoch, in all
        modules of the classifier.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import Converged, NetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> stop = [("stop", Converged(patience=3))]
    >>> clf = NetClassifier(lr=0.05, max_epochs=1000, callbacks=stop, random_state=0).fit(X, y)
    >>> len(clf.net_.history) < 1000, clf.score(X, y) > 0.9
    (True, True)
    """

    def __init__(self, monitor: str = "converging_loss", patience: int = 10, **params: Any) -> None:
        super().__init__(monitor, patience=patience, **params)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, **params: Any) -> None:
        """Measure the loss, and stop if it has not fallen for `patience` epochs.

        Parameters
        ----------
        net : skorch.NeuralNetClassifier
        dataset_train : dataset or tuple
            The labelled rows, and perhaps unlabelled ones.
        **params
            Further arguments that skorch passes to a callback.
        """
        labeled = dataset_train[0] if isinstance(dataset_train, tuple) else dataset_train
        losses, weights = [], []
        for batch in net.get_iterator(labeled, training=False):
            losses.append(float(net.validation_step(batch)["loss"]))
            weights.append(float(net.weight_of(batch)))
        net.history.record(self.monitor, float(np.average(losses, weights=weights)))
        super().on_epoch_end(net, **params)
