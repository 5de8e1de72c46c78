"""The methods of a classifier with its own loss: the loss, and the modules that are trained beside the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from ..training.recording import EmbeddingRecorder, Recorder
from .batch import Batch


class OwnLoss:
    """The methods that a network classifier may override; the cross entropy of the labelled rows by default."""

    uses_unlabeled: ClassVar[bool] = False  # `fit` takes partial labels, `losses` unlabelled rows
    uses_features: ClassVar[bool] = False  # `losses` looks at features
    augment: Callable[[Any], Any] | None

    def losses(self, net: Any, labeled: Batch, unlabeled: Batch | None) -> dict[str, Tensor]:
        """Compute the losses of a training step; override it for a loss of your own.

        Parameters
        ----------
        net : skorch.NeuralNetClassifier
            The net in training. ``net.module_`` is the network; the modules of `extra_modules` have an underscore
            after their names, such as ``net.critic_``. ``net.infer(rows)`` returns the logits of more rows.
            ``len(net.history)`` is the number of the epoch, from 1 to ``net.max_epochs``. ``net.n_labeled`` and
            ``net.n_unlabeled`` count the rows of the training set.
        labeled : Batch
        unlabeled : Batch or None
            None if all rows are labelled, or if the class does not have ``uses_unlabeled = True``.

        Returns
        -------
        losses : dict of str to Tensor of shape ()
            The network minimises the term ``"loss"`` or, without such a term, the sum of all terms. A module of
            `extra_modules` with its own learning rate, such as "critic", minimises ``"critic_loss"``, which is not
            part of that sum. Each optimizer changes only its own weights, so nothing needs to be detached. All terms
            are recorded in ``net_.history``.
        """
        return {"loss": labeled.cross_entropy()}

    def extra_modules(self, net: Any) -> dict[str, tuple[nn.Module, float | None]]:
        """Build the modules that are trained beside the network; override it if there are any.

        Parameters
        ----------
        net : skorch.NeuralNetClassifier
            With ``net.module_``, ``net.n_classes``, ``net.input_shape`` and ``net.example_features()``, which returns
            the features of one row.

        Returns
        -------
        modules : dict of str to tuple of torch.nn.Module and float or None
            Each with the learning rate of its own optimizer, or None if the network's optimizer trains it.
        """
        return {}

    def recorder(self, module: nn.Module, n_classes: int) -> Recorder:
        """Return the recorder of the features for `losses`: the embeddings, unless a subclass overrides it."""
        return EmbeddingRecorder(module, n_classes)
