"""Probabilities, decision values and embeddings against direct calls and manual computation."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetClassifier
from torch import nn

from skal import access
from skal.access import decision_function, embed, embed_and_predict_proba, has_embedding, predict_proba


@pytest.fixture(scope="module", name="X")
def pool():
    return np.random.default_rng(0).normal(size=(60, 6))


@pytest.fixture(scope="module")
def y(X):
    return np.array(["ant", "bee", "cow"])[np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.4, 0.4])]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 11 rows, so that a pool has several."""
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 11)


ROWS = [None, [59, 0, 30], np.delete(np.arange(60), [4, 5, 50])[::-1]]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def wanted(values, rows):
    return values if rows is None else values[rows]


# Probabilities and decision values.


@pytest.mark.parametrize("rows", ROWS, ids=["all", "few", "most"])
@pytest.mark.parametrize(
    "classifier",
    [
        GaussianNB(),
        KNeighborsClassifier(3),
        RandomForestClassifier(3, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_predict_proba(X, y, classifier, rows):
    classifier = copy.deepcopy(classifier).fit(X, y)
    expected = classifier.predict_proba(X)
    for estimator in (classifier, FrozenEstimator(classifier), make_pipeline("passthrough", classifier)):
        assert_allclose(predict_proba(estimator, X, rows), wanted(expected, rows), rtol=1e-12)


@pytest.mark.parametrize("rows", ROWS, ids=["all", "few", "most"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_function(X, y, n_classes, rows):
    labels = y if n_classes == 3 else y == "ant"
    classifier = make_pipeline(StandardScaler(), LinearSVC()).fit(X, labels)
    expected = classifier.decision_function(X)
    assert_allclose(decision_function(classifier, X, rows), wanted(expected, rows), rtol=1e-12)


@pytest.mark.parametrize("rows", [*ROWS, []], ids=["all", "few", "most", "none"])
@pytest.mark.parametrize(
    "container",
    [csr_array, lambda X: pd.DataFrame(X, columns=list("abcdef")), lambda X: pl.DataFrame(X, list("abcdef"))],
    ids=["csr", "pandas", "polars"],
)
def test_containers_agree(X, y, container, rows):
    contained = container(X)
    classifier = LogisticRegression().fit(contained, y)
    expected = softmax(X @ classifier.coef_.T + classifier.intercept_)
    assert_allclose(predict_proba(classifier, contained, rows), wanted(expected, rows), rtol=1e-10)
    assert_array_equal(embed(classifier, contained, rows), wanted(X, rows))


def test_no_block_of_a_memmap_is_larger_than_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 10**6)
    X = np.memmap(tmp_path / "pool.dat", dtype=np.float64, shape=(2**14, 2**10), mode="w+")  # 128 MiB
    sizes = []

    class Recorder(Given):
        def predict_proba(self, X):
            sizes.append(X.nbytes)
            assert np.shares_memory(X, pool)
            return np.full((len(X), 2), 0.5)

    pool = X
    predict_proba(Recorder(2), X)
    predict_proba(Recorder(2), X, np.arange(1, 2**14))
    assert max(sizes) == 64 * 2**20
    assert len(sizes) == 4


class Given(ClassifierMixin, BaseEstimator):
    """Returns what it was given as probabilities, decision values and embeddings."""

    def __init__(self, n_classes=3):
        self.classes_ = np.arange(n_classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X

    decision_function = embed = predict_proba


@pytest.mark.parametrize("ask", [predict_proba, decision_function, embed])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_finite(ask, value):
    pool = np.zeros((20, 3))
    pool[17, 1] = value
    with pytest.raises(ValueError, match=rf"Given\.{ask.__name__} returned NaN or infinity"):
        ask(Given(), pool)
    assert ask(Given(), pool, [3, 4]).shape == (2, 3)


def test_probabilities_need_a_column_a_class():
    with pytest.raises(
        ValueError, match=r"Given\.predict_proba returned .* \(5, 3\); it must be \(n_rows, 4\)"
    ):
        predict_proba(Given(4), np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"\(5,\)"):
        predict_proba(Given(4), np.zeros(5))


def test_missing_methods(X, y):
    with pytest.raises(
        TypeError, match=r"skal.access.predict_proba needs .* LinearSVC has none\. Wrap it in Cal"
    ):
        predict_proba(make_pipeline(StandardScaler(), LinearSVC()).fit(X, y), X)
    with pytest.raises(TypeError, match=r"with decision_function and GaussianNB has none\. Use a linear"):
        decision_function(GaussianNB().fit(X, y), X)


@pytest.mark.parametrize("ask", [predict_proba, decision_function, embed, embed_and_predict_proba])
@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), make_pipeline(LogisticRegression()), FrozenEstimator(LogisticRegression())],
    ids=["plain", "pipeline", "frozen"],
)
def test_unfitted(X, ask, classifier):
    with pytest.raises(NotFittedError):
        ask(classifier, X)


# Embeddings of scikit-learn's classifiers.


@pytest.mark.parametrize("rows", ROWS, ids=["all", "few", "most"])
@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        LinearSVC(),
        SGDClassifier(),
        RidgeClassifier(),
        LinearDiscriminantAnalysis(),
        SVC(kernel="linear"),
        MLPClassifier((), max_iter=5, solver="lbfgs", tol=10),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_linear_models_embed_as_the_features(X, y, classifier, rows):
    classifier = copy.deepcopy(classifier).fit(X, y)
    assert_array_equal(embed(classifier, X, rows), wanted(X, rows))
    scaler = StandardScaler().fit(X)
    pipeline = make_pipeline(make_pipeline(scaler, "passthrough"), FrozenEstimator(classifier))
    assert_allclose(embed(pipeline, X, rows), wanted(scaler.transform(X), rows), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_rows_of_a_float_array_are_not_copied(X, y, dtype):
    X = X.astype(dtype)
    classifier = LogisticRegression().fit(X, y)
    assert embed(classifier, X) is X
    assert embed_and_predict_proba(FrozenEstimator(classifier), X)[0] is X
    images = X.reshape(-1, 1, 2, 3)
    assert np.shares_memory(embed(classifier, images), X)
    assert_array_equal(embed(classifier, images), X)
    assert_array_equal(embed(classifier, images, [5, 2]), X[[5, 2]])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, np.float32), (bool, np.float32), (np.int64, np.float64), (np.float16, np.float32)],
)
def test_integers_become_floats(X, y, dtype, expected):
    classifier = LogisticRegression().fit(X, y)
    values = np.abs(10 * X).astype(dtype)
    embeddings = embed(classifier, values)
    assert embeddings.dtype == expected
    assert_array_equal(embeddings, values.astype(np.float64))


