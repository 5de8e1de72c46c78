"""The bases of the architectures: a last layer on features, and rows made from latents."""

import math
from typing import ClassVar

import torch
from torch import nn

from .shapes import as_images


class HeadNet(nn.Module):
    """Base of the classifiers whose last layer is `head`; a subclass has `embed`, the input of that layer."""

    head: nn.Module

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of the last layer, shape (N, n_features)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (N, n_classes)."""
        return self.head(self.embed(x))


class FeatureNet(HeadNet):
    """Features, and a linear layer `head` on them."""

    def __init__(self, features: nn.Module, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(n_features, n_outputs)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features, shape (N, n_features)."""
        return self.features(as_images(x))


class HiddenNet(HeadNet):
    """Features, a hidden layer with ReLU and dropout, and a linear layer `head` on it."""

    def __init__(
        self, features: nn.Module, n_features: int, n_hidden: int, n_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.features = features
        self.hidden = nn.Sequential(nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(n_hidden, n_classes)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the hidden activations, shape (N, n_hidden)."""
        return self.hidden(self.features(as_images(x)))


class Critic(FeatureNet):
    """Features, and one score of them."""

    def __init__(self, features: nn.Module, n_features: int) -> None:
        super().__init__(features, n_features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores, shape (N,)."""
        return super().forward(x).squeeze(1)


class LatentNet(nn.Module):
    """A network that makes rows from latent vectors, by its `layers` unless a subclass does it differently."""

    layers: nn.Module
    output_range: ClassVar[tuple[float, float] | None] = None

    def __init__(self, input_shape: tuple[int, ...], n_latent: int) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)
        self.n_latent = n_latent

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the rows for latent vectors, shape ``(N, *input_shape)``."""
        return self.as_rows(self.layers(z))

    def as_rows(self, x: torch.Tensor) -> torch.Tensor:
        """Give rows their shape, ``(N, *input_shape)``."""
        return x.reshape(len(x), *self.input_shape)


class MapGenerator(LatentNet):
    """A linear layer that makes the first and smallest maps, and the layers `maps` that enlarge them."""

    maps: nn.Module

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_latent: int,
        first_shape: tuple[int, int, int],
        *,
        batch_norm: bool,
    ) -> None:
        super().__init__(input_shape, n_latent)
        n_units = math.prod(first_shape)
        self.first_shape = first_shape
        norm = [nn.BatchNorm1d(n_units)] if batch_norm else []
        self.linear = nn.Sequential(nn.Linear(n_latent, n_units), *norm, nn.ReLU())

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the images for latent vectors, shape ``(N, *input_shape)``."""
        return self.as_rows(self.maps(self.linear(z).unflatten(1, self.first_shape)))


class Coder(LatentNet):
    """Base of the networks with an `encoder` of rows and a `decoder` of their codes."""

    encoder: nn.Module
    decoder: nn.Module

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the rows for codes, shape ``(N, *input_shape)``."""
        return self.as_rows(self.decoder(z))


class CodeNet(Coder):
    """An autoencoder: the encoder returns the codes."""

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes, shape (N, n_latent)."""
        return self.encoder(as_images(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reconstructions ``decode(encode(x))``."""
        return self.decode(self.encode(x))


class PosteriorNet(Coder):
    """A variational autoencoder: the encoder returns the means and log-variances of the latents side by side."""

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the logarithm of the variance of the latent vectors, each (N, n_latent)."""
        mean, log_variance = self.encoder(as_images(x)).chunk(2, dim=1)
        return mean, log_variance

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the reconstructions from the means; nothing is drawn at random."""
        return self.decode(self.encode(x)[0])
