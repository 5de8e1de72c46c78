"""Learning loss's classifier: a network, and a small network that predicts its loss (Yoo and Kweon, 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn
from torch.nn import functional as F

from .batch import Batch
from .cnn import AnyRowsClassifier
from .epochs import share_of_epochs
from .stages import StageRecorder


@dataclass(eq=False, repr=False, kw_only=True)
class LearningLossClassifier(AnyRowsClassifier):
    r"""A `CNNClassifier` that also predicts the loss of each row [1]_.

    A loss predictor looks at several stages of the network: each stage is averaged over its pixels and goes through a
    linear layer and ReLU, and a last linear layer turns all of them into one number. Network and predictor are trained
    together (Equations 2 and 3) by

    .. math::

        E[l(x)] + \lambda \, E\big[\max(0, \xi - \mathrm{sign}(l(x_i) - l(x_j)) (\hat l_i - \hat l_j))\big]

    with the cross entropy l of a row, its prediction :math:`\hat l`, and pairs (i, j) of rows of a batch. Only the
    order of losses is learned, because their scale falls while the network learns.
    :class:`skal.strategies.LearningLoss` asks for the rows of the largest predicted loss.

    X has images (N, C, H, W), gray images (N, H, W), 2-D rows of images with `image_shape`, or plain 2-D rows, which
    stay plain rows.

    Parameters
    ----------
    {architecture}
    stages : sequence of str, default=None
        Names of the parts of the network, as in ``module.named_modules()``, whose outputs the predictor sees, such as
        ``("body.layer1", "body.layer2")``. None takes, for each size of feature maps, the last maps with the most
        channels (in a ResNet for small images these are its four stages), and the activations of each hidden linear
        layer.
    n_hidden : int, default=128
        Units of the predictor's layer for a stage.
    margin : float, default=1.0
        :math:`\xi`, by which the predictions of a pair should differ.
    ranking_weight : float, default=1.0
        :math:`\lambda`, the weight of the pairs' loss.
    detach_after : float, default=0.6
        Share of `max_epochs` after which the pairs' loss trains only the predictor and no longer the network: 120 of
        200 epochs in the paper. With 0, this loss never trains the network; with 1, it never stops doing so.
    {module_params, optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, image_shape,
    dtype, scale, augment, class_weight, classes, amp, device, warm_start, callbacks, verbose, random_state}

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The trained net, with the predictor as ``net_.predictor_``; ``net_.history`` has the cross entropy and the
        ranking loss of each epoch.
    {classes_, module_, input_shape_, dtype_, scale_, takes_bytes_, device_, n_features_in_, feature_names_in_}

    See Also
    --------
    skal.strategies.LearningLoss : The strategy that needs it.

    Notes
    -----
    One optimizer trains network and predictor. The paper uses SGD with lr 0.1, a tenth of it after epoch 160 of 200,
    momentum 0.9, weight decay 5e-4 and batches of 128. Early stopping restores both to their state in the best epoch.

    Pairs are formed from the first and the second half of a batch; if a batch has an odd number of rows, the last row
    has no partner. Pairs are not weighted: `sample_weight` weighs only the cross entropy.

    References
    ----------
    .. [1] Yoo and Kweon, "Learning Loss for Active Learning", CVPR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import LearningLossClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LearningLossClassifier(lr=0.01, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9, clf.predicted_loss(X).shape
    (True, (150,))
    """

    uses_features: ClassVar[bool] = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "stages": [tuple, list, None],
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "ranking_weight": [Interval(Real, 0, None, closed="left")],
        "detach_after": [Interval(Real, 0, 1, closed="both")],
    }

    stages: Sequence[str] | None = None
    n_hidden: int = 128
    margin: float = 1.0
    ranking_weight: float = 1.0
    detach_after: float = 0.6

    def recorder(self, module: nn.Module, n_classes: int) -> StageRecorder:
        """Return the recorder of the stages.

        Parameters
        ----------
        module : torch.nn.Module
        n_classes : int
        """
        return StageRecorder(module, self.stages, n_classes)

    def extra_modules(self, net: Any) -> dict[str, tuple[nn.Module, float | None]]:
        """Build the predictor for the stages that the network has.

        Parameters
        ----------
        net : skorch.NeuralNetClassifier
        """
        widths = [stage.shape[1] for stage in net.example_features()]
        return {"predictor": (LossPredictor(widths, self.n_hidden), None)}

    def losses(self, net: Any, labeled: Batch, unlabeled: Batch | None) -> dict[str, Tensor]:
        """Compute the cross entropy, the ranking loss of the predictor, and their sum.

        Parameters
        ----------
        net, labeled, unlabeled
            See :meth:`NetClassifier.losses`.
        """
        assert labeled.classes is not None
        stages = labeled.features
        if len(net.history) > share_of_epochs(self.detach_after, self.max_epochs):
            stages = [stage.detach() for stage in stages]
        targets = F.cross_entropy(labeled.logits.detach(), labeled.classes, reduction="none")
        losses = {
            "cross_entropy": labeled.cross_entropy(),
            "ranking": ranking_loss(predict_losses(net, stages), targets, self.margin),
        }
        return {**losses, "loss": losses["cross_entropy"] + self.ranking_weight * losses["ranking"]}

    def predicted_loss(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict the loss of rows. Only its order is meaningful: the scale is arbitrary.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        losses : ndarray of shape (n_samples,)
        """
        (losses,) = self._ask(X, lambda net, logits, stages: (predict_losses(net, stages),), self.recorder)
        return losses


class LossPredictor(nn.Module):
    """Predicts the loss of a row from the pooled stages of its classifier (Yoo and Kweon, 2019, Figure 2b).

    ======================================  ===================
    layer                                   output
    ======================================  ===================
    of each stage: linear, ReLU             `n_hidden`
    all of them, concatenated               stages * `n_hidden`
    linear                                  1
    ======================================  ===================

    Parameters
    ----------
    widths : sequence of int
        Channels or units of each stage.
    n_hidden : int
    """

    def __init__(self, widths: Sequence[int], n_hidden: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(width, n_hidden) for width in widths])
        self.head = nn.Linear(n_hidden * len(widths), 1)

    def forward(self, stages: list[Tensor]) -> Tensor:
        """Return one number per row, of shape (N,)."""
        hidden = [layer(stage).relu() for layer, stage in zip(self.hidden, stages, strict=True)]
        return self.head(torch.cat(hidden, dim=1)).squeeze(1)


def predict_losses(net: Any, stages: list[Tensor]) -> Tensor:
    """Return the predictions of a net's predictor."""
    with net.autocast():
        return net.predictor_(stages).to(net.dtype)


def ranking_loss(predicted: Tensor, losses: Tensor, margin: float) -> Tensor:
    """Mean hinge loss of pairs of rows whose predicted losses should have the order of their losses (Equation 2).

    The first half of the rows is paired with the second half; if their number is odd, the last row has no partner.

    Parameters
    ----------
    predicted, losses : Tensor of shape (n_rows,)
    margin : float

    Returns
    -------
    loss : Tensor of shape ()
        Zero if there is no pair.

    Examples
    --------
    >>> import torch
    >>> from skal.classifiers.learning_loss import ranking_loss
    >>> ranking_loss(torch.tensor([0.0, 2.0, 0.5, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0]), margin=1.0)
    tensor(0.7500)
    """
    n_pairs = len(predicted) // 2
    if not n_pairs:
        return predicted.sum() * 0
    gap = predicted[:n_pairs] - predicted[n_pairs : 2 * n_pairs]
    is_larger = losses[:n_pairs] > losses[n_pairs : 2 * n_pairs]
    return (margin - torch.where(is_larger, gap, -gap)).relu().mean()