def test_features_must_be_those_of_fit(X, y):
    classifier = LogisticRegression().fit(X, y)
    for rows in (None, [0]):
        with pytest.raises(ValueError, match="X has 5 features and LogisticRegression was fitted with 6"):
            embed(classifier, X[:, :5], rows)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda x: np.where(x > 0, x, 0)),
        ("tanh", np.tanh),
        ("logistic", lambda x: 1 / (1 + np.exp(-x))),
        ("identity", lambda x: x),
    ],
)
def test_mlp_embeds_as_its_last_hidden_activations(X, y, activation, function, sparse):
    mlp = MLPClassifier(
        (5, 4), activation=activation, solver="lbfgs", max_iter=20, tol=10, random_state=0
    ).fit(X, y)
    hidden = function(function(X @ mlp.coefs_[0] + mlp.intercepts_[0]) @ mlp.coefs_[1] + mlp.intercepts_[1])
    pool = csr_array(X) if sparse else X
    assert_allclose(embed(mlp, pool), hidden, rtol=1e-10, atol=1e-12)
    embeddings, probabilities = embed_and_predict_proba(mlp, pool, [7, 3])
    assert_allclose(embeddings, hidden[[7, 3]], rtol=1e-10, atol=1e-12)
    # The embedding is what the last linear layer sees.
    last = softmax(embeddings @ mlp.coefs_[2] + mlp.intercepts_[2])
    assert_allclose(last, probabilities, rtol=1e-10, atol=1e-12)


def test_pipelines_are_transformed_once_for_both(X, y):
    class CountingScaler(StandardScaler):
        n_rows = 0

        def transform(self, X):
            type(self).n_rows += len(X)
            return super().transform(X)

    pipeline = make_pipeline(CountingScaler(), LogisticRegression()).fit(X, y)
    expected = StandardScaler().fit_transform(X), pipeline.predict_proba(X)
    CountingScaler.n_rows = 0
    for ours, theirs in zip(embed_and_predict_proba(pipeline, X), expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-10)
    assert CountingScaler.n_rows == len(X)


