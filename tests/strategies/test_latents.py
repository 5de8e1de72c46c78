"""The search for latents, against closed forms and against torch's own Adam."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal.strategies._latents import check_generator, entropy, fit_generator, min_distance, synthesize
from tests.networks import AffineGenerator

SETTINGS = {"n_steps": 50, "learning_rate": 0.05, "batch_size": 100, "tol": 0.0}


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    generator = AffineGenerator(rng.standard_normal((4, 3)), rng.standard_normal(4)).fit(X)
    classifier = LogisticRegression().fit(X, (X[:, 0] + X[:, 1] > 0).astype(int))
    three = LogisticRegression().fit(X, np.digitize(X[:, 0], [-0.5, 0.5]))
    return generator, classifier, three, rng.standard_normal((7, 3))


@given(st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=5))
def test_entropy_and_distance_are_their_formulas(values):
    logits = torch.tensor(values, dtype=torch.float64)
    p = np.exp(values - np.max(values, axis=1, keepdims=True))
    np.testing.assert_allclose(entropy(logits), scipy_entropy(p, axis=1), atol=1e-12)
    ordered = np.sort(values, axis=1)
    np.testing.assert_allclose(min_distance(logits), ordered[:, 1] - ordered[:, 2])


def test_entropy_of_a_certain_class_is_zero_and_has_a_gradient():
    logits = torch.tensor([[0.0, -math.inf], [1e4, -1e4]], requires_grad=True)
    values = entropy(logits)
    assert values.tolist() == [0.0, 0.0]
    assert torch.autograd.grad(values[1], logits)[0].isfinite().all()


def test_min_distance_of_two_classes_is_the_absolute_decision_value(problem):
    generator, classifier, _, latents = problem
    found = synthesize(generator, classifier, latents, "min_distance", **SETTINGS | {"n_steps": 0})
    np.testing.assert_allclose(found.objective_before, -np.abs(classifier.decision_function(found.synthetic)))


@pytest.mark.parametrize("objective", ["entropy", "min_distance"])
def test_a_linear_model_is_led_to_its_hyperplane(problem, objective):
    generator, classifier, _, latents = problem
    settings = SETTINGS | {
        "n_steps": 1000,
        "tol": 0.02 if objective == "min_distance" else 1e-6,
        "learning_rate": 0.01,
    }
    found = synthesize(generator, classifier, latents, objective, **settings)
    assert np.abs(classifier.decision_function(found.synthetic)).max() < 0.03
    np.testing.assert_allclose(found.entropy_after, math.log(2), atol=2e-4)
    np.testing.assert_allclose(found.synthetic, latents_to_rows(generator, found.latents))
    assert (found.n_steps < 1000).any()  # having arrived, a latent stops


def latents_to_rows(generator, latents):
    return latents @ generator.matrix_.T + generator.offset_


def test_steps_are_those_of_adam(problem):
    generator, _, classifier, latents = problem
    z = torch.tensor(latents, requires_grad=True)
    adam = torch.optim.Adam([z], lr=0.05)
    coef, intercept = torch.tensor(classifier.coef_), torch.tensor(classifier.intercept_)
    matrix, offset = torch.tensor(generator.matrix), torch.tensor(generator.offset)
    best, best_z = torch.full((len(z),), -math.inf, dtype=torch.float64), z.detach().clone()
    for _ in range(51):
        p = ((z @ matrix.T + offset) @ coef.T + intercept).softmax(1)
        value = -(p * p.log()).sum(1)
        best_z = torch.where((value > best)[:, None], z, best_z).detach().clone()
        best = torch.maximum(best, value).detach()
        adam.zero_grad()
        (-value.sum()).backward()
        adam.step()
    found = synthesize(generator, classifier, latents, "entropy", **SETTINGS)
    np.testing.assert_allclose(found.latents, best_z, rtol=1e-9)
    np.testing.assert_allclose(found.objective_after, best, rtol=1e-9)
    assert (found.n_steps == 50).all()


@given(st.integers(0, 2**31), st.sampled_from([0.0, 1e-3, 0.3]), st.sampled_from(["entropy", "min_distance"]))
def test_no_latent_depends_on_the_others_and_none_gets_worse(problem, seed, tol, objective):
    generator, binary, three, _ = problem
    latents = 3 * np.random.default_rng(seed).standard_normal((5, 3))
    settings = SETTINGS | {"n_steps": 12, "tol": tol}
    classifier = three if seed % 2 else binary
    together = synthesize(generator, classifier, latents, objective, **settings)
    apart = synthesize(generator, classifier, latents, objective, **settings | {"batch_size": 2})
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert (together.objective_after >= together.objective_before).all()
    improved = (
        together.objective_before < {"entropy": math.log(len(classifier.classes_))}.get(objective, 0) - tol
    )
    assert (together.objective_after > together.objective_before)[
        improved & (together.n_steps > 0)
    ].mean() > 0.5 or (not improved.any())


def test_tolerance_saves_steps_and_zero_makes_them_all(problem):
    generator, classifier, _, latents = problem
    settings = SETTINGS | {"n_steps": 200}
    loose = synthesize(generator, classifier, latents, "entropy", **settings | {"tol": 0.05})
    assert loose.n_steps.max() < 200
    assert (loose.entropy_after >= math.log(2) - 0.05).all()
    far = synthesize(
        generator, classifier, latents, "entropy", **settings | {"n_steps": 3, "learning_rate": 1e-6}
    )
    assert (far.n_steps == 3).all()


def test_no_steps_keep_the_latents(problem):
    generator, classifier, _, latents = problem
    found = synthesize(generator, classifier, latents, "entropy", **SETTINGS | {"n_steps": 0})
    np.testing.assert_array_equal(found.latents, latents)
    np.testing.assert_array_equal(found.entropy_after, found.entropy_before)


def test_a_callable_is_maximised_and_checked(problem):
    generator, _, three, latents = problem
    found = synthesize(generator, three, latents, lambda logits: logits.log_softmax(1)[:, 2], **SETTINGS)
    assert (found.objective_after > found.objective_before).all()
    for objective, message in [
        (lambda logits: logits, r"returned shape \(7, 3\)"),
        (lambda logits: 1.0, "returned float"),
        (lambda logits: logits.detach().sum(1), "do not depend"),
    ]:
        with pytest.raises(ValueError, match=message):
            synthesize(generator, three, latents, objective, **SETTINGS)


def test_generators_are_checked():
    X = np.zeros((5, 4))
    generator = AffineGenerator(np.ones((3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match=r"rows of shape \(3,\), and the pool's have shape \(4,\)"):
        fit_generator(generator, X, 0)
    with pytest.raises(TypeError, match="LogisticRegression has no torch_decoder"):
        check_generator(LogisticRegression(), (4,))
    frozen = FrozenEstimator(AffineGenerator(np.ones((4, 2)), np.zeros(4)).fit(X))
    assert fit_generator(frozen, X, 0).n_latent_ == 2
