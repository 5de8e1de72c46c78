"""The training step of a GAN: several steps of the critic, then one of the generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ..training.batches import Rows, Stream
from ..training.cuda_graph import CUDAGraph
from ..training.estimator import evaluating, frozen
from .losses import consistency_term, discriminator_loss, gradient_penalty, interpolate
from .scaled_net import check_generated, check_parts
from .stepped_net import SteppedNet

# Batches of real rows by which batch normalisation is settled, at most.
_SETTLING_BATCHES = 100


class GANNet(SteppedNet):
    """A skorch net with a generator and a critic, each with its own optimizer.

    Parameters
    ----------
    module, critic : callable
        Build the generator and the critic; take no arguments.
    loss : {"wgan_gp", "wgan_ct", "dcgan"}
    n_latent : int
    n_critic : int
        Critic steps per generator step.
    generator_share : int, default=1
        Rows of a generator step per real row of a critic step.
    penalty, consistency : float
        Weights of the gradient penalty and of the consistency term.
    noise : float
        Uniform noise in [0, noise) is added to the real rows, on the networks' scale.
    decay : bool
        Whether the learning rate falls linearly to zero.
    cuda_graph : bool
    **params
        Parameters of `SteppedNet`; a step is one generator step.
    """

    critic: Callable[[], nn.Module]
    loss: str
    n_latent: int
    n_critic: int
    penalty: float
    generator_share: int = 1
    consistency: float = 0.0
    noise: float = 0.0
    decay: bool = False
    cuda_graph: bool = False

    @property
    def batches_per_step(self) -> int:
        """One batch for each critic step."""
        return self.n_critic

    def build_modules(self) -> None:
        """Build the generator and the critic."""
        self.generator_ = self.prepare_module(self.module())
        self.critic_ = self.prepare_module(self.critic())
        check_parts(self.critic_, "critic", "embed", "head")
        if self.loss.startswith("wgan") and self.penalty:
            check_scores_of_single_rows(self.critic_, f'the gradient penalty of "{self.loss}"')
        with evaluating(self.generator_), torch.no_grad():
            fake = self.generator_(torch.zeros(1, self.n_latent, dtype=self.dtype))
        check_generated(fake, self.input_shape)

    def modules_to_compile(self) -> list[nn.Module]:
        """Return the generator, and the critic of a DCGAN: torch cannot compile what is differentiated twice."""
        return [self.generator_, self.critic_] if self.loss == "dcgan" else [self.generator_]

    def initialize_optimizer(self, *_: Any) -> GANNet:
        """Build one optimizer for each network."""
        for_graph = {}
        if self.cuda_graph and torch.device(self.device).type == "cuda":
            for_graph = {"lr": torch.tensor(self.lr, device=self.device), "capturable": True}
        for name in ("generator", "critic"):
            weights = self.weights_of(name)
            params = {"lr": self.lr, **for_graph, **self.get_params_for(f"{name}_optimizer")}
            setattr(self, f"{name}_optimizer_", self.optimizer(weights, **params))
        return self

    def weights_of(self, name: str) -> Iterator[nn.Parameter]:
        """Return the weights that the optimizer of the generator or of the critic changes."""
        return getattr(self, f"{name}_").parameters()

    def get_iterator(self, dataset: Any, training: bool = False) -> Stream:
        """Return batches, those of all critic steps of a step together."""
        if self.cuda_graph and torch.device(self.device).type != "cuda":
            raise ValueError(
                f'cuda_graph=True needs a GPU, but the networks are on device="{self.device}"; use cuda_graph=False'
            )
        self._set_training(True)
        self._step = CUDAGraph(self.step) if self.cuda_graph else self.step
        self._n_steps = self.n_steps
        return super().get_iterator(dataset, training)

    def train_step(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Make one step on the batches, at the step's learning rate."""
        if self.decay:
            self._set_lr(self.lr * (1 - self._n_steps / self.n_iter))
        self._n_steps += 1
        losses = self._step(self.prepare_rows(batch))
        return {"loss": losses["critic_loss"], "losses": losses}

    def step(self, real: Tensor) -> dict[str, Tensor]:
        """Make `n_critic` steps of the critic, each on its share of the real rows, and one of the generator."""
        critic_losses = []
        for rows in real.chunk(self.n_critic):
            with torch.no_grad(), self.autocast():
                fake = self.generator_(self.draw_latents(len(rows)))
            losses = self.critic_losses(
                rows + self.noise * torch.rand_like(rows) if self.noise else rows, fake
            )
            self.descend("critic", losses["critic_loss"])
            critic_losses.append(losses)
        with frozen(self.critic_):
            loss = self.generator_loss(self.draw_latents(self.generator_share * len(rows)))
            self.descend("generator", loss)
        return {**mean_losses(critic_losses), "generator_loss": loss.detach()}

    def settle(self, data: Rows) -> None:
        """Give batch normalisation in the critic the statistics of real rows under the final weights.

        Training leaves averages over the last steps, over generated rows too, when the weights may have been far from
        the final ones. The features of `transform` would then be on a scale that the critic never learned from, and
        predictions of an `ACGANClassifier` can be near chance level.
        """
        norms = batch_norms(self.critic_)
        if not norms:
            return
        n_batches = min(_SETTLING_BATCHES, -(-len(data) // self.batch_size))
        self.critic_.eval()  # without dropout, as evaluation is
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
        with momentum_of(norms, None), torch.no_grad():  # the mean over all batches
            for batch in Stream(data, self.batch_size, 1, n_batches, self.seed):
                self._scores(self.prepare_rows(self.rows_of(batch)))

    def rows_of(self, batch: Any) -> Tensor:
        """Return the rows of a batch, which contains nothing else here."""
        rows: Tensor = batch
        return rows

    def descend(self, name: str, loss: Tensor) -> None:
        """Make a step of the optimizer of the generator or of the critic."""
        optimizer = getattr(self, f"{name}_optimizer_")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def critic_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return the critic's loss and its terms, which depend on the kind of GAN."""
        fake = fake.to(real.dtype)
        if self.loss == "dcgan":  # two passes: batch normalisation has statistics of its own for each
            return {"critic_loss": discriminator_loss(self._scores(real)[0], self._scores(fake)[0])}
        scores, features = self._scores(torch.cat([real, fake]))
        real_scores, fake_scores = scores.chunk(2)
        terms = {
            # The critic ascends this estimate of the Wasserstein distance.
            "wasserstein": real_scores.mean() - fake_scores.mean(),
            # In full precision: the penalty is a small difference, differentiated twice.
            "gradient_penalty": self.penalty * gradient_penalty(self.critic_, interpolate(real, fake)),
        }
        loss = terms["gradient_penalty"] - terms["wasserstein"]
        if self.loss == "wgan_ct":
            other_scores, other_features = self._scores(real)  # under another dropout
            terms["consistency"] = consistency_term(
                real_scores, other_scores, features[: len(real)], other_features, weight=self.consistency
            )
            loss = loss + terms["consistency"]
        return {"critic_loss": loss, **terms}

    def generator_loss(self, latents: Tensor) -> Tensor:
        """Return the generator's loss, which is low if generated rows score high."""
        with self.autocast():
            scores, _ = self._scores(self.generator_(latents))
        return F.softplus(-scores).mean() if self.loss == "dcgan" else -scores.mean()

    def draw_latents(self, n_rows: int) -> Tensor:
        """Draw standard normal latents on the device."""
        return torch.randn(n_rows, self.n_latent, device=self.device, dtype=self.dtype)

    def _scores(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the critic's scores and the features that they are computed from."""
        with self.autocast():
            features = self.critic_.embed(rows)  # type: ignore[operator]
            scores = self.critic_.head(features)  # type: ignore[operator]
        return scores.squeeze(1).to(self.dtype), features.to(self.dtype)

    def _set_lr(self, lr: float) -> None:
        for optimizer in (self.generator_optimizer_, self.critic_optimizer_):
            for group in optimizer.param_groups:
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(lr)  # where the captured step reads it
                else:
                    group["lr"] = lr


def mean_losses(records: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each loss over the critic's steps, without its graph."""
    return {name: torch.stack([each[name].detach() for each in records]).mean() for name in records[0]}


def check_scores_of_single_rows(critic: nn.Module, penalty: str) -> None:
    """Raise ValueError if a critic has batch normalisation, with which a gradient penalty has no meaning."""
    if batch_norms(critic):
        raise ValueError(
            f"{type(critic).__name__} has batch normalisation, so the score of a row depends on the others, and "
            f"{penalty} needs the score of a row alone. Use a critic without it, or penalty=0"
        )


def batch_norms(module: nn.Module) -> list[BatchNorm]:
    """Return the layers of batch normalisation, which make the output for one row depend on the others."""
    return [part for part in module.modules() if isinstance(part, BatchNorm)]


@contextmanager
def momentum_of(norms: list[BatchNorm], momentum: float | None) -> Iterator[None]:
    """Within the context, give a batch another weight in the running statistics; None averages all batches."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = momentum
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