@pytest.mark.parametrize(
    ("classifier", "expected"),
    [
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), SGDClassifier()), True),
        (GridSearchCV(make_pipeline(StandardScaler(), MLPClassifier()), {}), True),
        (FrozenEstimator(LinearSVC()), True),
        (SVC(kernel="linear"), True),
        (Given(), True),
        (NeuralNetClassifier(nn.Linear), True),
        (SVC(), False),
        (RandomForestClassifier(), False),
        (KNeighborsClassifier(), False),
        (make_pipeline(StandardScaler(), GaussianNB()), False),
        (make_pipeline(LogisticRegression(), "passthrough"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_has_embedding(classifier, expected):
    assert has_embedding(classifier) is expected


@pytest.mark.parametrize(
    "classifier", [RandomForestClassifier(3), KNeighborsClassifier(), SVC(), GaussianNB()]
)
@pytest.mark.parametrize("ask", [embed, embed_and_predict_proba])
def test_classifiers_without_an_embedding(X, y, classifier, ask):
    name = type(classifier).__name__
    with pytest.raises(
        TypeError, match=rf"with penultimate embeddings and {name} has none\. .*embedding='input'"
    ):
        ask(make_pipeline(StandardScaler(), classifier).fit(X, y), X)


def test_learners_are_opened(X, y):
    class Learner:
        def __init__(self, estimator, strategy):
            self.estimator, self.strategy = estimator, strategy

    learner = Learner(MLPClassifier((4,)), "margin")
    assert has_embedding(learner)
    learner.estimator_ = LogisticRegression().fit(X, y)
    assert embed(learner, X) is X
    assert_allclose(predict_proba(learner, X), learner.estimator_.predict_proba(X), rtol=1e-12)


# Networks.


class Net(nn.Module):
    def __init__(self, end=None):
        super().__init__()
        self.first, self.drop = nn.Linear(6, 5), nn.Dropout(0.5)
        self.last = nn.Linear(5, 3)  # runs after `unused`, which never runs
        self.unused = nn.Linear(2, 2)
        self.end = end or nn.Identity()

    def forward(self, x):
        return self.end(self.last(self.drop(torch.relu(self.first(x)))))


def make_net(**kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = NeuralNetClassifier(Net, criterion=nn.CrossEntropyLoss, batch_size=4, verbose=0, **kwargs)
        return net.initialize()


def hidden_of(net, X):
    weight, bias = (p.detach().numpy() for p in net.module_.first.parameters())
    return np.maximum(X @ weight.T + bias, 0)


@pytest.mark.parametrize("rows", ROWS, ids=["all", "few", "most"])
def test_raw_skorch_nets(X, rows):
    net = make_net()
    weight, bias = (p.detach().numpy() for p in net.module_.last.parameters())
    hidden = hidden_of(net, X)
    proba = softmax(hidden @ weight.T + bias)
    embeddings, probabilities = embed_and_predict_proba(net, X, rows)
    assert_allclose(embeddings, wanted(hidden, rows), rtol=1e-4, atol=1e-5)
    assert_allclose(probabilities, wanted(proba, rows), rtol=1e-4, atol=1e-5)
    assert_array_equal(embed(FrozenEstimator(net), X, rows), embeddings)
    assert_array_equal(predict_proba(net, X, rows), probabilities)
    scaler = StandardScaler().fit(X)
    scaled = embed(make_pipeline(scaler, net), pd.DataFrame(X), rows)
    assert_allclose(scaled, wanted(hidden_of(net, scaler.transform(X)), rows), rtol=1e-4, atol=1e-5)


def test_skorch_containers_and_dtypes(X):
    net = make_net()
    expected = predict_proba(net, X)
    assert_allclose(predict_proba(net, csr_array(X)), expected, rtol=1e-6)
    assert_allclose(predict_proba(net, pl.DataFrame(X)), expected, rtol=1e-6)
    whole = (10 * X).astype(np.int64)
    assert_array_equal(predict_proba(net, whole), predict_proba(net, whole.astype(np.float32)))
    net.module_.to(torch.float64)
    assert predict_proba(net, X.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("ask", [predict_proba, embed, embed_and_predict_proba])
def test_asking_a_net_leaves_no_trace(X, ask, training):
    net = make_net()
    net.module_.train(training)
    net.module_.first.eval()
    net.criterion_.train(training)
    before = pickle.dumps(net)
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    ask(net, X)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert net.module_.training == net.module_.drop.training == net.criterion_.training == training
    assert not net.module_.first.training
    assert pickle.dumps(net) == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.module_.modules())


def test_hooks_and_flags_are_removed_after_an_error():
    net = make_net()
    with pytest.raises(RuntimeError):
        embed(net, np.zeros((3, 7), dtype=np.float32))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.module_.modules())
    assert net.module_.training


def test_nets_without_a_linear_layer():
    net = NeuralNetClassifier(nn.Conv1d, module__in_channels=1, module__out_channels=2, module__kernel_size=3)
    assert has_embedding(net)
    net.initialize()
    assert not has_embedding(net)
    with pytest.raises(TypeError, match="penultimate embeddings and NeuralNetClassifier has none"):
        embed(net, np.zeros((3, 1, 3)))

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            return x

    net = NeuralNetClassifier(Unused, criterion=nn.CrossEntropyLoss).initialize()
    with pytest.raises(TypeError, match=r"Unused ran no torch\.nn\.Linear"):
        embed(net, np.zeros((3, 3)))


def test_a_net_that_diverged(X):
    net = make_net()
    with torch.no_grad():
        net.module_.first.bias.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"NeuralNetClassifier\.predict_proba returned NaN"):
        predict_proba(net, X)
    with pytest.raises(ValueError, match=r"NeuralNetClassifier\.embed returned NaN"):
        embed(net, X)


def test_classifiers_with_both_in_one_pass_are_asked_once(X):
    class Both(Given):
        def embed_and_predict_proba(self, X):
            return X[:, :2], X[:, 2:5]

    embeddings, probabilities = embed_and_predict_proba(Both(), X, [4, 2])
    assert_array_equal(embeddings, X[[4, 2], :2])
    assert_array_equal(probabilities, X[[4, 2], 2:5])


def test_public_names():
    assert all(callable(getattr(access, name)) for name in access.__all__ if name != "QUESTIONS")
