"""BoundarySVC, against another solver of its objective."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize
from sklearn import config_context
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from skal.access import as_torch
from skal.classifiers import BoundarySVC
from skal.classifiers.boundary_svc import least_hinge
from skal.strategies.lines import hyperplane

X, Y = make_blobs(60, n_features=4, centers=2, cluster_std=2.0, random_state=0)
RNG = np.random.default_rng(0)
BOUNDARY = np.arange(60) % 5 == 0


def objective(w, b, rows, signs, points, alpha, beta):
    hinge = np.maximum(0, 1 - signs * (rows @ w + b)).mean()
    square = ((points @ w + b) ** 2).mean() if len(points) else 0.0
    return (1 - beta) * hinge + beta * square + alpha * w @ w


def solved(rows, signs, points, alpha, beta):
    """Hyperplane and minimum, by sequential quadratic programming over w, b and the slack of each row."""
    (n, d), m = rows.shape, max(len(points), 1)
    with_one = np.c_[points, np.ones(len(points))]
    quadratic = 2 * (np.diag([alpha] * d + [0.0]) + beta * with_one.T @ with_one / m)
    cost = np.full(n, (1 - beta) / n)
    margins = np.c_[signs[:, None] * np.c_[rows, np.ones(n)], np.eye(n)]
    result = minimize(
        lambda v: v[: d + 1] @ quadratic @ v[: d + 1] / 2 + cost @ v[d + 1 :],
        np.r_[np.zeros(d + 1), np.ones(n)],
        jac=lambda v: np.r_[quadratic @ v[: d + 1], cost],
        constraints={"type": "ineq", "fun": lambda v: margins @ v - 1, "jac": lambda v: margins},
        bounds=[(None, None)] * (d + 1) + [(0, None)] * n,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return result.x[:d], result.x[d], result.fun


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 5), st.sampled_from([0.0, 0.2, 0.5, 0.9]))
def test_the_minimum_of_the_objective(seed, d, n_points, beta):
    rng = np.random.default_rng(seed)
    alpha = 10.0 ** rng.integers(-2, 2)
    rows, points = rng.normal(1.0, 2.0, size=(8, d)), rng.normal(1.0, 2.0, size=(n_points, d))
    signs = np.r_[-1, 1, rng.choice([-1, 1], size=6)]
    order = rng.permutation(8 + n_points)
    is_point = np.arange(8 + n_points) >= 8
    y = np.r_[signs, rng.choice([-1, 1], size=n_points)]
    classifier = BoundarySVC(alpha=alpha, boundary_weight=beta)
    classifier.fit(np.r_[rows, points][order], y[order], boundary=is_point[order])
    w, b = classifier.coef_[0], classifier.intercept_[0]
    expected_w, expected_b, least = solved(rows, signs, points, alpha, beta)
    assert_allclose(objective(w, b, rows, signs, points, alpha, beta), least, rtol=1e-6, atol=1e-7)
    assert_allclose(w, expected_w, atol=2e-3)
    if n_points and beta:  # or else several intercepts may do
        assert_allclose(b, expected_b, atol=4e-3)


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    rows, points = rng.normal(size=(12, 30)), rng.normal(size=(5, 30))
    signs = np.where(rows[:, 0] > 0, 1, -1)
    classifier = BoundarySVC(alpha=0.1).fit(
        np.r_[rows, points], np.r_[signs, np.ones(5)], boundary=np.arange(17) >= 12
    )
    w, b, _ = solved(rows, signs, points, 0.1, 0.5)
    assert_allclose(classifier.coef_[0], w, atol=1e-4)
    assert_allclose(classifier.intercept_, b, atol=1e-4)


def test_points_lie_on_the_boundary_as_their_weight_grows():
    """With weights in proportion to the penalty, so that the hinge loss stays what it is beside it."""
    points = (X[Y == 0].mean(axis=0) + X[Y == 1].mean(axis=0)) / 2 + RNG.normal(size=(3, 4))
    rows, y, boundary = np.r_[X, points], np.r_[Y, 0, 0, 0], np.arange(63) >= 60
    distances = []
    for beta in (0.0, 0.5, 0.99, 0.9999):
        classifier = BoundarySVC(alpha=0.1 * (1 - beta), boundary_weight=beta).fit(rows, y, boundary=boundary)
        distances.append(
            np.abs(classifier.decision_function(points)).max() / np.linalg.norm(classifier.coef_)
        )
        assert classifier.score(X, Y) > 0.9
    assert distances[0] > 0.5
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.01


def test_classes_of_points_do_not_matter():
    names = np.array(["no", "yes"])[Y]
    fitted = BoundarySVC(alpha=0.1).fit(X, names, boundary=BOUNDARY)
    other = np.where(BOUNDARY, "yes", names)
    again = BoundarySVC(alpha=0.1).fit(X, other, boundary=BOUNDARY)
    assert_array_equal(again.coef_, fitted.coef_)
    assert_array_equal(fitted.classes_, ["no", "yes"])
    assert_array_equal(fitted.predict(X), fitted.classes_[(fitted.decision_function(X) > 0).astype(int)])
    plain = BoundarySVC(alpha=0.1).fit(X, names)
    none = BoundarySVC(alpha=0.1).fit(X, names, boundary=np.zeros(60, dtype=bool))
    assert_array_equal(plain.coef_, none.coef_)
    assert np.abs(plain.coef_ - fitted.coef_).max() > 0.01


def test_strategies_see_its_hyperplane():
    fitted = BoundarySVC().fit(X, Y, boundary=BOUNDARY)
    w, b = hyperplane(fitted, X)
    assert_allclose(X @ w + b, fitted.decision_function(X), atol=1e-6)
    values = as_torch(fitted).cpu()(torch.as_tensor(X)).detach().numpy()
    assert_allclose(values[:, 1] - values[:, 0], fitted.decision_function(X), atol=1e-5)


@pytest.mark.parametrize(
    ("y", "boundary", "message"),
    [
        (Y, BOUNDARY[:-1], "True or False for each of the 60 rows"),
        (Y, BOUNDARY.astype(float), "type float64 was given; give True or False"),
        (Y, Y == 0, "needs rows of at least two classes, got one class: 1;"),
        (Y, np.ones(60, dtype=bool), "needs rows of at least two classes, and all rows are on the boundary"),
        (np.arange(60) % 3, None, "Only binary classification is supported"),
    ],
)
def test_refusals(y, boundary, message):
    with pytest.raises(ValueError, match=message):
        BoundarySVC().fit(X, y, boundary=boundary)


def test_the_minimum_is_found_whatever_the_scales():
    """Of rows that no plane separates, and almost no penalty; ConvergenceWarning is an error here."""
    y = RNG.integers(2, size=60)
    fitted = [
        BoundarySVC(alpha=1e-4 * scale**2).fit(scale * X, y, boundary=BOUNDARY).decision_function(scale * X)
        for scale in (1.0, 1e3, 1e-3)
    ]
    assert_allclose(fitted[1], fitted[0], atol=1e-6)
    assert_allclose(fitted[2], fitted[0], atol=1e-6)


@pytest.mark.parametrize("offset", [1e3, 1e8])
def test_the_minimum_moves_with_the_rows(offset):
    fitted, moved = (BoundarySVC(alpha=1e-4).fit(X + by, Y, boundary=BOUNDARY).coef_ for by in (0.0, offset))
    assert_allclose(moved, fitted, rtol=1e-4)


@pytest.mark.parametrize("alpha", [1e-12, 1e-30, 1e-300])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_columns_that_are_the_same_count_together(alpha, beta):
    """Between them rounding decides, and without a guard against it their equations cannot be solved."""
    y = np.random.default_rng(0).integers(2, size=60)
    twice = BoundarySVC(alpha=alpha, boundary_weight=beta).fit(np.c_[X, X], y, boundary=BOUNDARY)
    once = BoundarySVC(alpha=alpha / 2, boundary_weight=beta).fit(X, y, boundary=BOUNDARY)
    assert_allclose(twice.decision_function(np.c_[X, X]), once.decision_function(X), atol=1e-3)


def test_it_tells_scikit_learn_that_it_has_two_classes():
    assert not get_tags(BoundarySVC()).classifier_tags.multi_class


def test_other_refusals():
    for scale, boundary in ((1e160, None), (1e160, BOUNDARY), (1e307, BOUNDARY)):
        with pytest.raises(ValueError, match=r"values up to .*e\+(16|30)\d, .*numbers overflow; scale"):
            BoundarySVC().fit(scale * X, Y, boundary=boundary)
    with pytest.raises(ValueError, match=r"alpha is 1e\+308: numbers overflow; .*or give a smaller alpha"):
        BoundarySVC(alpha=1e308).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="not found in 2 steps; scale the features"):
        least_hinge(X, np.eye(4), max_iter=2)
    with pytest.raises(ValueError, match="'boundary_weight' parameter"):
        BoundarySVC(boundary_weight=1.0).fit(X, Y)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        BoundarySVC().fit(sparse.csr_array(X), Y)


def test_points_reach_it_through_a_pipeline():
    expected = BoundarySVC().fit(StandardScaler().fit_transform(X), Y, boundary=BOUNDARY)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), BoundarySVC()).fit(X, Y, boundary=BOUNDARY)
    assert_array_equal(pipeline[-1].coef_, expected.coef_)
