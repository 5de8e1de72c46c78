"""The training step of adversarially learned inference: one critic of pairs, against an encoder and a generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..nets.layers import LeakyReLU, dense_layers
from ..training.estimator import evaluating
from .coding import check_coder
from .gan_net import check_scores_of_single_rows
from .losses import discriminator_loss, squared_slope
from .scaled_net import check_parts
from .stepped_net import SteppedNet

# Units of the layers on the latents, and of those on rows and latents together.
_LATENT_UNITS, _PAIR_UNITS = (128, 128), (256, 256)


class PairCritic(nn.Module):
    """Scores pairs of rows and latents, by dense layers on the joined features of both.

    Parameters
    ----------
    rows : torch.nn.Module
        A critic of rows, with ``embed(x)``; its own last layer is dropped.
    n_features : int
        Length of what ``embed`` returns.
    n_latent : int
    """

    def __init__(self, rows: nn.Module, n_features: int, n_latent: int) -> None:
        super().__init__()
        rows.head = nn.Identity()
        self.rows = rows
        self.latents = dense_layers([n_latent, *_LATENT_UNITS], LeakyReLU, 0.0)
        self.pairs = dense_layers([n_features + _LATENT_UNITS[-1], *_PAIR_UNITS], LeakyReLU, 0.0)
        self.head = nn.Linear(_PAIR_UNITS[-1], 1)

    def forward(self, rows: Tensor, latents: Tensor) -> Tensor:
        """Return the scores, shape (n_rows,): high if the latents seem to be encoded rows."""
        features = torch.cat([self.rows.embed(rows), self.latents(latents)], dim=1)  # type: ignore[operator]
        return self.head(self.pairs(features)).squeeze(1)


class ALINet(SteppedNet):
    """A skorch net with an encoder and a generator in one module, and a critic, each of the two with its optimizer.

    Parameters
    ----------
    module : callable
        Builds the module, with ``encode``, ``decode`` and `n_latent`.
    critic : callable
        Builds the critic of rows; takes no arguments.
    penalty, cycle : float
        Weights of the critic's gradient penalty and of the error of reconstructions.
    **params
        Parameters of `SteppedNet`; `rates` has the learning rate of the critic.
    """

    critic: Callable[[], nn.Module]
    penalty: float
    cycle: float

    def build_modules(self) -> None:
        """Build the module and the critic."""
        super().build_modules()
        check_coder(self)
        rows = self.prepare_module(self.critic())
        check_parts(rows, "critic", "embed")
        if self.penalty:
            check_scores_of_single_rows(rows, "the gradient penalty")
        row = torch.zeros(1, *self.input_shape, dtype=self.dtype)
        with evaluating(rows), torch.no_grad():
            n_features = rows.embed(row).shape[1]  # type: ignore[operator]
        self.critic_ = self.prepare_module(PairCritic(rows, n_features, self.module_.n_latent))

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        """Return the loss of encoder and generator, the loss of the critic, and the weighted terms."""
        rows = self.prepare_rows(batch)
        with self.autocast():
            mean, log_variance = self.module_.encode(rows)
            codes = mean + (log_variance / 2).exp() * torch.randn_like(mean)
            latents = torch.randn_like(mean)
            generated = self.module_.decode(latents)
            scores = self.critic_(torch.cat([rows, generated]), torch.cat([codes, latents]))
        encoded, decoded = scores.to(self.dtype).chunk(2)
        losses = {
            "loss": discriminator_loss(decoded, encoded),  # the same with the roles exchanged
            "critic_loss": discriminator_loss(encoded, decoded),
        }
        if self.cycle:
            with self.autocast():
                reconstructions = self.module_.decode(codes)
            error = relative_error(rows, reconstructions.to(self.dtype))
            losses["cycle"] = self.cycle * error
            losses["loss"] = losses["loss"] + losses["cycle"]
        if self.penalty:
            # In full precision, as it is differentiated twice.
            slopes = squared_slope(self.critic_, rows, codes.to(self.dtype))
            losses["gradient_penalty"] = self.penalty / 2 * slopes
            losses["critic_loss"] = losses["critic_loss"] + losses["gradient_penalty"]
        return losses


def relative_error(rows: Tensor, reconstructions: Tensor) -> Tensor:
    """Return the mean squared error of reconstructions divided by the mean variance of the numbers of a row."""
    variance = rows.var(dim=0).mean()
    return F.mse_loss(reconstructions, rows) / torch.where(variance > 0, variance, 1)
