"""GAN inversion: codes that a generator turns into the rows, against a generator that can be inverted exactly."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from skal.generators import GANInversion

from ..networks import DIGITS, X, generator_states, same_tensors, tiny_gan, weights

RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.normal(size=(6, 2)), RNG.normal(size=6)


class LinearGenerator(BaseEstimator):
    """G(z) = W z + b, for any rows."""

    n_latent_ = 2

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def torch_decoder(self):
        decoder = torch.nn.Linear(2, 6).double()
        decoder.weight.data, decoder.bias.data = torch.tensor(WEIGHT), torch.tensor(BIAS)
        return decoder.requires_grad_(False)


def linear(**params):
    return GANInversion(LinearGenerator(), **{"random_state": 0, "n_steps": 500, **params})


def test_codes_are_the_least_squares_solution():
    rows = RNG.normal(size=(9, 6))
    expected = np.linalg.lstsq(WEIGHT, (rows - BIAS).T)[0].T
    assert_allclose(linear().fit(rows).transform(rows), expected, atol=1e-5)


def test_rows_of_the_generator_are_found_again():
    codes = RNG.normal(size=(7, 2))
    rows = codes @ WEIGHT.T + BIAS
    inversion = linear().fit(rows)
    assert_allclose(inversion.transform(rows), codes, atol=1e-5)
    assert_allclose(inversion.inverse_transform(codes), rows)
    assert_array_equal(inversion.get_feature_names_out(), ["ganinversion0", "ganinversion1"])


def test_the_scale_of_rows_in_float16():
    rows = (300 * np.random.default_rng(0).normal(size=(40, 6)) + 2000).astype(np.float16)  # squares overflow
    inversion = linear(n_steps=10).fit(rows)
    assert_allclose(inversion.scale_, rows.astype(float).var(axis=0).mean())
    assert_allclose(inversion.transform(rows), linear(n_steps=10).fit(rows * 1.0).transform(rows))


def test_penalty_is_ridge_regression():
    rows = RNG.normal(size=(9, 6))
    scale = rows.var(axis=0).mean()
    system = WEIGHT.T @ WEIGHT / (6 * scale) + 0.3 / 2 * np.eye(2)
    expected = np.linalg.solve(system, WEIGHT.T @ (rows - BIAS).T / (6 * scale)).T
    inversion = linear(penalty=0.3).fit(rows)
    assert_allclose(inversion.scale_, scale)
    assert_allclose(inversion.transform(rows), expected, atol=1e-5)


def test_the_best_point_is_kept():
    rows = RNG.normal(size=(5, 6))
    far = linear(n_steps=1, learning_rate=100.0).fit(rows)  # the only step leads far away
    errors = ((far.starts_ @ WEIGHT.T + BIAS)[:, None] - rows) ** 2
    assert_allclose(far.transform(rows), far.starts_[errors.sum(axis=2).argmin(axis=0)])
    assert_array_equal(far.starts_[0], [0, 0])


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_a_code_depends_on_its_row_alone(batch_size):
    inversion = GANInversion(tiny_gan(dtype="float64"), n_steps=20, random_state=0).fit(X)
    together = inversion.transform(X)
    blocks = inversion.set_params(batch_size=batch_size)
    assert_allclose(blocks.transform(X), together, atol=1e-9)
    assert_allclose(blocks.transform(X[7:8]), together[7:8], atol=1e-9)


def test_inversion_comes_closer():
    gan = tiny_gan(n_iter=20).fit(X)
    inversion = GANInversion(FrozenEstimator(gan), n_steps=50, random_state=0).fit(X)
    found = inversion.inverse_transform(inversion.transform(X))
    starts = inversion.inverse_transform(inversion.starts_)
    nearest = ((starts[:, None] - X) ** 2).sum(axis=2).min(axis=0)
    assert (((found - X) ** 2).sum(axis=1) <= nearest * (1 + 1e-5)).all()
    assert (((found - X) ** 2).sum(axis=1) < nearest * 0.99).any()


@pytest.mark.parametrize("flat", [True, False])
def test_images_and_flat_rows(flat):
    gan = FrozenEstimator(tiny_gan(architecture="dense").fit(DIGITS[:100]))
    images = DIGITS[:20].reshape(20, -1) if flat else DIGITS[:20]
    inversion = GANInversion(gan, n_steps=5, random_state=0).fit(images)
    codes = inversion.transform(images)
    assert codes.shape == (20, 2)
    assert_allclose(codes, inversion.transform(DIGITS[:20].reshape(20, -1)), atol=1e-5)
    assert_allclose(codes, inversion.transform(DIGITS[:20]), atol=1e-5)
    assert inversion.inverse_transform(codes).shape == images.shape


def test_nothing_is_changed_and_everything_repeats():
    gan = tiny_gan().fit(X)
    before, states, pool = {name: t.clone() for name, t in weights(gan).items()}, generator_states(), X.copy()
    inversion = GANInversion(FrozenEstimator(gan), n_steps=5, random_state=0)
    codes = inversion.fit_transform(X)
    assert inversion.generator_.estimator is gan
    assert same_tensors(before, weights(gan))
    assert generator_states() == states
    assert_array_equal(X, pool)
    assert_array_equal(inversion.transform(X), codes)
    assert_array_equal(clone(inversion).fit_transform(X), codes)
    assert_array_equal(pickle.loads(pickle.dumps(inversion)).transform(X), codes)


def test_a_generator_is_trained_with_a_seed_of_its_own():
    inversion = GANInversion(tiny_gan(random_state=None), n_steps=2, random_state=0)
    assert_array_equal(inversion.fit_transform(X), clone(inversion).fit_transform(X))
    assert inversion.generator.random_state is None


def test_frames():
    frame = pd.DataFrame(X, columns=list("abc"))
    inversion = GANInversion(tiny_gan(), n_steps=2, random_state=0).fit(frame)
    assert_array_equal(inversion.feature_names_in_, list("abc"))
    assert_allclose(inversion.transform(frame), clone(inversion).fit(X).transform(X))


def test_errors():
    with pytest.raises(ValueError, match="makes rows of shape"):
        linear().fit(X)
    fitted = linear().fit(RNG.normal(size=(3, 6)))
    with pytest.raises(ValueError, match="Z has 3 columns"):
        fitted.inverse_transform(X)
    with pytest.raises(ValueError, match="3 features"):
        fitted.transform(X)
    with pytest.raises(ValueError, match="n_steps"):
        linear(n_steps=0).fit(X)
    with pytest.raises(ValueError, match="generator"):
        GANInversion(X).fit(X)


@parametrize_with_checks([GANInversion(tiny_gan(n_critic=1), n_steps=2)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
