"""WAAL's classifier: a network that hides which rows are labelled from a critic of its features (Shui et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn import functional as F

from ..generators.losses import gradient_penalty, interpolate
from ..nets import MLP
from ..training.estimator import evaluating, module_builder
from ..training.recording import EmbeddingRecorder, Recorder
from .batch import Batch
from .cnn import AnyRowsClassifier
from .epochs import share_of_epochs
from .net import BestEpoch, Net


@dataclass(eq=False, repr=False, kw_only=True)
class WassersteinClassifier(AnyRowsClassifier):
    r"""A `CNNClassifier` with WAAL's [1]_ loss, which matches the features of labelled and unlabelled rows.

    A critic :math:`g(x) \in [0, 1]` of the network's features learns to be high on the U unlabelled rows and low on the
    L labelled ones, while the features learn to prevent this (Eq. 7 and 8):

    .. math::

        \min_{\theta_f, \theta_h} \max_{\theta_d} \frac1S \sum_{(x, y) \in L_S} -\log h(x, y)
            + \mu' \Bigl( \frac1S \sum_{x \in U_S} g(x) - C_0 \frac1S \sum_{x \in L_S} g(x) \Bigr),
        \quad \mu' = \frac{\gamma}{1 + \gamma} \mu, \quad \gamma = \frac UL

    over equally large batches: the smaller set is repeated (the redundancy trick). A gradient penalty keeps the slope
    of the critic near one. :class:`skal.strategies.WAAL` asks for rows that are uncertain and high in g.

    X has images (N, C, H, W), gray images (N, H, W), 2-D rows of images with `image_shape`, or plain 2-D rows, which
    stay plain rows.

    Parameters
    ----------
    {architecture}
    divergence : {"wasserstein", "h"}, default="wasserstein"
        "h" is the ablation, the H-divergence (Eq. 20): the critic is a discriminator under the binary cross entropy,
        the sum of the means of both batches, and the features raise that cross entropy; with :math:`\mu` in place of
        :math:`\mu'`, and without :math:`C_0` and the penalty.
    mu : float, default=1e-2
        :math:`\mu`, the weight of the adversarial loss. The default is the paper's, which uses 1e-3 for STL-10. 0 is
        plain training with the same number of steps; the critic then learns nothing.
    n_queries : int, default=None
        B, the number of rows of the next query, on which :math:`C_0` depends. None takes the number from the learner,
        also within a pipeline, and 1 without a learner.
    bias_coefficient : {"paper", "code", "unbiased"}, default="paper"
        :math:`C_0`, with :math:`\alpha = B / L`. "paper" is :math:`\frac{\gamma - \alpha}{\gamma^2 (1 + \alpha)}`;
        "code" is :math:`1 / \gamma`, as in the authors' code; "unbiased" is
        :math:`\frac{\gamma - \alpha}{\gamma (1 + \alpha)}`, which follows from Eq. 7 with equally large batches.
    gradient_penalty : float, default=2.0
        Weight of the gradient penalty in the critic's loss; 10 in its reference [2]_. 0 turns it off.
    critic_params : dict, default=None
        Further arguments of the critic, a :class:`skal.nets.MLP` followed by a sigmoid;
        ``{"hidden": (50,), "dropout": 0.5}`` by default.
    critic_lr : float, default=None
        Learning rate of the critic, whose loss has the factor :math:`\mu'`; `lr` by default.
    {module_params}
    optimizer : type or callable, default=torch.optim.SGD
        A class of `torch.optim.Optimizer`; one optimizer for the network and one for the critic.
    optimizer_params : dict, default=None
        Further arguments of both; with `torch.optim.SGD` momentum 0.5 is the default.
    lr : float, default=0.01
        Learning rate of the network.
    lr_drops : sequence of float, default=(0.5, 0.75)
        Shares of `max_epochs`, in (0, 1), after which both learning rates are divided by ten.
    max_epochs : int, default=80
        Passes over the larger of the two sets, usually the unlabelled rows.
    batch_size : int, default=64
        The number of labelled rows in a step, which also has as many unlabelled ones.
    validation_fraction : float, default=None
        Share of the labelled rows, in (0, 1), that is held out, class by class, and decides when to stop: after
        `patience` epochs without a higher held-out accuracy. Network and critic are then those of the best epoch. At
        least one row of every class stays in training. None trains on all rows for `max_epochs`.
    {patience}
    {image_shape, dtype, scale, augment, class_weight, classes, amp, device, warm_start, callbacks, verbose,
    random_state}

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The trained net, with the critic as ``net_.critic_``; ``net_.history`` has the losses and the learning rate of
        each epoch.
    {classes_, module_, input_shape_, dtype_, scale_, takes_bytes_, device_, n_features_in_, feature_names_in_}

    See Also
    --------
    skal.strategies.WAAL : The strategy that needs it.

    Notes
    -----
    The critic sees the flattened output of the network's part ``features``, which most of `skal.nets` have, or else the
    output of :meth:`embed`. It computes in full precision, even with `amp`.

    The defaults are those of the paper on FashionMNIST (Table 3), where its network is "lenet_waal". On CIFAR-10 and
    STL-10 the paper uses momentum 0.3. The paper stops early by an unstated rule.

    Choices: Labelled and unlabelled rows pass through the network together, once per step, and both optimizers use the
    gradients of that pass. The authors' code makes four passes and lets the critic see the features after their step.
    With one pass, batch normalisation treats both kinds of rows alike, as it does in prediction. The one optimizer of
    features and head makes the same steps as two would. The critic ascends its loss minus the penalty (the authors'
    code rewards a slope other than one). The penalty is taken at points between labelled and unlabelled rows and at
    these rows themselves, without dropout. In Eq. 20 the discriminator would be trained to fail; here it lowers its
    cross entropy.

    If all rows are labelled, this is plain training, and the critic learns nothing.

    References
    ----------
    .. [1] Shui, Zhou, Gagné and Wang, "Deep Active Learning: Unified and Principled Method for Query and
       Training", AISTATS 2020.
    .. [2] Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import WassersteinClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> y[::2] = -1
    >>> clf = WassersteinClassifier(lr=0.1, n_queries=10, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9, clf.critic_scores(X).shape
    (True, (150,))
    """

    uses_unlabeled: ClassVar[bool] = True
    uses_features: ClassVar[bool] = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "divergence": [StrOptions({"wasserstein", "h"})],
        "mu": [Interval(Real, 0, None, closed="left")],
        "n_queries": [Interval(Integral, 1, None, closed="left"), None],
        "bias_coefficient": [StrOptions({"paper", "code", "unbiased"})],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "critic_params": [dict, None],
        "critic_lr": [Interval(Real, 0, None, closed="neither"), None],
        "lr_drops": [tuple, list],
    }

    divergence: str = "wasserstein"
    mu: float = 1e-2
    n_queries: int | None = None
    bias_coefficient: str = "paper"
    gradient_penalty: float = 2.0
    critic_params: dict[str, Any] | None = None
    critic_lr: float | None = None
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD
    lr: float = 0.01
    lr_drops: tuple[float, ...] = (0.5, 0.75)
    max_epochs: int = 80

    def recorder(self, module: nn.Module, n_classes: int) -> Recorder:
        """Return the recorder of the critic's input: the output of the part ``features``, or else the embedding.

        Parameters
        ----------
        module : torch.nn.Module
        n_classes : int
        """
        if isinstance(getattr(module, "features", None), nn.Module):
            return FeatureRecorder(module)
        return EmbeddingRecorder(module, n_classes)

    def extra_modules(self, net: Any) -> dict[str, tuple[nn.Module, float | None]]:
        """Build the critic for the network's number of features.

        Parameters
        ----------
        net : skorch.NeuralNetClassifier
        """
        params = {"hidden": (50,), "dropout": 0.5, **(self.critic_params or {})}
        n_features = net.example_features().shape[1]
        critic = module_builder(MLP, params, "critic", input_shape=(n_features,), n_classes=1)
        return {"critic": (critic(), self.critic_lr or self.lr)}

    def losses(self, net: Any, labeled: Batch, unlabeled: Batch | None) -> dict[str, Tensor]:
        """Compute the loss of the network (Eq. 7 and 8), the loss of the critic, and their terms.

        Parameters
        ----------
        net, labeled, unlabeled
            See :meth:`NetClassifier.losses`.
        """
        losses = {"cross_entropy": labeled.cross_entropy()}
        if unlabeled is None:
            return losses
        weight = adversarial_weight(net.n_labeled, net.n_unlabeled, self.mu, self.divergence)
        known, unknown = labeled.features, unlabeled.features
        losses["loss"] = losses["cross_entropy"] + weight * self.divergence_of(net, known, unknown)
        known, unknown = known.detach(), unknown.detach()
        losses["divergence"] = self.divergence_of(net, known, unknown)
        losses["critic_loss"] = -weight * losses["divergence"]
        if self.divergence == "wasserstein" and self.gradient_penalty:
            points = torch.cat([interpolate(known, unknown), known, unknown])
            with evaluating(net.critic_):  # dropout would be another function at each point
                penalty = gradient_penalty(lambda points: net.critic_(points).squeeze(1).sigmoid(), points)
            losses["gradient_penalty"] = penalty
            losses["critic_loss"] = losses["critic_loss"] + weight * self.gradient_penalty * penalty
        return losses

    def divergence_of(self, net: Any, labeled: Tensor, unlabeled: Tensor) -> Tensor:
        """Compute the divergence, which the critic raises and the features lower.

        Parameters
        ----------
        net : skorch.NeuralNetClassifier
        labeled, unlabeled : Tensor of shape (n_rows, n_features)
            Features of equally many rows of both kinds.

        Returns
        -------
        divergence : Tensor of shape ()
        """
        logits = net.critic_(torch.cat([labeled, unlabeled])).squeeze(1)
        known, unknown = logits[: len(labeled)], logits[len(labeled) :]
        if self.divergence == "h":
            return F.logsigmoid(unknown).mean() + F.logsigmoid(-known).mean()
        bias = bias_of_labeled(net.n_labeled, net.n_unlabeled, self.n_queries or 1, self.bias_coefficient)
        return unknown.sigmoid().mean() - bias * known.sigmoid().mean()

    def critic_scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the critic g(x): the higher, the less a row looks like the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In [0, 1], in evaluation mode: nothing is drawn at random. In float64, so that scores near 1 do not round to
            1.
        """
        return self.critic_scores_and_log_proba(X)[0]

    def critic_scores_and_log_proba(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
        """Compute the critic and the logarithms of the class probabilities in one pass.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            See `critic_scores`.
        log_probabilities : ndarray of shape (n_samples, n_classes)
            By the log-softmax of the logits, which stays finite where a probability rounds to zero.
        """
        logits, log_probabilities = self._ask(
            X,
            lambda net, logits, features: (net.critic_(features).squeeze(1), logits.log_softmax(1)),
            self.recorder,
        )
        return expit(logits.astype(np.float64)), log_probabilities

    def _make_net(
        self, input_shape: tuple[int, ...], classes: NDArray[Any] | None = None, **params: Any
    ) -> Net:
        if self.optimizer is torch.optim.SGD and "momentum" not in (self.optimizer_params or {}):
            params["optimizer__momentum"] = 0.5
        return super()._make_net(input_shape, classes, **params)

    def _callbacks(self) -> list[Any]:
        return [("lr_drops", LearningRateDrops(self.lr_drops)), *super()._callbacks()]

    def _early_stopping(self) -> BestEpoch:
        return BestEpoch(
            "valid_accuracy", patience=self.patience, threshold=0, lower_is_better=False, load_best=True
        )


class FeatureRecorder(Recorder):
    """Records the output of a module's part `features`, flattened."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self.record_output(self.view.features)  # type: ignore[arg-type]

    def recorded(self) -> Tensor:
        """Return the features of the pass."""
        features: Tensor = super().recorded()
        return features.flatten(1)


class LearningRateDrops(Callback):
    """Divides all learning rates by ten after given shares of the epochs, and records the rate of the network.

    Parameters
    ----------
    shares : sequence of float
        In (0, 1).
    """

    def __init__(self, shares: Sequence[float]) -> None:
        if not all(isinstance(share, Real) and 0 < share < 1 for share in shares):
            raise InvalidParameterError(
                f"lr_drops must hold shares of the epochs in (0, 1), got {shares}; try (0.5, 0.75)"
            )
        self.shares = shares

    def on_epoch_begin(self, net: Any, **_: Any) -> None:
        """Set the rates of the epoch."""
        reached = self.reached(len(net.history) - 1, net.max_epochs)
        for name in net._optimizers:
            for group in getattr(net, f"{name}_").param_groups:
                group["lr"] *= 0.1**reached
        net.history.record("lr", net.optimizer_.param_groups[0]["lr"])

    def reached(self, epoch: int, n_epochs: int) -> int:
        """Return how many drops come with an epoch; epochs are counted from 0."""
        return [math.ceil(share_of_epochs(share, n_epochs)) for share in self.shares].count(epoch)


def bias_of_labeled(n_labeled: int, n_unlabeled: int, n_queries: int, kind: str) -> float:
    r"""Return :math:`C_0`, the weight of the labelled rows in the adversarial loss.

    With :math:`\gamma = U / L` and :math:`\alpha = B / L`, it is :math:`(\gamma - \alpha) / (\gamma^2 (1 + \alpha))` in
    the paper, :math:`1 / \gamma` in its code, and :math:`(\gamma - \alpha) / (\gamma (1 + \alpha))` follows from Eq. 7
    if both batches are equally large.
    """
    n_queries = min(n_queries, n_unlabeled)
    gamma, alpha = n_unlabeled / n_labeled, n_queries / n_labeled
    if kind == "code":
        return 1 / gamma
    unbiased = (gamma - alpha) / (gamma * (1 + alpha))
    return unbiased / gamma if kind == "paper" else unbiased


def adversarial_weight(n_labeled: int, n_unlabeled: int, mu: float, divergence: str) -> float:
    r"""Return :math:`\mu'`, the weight of the adversarial loss, which is :math:`\mu` for the H-divergence."""
    return mu * n_unlabeled / (n_labeled + n_unlabeled) if divergence == "wasserstein" else mu
