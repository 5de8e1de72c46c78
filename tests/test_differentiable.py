"""`as_torch` against scikit-learn's own predictions, in float64."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, NuSVC
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skal.access import as_torch, unwrap
from skal.classifiers import CNNClassifier, LinearClassifier


def data(n_classes, n_features=6):
    X, y = make_classification(
        n_samples=90, n_features=n_features, n_informative=4, n_classes=n_classes, random_state=0
    )
    return X * [1, 10, 0.1, 3, 1, 1] + 2, np.array(["ant", "bee", "cow"], dtype=object)[y]


def mlp(activation, hidden=(5, 4), **kwargs):
    return MLPClassifier(
        hidden, activation=activation, solver="lbfgs", max_iter=30, tol=0.1, random_state=0, **kwargs
    )


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


def logits_of(module, X):
    return module(torch.as_tensor(X)).detach().numpy()


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def check_gradient(module, X):
    rows = torch.tensor(np.asarray(X)[:3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, rows)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # defaults of LogisticRegressionCV are to change
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", PROBABILISTIC)
def test_softmax_is_predict_proba(name, n_classes):
    X, y = data(n_classes)
    X = StandardScaler().fit_transform(X)
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
    X, y = data(n_classes)
    X = StandardScaler().fit_transform(X)
    check_decision_values(copy.deepcopy(MARGIN[name]).fit(X, y), X, n_classes)


@pytest.mark.parametrize("name", BINARY_MARGIN)
def test_binary_linear_svc(name):
    X, y = data(2)
    X = StandardScaler().fit_transform(X)
    check_decision_values(copy.deepcopy(BINARY_MARGIN[name]).fit(X, y), X, 2)


@pytest.mark.parametrize("sparse_fit", [False, True])
def test_sparse_coefficients(sparse_fit):
    from scipy.sparse import csr_array

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


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()])
def test_constant_features(scaler):
    X, _ = data(2)
    X[:, 1], X[:, 3] = 5, 0
    assert_allclose(logits_of(as_torch(scaler.fit(X)), X), scaler.transform(X), rtol=1e-10, atol=1e-12)


def test_a_row_on_the_edge_of_a_clipped_range_can_still_move():
    X, _ = data(2)
    rows = torch.tensor(X, requires_grad=True)
    as_torch(MinMaxScaler(clip=True).fit(X))(rows).sum().backward()
    assert (rows.grad > 0).all()


def test_nested_frozen_searched_pipelines():
    X, y = data(3)
    scaler = FrozenEstimator(StandardScaler().fit(X))
    inner = Pipeline([("scale", scaler), ("nothing", "passthrough"), ("none", None), ("pca", PCA(4))])
    pipeline = make_pipeline(inner, GridSearchCV(LogisticRegression(max_iter=1000), {"C": [0.1, 1]}, cv=2))
    frozen = FrozenEstimator(pipeline.fit(X, y))
    module = as_torch(frozen)
    assert_allclose(softmax(logits_of(module, X)), pipeline.predict_proba(X), rtol=1e-10, atol=1e-14)
    check_gradient(module, X)


class Learner:
    """The attributes by which a learner is known."""

    def __init__(self, estimator, strategy=None):
        self.estimator, self.strategy = estimator, strategy


def test_learners_are_unwrapped():
    X, y = data(2)
    learner = Learner(LogisticRegression())
    assert unwrap(learner) is learner.estimator
    learner.estimator_ = LogisticRegression().fit(X, y)
    assert unwrap(learner) is learner.estimator_
    assert_allclose(softmax(logits_of(as_torch(learner), X)), learner.estimator_.predict_proba(X), rtol=1e-10)


def test_unwrap_sees_only_the_wrappers_own_attributes():
    from sklearn.ensemble import BaggingClassifier

    X, y = data(2)
    bagging = BaggingClassifier(LogisticRegression(), n_estimators=2, random_state=0).fit(X, y)
    assert unwrap(FrozenEstimator(bagging)) is bagging
    search = GridSearchCV(LogisticRegression(), {"C": [1]}, cv=2)
    assert unwrap(search) is search.estimator
    assert unwrap(search.fit(X, y)) is search.best_estimator_


# Rows: dtypes, images, shapes.


def test_input_dtypes_and_images():
    X, y = data(2)
    X = X.round()
    pipeline = make_pipeline(Normalizer(), StandardScaler(), LogisticRegression()).fit(X, y)
    module = as_torch(pipeline)
    expected = logits_of(module, X)
    for dtype in (torch.float32, torch.int64, torch.int16):
        assert_array_equal(logits_of(module, torch.tensor(X).to(dtype)), expected)
    assert_array_equal(logits_of(module, X.reshape(-1, 1, 2, 3)), expected)
    single = module.to(torch.float32)(torch.tensor(X))
    assert single.dtype == torch.float32
    assert_allclose(single, expected, rtol=1e-4, atol=1e-4)


def test_a_single_row_must_be_two_dimensional():
    X, y = data(2)
    module = as_torch(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match=r"shape \(6,\) was given.*reshape\(1, -1\)"):
        module(torch.tensor(X[0]))


# Networks.


class Net(nn.Module):
    def __init__(self, n_outputs=3, output=None):
        super().__init__()
        self.hidden, self.norm, self.drop = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)
        self.last = nn.Linear(5, n_outputs)
        self.output = output or nn.Identity()

    def forward(self, x):
        return self.output(self.last(self.drop(torch.tanh(self.norm(self.hidden(x))))))


def fitted_net(criterion=nn.CrossEntropyLoss, kind=NeuralNetClassifier, n_classes=3, **kwargs):
    X, y = data(n_classes)
    target = np.unique(y, return_inverse=True)[1]
    target = target.astype(np.float32) if kind is NeuralNetBinaryClassifier else target
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = kind(Net, criterion=criterion, train_split=None, max_epochs=2, verbose=0, **kwargs)
        return net.fit(X.astype(np.float32), target), X


@pytest.mark.parametrize(
    ("criterion", "kind", "kwargs"),
    [
        (nn.CrossEntropyLoss, NeuralNetClassifier, {}),
        (nn.NLLLoss, NeuralNetClassifier, {"module__output": nn.Softmax(dim=-1)}),
        (nn.BCEWithLogitsLoss, NeuralNetBinaryClassifier, {"module__n_outputs": 1, "n_classes": 2}),
        (
            nn.BCELoss,
            NeuralNetBinaryClassifier,
            {"module__n_outputs": 1, "module__output": nn.Sigmoid(), "n_classes": 2},
        ),
        (
            nn.CrossEntropyLoss,
            NeuralNetClassifier,
            {"predict_nonlinearity": lambda x: (x / 2).softmax(dim=-1)},
        ),
    ],
    ids=["cross-entropy", "nll", "bce-logits", "bce", "own-nonlinearity"],
)
def test_skorch_nets(criterion, kind, kwargs):
    net, X = fitted_net(criterion, kind, **kwargs)
    module = as_torch(net)
    logits = logits_of(module, X)  # float64 rows are cast to the float32 of the parameters
    assert logits.dtype == np.float32
    assert_allclose(softmax(logits), net.predict_proba(X.astype(np.float32)), rtol=1e-4, atol=1e-6)
    check_gradient(module.to(torch.float64), X)


def test_a_net_whose_criterion_is_unknown():
    net, _ = fitted_net()
    net.criterion_ = nn.MultiMarginLoss()
    with pytest.raises(TypeError, match=r"criterion MultiMarginLoss was given.*CrossEntropyLoss"):
        as_torch(net)


def test_modules_that_return_tuples_or_take_tokens():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.last = nn.Embedding(10, 4), nn.Linear(4, 2)

        def forward(self, x):
            hidden = self.embedding(x).mean(dim=1)
            return self.last(hidden), hidden

    net = NeuralNetClassifier(Tokens, criterion=nn.CrossEntropyLoss).initialize()
    rows = torch.tensor([[1, 2, 3], [4, 5, 6]])
    expected = net.module_.last(net.module_.embedding(rows).mean(dim=1)).detach()
    assert torch.equal(as_torch(net)(rows), expected)


@pytest.mark.parametrize("image_shape", [None, (1, 8, 8)])
def test_networks_of_skal_take_rows_and_images(image_shape):
    X = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
    y = np.array(list("abc"))[np.arange(30) % 3]
    classifier = CNNClassifier("digits", image_shape=image_shape, max_epochs=1, random_state=0)
    classifier.fit(X if image_shape else X.reshape(-1, 1, 8, 8), y)
    module = as_torch(FrozenEstimator(classifier))
    expected = classifier.predict_proba(X.reshape(-1, 1, 8, 8))
    for rows in (X, X.reshape(-1, 1, 8, 8), X.astype(np.float64)):
        assert_allclose(softmax(logits_of(module, rows)), expected, rtol=1e-4, atol=1e-6)


def test_networks_of_skal_after_scalers():
    X, y = data(3)
    pipeline = make_pipeline(StandardScaler(), LinearClassifier(max_epochs=1, random_state=0)).fit(X, y)
    module = as_torch(pipeline)
    assert_allclose(softmax(logits_of(module, X)), pipeline.predict_proba(X), rtol=1e-4, atol=1e-6)
    check_gradient(module.to(torch.float64), X)


# Isolation.


def test_the_module_is_frozen_and_shares_nothing():
    net, X = fitted_net()
    net.module_.train()
    before = {name: value.clone() for name, value in net.module_.state_dict().items()}
    module = as_torch(net)
    assert not any(part.training for part in module.modules())
    assert not any(p.requires_grad for p in module.parameters())
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.zero_()
    module.train()
    module(torch.tensor(X))
    assert net.module_.training
    assert all(p.requires_grad for p in net.module_.parameters())
    for name, value in net.module_.state_dict().items():
        assert torch.equal(value, before[name])


def test_sklearn_estimators_are_unchanged():
    X, y = data(3)
    pipeline = make_pipeline(StandardScaler(), PCA(4), mlp("relu")).fit(X, y)
    before = pickle.dumps(pipeline)
    state = torch.random.get_rng_state()
    module = as_torch(pipeline)
    logits_of(module, X)
    for buffer in module.buffers():
        buffer.zero_()
    assert pickle.dumps(pipeline) == before
    assert torch.equal(torch.random.get_rng_state(), state)


# Refusals.


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (
            RandomForestClassifier(3),
            "RandomForestClassifier cannot be differentiated.*as_torch takes linear models",
        ),
        (KNeighborsClassifier(), "KNeighborsClassifier cannot be differentiated"),
        (SVC(), "kernel='rbf'"),
        (SVC(kernel="linear"), "SVC cannot be differentiated with 3 classes.*one-vs-one; LinearSVC"),
        (
            make_pipeline(PolynomialFeatures(2), LogisticRegression()),
            "Step 'polynomialfeatures' of the pipeline",
        ),
        (
            make_pipeline(StandardScaler(), RandomForestClassifier(3)),
            "Step 'randomforestclassifier'.*cannot be",
        ),
        (make_pipeline(FunctionTransformer(np.abs), LogisticRegression()), "only with func=None"),
        (
            make_pipeline(LinearDiscriminantAnalysis(), LogisticRegression()),
            "LinearDiscriminantAnalysis .* as a tra",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_what_cannot_be_differentiated(classifier, message):
    X, y = data(3)
    X = StandardScaler().fit_transform(X)
    if isinstance(classifier, Pipeline) and "logisticregression" in classifier.named_steps:
        classifier.set_params(logisticregression__max_iter=5000)
    with pytest.raises(TypeError, match=message):
        as_torch(classifier.fit(X, y))


def test_unknown_linear_classifiers_with_probabilities_are_refused():
    class Odd(LinearClassifierMixin, BaseEstimator):
        coef_ = np.ones((1, 2))
        intercept_ = np.zeros(1)
        classes_ = np.arange(2)

        def __sklearn_is_fitted__(self):
            return True

        def fit(self, X, y):
            return self

        def predict_proba(self, X):
            return np.full((len(X), 2), 0.5)

    with pytest.raises(TypeError, match="Odd cannot be differentiated, as its predict_proba"):
        as_torch(Odd())


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LinearSVC()),
        FrozenEstimator(MLPClassifier()),
        GridSearchCV(LinearSVC(), {"C": [1]}),
        NeuralNetClassifier(Net),
        Learner(SGDClassifier()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_unfitted(estimator):
    with pytest.raises(NotFittedError):
        as_torch(estimator)
