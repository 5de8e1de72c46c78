"""Probabilities, decision values and embeddings against direct calls."""

import copy
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skal.access import (
    ask,
    critic_scores,
    critic_scores_and_log_proba,
    decision_function,
    embed,
    embed_and_predict_proba,
    has_embedding,
    labeled_proba,
    predict_proba,
    predicted_loss,
)
from skal.pool import as_pool

from .common import ROWS, Given, Learner, X, Y, softmax, wanted

pytestmark = pytest.mark.usefixtures("small_blocks")


@cache
def fitted(classifier):
    return copy.deepcopy(classifier).fit(X, Y)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
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
def test_predict_proba(classifier, rows):
    classifier = fitted(classifier)
    expected = classifier.predict_proba(X)
    for estimator in (classifier, FrozenEstimator(classifier), make_pipeline("passthrough", classifier)):
        assert_allclose(predict_proba(estimator, X, rows), wanted(expected, rows), rtol=1e-12)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_decision_function(n_classes, rows):
    labels = Y if n_classes == 3 else Y == "ant"
    classifier = make_pipeline(StandardScaler(), LinearSVC()).fit(X, labels)
    expected = classifier.decision_function(X)
    assert_allclose(decision_function(classifier, X, rows), wanted(expected, rows), rtol=1e-12)


@pytest.mark.parametrize("rows", [*ROWS.values(), []], ids=[*ROWS, "none"])
@pytest.mark.parametrize(
    "container",
    [csr_array, lambda X: pd.DataFrame(X, columns=list("abcdef")), lambda X: pl.DataFrame(X, list("abcdef"))],
    ids=["csr", "pandas", "polars"],
)
def test_containers_agree(container, rows):
    contained = container(X)
    classifier = LogisticRegression().fit(contained, Y)
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
    assert 31 * 2**20 < max(sizes) <= 32 * 2**20  # with two probabilities for each row
    assert len(sizes) == 10


@pytest.mark.parametrize("ask", [predict_proba, decision_function, embed, embed_and_predict_proba])
@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), make_pipeline(LogisticRegression()), FrozenEstimator(LogisticRegression())],
    ids=["plain", "pipeline", "frozen"],
)
def test_unfitted(ask, classifier):
    with pytest.raises(NotFittedError):
        ask(classifier, X)


def test_pipelines_are_transformed_once_for_both():
    class CountingScaler(StandardScaler):
        n_rows = 0

        def transform(self, X):
            type(self).n_rows += len(X)
            return super().transform(X)

    pipeline = make_pipeline(CountingScaler(), LogisticRegression()).fit(X, Y)
    expected = StandardScaler().fit_transform(X), pipeline.predict_proba(X)
    CountingScaler.n_rows = 0
    for ours, theirs in zip(embed_and_predict_proba(pipeline, X), expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-10)
    assert CountingScaler.n_rows == len(X)


def test_learners_are_opened():
    learner = Learner(MLPClassifier((4,)), "margin")
    assert has_embedding(learner)
    learner.estimator_ = LogisticRegression().fit(X, Y)
    assert embed(learner, X) is X
    assert_allclose(predict_proba(learner, X), learner.estimator_.predict_proba(X), rtol=1e-12)


def test_classifiers_with_both_in_one_pass_are_asked_once():
    class Both(Given):
        def embed_and_predict_proba(self, X):
            return X[:, :2], X[:, 2:]

    rows = np.hstack([X[:, :2], np.random.default_rng(0).dirichlet(np.ones(3), len(X))])
    embeddings, probabilities = embed_and_predict_proba(Both(), rows, [4, 2])
    assert_array_equal(embeddings, rows[[4, 2], :2])
    assert_array_equal(probabilities, rows[[4, 2], 2:])


def test_pools_are_asked_like_their_containers():
    classifier = LogisticRegression().fit(X, Y)
    assert embed(classifier, as_pool(X)) is X
    assert_array_equal(predict_proba(classifier, as_pool(X), [3, 1]), predict_proba(classifier, X, [3, 1]))


@pytest.mark.parametrize("ask_for", [labeled_proba, critic_scores, predicted_loss])
def test_each_function_asks_the_method_of_its_name(ask_for):
    class Askable(LogisticRegression):
        pass

    setattr(Askable, ask_for.__name__, lambda self, X: X[:, 0])
    pipeline = make_pipeline(StandardScaler(), Askable()).fit(X, Y)
    expected = pipeline[0].transform(X)[:, 0]
    assert_allclose(ask_for(pipeline, X), expected, rtol=1e-12)
    assert_allclose(ask_for(FrozenEstimator(pipeline), X, [7, 3]), expected[[7, 3]], rtol=1e-12)


def test_scores_and_logarithms_from_two_methods():
    class Critic(Given):
        def critic_scores(self, X):
            return X[:, 1]

    pool = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    for dtype in (np.float32, np.float64):
        scores, logarithms = critic_scores_and_log_proba(Critic(), pool.astype(dtype))
        assert_array_equal(scores, pool[:, 1])
        tiny = np.finfo(dtype).tiny
        assert_allclose(logarithms, np.log(np.maximum(pool.astype(dtype), tiny)), rtol=1e-6)
        assert logarithms.dtype == dtype


def test_any_method_is_a_question():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    assert_allclose(ask("predict_log_proba", pipeline, X, [4, 2]), pipeline.predict_log_proba(X)[[4, 2]])
    with pytest.raises(
        TypeError, match=r"skal\.access\.shout needs .* shout and LogisticRegression has none\. Use"
    ):
        ask("shout", pipeline, X)
