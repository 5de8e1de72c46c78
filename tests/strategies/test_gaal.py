"""GAAL, against a linear generator, for which the boundary in latent space is a hyperplane."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skal.classifiers import CNNClassifier, LinearClassifier
from skal.generators import GAN
from skal.strategies import GAAL

from ..networks import DIGITS, AffineGenerator, generator_states, same_tensors, tiny_gan, weights

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
WEIGHT, BIAS = RNG.normal(size=(6, 2)), RNG.normal(size=6)


@pytest.mark.parametrize(
    "classifier", [LogisticRegression(), LinearSVC(), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_samples_lie_on_the_boundary(classifier):
    classifier.fit(X, Y)
    strategy = GAAL(AffineGenerator(WEIGHT, BIAS), n_steps=1000, learning_rate=0.01, random_state=0).fit(X)
    samples = strategy.synthesize(8, estimator=classifier)
    report = strategy.query_report_
    assert_allclose(samples, report.latents @ WEIGHT.T + BIAS, atol=1e-5)
    w = classifier.decision_function(np.eye(6)) - classifier.decision_function(np.zeros((1, 6)))
    # A step of Adam moves each coordinate by its learning rate at most, and the boundary lies within the last one.
    assert np.abs(classifier.decision_function(samples)).max() < 0.01 * np.abs(w @ WEIGHT).sum()
    assert (np.abs(classifier.decision_function(samples))[report.n_steps < 1000] < 1.01e-3).all()
    assert (report.objective_before < -0.1).any()
    assert_allclose(report.objective_after, -np.abs(classifier.decision_function(samples)), atol=1e-5)


def test_the_search_starts_from_the_standard_normal_draws():
    strategy = GAAL(AffineGenerator(WEIGHT, BIAS), n_steps=1, learning_rate=1e-9, random_state=0).fit(X)
    classifier = LogisticRegression().fit(X, Y)
    strategy.synthesize(5, estimator=classifier, random_state=3)
    latents = np.random.default_rng(3).standard_normal((5, 2))
    decision = classifier.decision_function(latents @ WEIGHT.T + BIAS)
    p = expit(decision)
    assert_allclose(strategy.query_report_.latents, latents, atol=1e-6)
    assert_allclose(strategy.query_report_.objective_before, -np.abs(decision), atol=1e-5)
    assert_allclose(strategy.query_report_.entropy_before, entropy([p, 1 - p]), atol=1e-5)


def test_entropy_and_callables():
    three = LogisticRegression().fit(X, Y + (X[:, 2] > 0.5))
    strategy = GAAL(AffineGenerator(WEIGHT, BIAS), "entropy", n_steps=50, random_state=0).fit(X)
    samples = strategy.synthesize(6, estimator=three)
    report = strategy.query_report_
    assert_allclose(report.entropy_after, entropy(three.predict_proba(samples), axis=1), atol=1e-5)
    assert (report.entropy_after >= report.entropy_before).all()
    assert_allclose(report.objective_after, report.entropy_after, rtol=1e-6)
    to_the_second = strategy.set_params(objective=lambda logits: logits[:, 1]).fit(X)
    to_the_second.synthesize(6, estimator=three)
    assert (to_the_second.query_report_.objective_after > to_the_second.query_report_.objective_before).all()


def test_batches_of_latents_change_nothing():
    classifier = LogisticRegression().fit(X, Y)
    strategy = GAAL(AffineGenerator(WEIGHT, BIAS), random_state=0).fit(X)
    together = strategy.synthesize(7, estimator=classifier)
    apart = strategy.set_params(latent_batch=2).synthesize(7, estimator=classifier)
    assert_allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize("flat", [True, False])
def test_networks_images_and_flat_rows(flat):
    images = DIGITS[:80].reshape(80, -1) if flat else DIGITS[:80]
    y = np.arange(80) % 3
    cnn = CNNClassifier(max_epochs=1, random_state=0, image_shape=(1, 8, 8) if flat else None).fit(images, y)
    strategy = GAAL(tiny_gan(architecture="dense"), n_steps=3, random_state=0).fit(images)
    samples = strategy.synthesize(4, estimator=cnn)
    assert samples.shape == (4, *images.shape[1:])
    assert -4 < samples.min() < samples.max() < 20
    assert samples.max() > 4  # on the scale of 0 to 16


def test_a_fitted_generator_is_used_as_it_is():
    gan = tiny_gan().fit(X)
    before, states, pool = {name: t.clone() for name, t in weights(gan).items()}, generator_states(), X.copy()
    classifier = LinearClassifier(max_epochs=2, random_state=0).fit(X, Y)
    learned = {name: t.clone() for name, t in weights(classifier).items()}
    strategy = GAAL(FrozenEstimator(gan), n_steps=5, random_state=0).fit(X)
    samples = strategy.synthesize(5, estimator=classifier)
    assert strategy.generator_.estimator is gan
    assert same_tensors(before, weights(gan))
    assert same_tensors(learned, weights(classifier))
    assert generator_states() == states
    assert_array_equal(X, pool)
    assert_array_equal(strategy.synthesize(5, estimator=classifier), samples)
    assert_array_equal(pickle.loads(pickle.dumps(strategy)).synthesize(5, estimator=classifier), samples)


def test_random_state_seeds_the_generator_and_the_latents():
    classifier = LogisticRegression().fit(X, Y)

    def samples(seed):
        strategy = GAAL(tiny_gan(random_state=None), n_steps=2, random_state=seed)
        return clone(strategy).fit(X).synthesize(3, estimator=classifier)

    assert_array_equal(samples(0), samples(0))
    assert not np.array_equal(samples(0), samples(1))


def test_the_generator_is_a_parameter():
    assert GAAL(GAN()).set_params(generator__n_iter=7).generator.n_iter == 7
    assert GAAL().generator is None


@pytest.mark.parametrize("library", [pd, pl])
def test_frames(library):
    frame = library.DataFrame({name: X[:, i] for i, name in enumerate("abcdef")})
    classifier = LogisticRegression().fit(frame, Y)
    samples = (
        GAAL(AffineGenerator(WEIGHT, BIAS), random_state=0).fit(frame).synthesize(4, estimator=classifier)
    )
    assert type(samples) is type(frame)
    assert list(samples.columns) == list("abcdef")
    strategy = GAAL(AffineGenerator(WEIGHT, BIAS), random_state=0).fit(X)
    plain = strategy.synthesize(4, estimator=LogisticRegression().fit(X, Y))
    assert_allclose(samples.to_numpy(), plain, rtol=1e-6)


def test_errors():
    with pytest.raises(TypeError, match="no torch_decoder"):
        GAAL(StandardScaler()).fit(X)
    with pytest.raises(ValueError, match="makes rows of shape"):
        GAAL(FrozenEstimator(tiny_gan().fit(X[:, :3]))).fit(X)
    for params in ({"objective": "margin"}, {"n_steps": -1}, {"learning_rate": 0}, {"generator": "gan"}):
        with pytest.raises(ValueError, match=next(iter(params))):
            GAAL(**params).fit(X)
