"""The objectives of logits, against their formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from sklearn.linear_model import LogisticRegression

from skal.strategies import UncertaintySampling
from skal.strategies.objectives import ObjectiveSampling, entropy, get_objective, min_distance


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


def test_objectives_by_name():
    assert get_objective("entropy") is entropy
    assert get_objective("min_distance") is min_distance
    assert get_objective(torch.sum) is torch.sum


@pytest.mark.parametrize("objective", ["entropy", "min_distance"])
def test_sampling_by_an_objective_is_uncertainty_sampling(objective):
    X = np.random.default_rng(0).normal(size=(30, 3))
    classifier = LogisticRegression().fit(X, X[:, 0] > 0)
    expected = UncertaintySampling(objective).fit(X).utility(X, estimator=classifier)
    found = ObjectiveSampling(objective).fit(X).utility(X, estimator=classifier)
    np.testing.assert_allclose(found, expected, atol=1e-9)
