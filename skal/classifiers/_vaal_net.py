"""The training step of VAAL: a VAE hides which rows are labelled from a discriminator that learns to tell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..generators.reconstruction import check_coder
from ..generators.scaled_net import ScaledNet
from ..generators.vae import posterior_terms
from ..training.batches import Batches, Rows, Stream
from ..training.estimator import frozen


class PairedBatches:
    """All unlabelled rows in mini-batches, each with one of labelled rows, which come round as often as needed.

    Where no row is unlabelled, a pass is one over the labelled rows, and each batch of unlabelled ones is empty.

    Parameters
    ----------
    labeled, unlabeled : Rows
    batch_size : int
        Rows of each of the two batches; all labelled ones where there are fewer.
    seed : int
    """

    def __init__(self, labeled: Rows, unlabeled: Rows, batch_size: int, seed: int) -> None:
        self.unlabeled = Batches(unlabeled if len(unlabeled) else labeled, batch_size, seed)
        self.labeled = None
        if len(unlabeled):
            n_steps = len(self.unlabeled)
            self.labeled = Stream(labeled, batch_size, 1, n_steps, seed, start=0, stop=sys.maxsize)

    def __len__(self) -> int:
        return len(self.unlabeled)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.labeled is None:
            for batch in self.unlabeled:
                yield batch, batch[:0]
            return
        for (labeled,), unlabeled in zip(self.labeled, self.unlabeled, strict=True):
            yield labeled, unlabeled


class VAALNet(ScaledNet):
    """A skorch net with a VAE and a discriminator of its means, each with its optimizer.

    Parameters
    ----------
    module : callable
        Builds the VAE; takes no arguments.
    discriminator : callable
        Builds the discriminator, ``discriminator(input_shape=(n_latent,))``, which gives logits (N, 1).
    beta : float
    adversary_weight : float
    discriminator_lr : float
    **params
        Parameters of `ScaledNet`.
    """

    def __init__(
        self,
        module: Callable[[], nn.Module],
        discriminator: Callable[..., nn.Module],
        *,
        beta: float,
        adversary_weight: float,
        discriminator_lr: float,
        **params: Any,
    ) -> None:
        super().__init__(module, compile_modules=False, **params)
        self.discriminator = discriminator
        self.beta = beta
        self.adversary_weight = adversary_weight
        self.discriminator_lr = discriminator_lr

    def build_modules(self) -> None:
        """Build the VAE and the discriminator."""
        super().build_modules()
        check_coder(self.module_, self.input_shape, self.dtype)
        self.discriminator_ = self.prepare_module(self.discriminator(input_shape=(self.module_.n_latent,)))

    def initialize_optimizer(self, *_: Any) -> VAALNet:
        """Build an optimizer for each of them."""
        for name, lr in (("module", self.lr), ("discriminator", self.discriminator_lr)):
            weights = getattr(self, f"{name}_").parameters()
            params = self.get_params_for(f"{name}_optimizer")
            setattr(self, f"{name}_optimizer_", self.optimizer(weights, lr=lr, **params))
        return self

    def get_split_datasets(self, X: Any, y: Any = None, **params: Any) -> tuple[Any, None]:
        """Take the labelled and the unlabelled rows: ``X`` is [labelled, unlabelled]."""
        return X, None

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Let the two pass as they are."""
        return X

    def get_iterator(self, dataset: Any, training: bool = False) -> PairedBatches:
        """Give each step a batch of labelled rows and one of unlabelled ones."""
        labeled, unlabeled = dataset
        return PairedBatches(labeled, unlabeled, self.batch_size, self.seed)

    def train_step(self, batch: tuple[Tensor, Tensor], **_: Any) -> dict[str, Any]:
        """Make one step of the VAE and one of the discriminator, on the means of the same pass."""
        self._set_training(True)
        n_labeled = len(batch[0])
        # One pass for both: batch normalisation would hide from the discriminator how the two differ.
        rows = self.prepare_rows(torch.cat(batch))
        with frozen(self.discriminator_):
            losses, means = self.vae_losses(rows, n_labeled)
            self.module_optimizer_.zero_grad()
            losses["loss"].backward()
            self.module_optimizer_.step()
        losses["discriminator"] = self.discriminator_loss(means.detach(), n_labeled)
        self.discriminator_optimizer_.zero_grad()
        losses["discriminator"].backward()
        self.discriminator_optimizer_.step()
        return {"loss": losses["loss"], "losses": losses}

    def vae_losses(self, rows: Tensor, n_labeled: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return the VAE's loss and its terms, and the means of the latents; the first rows are the labelled ones."""
        with self.autocast():
            posterior = self.module_.encode(rows)  # type: ignore[operator]
            terms = posterior_terms(self.module_, rows, posterior, self.beta)
        targets = torch.ones_like(terms["loss"], dtype=self.dtype)  # all rows are to seem labelled
        terms["adversary"] = self._cross_entropy(posterior[0], targets)
        means = {name: _sum_of_means(term.to(self.dtype), n_labeled) for name, term in terms.items()}
        means["loss"] = means["loss"] + self.adversary_weight * means["adversary"]
        return means, posterior[0]

    def discriminator_loss(self, means: Tensor, n_labeled: int) -> Tensor:
        """Return the discriminator's loss: labelled rows want probability one, unlabelled ones zero."""
        targets = (torch.arange(len(means), device=means.device) < n_labeled).to(self.dtype)
        return _sum_of_means(self._cross_entropy(means, targets), n_labeled)

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

    def step_losses(self, batch: Any, step: dict[str, Any]) -> tuple[dict[str, Tensor], int]:
        """Return all losses of a step, weighted by the rows of the pass."""
        return step["losses"], len(batch[1]) or len(batch[0])


def _sum_of_means(values: Tensor, n_labeled: int) -> Tensor:
    """Return the mean over the labelled rows plus that over the others, where there are others."""
    total = values[:n_labeled].mean()
    return total + values[n_labeled:].mean() if len(values) > n_labeled else total
