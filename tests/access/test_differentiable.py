"""`as_torch`: pipelines and wrappers, rows of any kind, isolation, and what is refused."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetClassifier

from skal.access import RowFunction, as_torch, check_differentiable, torch_module
from skal.classifiers import NetClassifier

from ..networks import generator_states
from .common import Learner, Net, check_gradient, data, logits_of, make_net, softmax


def test_nested_frozen_searched_pipelines():
    X, y = data(3)
    scaler = FrozenEstimator(StandardScaler().fit(X))
    inner = Pipeline([("scale", scaler), ("nothing", "passthrough"), ("none", None), ("pca", PCA(4))])
    pipeline = make_pipeline(inner, GridSearchCV(LogisticRegression(max_iter=1000), {"C": [0.1, 1]}, cv=2))
    frozen = FrozenEstimator(pipeline.fit(X, y))
    module = as_torch(frozen)
    assert_allclose(softmax(logits_of(module, X)), pipeline.predict_proba(X), rtol=1e-10, atol=1e-14)
    check_gradient(module, X)


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


def test_learners_are_opened():
    X, y = data(2)
    learner = Learner(LogisticRegression())
    learner.estimator_ = LogisticRegression(max_iter=1000).fit(X, y)
    assert_allclose(softmax(logits_of(as_torch(learner), X)), learner.estimator_.predict_proba(X), rtol=1e-10)


def test_arrays_of_a_function_may_be_missing():
    module = RowFunction(lambda rows, shift: rows if shift is None else rows + shift, shift=None)
    assert torch.equal(module(torch.tensor([[1]])), torch.tensor([[1.0]], dtype=torch.float64))


def test_a_single_row_must_be_two_dimensional():
    X, y = data(2)
    module = as_torch(LogisticRegression().fit(X, y))
    with pytest.raises(ValueError, match=r"shape \(6,\) was given.*reshape\(1, -1\)"):
        module(torch.tensor(X[0]))


# Isolation.


def test_the_module_is_frozen_and_shares_nothing():
    net, X = make_net(), data(2)[0]
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
    pipeline = make_pipeline(
        StandardScaler(), PCA(4), MLPClassifier((5, 4), solver="lbfgs", max_iter=30, tol=0.1)
    ).fit(X, y)
    before = pickle.dumps(pipeline)
    states = generator_states()
    module = as_torch(pipeline)
    logits_of(module, X)
    for buffer in module.buffers():
        buffer.zero_()
    assert pickle.dumps(pipeline) == before
    assert generator_states() == states


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


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (RandomForestClassifier(), "RandomForestClassifier cannot"),
        (SVC(), "SVC cannot be differentiated with kernel='rbf'"),
        (
            SVC(kernel="linear", probability=True),
            "SVC .* with probability=True, as its probabilities are calibrated",
        ),
        (FunctionTransformer(np.abs), "only with func=None"),
        (make_pipeline(StandardScaler(), LinearSVC(), LinearSVC()), "Step 'linearsvc-1' .* as a transformer"),
        (
            make_pipeline(make_pipeline(PolynomialFeatures()), LinearSVC()),
            "Step 'pipeline' .*Step 'polynomialf",
        ),
        (GridSearchCV(KNeighborsClassifier(), {}), "KNeighborsClassifier cannot"),
    ],
)
def test_refused_before_anything_is_fitted(estimator, message):
    with pytest.raises(TypeError, match=message):
        check_differentiable(estimator)


class LogScaler(StandardScaler):
    def transform(self, X, copy=None):
        return super().transform(np.log1p(X))


class Tempered:
    """Flattens the probabilities of another class."""

    def predict_proba(self, X):
        probabilities = super().predict_proba(X) ** 0.1
        return probabilities / probabilities.sum(axis=1, keepdims=True)


class TemperedNet(Tempered, NetClassifier):
    pass


class TemperedRawNet(Tempered, NeuralNetClassifier):
    pass


class TemperedLinear(Tempered, LogisticRegression):
    pass


class TemperedPipeline(Tempered, Pipeline):
    pass


class Shifted(LinearSVC):
    def decision_function(self, X):
        return super().decision_function(X) + 1


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            LogScaler(),
            "LogScaler cannot be differentiated, as its transform is not the one of StandardScaler",
        ),
        (
            make_pipeline(LogScaler(), LinearSVC()),
            "Step 'logscaler' of the pipeline: LogScaler .*its transform",
        ),
        (TemperedNet(), "TemperedNet .* its predict_proba is not the one of NetworkEstimator"),
        (TemperedRawNet(Net), "TemperedRawNet .* its predict_proba is not the one of NeuralNet"),
        (
            TemperedLinear(),
            "TemperedLinear .* its predict_proba .* LogisticRegression.*torch_module.register",
        ),
        (
            TemperedPipeline([("svm", LogisticRegression())]),
            "TemperedPipeline .* its predict_proba .* Pipeline",
        ),
        (Shifted(), "Shifted .* its decision_function is not the one of LinearClassifierMixin"),
    ],
)
def test_subclasses_with_their_own_answers_are_refused(estimator, message):
    with pytest.raises(TypeError, match=message):
        check_differentiable(estimator)


def test_a_conversion_of_a_subclass_with_its_own_answers_counts():
    class Doubled(StandardScaler):
        def transform(self, X, copy=None):
            return 2 * super().transform(X)

    @torch_module.register
    def _(scaler: Doubled):
        return RowFunction(lambda rows: 2 * (rows - torch.tensor(scaler.mean_)) / torch.tensor(scaler.scale_))

    X, _y = data(2)
    scaler = Doubled().fit(X)
    assert_allclose(logits_of(as_torch(scaler), X), scaler.transform(X))


def test_subclasses_with_the_answers_of_their_base_are_taken():
    class Own(NetClassifier):
        def transform(self, X):
            return self.embed(X)

    check_differentiable(make_pipeline(StandardScaler(), Own()))


@pytest.mark.parametrize(
    "estimator",
    [
        NetClassifier(),
        NeuralNetClassifier(Net),
        SVC(kernel="linear"),
        Pipeline([("scale", FunctionTransformer()), ("nothing", "passthrough"), ("svm", LinearSVC())]),
        Learner(SGDClassifier()),
    ],
)
def test_taken_before_anything_is_fitted(estimator):
    check_differentiable(estimator)
