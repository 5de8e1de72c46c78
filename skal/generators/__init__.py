"""Generators and encoders: estimators that learn from rows without labels."""

from .ali import ALI
from .autoencoder import AutoEncoder
from .cached import CachedEncoder
from .encoders import check_encodable, encode, fit_encoder
from .gan import GAN
from .inversion import GANInversion
from .vae import VAE

__all__ = [
    "ALI",
    "GAN",
    "VAE",
    "AutoEncoder",
    "CachedEncoder",
    "GANInversion",
    "check_encodable",
    "encode",
    "fit_encoder",
]
