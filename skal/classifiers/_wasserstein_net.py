"""The training step of WAAL: features hide which rows are labelled from a critic that learns to tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from skorch.utils import TeeGenerator
from torch import Tensor, nn
from torch.nn import functional as F

from ..generators.losses import gradient_penalty, interpolate
from ..training.batches import Batches, LabeledBatch, LabeledRows, Rows, row_order
from ..training.estimator import evaluating, frozen
from ._net import Net
from .net_classifier import recorded_embedding


def bias_of_labeled(n_labeled: int, n_unlabeled: int, n_queries: int, kind: str) -> float:
    r"""Return :math:`C_0`, the weight of the labelled rows in the adversarial loss.

    With :math:`\gamma = U / L` and :math:`\alpha = B / L`, it is :math:`(\gamma - \alpha) / (\gamma^2 (1 + \alpha))` in
    the paper, :math:`1 / \gamma` in its code, and :math:`(\gamma - \alpha) / (\gamma (1 + \alpha))` follows from Eq. 7
    where both batches are as large.
    """
    n_queries = min(n_queries, n_unlabeled)
    gamma, alpha = n_unlabeled / n_labeled, n_queries / n_labeled
    if kind == "code":
        return 1 / gamma
    unbiased = (gamma - alpha) / (gamma * (1 + alpha))
    return unbiased / gamma if kind == "paper" else unbiased


class RedundantBatches:
    """Equally large batches of labelled and of unlabelled rows: WAAL's redundancy trick.

    A pass is one over the larger set. The smaller one is repeated to its length, each row as often as any other but for
    one time, in an order of its own. Where no row is unlabelled, their batches are empty.

    Parameters
    ----------
    labeled : LabeledRows
    unlabeled : Rows
    batch_size : int
        Rows of each of the two.
    seed : int
    """

    def __init__(self, labeled: LabeledRows, unlabeled: Rows, batch_size: int, seed: int) -> None:
        self.labeled, self.unlabeled = labeled, unlabeled
        larger = labeled if len(labeled) >= len(unlabeled) else unlabeled
        self.n_rows, self.bounds = len(larger), Batches(larger, batch_size).bounds
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[tuple[LabeledBatch, Tensor]]:
        orders = []
        for rows, seed in ((self.labeled, self.seed), (self.unlabeled, self.seed + 1)):
            order = row_order(self.n_rows if len(rows) else 0, seed, self.epoch)
            orders.append((order % max(1, len(rows))).to(rows.X.device))
        self.epoch += 1
        for start, stop in pairwise(self.bounds):
            yield self.labeled[orders[0][start:stop]], self.unlabeled[orders[1][start:stop]]


class WassersteinNet(Net):
    """A skorch net with a classifier and a critic of its features, each with its optimizer.

    Parameters
    ----------
    module : callable
        Builds the classifier; takes no arguments.
    critic : callable
        Builds the critic, ``critic(input_shape=(n_features,))``, which gives logits (N, 1).
    divergence : {"wasserstein", "h"}
    mu : float
    bias_coefficient : {"paper", "code", "unbiased"}
    n_queries : int
    penalty : float
    critic_lr : float
    lr_drops : sequence of float
    **params
        Parameters of `Net`.

    Attributes
    ----------
    bias, weight : float
        C_0, the weight of the labelled rows, and mu', that of the adversarial loss; set when the rows are known.
    """

    def __init__(
        self,
        module: Callable[[], nn.Module],
        critic: Callable[..., nn.Module],
        *,
        divergence: str,
        mu: float,
        bias_coefficient: str,
        n_queries: int,
        penalty: float,
        critic_lr: float,
        lr_drops: Sequence[float],
        **params: Any,
    ) -> None:
        super().__init__(module, **params)
        self.critic = critic
        self.divergence = divergence
        self.mu = mu
        self.bias_coefficient = bias_coefficient
        self.n_queries = n_queries
        self.penalty = penalty
        self.critic_lr = critic_lr
        self.lr_drops = lr_drops

    def initialize_module(self) -> WassersteinNet:
        """Build the classifier, and the critic for as many features as it has."""
        super().initialize_module()
        row = torch.zeros(1, *self.input_shape, dtype=self.dtype)
        with (
            evaluating(self.module_),
            torch.no_grad(),
            _recorded_features(self.module_, self.n_classes) as features,
        ):
            self.module_(row)
            n_features = features().flatten(1).shape[1]
        self.critic_ = self.prepare_module(self.critic(input_shape=(n_features,)))
        return self

    def initialize_optimizer(self, *_: Any) -> WassersteinNet:
        """Build an optimizer for each of the two."""
        for name, module, lr in (
            ("optimizer", self.module_, self.lr),
            ("critic_optimizer", self.critic_, self.critic_lr),
        ):
            args, params = self.get_params_for_optimizer("optimizer", module.named_parameters())
            setattr(self, f"{name}_", self.optimizer(*args, **{**params, "lr": lr}))
        return self

    def get_split_datasets(
        self, X: Any, y: Any = None, *, unlabeled: Any = None, **params: Any
    ) -> tuple[Any, Rows | None]:
        """Give the labelled rows the unlabelled ones, and weigh the two."""
        labeled, validation = super().get_split_datasets(X, y)
        self.bias, self.weight = 0.0, 0.0
        if len(unlabeled):
            gamma = len(unlabeled) / len(labeled)
            self.bias = bias_of_labeled(len(labeled), len(unlabeled), self.n_queries, self.bias_coefficient)
            self.weight = self.mu * (gamma / (1 + gamma) if self.divergence == "wasserstein" else 1)
        return (labeled, unlabeled), validation

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Give each training step a batch of labelled rows and one of unlabelled ones."""
        if training:
            labeled, unlabeled = dataset
            return RedundantBatches(labeled, unlabeled, self.batch_size, self.seed)
        return super().get_iterator(dataset)

    def on_epoch_begin(self, net: Any, *args: Any, **params: Any) -> None:
        """Divide the learning rates by ten where one of `lr_drops` is reached."""
        super().on_epoch_begin(net, *args, **params)
        reached = [math.ceil(share * self.max_epochs) for share in self.lr_drops].count(len(self.history) - 1)
        for optimizer in (self.optimizer_, self.critic_optimizer_):
            for group in optimizer.param_groups:
                group["lr"] *= 0.1**reached
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])

    def train_step(self, batch: tuple[LabeledBatch, Tensor], **_: Any) -> dict[str, Any]:
        """Make one step of the classifier and one of the critic, both on the features of one pass."""
        self._set_training(True)
        self._zero_grad_optimizer()
        ((labeled, weight), y), unlabeled = batch
        n_labeled = len(labeled)
        # One pass for both: batch normalisation would hide from the critic how the two differ.
        rows = torch.cat([self.prepare_rows(part) for part in (labeled, unlabeled)])
        logits, features = self.logits_and_features(rows)
        losses = {"cross_entropy": self.get_loss(logits[:n_labeled], y, X=(labeled, weight), training=True)}
        losses["loss"] = losses["cross_entropy"]
        if len(unlabeled):
            with frozen(self.critic_):
                divergence = self.divergence_of(features, n_labeled)
                losses["loss"] = losses["loss"] + self.weight * divergence
        losses["loss"].backward()
        if len(unlabeled):
            losses |= self.critic_losses(features.detach(), n_labeled)
            losses["critic_loss"].backward()
        self.notify(
            "on_grad_computed",
            named_parameters=TeeGenerator(self.get_all_learnable_params()),
            batch=batch,
            training=True,
        )
        self._step_optimizer(None)
        return {"loss": losses["loss"], "losses": losses}

    def logits_and_features(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits, and the features that the critic sees, of one pass."""
        with _recorded_features(self.module_, self.n_classes) as features:
            logits = self.infer(rows)
            return logits, features().flatten(1).to(self.dtype)

    def critic_logits(self, features: Tensor) -> Tensor:
        """Return the critic's logits, shape (n_rows,)."""
        return self.critic_(features).squeeze(1)

    def divergence_of(self, features: Tensor, n_labeled: int) -> Tensor:
        """Return what the critic raises and the features lower; the first rows are the labelled ones."""
        logits = self.critic_logits(features)
        labeled, unlabeled = logits[:n_labeled], logits[n_labeled:]
        if self.divergence == "h":
            return F.logsigmoid(unlabeled).mean() + F.logsigmoid(-labeled).mean()
        return unlabeled.sigmoid().mean() - self.bias * labeled.sigmoid().mean()

    def critic_losses(self, features: Tensor, n_labeled: int) -> dict[str, Tensor]:
        """Return the critic's loss and its terms."""
        divergence = self.divergence_of(features, n_labeled)
        losses = {"critic_loss": -self.weight * divergence, "divergence": divergence}
        if self.divergence == "wasserstein" and self.penalty:
            points = interpolate(features[:n_labeled], features[n_labeled:])
            with evaluating(self.critic_):  # dropout would be another function at each point
                losses["gradient_penalty"] = gradient_penalty(
                    lambda points: self.critic_logits(points).sigmoid(), torch.cat([points, features])
                )
            losses["critic_loss"] = (
                losses["critic_loss"] + self.weight * self.penalty * losses["gradient_penalty"]
            )
        return losses

    def validation_step(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Predict held-out rows."""
        return super().validation_step(batch)

    def step_losses(self, batch: Any, step: dict[str, Any]) -> tuple[dict[str, Tensor], Any]:
        """Return all losses of a training step, or the loss and the accuracy of a validation step."""
        if "losses" in step:
            (_, y), _ = batch
            return step["losses"], len(y)
        losses, total = super().step_losses(batch, step)
        (_, weight), y = batch
        hits = (step["y_pred"].argmax(1) == y).to(self.dtype)
        losses["accuracy"] = hits.mean() if weight is None else (hits * weight).sum() / weight.sum()
        return losses, total


@contextmanager
def _recorded_features(module: nn.Module, n_classes: int) -> Iterator[Callable[[], Tensor]]:
    """Record, inside a forward pass, what the part `features` puts out, or else the embedding."""
    part = getattr(module, "features", None)
    if not isinstance(part, nn.Module):
        with recorded_embedding(module, n_classes) as recorded:
            yield recorded
        return
    last: list[Tensor] = []
    handle = part.register_forward_hook(lambda _, inputs, output: last.__setitem__(slice(None), [output]))
    try:
        yield last.pop
    finally:
        handle.remove()
