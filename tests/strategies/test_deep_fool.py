import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skal import ActiveLearner
from skal.access import as_torch
from skal.classifiers import CNNClassifier
from skal.nets import MLP
from skal.strategies import DeepFool, RandomSubset
from skal.strategies.deep_fool import perturbation_norms

from ..networks import DIGITS

X = np.random.default_rng(0).normal(size=(40, 5))
TRUTH = np.digitize(X[:, 0] + X[:, 1] ** 2, [0.3, 1.5])
Y = np.where(np.arange(40) < 25, TRUTH, -1)


def one_by_one(logits_of, X, max_iter=50):
    """Algorithm 2 of Moosavi-Dezfooli et al., a row and a class at a time; the norms, and the steps made."""
    norms, n_steps = [], []
    for row in torch.tensor(np.asarray(X)):
        label = logits_of(row[None])[0].argmax()
        total = torch.zeros_like(row)
        for i in range(max_iter + 1):
            x = (row + total).requires_grad_()
            logits = logits_of(x[None])[0]
            if i == max_iter or logits.argmax() != label:
                break
            gradients = [torch.autograd.grad(f, x, retain_graph=True)[0] for f in logits]
            best, step = torch.inf, None
            for k in range(len(logits)):
                if k != label:
                    w, f = gradients[k] - gradients[label], (logits[k] - logits[label]).detach()
                    if f.abs() / w.norm() < best:
                        best, step = f.abs() / w.norm(), f.abs() / w.norm() ** 2 * w
            if step is None:  # no gradient
                total = torch.full_like(total, torch.inf)
                break
            total = total + step
        norms.append(total.norm().item())
        n_steps.append(i)
    return np.array(norms), np.array(n_steps)


class Bumpy(nn.Module):
    """Logits that bend, so that rows take different numbers of steps, and some never arrive."""

    def __init__(self, n_classes=4, frequency=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.inner = nn.Parameter(torch.randn(5, 8, generator=generator, dtype=torch.float64))
        self.outer = nn.Parameter(torch.randn(8, n_classes, generator=generator, dtype=torch.float64))
        self.frequency = frequency
        self.requires_grad_(False)

    def forward(self, x):
        return torch.sin(self.frequency * x.flatten(1) @ self.inner) @ self.outer


@pytest.mark.parametrize("max_iter", [1, 3, 50])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_equals_the_sequential_algorithm(max_iter, n_classes):
    module = Bumpy(n_classes)
    expected, steps = one_by_one(module, X, max_iter)
    assert_allclose(perturbation_norms(module, X, max_iter=max_iter), expected, rtol=1e-9)
    assert len(set(steps)) > 1 or max_iter == 1


@pytest.mark.parametrize("batch_size", [1, 2, 7, 100])
def test_rows_do_not_see_one_another(batch_size):
    module = Bumpy(frequency=2.0)
    seen = []
    expected, steps = one_by_one(module, X, 50)
    module.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    assert_allclose(perturbation_norms(module, X, batch_size=batch_size), expected, rtol=1e-9)
    assert max(seen) == min(batch_size, 40)
    assert sum(seen) <= 40 + 2 * steps.sum() + 2 * 40  # rows that have arrived are left alone


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_a_linear_classifier_has_a_closed_form(n_classes, shift):
    rows, labels = X + shift, TRUTH % n_classes
    classifier = LogisticRegression(max_iter=10_000).fit(rows, labels)
    weights, bias = classifier.coef_, classifier.intercept_
    if n_classes == 2:
        expected = np.abs(classifier.decision_function(rows)) / np.linalg.norm(weights)
    else:
        logits = rows @ weights.T + bias
        expected = np.empty(40)
        for i, f in enumerate(logits):
            own = f.argmax()
            others = [k for k in range(n_classes) if k != own]
            expected[i] = min(abs(f[k] - f[own]) / np.linalg.norm(weights[k] - weights[own]) for k in others)
    strategy = DeepFool(random_state=0).fit(rows)
    assert_allclose(strategy.utility(rows, estimator=classifier), -expected, rtol=1e-8)
    assert_array_equal(strategy.query(rows, n_queries=5, estimator=classifier), np.argsort(expected)[:5])


def test_networks_with_poolings():
    images = DIGITS[:12]
    clf = CNNClassifier("digits", module_params={"n_filters": 2}, max_epochs=3, lr=0.01, random_state=0)
    clf.fit(images, np.arange(12) % 3)
    assert clf.dtype_ == torch.float64
    expected, _ = one_by_one(as_torch(clf), images)
    for rows in (images, images.reshape(12, 64)):
        scores = DeepFool().fit(rows).utility(rows, estimator=clf)
        assert_allclose(scores, -expected, rtol=1e-8)
    bytes_ = images.astype(np.uint8)
    assert_allclose(DeepFool().fit(bytes_).utility(bytes_, estimator=clf), -expected, rtol=1e-8)


def test_pipelines_measure_the_pool_itself():
    rows = X * [1, 10, 100, 1, 1]
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((6,), max_iter=30, random_state=0))
    with pytest.warns(match="Maximum iterations"):
        pipeline.fit(rows, TRUTH)
    expected, _ = one_by_one(as_torch(pipeline), rows)
    for estimator in (pipeline, FrozenEstimator(pipeline)):
        assert_allclose(DeepFool().fit(rows).utility(rows, estimator=estimator), -expected, rtol=1e-8)


@pytest.mark.parametrize("container", [csr_array, pd.DataFrame])
def test_containers(container):
    classifier = LogisticRegression().fit(X, TRUTH)
    expected = DeepFool().fit(X).utility(X, estimator=classifier)
    rows = container(X)
    if container is pd.DataFrame:
        rows.columns = list("abcde")
        classifier = LogisticRegression().fit(rows, TRUTH)
    assert_allclose(DeepFool().fit(rows).utility(rows, estimator=classifier), expected, rtol=1e-9)


class Flat(nn.Module):
    """A boundary at zero; beyond one, logits without a gradient."""

    def forward(self, x):
        return torch.cat([x.clamp(-1, 1), -x.clamp(-1, 1)], 1) * 1.0


def test_rows_without_a_gradient_are_last():
    norms = perturbation_norms(Flat(), np.array([[0.5], [2.0], [-0.25], [0.0]]))
    assert_allclose(norms, [0.5, np.inf, 0.25, 0.0])
    # Logits that are all equal, everywhere.
    assert_array_equal(perturbation_norms(nn.Threshold(100, 0.0), np.ones((2, 3))), [0, 0])


def test_steps_that_overflow_are_no_distance():
    class Steep(nn.Module):
        def forward(self, x):
            return torch.cat([1 + x * 1e-300, -x * 1e-300], 1) * 1e300

    assert np.isinf(perturbation_norms(Steep(), np.array([[1e308]]))).all()


def test_single_precision():
    net = MLP((5,), 3, hidden=(8,)).eval().requires_grad_(False)
    rows = X.astype(np.float32)
    expected, _ = one_by_one(net.double(), rows.astype(np.float64))
    assert_allclose(perturbation_norms(net.float(), rows), expected, rtol=1e-3)


def test_as_a_criterion_and_of_other_classifiers():
    learner = ActiveLearner(LogisticRegression(), RandomSubset(8, DeepFool()), n_queries=3, random_state=0)
    assert set(learner.fit(X, Y).query()) <= set(range(25, 40))
    with pytest.raises(TypeError, match=r"DeepFool\(\) needs a classifier with a gradient. RandomForest"):
        ActiveLearner(RandomForestClassifier(), DeepFool()).fit(X, Y)
