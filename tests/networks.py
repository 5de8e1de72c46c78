"""Tiny network estimators, their data, and what their tests compare."""

import math
import random

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from skal.classifiers import (
    ACGANClassifier,
    LearningLossClassifier,
    VAALClassifier,
    WassersteinClassifier,
)
from skal.generators import ALI, GAN, VAE, AutoEncoder

HIDDEN = {"hidden": (4,)}
X = np.random.default_rng(0).normal([5.0, -1.0, 0.2], [2.0, 0.1, 30.0], size=(60, 3))
DIGITS = load_digits().data.reshape(-1, 1, 8, 8)  # from 0 to 16


def tiny_gan(loss="wgan_gp", **params):
    networks = {"generator_params": HIDDEN, "critic_params": HIDDEN}
    return GAN(
        loss, **{"n_latent": 2, "n_iter": 2, "batch_size": 16, "random_state": 0, **networks, **params}
    )


def tiny_vae(**params):
    defaults = {"n_latent": 2, "max_epochs": 2, "module_params": HIDDEN, "random_state": 0}
    return VAE(**{**defaults, **params})


def tiny_ali(**params):
    defaults = {"n_latent": 2, "n_iter": 2, "batch_size": 16, "random_state": 0}
    return ALI(**{**defaults, "module_params": HIDDEN, "critic_params": HIDDEN, **params})


def tiny_autoencoder(**params):
    return AutoEncoder(**{"max_epochs": 2, "module_params": HIDDEN, "random_state": 0, **params})


def tiny_vaal(architecture="auto", **params):
    networks = {"vae_params": HIDDEN, "discriminator_params": HIDDEN, "n_latent": 2, "vae_epochs": 2}
    return VAALClassifier(
        architecture, **{"lr": 0.03, "max_epochs": 10, "random_state": 0, **networks, **params}
    )


def tiny_wasserstein(architecture="auto", **params):
    training = {"lr": 0.15, "lr_drops": (), "max_epochs": 10, "critic_params": HIDDEN, "random_state": 0}
    return WassersteinClassifier(architecture, **{**training, **params})


def tiny_learning_loss(architecture="auto", **params):
    defaults = {"n_hidden": 4, "lr": 0.03, "max_epochs": 10, "random_state": 0}
    return LearningLossClassifier(architecture, **{**defaults, **params})


def tiny_acgan(base="dcgan", **params):
    defaults = {"n_latent": 2, "n_iter": 20, "batch_size": 32, "candidates": 2, "lr": 0.04, "random_state": 0}
    networks = {"generator_params": HIDDEN, "critic_params": {"hidden": (8,)}}
    return ACGANClassifier(base, **{**defaults, **networks, **params})


class Askable:
    """What the strategies ask that need a network of their own, made of a classifier's probabilities."""

    def labeled_proba(self, X):
        return self.predict_proba(X)[:, 0]

    def critic_scores(self, X):
        return self.predict_proba(X)[:, 1]

    def predicted_loss(self, X):
        return 1 - self.predict_proba(X).max(axis=1)

    def dropout_proba(self, X, n_passes, seed):
        scales = np.random.default_rng(seed).random(n_passes)
        probabilities = self.predict_proba(X)[:, None] ** scales[:, None]
        return probabilities / probabilities.sum(axis=2, keepdims=True)

    def committee_proba(self, X):
        return self.dropout_proba(X, 3, 0)


class Discriminating(Askable, LogisticRegression):
    """A logistic regression that answers them."""


TINY = {
    "wgan_gp": tiny_gan,
    "wgan_ct": lambda **params: tiny_gan("wgan_ct", **params),
    "dcgan": lambda **params: tiny_gan("dcgan", **params),
    "vae": tiny_vae,
    "ali": tiny_ali,
    "autoencoder": tiny_autoencoder,
}


class AffineGenerator(BaseEstimator):
    """The smallest generator there is: x = mean + spread z, column by column, or by a given matrix and offset."""

    def __init__(self, matrix=None, offset=None):
        self.matrix = matrix
        self.offset = offset

    def fit(self, X, y=None):
        X = np.asarray(X, dtype=np.float64).reshape(len(X), -1)
        self.matrix_ = np.diag(X.std(axis=0)) if self.matrix is None else np.asarray(self.matrix)
        self.offset_ = X.mean(axis=0) if self.offset is None else np.asarray(self.offset)
        self.n_latent_ = self.matrix_.shape[1]
        return self

    def torch_decoder(self):
        # Initial weights would be drawn from torch's global generator.
        layer = nn.utils.skip_init(nn.Linear, self.n_latent_, len(self.matrix_), dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(self.matrix_))
            layer.bias.copy_(torch.tensor(self.offset_))
        return layer.requires_grad_(False)

    def transform(self, X):
        return np.asarray(X).reshape(len(X), -1)


class LinearVAE(nn.Module):
    """mu(x) = A x and x(z) = B z, with one variance for all rows."""

    output_range = (0.0, 1.0)

    def __init__(self, input_shape, n_latent=2):
        super().__init__()
        size = math.prod(input_shape)
        generator = torch.Generator().manual_seed(0)
        self.input_shape, self.n_latent = input_shape, n_latent
        self.encoder = nn.Parameter(torch.randn(n_latent, size, generator=generator) / size)
        self.log_variance = nn.Parameter(torch.randn(n_latent, generator=generator))
        self.decoder = nn.Parameter(torch.randn(size, n_latent, generator=generator) / n_latent)

    def encode(self, x):
        return x.flatten(1) @ self.encoder.T, self.log_variance.expand(len(x), -1)

    def decode(self, z):
        return (z @ self.decoder.T).reshape(-1, *self.input_shape)


class Normed(nn.Module):
    """BatchNorm, no `embed`, a signature that names one of the two known arguments."""

    def __init__(self, n_classes, width=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(width, n_classes),
        )

    def forward(self, x):
        return self.layers(x)


def weights(estimator):
    """All numbers that training learned: weights, buffers, and the map onto the networks' scale."""
    return estimator.net_.state_dict()


def same_tensors(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def same_weights(a, b):
    return same_tensors(a.module_.state_dict(), b.module_.state_dict())


def same_history(a, b):
    a, b = a.history_, b.history_
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def generator_states():
    """The states of all global random generators."""
    return (
        torch.get_rng_state().numpy().tobytes(),
        str(np.random.get_state()),  # noqa: NPY002
        random.getstate(),
    )
