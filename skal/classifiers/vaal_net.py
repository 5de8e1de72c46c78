"""The training step of VAAL: a VAE hides which rows are labelled from a discriminator that learns to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..generators.reconstruction import ReconstructionNet
from ..training.batches import Batches, Rows, Stream


class PairedBatches(Batches):
    """All unlabelled rows in mini-batches, each with a batch of labelled rows, which are repeated as often as needed.

    If no row is unlabelled, a pass goes over the labelled rows, and the batches of unlabelled rows are empty.

    Parameters
    ----------
    labeled, unlabeled : Rows
    batch_size : int
        The number of rows in each of the two batches; all labelled rows if there are fewer.
    seed : int
    """

    def __init__(self, labeled: Rows, unlabeled: Rows, batch_size: int, seed: int) -> None:
        super().__init__(unlabeled if len(unlabeled) else labeled, batch_size, seed)
        self.labeled = Stream(labeled, batch_size, 1, len(self), seed)
        self.is_paired = len(unlabeled) > 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.is_paired:
            yield from zip(self.labeled, super().__iter__(), strict=True)
        else:
            for batch in super().__iter__():
                yield batch, batch[:0]


class VAALNet(ReconstructionNet):
    """A skorch net with a VAE and a discriminator of its means, each with its own optimizer.

    Parameters
    ----------
    discriminator : callable
        Builds the discriminator, ``discriminator(input_shape=(n_latent,))``, which gives logits (N, 1).
    adversary_weight : float
    **params
        Parameters of `ReconstructionNet`; its `row_losses` take the ``posterior`` of the rows, as `elbo_terms` do.
    """

    discriminator: Callable[..., nn.Module]
    adversary_weight: float

    def build_modules(self) -> None:
        """Build the VAE and the discriminator."""
        super().build_modules()
        self.discriminator_ = self.prepare_module(self.discriminator(input_shape=(self.module_.n_latent,)))

    def get_iterator(self, dataset: Any, training: bool = False) -> PairedBatches:
        """Give each step a batch of labelled rows and one of unlabelled ones."""
        labeled, unlabeled = dataset
        return PairedBatches(labeled, unlabeled, self.batch_size, self.seed)

    def losses(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Return the VAE's loss and its terms, and the discriminator's loss."""
        n_labeled = len(batch[0])
        # One pass for both: batch normalisation would hide from the discriminator how the two differ.
        rows = self.prepare_rows(torch.cat(batch))
        with self.autocast():
            posterior = self.module_.encode(rows)  # type: ignore[operator]
            terms = self.row_losses(self.module_, rows, posterior=posterior)
        is_labeled = (torch.arange(len(rows), device=rows.device) < n_labeled).to(self.dtype)
        # The VAE makes all rows seem labelled; the discriminator learns from the means of the same pass.
        terms["adversary"] = self._cross_entropy(posterior[0], torch.ones_like(is_labeled))
        terms["discriminator_loss"] = self._cross_entropy(posterior[0].detach(), is_labeled)
        losses = {name: _sum_of_means(term.to(self.dtype), n_labeled) for name, term in terms.items()}
        losses["loss"] = losses["loss"] + self.adversary_weight * losses["adversary"]
        return losses

    def discriminate(self, rows: Tensor) -> Tensor:
        """Return the logits of the probability that rows of X are labelled, shape (n_rows,)."""
        with self.autocast():
            means, _ = self.module_.encode(self.prepare_rows(rows))  # type: ignore[operator]
        return self._logits(means)

    def _logits(self, means: Tensor) -> Tensor:
        with self.autocast():
            return self.discriminator_(means).squeeze(1).to(self.dtype)

    def _cross_entropy(self, means: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self._logits(means), targets, reduction="none")

    def weight_of(self, batch: tuple[Tensor, Tensor]) -> int:
        """Return the rows of the pass in a batch."""
        return len(batch[1]) or len(batch[0])


def _sum_of_means(values: Tensor, n_labeled: int) -> Tensor:
    """Return the mean over the labelled rows plus, if there are others, the mean over the others."""
    total = values[:n_labeled].mean()
    return total + values[n_labeled:].mean() if len(values) > n_labeled else total
