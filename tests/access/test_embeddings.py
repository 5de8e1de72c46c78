"""Penultimate embeddings of scikit-learn's classifiers against manual computation."""

import copy
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
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

from skal.access import embed, embed_and_predict_proba, has_embedding, provides
from skal.strategies import BADGE, CoreSet, DropQuery

from .common import ROWS, Given, X, Y, softmax, wanted

pytestmark = pytest.mark.usefixtures("small_blocks")


class WithParts(LogisticRegression):
    """A classifier whose parameters have the names of methods that strategies ask for."""

    def __init__(self, embed=None, linear_head=None, committee_proba=None, dropout_proba=None):
        super().__init__()
        self.embed = embed
        self.linear_head = linear_head
        self.committee_proba = committee_proba
        self.dropout_proba = dropout_proba


@pytest.mark.parametrize("part", [PCA(2), "yes", nn.Linear(4, 2)], ids=lambda part: type(part).__name__)
def test_a_parameter_is_no_method(part):
    classifier, plain = WithParts(part, part, part, part).fit(X, Y), LogisticRegression().fit(X, Y)
    assert_array_equal(embed(classifier, X), embed(plain, X))
    for strategy in (BADGE(), DropQuery(), CoreSet(), CoreSet("classifier")):
        asked = [
            strategy.set_params(random_state=0).fit(X).query(X, estimator=each)
            for each in (classifier, plain)
        ]
        assert_array_equal(*asked)
    for need in ("committee_proba", "dropout_proba"):
        assert not provides(classifier, need)


@cache
def fitted(classifier):
    return copy.deepcopy(classifier).fit(X, Y)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
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
def test_linear_models_embed_as_the_features(classifier, rows):
    classifier = fitted(classifier)
    assert_array_equal(embed(classifier, X, rows), wanted(X, rows))
    scaler = StandardScaler().fit(X)
    pipeline = make_pipeline(make_pipeline(scaler, "passthrough"), FrozenEstimator(classifier))
    assert_allclose(embed(pipeline, X, rows), wanted(scaler.transform(X), rows), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_rows_of_a_float_array_are_not_copied(dtype):
    pool = X.astype(dtype)
    classifier = LogisticRegression().fit(pool, Y)
    assert embed(classifier, pool) is pool
    assert embed_and_predict_proba(FrozenEstimator(classifier), pool)[0] is pool
    images = pool.reshape(-1, 1, 2, 3)
    assert np.shares_memory(embed(classifier, images), pool)
    assert_array_equal(embed(classifier, images), pool)
    assert_array_equal(embed(classifier, images, [5, 2]), pool[[5, 2]])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, np.float32), (bool, np.float32), (np.int64, np.float64), (np.float16, np.float32)],
)
def test_integers_become_floats(dtype, expected):
    classifier = LogisticRegression().fit(X, Y)
    values = np.abs(10 * X).astype(dtype)
    embeddings = embed(classifier, values)
    assert embeddings.dtype == expected
    assert_array_equal(embeddings, values.astype(np.float64))


def test_integers_stay_where_they_are_wanted():
    pool = np.abs(10 * X).astype(np.uint8)
    classifier = LogisticRegression().fit(X, Y)
    assert embed(classifier, pool, keep_integers=True) is pool
    assert embed_and_predict_proba(classifier, pool, keep_integers=True)[0] is pool
    assert embed(classifier, pool, [5, 2], keep_integers=True).dtype == np.uint8


@pytest.mark.parametrize(
    ("dtype", "expected"), [(np.uint8, np.float32), (np.int16, np.float32), (np.int32, np.float64)]
)
def test_computed_embeddings_take_no_more_than_their_rows_need(dtype, expected):
    pool = np.abs(10 * X).astype(dtype)
    scaler = StandardScaler().fit(X)
    pipeline = make_pipeline(scaler, LogisticRegression()).fit(X, Y)
    for embeddings in (embed(pipeline, pool), embed_and_predict_proba(pipeline, pool)[0]):
        assert embeddings.dtype == expected
        assert_array_equal(embeddings, scaler.transform(pool).astype(expected))


def test_embeddings_of_texts_take_float32():
    texts = ["red", "green", "red green", "blue"]
    pipeline = make_pipeline(TfidfVectorizer(), TruncatedSVD(2), LogisticRegression()).fit(
        texts, [0, 1, 0, 1]
    )
    assert embed(pipeline, texts).dtype == np.float32


def test_blocks_of_sparse_rows_are_bounded_as_dense_ones(monkeypatch):
    monkeypatch.setattr("skal.pool.base.BLOCK_BYTES", 4 * 8 * X.shape[1])
    sizes = []
    monkeypatch.setattr("skal.access.embeddings.dense", lambda X: sizes.append(X.shape[0]) or X.toarray())
    rows = csr_array(np.eye(len(X), X.shape[1]))  # an entry in each of some rows
    assert_array_equal(embed(LogisticRegression().fit(X, Y), rows), rows.toarray())
    assert max(sizes) <= 4


def test_sparse_features_become_dense():
    for classifier in (LinearSVC(), MLPClassifier((), max_iter=5, solver="lbfgs", tol=10)):
        embeddings = embed(fitted(classifier), csr_array(X))
        assert isinstance(embeddings, np.ndarray)
        assert_array_equal(embeddings, X)


def test_features_of_other_types_are_checked():
    pool = X.astype(np.float16)
    pool[50, 2] = np.inf
    with pytest.raises(ValueError, match=r"LogisticRegression\.embed returned NaN or infinity"):
        embed(fitted(LogisticRegression()), pool)


def test_features_must_be_those_of_fit():
    classifier = LogisticRegression().fit(X, Y)
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
def test_mlp_embeds_as_its_last_hidden_activations(activation, function, sparse):
    mlp = MLPClassifier(
        (5, 4), activation=activation, solver="lbfgs", max_iter=20, tol=10, random_state=0
    ).fit(X, Y)
    hidden = function(function(X @ mlp.coefs_[0] + mlp.intercepts_[0]) @ mlp.coefs_[1] + mlp.intercepts_[1])
    pool = csr_array(X) if sparse else X
    assert_allclose(embed(mlp, pool), hidden, rtol=1e-10, atol=1e-12)
    embeddings, probabilities = embed_and_predict_proba(mlp, pool, [7, 3])
    assert_allclose(embeddings, hidden[[7, 3]], rtol=1e-10, atol=1e-12)
    # The embedding is what the last linear layer sees.
    last = softmax(embeddings @ mlp.coefs_[2] + mlp.intercepts_[2])
    assert_allclose(last, probabilities, rtol=1e-10, atol=1e-12)


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
def test_classifiers_without_an_embedding(classifier, ask):
    name = type(classifier).__name__
    with pytest.raises(
        TypeError, match=rf"with penultimate embeddings and {name} has none\. .*embedding='input'"
    ):
        ask(make_pipeline(StandardScaler(), classifier).fit(X, Y), X)
