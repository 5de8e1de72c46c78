"""Classifiers and transformers of scikit-learn as torch modules, against their own predictions in float64."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, NuSVC

from skal.access import as_torch

from .common import check_gradient, data, logits_of, softmax


def mlp(activation, hidden=(5, 4), **kwargs):
    return MLPClassifier(
        hidden, activation=activation, solver="lbfgs", max_iter=30, tol=0.1, random_state=0, **kwargs
    )


def scaled_data(n_classes):
    X, y = data(n_classes)
    return StandardScaler().fit_transform(X), y


PROBABILISTIC = {
    "logistic": LogisticRegression(max_iter=2000),
    "logistic-no-intercept": LogisticRegression(fit_intercept=False, max_iter=2000),
    "logistic-cv": LogisticRegressionCV(Cs=2, cv=2, max_iter=2000),
    "sgd-log": SGDClassifier(loss="log_loss", random_state=0),
    "sgd-log-sparse": SGDClassifier(loss="log_loss", penalty="l1", alpha=0.1, random_state=0),
    "sgd-modified-huber": SGDClassifier(loss="modified_huber", random_state=0),
    "lda-svd": LinearDiscriminantAnalysis(),
    "lda-lsqr": LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
    "mlp-relu": mlp("relu"),
    "mlp-tanh": mlp("tanh"),
    "mlp-logistic": mlp("logistic"),
    "mlp-identity": mlp("identity"),
    "mlp-linear": mlp("relu", hidden=()),
}
MARGIN = {
    "linear-svc": LinearSVC(),
    "linear-svc-no-intercept": LinearSVC(fit_intercept=False),
    "sgd-hinge": SGDClassifier(random_state=0),
    "perceptron": Perceptron(),
    "ridge": RidgeClassifier(),
    "ridge-no-intercept": RidgeClassifier(fit_intercept=False),
    "ridge-cv": RidgeClassifierCV(),
}
BINARY_MARGIN = {"svc": SVC(kernel="linear"), "nu-svc": NuSVC(nu=0.3, kernel="linear")}
TRANSFORMERS = {
    "standard": StandardScaler(),
    "standard-mean": StandardScaler(with_std=False),
    "standard-std": StandardScaler(with_mean=False),
    "standard-nothing": StandardScaler(with_mean=False, with_std=False),
    "min-max": MinMaxScaler((-1, 2)),
    "min-max-clip": MinMaxScaler(clip=True),
    "min-max-range-clip": MinMaxScaler((-1, 2), clip=True),
    "max-abs": MaxAbsScaler(),
    "robust": RobustScaler(),
    "robust-center": RobustScaler(with_scaling=False),
    "robust-scale": RobustScaler(with_centering=False),
    "normalizer-l1": Normalizer("l1"),
    "normalizer-l2": Normalizer("l2"),
    "normalizer-max": Normalizer("max"),
    "pca": PCA(3),
    "pca-whiten": PCA(3, whiten=True),
    "incremental-pca": IncrementalPCA(3),
    "svd": TruncatedSVD(3, random_state=0),
    "function": FunctionTransformer(),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # defaults of LogisticRegressionCV are to change
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", PROBABILISTIC)
def test_softmax_is_predict_proba(name, n_classes):
    X, y = scaled_data(n_classes)
    classifier = copy.deepcopy(PROBABILISTIC[name]).fit(X, y)
    module = pickle.loads(pickle.dumps(as_torch(classifier)))
    logits = logits_of(module, X)
    assert logits.shape == (len(X), n_classes)
    assert logits.dtype == np.float64
    assert np.isfinite(logits).all()
    assert_allclose(softmax(logits), classifier.predict_proba(X), rtol=1e-10, atol=1e-14)
    check_gradient(module, X)


def test_sgd_log_loss_in_three_classes_is_not_the_softmax_of_the_decision_values():
    X, y = data(3)
    classifier = SGDClassifier(loss="log_loss", random_state=0).fit(X, y)
    decision = classifier.decision_function(X)
    assert not np.allclose(softmax(decision), classifier.predict_proba(X), atol=1e-3)
    assert_allclose(logits_of(as_torch(classifier), X), -np.logaddexp(0, -decision), rtol=1e-12)


def test_multi_class_of_older_logistic_regressions():
    X, y = data(3)
    classifier = LogisticRegression(max_iter=2000).fit(X, y)
    classifier.multi_class = "ovr"  # scikit-learn before 1.8: normalised sigmoids
    sigmoids = 1 / (1 + np.exp(-classifier.decision_function(X)))
    assert_allclose(
        softmax(logits_of(as_torch(classifier), X)), sigmoids / sigmoids.sum(axis=1, keepdims=True)
    )
    classifier = LogisticRegression(max_iter=2000).fit(X, y == "ant")
    classifier.multi_class = "multinomial"
    with pytest.raises(TypeError, match="only with the default 'auto'"):
        as_torch(classifier)


def test_liblinear_with_two_classes():
    X, y = scaled_data(2)
    classifier = LogisticRegression(solver="liblinear").fit(X, y)
    assert_allclose(softmax(logits_of(as_torch(classifier), X)), classifier.predict_proba(X), rtol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_modified_huber_saturates(n_classes):
    X, y = data(n_classes)
    classifier = SGDClassifier(loss="modified_huber", random_state=0).fit(X, y)
    far = np.concatenate([X, 100 * X, -100 * X])
    proba = classifier.predict_proba(far)
    assert (proba == 0).any()
    if n_classes == 3:  # no class is likely: scikit-learn answers with equal probabilities
        assert (proba == 1 / 3).all(axis=1).any()
    logits = logits_of(as_torch(classifier), far)
    assert np.isfinite(logits).all()
    assert_allclose(softmax(logits), proba, rtol=1e-10, atol=1e-14)
    rows = torch.tensor(far, requires_grad=True)
    as_torch(classifier)(rows).softmax(dim=1).square().sum().backward()
    assert torch.isfinite(rows.grad).all()


def check_decision_values(classifier, X, n_classes):
    module = as_torch(classifier)
    logits, decision = logits_of(module, X), classifier.decision_function(X)
    if n_classes == 2:
        assert_array_equal(logits[:, 0], 0)
        logits = logits[:, 1] - logits[:, 0]
    assert_allclose(logits, decision, rtol=1e-9, atol=1e-10)
    check_gradient(module, X)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", MARGIN)
def test_margin_classifiers_give_decision_values(name, n_classes):
    X, y = scaled_data(n_classes)
    check_decision_values(copy.deepcopy(MARGIN[name]).fit(X, y), X, n_classes)


@pytest.mark.parametrize("name", BINARY_MARGIN)
def test_binary_linear_svc(name):
    X, y = scaled_data(2)
    check_decision_values(copy.deepcopy(BINARY_MARGIN[name]).fit(X, y), X, 2)


@pytest.mark.parametrize("sparse_fit", [False, True])
def test_sparse_coefficients(sparse_fit):
    X, y = data(2)
    classifier = (
        LinearSVC().fit(X, y).sparsify() if not sparse_fit else SVC(kernel="linear").fit(csr_array(X), y)
    )
    decision = classifier.decision_function(csr_array(X) if sparse_fit else X)
    assert_allclose(logits_of(as_torch(classifier), X)[:, 1], decision, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name):
    X, y = data(2)
    transformer = copy.deepcopy(TRANSFORMERS[name]).fit(X[:40])
    X = np.concatenate([X, np.zeros((1, X.shape[1]))])  # outside the scalers' range; a row without a norm
    module = pickle.loads(pickle.dumps(as_torch(transformer)))
    assert_allclose(logits_of(module, X), transformer.transform(X), rtol=1e-10, atol=1e-12)
    check_gradient(module, X[40:43] + 1e-3)  # off the corners of a clipped range
    pipeline = make_pipeline(transformer, LogisticRegression(max_iter=5000)).fit(X[:-1], y)
    assert_allclose(
        softmax(logits_of(as_torch(pipeline), X)), pipeline.predict_proba(X), rtol=1e-9, atol=1e-13
    )


def test_zero_rows_have_a_finite_gradient_through_normalizer():
    X, y = data(2)
    pipeline = make_pipeline(Normalizer(), LogisticRegression()).fit(X, y)
    rows = torch.zeros((1, 6), dtype=torch.float64, requires_grad=True)
    as_torch(pipeline)(rows).sum().backward()
    assert torch.isfinite(rows.grad).all()


@pytest.mark.parametrize("name", ["standard", "min-max", "min-max-range-clip", "max-abs", "robust"])
def test_constant_features(name):
    X = data(2)[0].copy()
    X[:, 1], X[:, 3] = 5, 0
    scaler = copy.deepcopy(TRANSFORMERS[name]).fit(X)
    module = as_torch(scaler)
    for rows in (X, X + 0.5, 3 * X, -X):
        assert_allclose(logits_of(module, rows), scaler.transform(rows), rtol=1e-10, atol=1e-12)


def clipping_scalers():
    scalers = [MinMaxScaler(clip=True), MinMaxScaler((-0.3, 1.7), clip=True)]
    return [*scalers, MaxAbsScaler(clip=True)] if "clip" in MaxAbsScaler().get_params() else scalers


@pytest.mark.parametrize("scaler", clipping_scalers(), ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_on_the_edge_of_a_clipped_range_can_still_move(scaler, dtype):
    X, _ = data(2)
    rows = torch.tensor(X, requires_grad=True)
    as_torch(scaler.fit(X)).to(dtype)(rows).sum().backward()
    assert (rows.grad > 0).all()


@pytest.mark.parametrize("scaler", clipping_scalers(), ids=str)
def test_a_row_outside_a_clipped_range_stays(scaler):
    X, _ = data(2)
    scaler.fit(X)
    for outside in (np.abs(X).max(axis=0) * 2, np.abs(X).max(axis=0) * -2):
        rows = torch.tensor(outside[None], requires_grad=True)
        values = as_torch(scaler)(rows)
        values.sum().backward()
        assert_allclose(values.detach(), scaler.transform(outside[None]), rtol=1e-12)
        assert not rows.grad.any()
