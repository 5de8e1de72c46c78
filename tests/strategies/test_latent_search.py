"""The search for latents, against closed forms and against torch's own Adam."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal.pool import as_pool
from skal.strategies import GAAL
from tests.networks import AffineGenerator

SETTINGS = {"n_steps": 50, "learning_rate": 0.05, "latent_batch": 100, "tol": 0.0}


def synthesize(strategy, classifier, latents, objective, **params):
    """What the search finds from the latents given."""
    return strategy.set_params(objective=objective, **params)._maximize(latents, classifier)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    generator = AffineGenerator(rng.standard_normal((4, 3)), rng.standard_normal(4)).fit(X)
    classifier = LogisticRegression().fit(X, (X[:, 0] + X[:, 1] > 0).astype(int))
    three = LogisticRegression().fit(X, np.digitize(X[:, 0], [-0.5, 0.5]))
    return GAAL(FrozenEstimator(generator)).fit(X), classifier, three, rng.standard_normal((7, 3))


def test_min_distance_of_two_classes_is_the_absolute_decision_value(problem):
    strategy, classifier, _, latents = problem
    found = synthesize(strategy, classifier, latents, "min_distance", **SETTINGS | {"n_steps": 0})
    np.testing.assert_allclose(found.objective_before, -np.abs(classifier.decision_function(found.synthetic)))


@pytest.mark.parametrize("objective", ["entropy", "min_distance"])
def test_a_linear_model_is_led_to_its_hyperplane(problem, objective):
    strategy, classifier, _, latents = problem
    settings = SETTINGS | {
        "n_steps": 1000,
        "tol": 0.02 if objective == "min_distance" else 1e-6,
        "learning_rate": 0.01,
    }
    found = synthesize(strategy, classifier, latents, objective, **settings)
    assert np.abs(classifier.decision_function(found.synthetic)).max() < 0.03
    np.testing.assert_allclose(found.entropy_after, math.log(2), atol=2e-4)
    np.testing.assert_allclose(found.synthetic, rows_of(strategy, found.latents))
    assert (found.n_steps < 1000).any()  # having arrived, a latent stops


def rows_of(strategy, latents):
    return latents @ strategy.generator_.matrix_.T + strategy.generator_.offset_


def test_steps_are_those_of_adam(problem):
    strategy, _, classifier, latents = problem
    z = torch.tensor(latents, requires_grad=True)
    adam = torch.optim.Adam([z], lr=0.05)
    coef, intercept = torch.tensor(classifier.coef_), torch.tensor(classifier.intercept_)
    matrix, offset = torch.tensor(strategy.generator_.matrix_), torch.tensor(strategy.generator_.offset_)
    best, best_z = torch.full((len(z),), -math.inf, dtype=torch.float64), z.detach().clone()
    for _ in range(51):
        p = ((z @ matrix.T + offset) @ coef.T + intercept).softmax(1)
        value = -(p * p.log()).sum(1)
        best_z = torch.where((value > best)[:, None], z, best_z).detach().clone()
        best = torch.maximum(best, value).detach()
        adam.zero_grad()
        (-value.sum()).backward()
        adam.step()
    found = synthesize(strategy, classifier, latents, "entropy", **SETTINGS)
    np.testing.assert_allclose(found.latents, best_z, rtol=1e-9)
    np.testing.assert_allclose(found.objective_after, best, rtol=1e-9)
    assert (found.n_steps == 50).all()


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 1e-3, 0.3]), st.sampled_from(["entropy", "min_distance"]))
def test_no_latent_depends_on_the_others_and_none_gets_worse(problem, seed, tol, objective):
    strategy, binary, three, _ = problem
    latents = 3 * np.random.default_rng(seed).standard_normal((5, 3))
    settings = SETTINGS | {"n_steps": 12, "tol": tol}
    classifier = three if seed % 2 else binary
    together = synthesize(strategy, classifier, latents, objective, **settings)
    apart = synthesize(strategy, classifier, latents, objective, **settings | {"latent_batch": 2})
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
    strategy, classifier, _, latents = problem
    settings = SETTINGS | {"n_steps": 200}
    loose = synthesize(strategy, classifier, latents, "entropy", **settings | {"tol": 0.05})
    assert loose.n_steps.max() < 200
    assert (loose.entropy_after >= math.log(2) - 0.05).all()
    far = synthesize(
        strategy, classifier, latents, "entropy", **settings | {"n_steps": 3, "learning_rate": 1e-6}
    )
    assert (far.n_steps == 3).all()


def test_no_steps_keep_the_latents(problem):
    strategy, classifier, _, latents = problem
    found = synthesize(strategy, classifier, latents, "entropy", **SETTINGS | {"n_steps": 0})
    np.testing.assert_array_equal(found.latents, latents)
    np.testing.assert_array_equal(found.entropy_after, found.entropy_before)


def test_a_callable_is_maximised_and_checked(problem):
    strategy, _, three, latents = problem
    found = synthesize(strategy, three, latents, lambda logits: logits.log_softmax(1)[:, 2], **SETTINGS)
    assert (found.objective_after > found.objective_before).all()
    for objective, message in [
        (lambda logits: logits, r"returned shape \(7, 3\)"),
        (lambda logits: 1.0, "returned float"),
        (lambda logits: logits.detach().sum(1), "do not depend"),
    ]:
        with pytest.raises(ValueError, match=message):
            synthesize(strategy, three, latents, objective, **SETTINGS)


def test_generators_are_checked():
    pool = as_pool(np.zeros((5, 4)))
    generator = AffineGenerator(np.ones((3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match=r"rows of shape \(3,\), and the pool's have shape \(4,\)"):
        GAAL(generator).fit(pool)  # nobody knows before it is trained
    with pytest.raises(ValueError, match=r"rows of shape \(3,\), and the pool's have shape \(4,\)"):
        GAAL(FrozenEstimator(generator.fit(pool.X))).check(pool)
    with pytest.raises(TypeError, match="LogisticRegression has no torch_decoder"):
        GAAL(LogisticRegression()).check(pool)
    frozen = FrozenEstimator(AffineGenerator(np.ones((4, 2)), np.zeros(4)).fit(pool.X))
    assert GAAL(frozen).fit(pool).generator_.n_latent_ == 2
    GAAL().check(pool)


def test_a_trained_generator_leaves_the_pool_where_it_is(monkeypatch):
    X = np.random.default_rng(0).standard_normal((20, 3))
    generator = AffineGenerator(np.eye(3), np.zeros(3)).fit(X)
    monkeypatch.setattr(
        "skal.strategies.latent_search.dense", lambda _: pytest.fail("all rows were made an array")
    )
    assert GAAL(FrozenEstimator(generator)).fit(X).generator_.estimator is generator
