"""The measures of uncertainty, against their formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import entropy as scipy_entropy
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skal.strategies import UncertaintySampling
from skal.strategies.uncertainty import entropy, least_confidence, margin, min_distance

X = np.random.default_rng(0).normal(size=(40, 3))
THREE = LogisticRegression().fit(X, np.digitize(X[:, 0], [-0.5, 0.5]))


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=1, max_size=6))
def test_measures_are_their_formulas(values):
    p = np.array(values) / np.sum(values, axis=1, keepdims=True)
    ordered = np.sort(p, axis=1)
    assert_allclose(margin(p), ordered[:, -2] - ordered[:, -1])
    assert_allclose(least_confidence(p), -ordered[:, -1])
    assert_allclose(entropy(p), scipy_entropy(p, axis=1))
    assert_allclose(entropy(np.stack([p, p], axis=1)), np.stack([entropy(p)] * 2, axis=1))
    assert_allclose(min_distance(p), margin(p))
    assert_allclose(min_distance(p[:, 0] - 0.5), -np.abs(p[:, 0] - 0.5))


@pytest.mark.parametrize("n_classes", [2, 3, 40, 41, 300])
def test_few_and_many_classes_are_compared_alike(n_classes):
    rng = np.random.default_rng(n_classes)
    p = np.concatenate(
        [rng.dirichlet(np.ones(n_classes), size=50), np.eye(n_classes)[:2], [[1 / n_classes] * n_classes]]
    )
    given, ordered = p.copy(), np.sort(p, axis=1)
    assert_array_equal(margin(p), ordered[:, -2] - ordered[:, -1])
    assert_array_equal(least_confidence(p), -ordered[:, -1])
    assert_array_equal(p, given)
    decisions = rng.normal(-5, 1, size=(50, n_classes))
    ordered = np.sort(decisions, axis=1)
    assert_array_equal(min_distance(decisions), ordered[:, -2] - ordered[:, -1])


def test_entropy_of_a_sure_row_is_zero():
    assert entropy(np.array([[1.0, 0.0]])) == 0


@pytest.mark.parametrize(
    ("measure", "score"),
    [
        ("margin", margin),
        ("least_confidence", least_confidence),
        ("entropy", entropy),
    ],
)
def test_the_least_sure_rows_are_chosen(measure, score):
    strategy = UncertaintySampling(measure).fit(X)
    scores = score(THREE.predict_proba(X))
    assert strategy.requires == ("predict_proba",)
    assert_allclose(strategy.utility(X, estimator=THREE), scores)
    assert_array_equal(strategy.query(X, n_queries=5, estimator=THREE), np.argsort(-scores)[:5])


@pytest.mark.parametrize("n_classes", [2, 3])
def test_distances_need_no_probabilities(n_classes):
    svm = LinearSVC().fit(X, np.digitize(X[:, 0], [-0.5, 0.5][: n_classes - 1]))
    strategy = UncertaintySampling("min_distance").fit(X)
    assert strategy.requires == ("decision_function",)
    assert_allclose(strategy.utility(X, estimator=svm), min_distance(svm.decision_function(X)))
