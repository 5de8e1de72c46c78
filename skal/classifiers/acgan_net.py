"""The training step of an auxiliary-classifier GAN, with ALCG's adversarial sampling (Xie and Huang, 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..generators.gan_net import GANNet, batch_norms, mean_losses, momentum_of
from ..generators.losses import discriminator_loss, gradient_penalty, hinge_loss, interpolate
from ..training.batches import LabeledBatch
from ..training.estimator import evaluating, frozen


class Logits(nn.Module):
    """The classifier on the features of the critic."""

    def __init__(self, critic: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.critic = critic
        self.classifier = classifier

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of rows on the critic's scale."""
        return self.classifier(self.critic.embed(rows))  # type: ignore[operator]


class ACGANNet(GANNet):
    """A skorch net with a generator, a critic, and a linear classifier of the critic's features.

    The critic and the classifier learn together, with one optimizer.

    Parameters
    ----------
    module : callable
        Builds the generator of rows from latents: normal numbers, followed by `n_classes` numbers that are one for the
        class and zero for the others.
    critic : callable
    n_classes : int
    loss : {"dcgan", "sngan", "wgan_gp"}
    adversarial_loss : {"non_saturating", "saturating", "hinge"}
        That of "dcgan" and "sngan".
    candidates : int
    stratified : bool
    auxiliary_weight, generator_auxiliary_weight : float
    **params
        Parameters of `GANNet`.
    """

    n_classes: int
    adversarial_loss: str
    candidates: int
    stratified: bool
    auxiliary_weight: float
    generator_auxiliary_weight: float

    @property
    def n_noise(self) -> int:
        """Length of the generator's input before the class."""
        return self.n_latent - self.n_classes

    def build_modules(self) -> None:
        """Build the generator, the critic, and a classifier for the critic's number of features."""
        super().build_modules()
        row = torch.zeros(1, *self.input_shape, dtype=self.dtype)
        with evaluating(self.critic_), torch.no_grad():
            n_features = self.critic_.embed(row).shape[1]  # type: ignore[operator]
        self.classifier_ = self.prepare_module(nn.Linear(n_features, self.n_classes))

    @property
    def module_(self) -> Logits:
        """The module that predicts, under the same name as in the nets of the other classifiers."""
        return Logits(self.critic_, self.classifier_)

    def weights_of(self, name: str) -> Iterator[nn.Parameter]:
        """Return the weights of the generator, or those of the critic and the classifier."""
        if name == "critic":
            return chain(self.critic_.parameters(), self.classifier_.parameters())
        return super().weights_of(name)

    def on_epoch_begin(self, net: Any, *args: Any, **params: Any) -> None:
        """Start counting the classes of the generated rows that are kept."""
        super().on_epoch_begin(net, *args, **params)
        self._kept = torch.zeros(self.n_classes, dtype=torch.int64, device=self.device)

    def on_epoch_end(self, net: Any, *args: Any, **params: Any) -> None:
        """Record their shares."""
        super().on_epoch_end(net, *args, **params)
        self.history.record("class_shares", (self._kept.double() / self._kept.sum()).tolist())

    def on_train_end(self, net: Any, *args: Any, **params: Any) -> None:
        """Forget the counts: a tensor on a GPU would keep the net from being unpickled without one."""
        super().on_train_end(net, *args, **params)
        self.__dict__.pop("_kept", None)

    def rows_of(self, batch: LabeledBatch) -> Tensor:
        """Return the rows of a batch, without their classes."""
        return batch[0][0]

    def train_step(self, batch: LabeledBatch, **_: Any) -> dict[str, Any]:
        """Make one step on the batches of labelled rows."""
        (rows, *_rest), classes = batch
        losses = self.labeled_step(self.prepare_rows(rows), classes)
        return {"loss": losses["critic_loss"], "losses": losses}

    def labeled_step(self, real: Tensor, classes: Tensor) -> dict[str, Tensor]:
        """Make `n_critic` steps of critic and classifier, each on its share of the real rows, and one of the generator.

        Each critic step generates new rows; the generator learns from those of the last one (Algorithm 1).
        """
        critic_losses = []
        parts = zip(real.chunk(self.n_critic), classes.chunk(self.n_critic), strict=True)
        for number, (rows, own) in enumerate(parts, start=1):
            with torch.set_grad_enabled(number == self.n_critic):
                fake, wanted = self.generate(len(rows))
            losses = self.labeled_critic_losses(rows, own, fake.detach())
            self.descend("critic", losses["critic_loss"])
            critic_losses.append(losses)
        with frozen(self.critic_), frozen(self.classifier_):
            losses = self.generator_losses(fake, wanted)
            self.descend("generator", losses["generator_loss"])
        return {**mean_losses(critic_losses), **{name: loss.detach() for name, loss in losses.items()}}

    def generate(self, n_rows: int) -> tuple[Tensor, Tensor]:
        """Generate `candidates` times as many rows, and return the most real ones by the critic, and their classes.

        All come from one pass, because with batch normalisation a row depends on the others of its pass: the kept rows
        are those that were ranked, and none is generated again.
        """
        n_classes, n_labels = self.n_classes, n_rows if self.stratified else n_rows * self.candidates
        wanted = torch.randint(n_classes, (n_labels,), device=self.device)
        if self.stratified:
            wanted = wanted.repeat_interleave(self.candidates)
        noise = torch.randn(len(wanted), self.n_noise, device=self.device, dtype=self.dtype)
        with self.autocast():
            fake = self.generator_(torch.cat([noise, F.one_hot(wanted, n_classes).to(noise)], dim=1))
        fake = fake.to(self.dtype)
        if self.candidates > 1:
            kept = self.most_real(fake.detach())
            fake, wanted = fake[kept], wanted[kept]
        self._kept.scatter_add_(0, wanted, torch.ones_like(wanted))  # bincount would wait for the device
        return fake, wanted

    def most_real(self, fake: Tensor) -> Tensor:
        """Return the positions of the generated rows to keep, one in `candidates`: those with the highest scores.

        In evaluation mode, the ranking draws nothing at random and changes nothing in batch or spectral normalisation.
        """
        with evaluating(self.critic_), torch.no_grad():
            scores, _ = self._scores(fake)
        n_kept = len(fake) // self.candidates
        if self.stratified:
            best = scores.reshape(n_kept, self.candidates).argmax(1)
            return best + self.candidates * torch.arange(n_kept, device=best.device)
        return scores.topk(n_kept).indices

    def labeled_critic_losses(self, real: Tensor, classes: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return the loss of critic and classifier, minus Equation 4, and its terms."""
        if self.loss == "dcgan":  # two passes, each with its own statistics of batch normalisation
            real_scores, features = self._scores(real)
            with keeping_statistics(self.critic_):
                fake_scores, _ = self._scores(fake)
        else:
            scores, features = self._scores(torch.cat([real, fake]))
            real_scores, fake_scores = scores.chunk(2)
            features = features[: len(real)]
        terms = {"auxiliary_loss": self.class_loss(features, classes)}
        if self.loss == "wgan_gp":
            terms["wasserstein"] = real_scores.mean() - fake_scores.mean()
            terms["gradient_penalty"] = self.penalty * gradient_penalty(self.critic_, interpolate(real, fake))
            loss = terms["gradient_penalty"] - terms["wasserstein"]
        else:
            terms["adversarial_loss"] = loss = (
                hinge_loss(real_scores, fake_scores)
                if self.adversarial_loss == "hinge"
                else 2 * discriminator_loss(real_scores, fake_scores)  # which is half of Equation 1
            )
        return {"critic_loss": loss + self.auxiliary_weight * terms["auxiliary_loss"], **terms}

    def generator_losses(self, fake: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Return the generator's loss, Equation 5, and its class term, Equation 3."""
        with keeping_statistics(self.critic_):
            scores, features = self._scores(fake)
        if self.loss == "wgan_gp" or self.adversarial_loss == "hinge":
            loss = -scores.mean()
        elif self.adversarial_loss == "saturating":
            loss = -F.softplus(scores).mean()  # log(1 - D)
        else:
            loss = F.softplus(-scores).mean()
        auxiliary = self.class_loss(features, wanted)
        return {
            "generator_loss": loss + self.generator_auxiliary_weight * auxiliary,
            "generator_auxiliary_loss": auxiliary,
        }

    def class_loss(self, features: Tensor, classes: Tensor) -> Tensor:
        """Return the cross entropy of the classifier."""
        return F.cross_entropy(self.logits(features), classes)

    def infer(self, x: Tensor, **_: Any) -> Tensor:
        """Return the logits of rows on the scale of the modules."""
        return self.logits(self.scores_and_features(x)[1])

    def scores_and_features(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the critic's scores of rows on the scale of the modules, and the features under them."""
        return self._scores(rows)

    def logits(self, features: Tensor) -> Tensor:
        with self.autocast():
            return self.classifier_(features).to(self.dtype)

    def weight_of(self, batch: LabeledBatch) -> int:
        """Return the number of rows."""
        return len(batch[1])


def keeping_statistics(module: nn.Module) -> AbstractContextManager[None]:
    """Keep generated rows out of the running statistics of batch normalisation, which evaluation uses for real rows."""
    return momentum_of(batch_norms(module), 0.0)
