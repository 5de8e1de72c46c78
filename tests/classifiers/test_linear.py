import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from skorch.callbacks import LRScheduler

from skal.classifiers import Batch, LinearClassifier
from skal.classifiers.linear import hinge
from skal.strategies import ASAL
from tests.networks import tiny_gan

X, Y = make_blobs(90, n_features=6, centers=3, cluster_std=3.0, random_state=0)


def test_linear_classifier_reaches_the_optimum_of_its_loss():
    penalty = 1.0
    clf = LinearClassifier(
        optimizer=torch.optim.SGD,
        optimizer_params={"weight_decay": penalty},
        lr=0.02,
        batch_size=90,
        max_epochs=700,
    ).fit(X, Y)
    # Gradient descent with weight decay minimises mean loss + penalty / 2 |w|^2, here with the biases in w.
    with_bias = np.hstack([X, np.ones((90, 1))])
    exact = LogisticRegression(C=1 / (penalty * 90), fit_intercept=False, tol=1e-10, max_iter=10_000)
    exact.fit(with_bias, Y)
    np.testing.assert_allclose(clf.predict_proba(X), exact.predict_proba(with_bias), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_hinge_loss_has_the_optimum_of_a_support_vector_machine(n_classes):
    penalty, rows = 1.0, n_classes > Y
    X_, y = X[rows], Y[rows]
    clf = LinearClassifier(
        loss="hinge",
        optimizer=torch.optim.SGD,
        optimizer_params={"weight_decay": penalty},
        lr=0.02,
        batch_size=90,
        max_epochs=800,
        callbacks=[("schedule", LRScheduler("CosineAnnealingLR", T_max=800))],
    ).fit(X_, y)
    with_bias = np.hstack([X_, np.ones((len(y), 1))])
    weights = np.hstack([clf.module_.head.weight.detach(), clf.module_.head.bias.detach()[:, None]])

    def objective(weights):
        values = with_bias @ weights.T
        own = values[np.arange(len(y)), y]
        values[np.arange(len(y)), y] = -np.inf
        return np.maximum(0, 1 + values.max(axis=1) - own).mean() + penalty / 2 * (weights**2).sum()

    C = (2 if n_classes == 2 else 1) / (
        penalty * len(y)
    )  # two weight vectors share the norm of their difference
    kind = {"loss": "hinge"} if n_classes == 2 else {"multi_class": "crammer_singer"}
    exact = LinearSVC(C=C, fit_intercept=False, tol=1e-9, max_iter=1_000_000, **kind).fit(with_bias, y).coef_
    if n_classes == 2:
        exact = np.vstack([-exact, exact]) / 2
    assert objective(weights) == pytest.approx(objective(exact), rel=1e-3)
    np.testing.assert_allclose(weights, exact, atol=0.01 * np.abs(exact).max())


def test_hinge_with_weights():
    """Whole numbers as weights are repeated rows."""
    counts = np.random.default_rng(0).integers(0, 3, len(Y))
    params = {"loss": "hinge", "batch_size": 500, "max_epochs": 20, "random_state": 0}
    weighted = LinearClassifier(**params).fit(X, Y, sample_weight=counts)
    repeated = LinearClassifier(**params).fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    with pytest.raises(TypeError, match="unlabelled rows have no hinge loss"):
        hinge(Batch(rows=torch.zeros(2, 3), logits=torch.zeros(2, 3)))
    with pytest.raises(ValueError, match="'loss' parameter of LinearClassifier"):
        LinearClassifier(loss="squared").fit(X, Y)


def test_strategies_and_files_take_it(tmp_path):
    clf = LinearClassifier(loss="hinge", max_epochs=30, random_state=0).fit(X, Y)
    clf.save(tmp_path / "svm.skal")
    assert LinearClassifier.load(tmp_path / "svm.skal").loss == "hinge"
    strategy = ASAL(tiny_gan(n_iter=2), objective="min_distance", random_state=0).fit(X)
    rows = strategy.query(X, n_queries=5, estimator=clf)
    assert len(rows) == 5
