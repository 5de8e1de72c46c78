"""Small generators and encoders, fitted once for the tests that only ask them."""

import functools

import numpy as np

from skal.generators import ALI, GAN, VAE, AutoEncoder
from skal.nets import ConvCritic, ConvGenerator

from ..networks import DIGITS, TINY, X

IMAGES = DIGITS[:40].astype(np.float32)
NARROW = {"generator_params": {"channels": (4, 2)}, "critic_params": {"channels": (2, 4)}}


def image_gan(**params):
    """A convolutional GAN of a few hundred weights."""
    params = {"architecture": (ConvGenerator, ConvCritic), **NARROW, **params}
    return GAN(n_latent=3, n_iter=2, batch_size=8, random_state=0, **params)


def image_vae(**params):
    """A convolutional VAE of a few hundred weights."""
    defaults = {"architecture": "conv", "module_params": {"n_filters": 2}, "max_epochs": 1, "random_state": 0}
    return VAE(3, **{**defaults, **params})


def image_ali(**params):
    """A convolutional ALI of a few hundred weights."""
    networks = {
        "architecture": "conv",
        "module_params": {"n_filters": 2},
        "critic_params": {"channels": (2, 4)},
    }
    return ALI(3, **{**networks, "n_iter": 2, "batch_size": 8, "random_state": 0, **params})


def image_autoencoder(**params):
    """A convolutional autoencoder of a few hundred weights."""
    params = {"architecture": "mnist", "module_params": {"channels": (2, 3)}, **params}
    return AutoEncoder(**{"max_epochs": 1, "random_state": 0, **params})


ON_IMAGES = {"gan": image_gan, "vae": image_vae, "ali": image_ali, "autoencoder": image_autoencoder}


@functools.cache
def fitted(name):
    """Return an estimator of `TINY` on X, or one of `ON_IMAGES` on IMAGES; tests must not change it."""
    return TINY[name]().fit(X) if name in TINY else ON_IMAGES[name.removesuffix(" on images")]().fit(IMAGES)


FITTED = [*TINY, *(f"{name} on images" for name in ON_IMAGES)]


def rows_of(name):
    """Return the rows on which `fitted` trained."""
    return X if name in TINY else IMAGES


def outputs(estimator, rows):
    """Return all that a generator or an encoder computes."""
    codes = estimator.transform(rows)
    latents = estimator.sample_latents(4, 1) if hasattr(estimator, "sample") else codes[:4]
    answers = {"transform": codes, "decode": estimator.decode(latents)}
    for method, argument in {
        "sample": 3,
        "inverse_transform": latents,
        "score_samples": rows,
        "score": rows,
    }.items():
        if hasattr(estimator, method):
            answers[method] = np.asarray(getattr(estimator, method)(argument))
    return answers


def same_outputs(a, b):
    """Check that two estimators, or one at two times, computed the same."""
    assert a.keys() == b.keys()
    for method, answer in a.items():
        np.testing.assert_array_equal(b[method], answer, err_msg=method)
        assert b[method].dtype == answer.dtype
