"""Shapes, numbers and ranges of every generator and encoder, for rows of any shape, type and scale."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal.generators import ALI, GAN, VAE, AutoEncoder
from skal.nets import ConvCritic, ConvGenerator

from ..networks import HIDDEN

CONV = {"generator_params": {"channels": (2,)}, "critic_params": {"channels": (2,)}, "n_critic": 1}
DENSE = {"generator_params": HIDDEN, "critic_params": HIDDEN, "n_critic": 2}
FLAT = {
    "gan": lambda **params: GAN(n_iter=1, n_latent=2, **DENSE, **params),
    "dcgan": lambda **params: GAN("dcgan", n_iter=1, n_latent=2, **DENSE, **params),
    "vae": lambda **params: VAE(2, max_epochs=1, validation_fraction=None, module_params=HIDDEN, **params),
    "ali": lambda **params: ALI(2, n_iter=1, module_params=HIDDEN, critic_params=HIDDEN, **params),
    "autoencoder": lambda **params: AutoEncoder(max_epochs=1, module_params=HIDDEN, **params),
}
BOUNDED = {
    "gan": lambda **params: GAN(
        architecture=(ConvGenerator, ConvCritic), n_iter=1, n_latent=2, **CONV, **params
    ),
    "vae": lambda **params: VAE(
        2,
        architecture="conv",
        max_epochs=1,
        validation_fraction=None,
        module_params={"n_filters": 1},
        **params,
    ),
    "ali": lambda **params: ALI(
        2,
        architecture="conv",
        n_iter=1,
        module_params={"n_filters": 1},
        critic=ConvCritic,
        critic_params={"channels": (2,)},
        **params,
    ),
    "autoencoder": lambda **params: AutoEncoder(
        "mnist", max_epochs=1, module_params={"channels": (1,)}, **params
    ),
}
DTYPES = [np.float64, np.float32, np.float16, np.uint8, np.int16, ">f4", ">f8"]


@st.composite
def rows_of(draw, shapes):
    """Rows on any scale, with constant features and duplicate rows among them."""
    n_samples, shape = draw(st.integers(2, 12)), draw(shapes)
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    rows = rng.integers(0, draw(st.sampled_from([1, 2, 100])), size=(n_samples, *shape)) / 99
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if dtype.kind in "iu":
        return (100 * rows).astype(dtype)
    exponent = draw(st.integers(-4, 3) if dtype.itemsize == 2 else st.integers(-9, 9))
    return ((rows + draw(st.sampled_from([0, -3]))) * 10.0**exponent).astype(dtype)


def check(estimator, rows):
    """Fit, and check what every generator and encoder promises."""
    before = rows.copy()
    estimator.fit(rows)
    np.testing.assert_array_equal(rows, before)
    dtype = np.float64 if rows.dtype.newbyteorder("=") == np.float64 else np.float32
    features = estimator.transform(rows)
    latents = estimator.sample_latents(3, 0) if hasattr(estimator, "sample") else features[:3]
    decoded = estimator.decode(latents)
    assert features.shape == (len(rows), len(estimator.get_feature_names_out()))
    assert decoded.shape == (len(latents), *rows.shape[1:])
    assert features.dtype == decoded.dtype == dtype
    assert np.isfinite(features).all()
    assert np.isfinite(decoded).all()
    assert estimator.n_features_in_ == rows[0].size
    np.testing.assert_array_equal(features, estimator.transform(rows.reshape(len(rows), -1)))
    np.testing.assert_array_equal(estimator.torch_decoder()(torch.tensor(latents)).numpy(), decoded)
    return decoded


@given(name=st.sampled_from(list(FLAT)), rows=rows_of(st.tuples(st.integers(1, 6))))
def test_plain_rows(name, rows):
    """What an untrained network makes of standardised features is of the order of one: of their deviations."""
    decoded = check(FLAT[name](random_state=0), rows)
    wide = rows.astype(np.float64)
    unit = np.where(np.ptp(wide, axis=0) > 0, wide.std(axis=0), 1.0)
    mean = wide.mean(axis=0)
    assert (np.abs(decoded - mean) < 20 * unit + 1e-6 * np.abs(mean)).all()


IMAGE_SHAPES = st.one_of(
    st.tuples(st.integers(1, 3), st.integers(8, 12), st.integers(8, 12)),
    st.tuples(st.integers(8, 12), st.integers(8, 12)),
)


@given(name=st.sampled_from(list(BOUNDED)), rows=rows_of(IMAGE_SHAPES))
def test_images_lie_in_the_range_of_the_data(name, rows):
    decoded = check(BOUNDED[name](random_state=0), rows)
    low, high = (0.0, 255.0) if rows.dtype == np.uint8 else (float(rows.min()), float(rows.max()))
    if low == high:  # a constant has a range of one
        high += 1
    slack = 1e-6 * max(abs(low), abs(high))
    assert low - slack <= decoded.min()
    assert decoded.max() <= high + slack
