"""SEALS: the neighbours of labelled rows, against brute force."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import UNLABELED, ActiveLearner
from skal.strategies import SEALS, RandomSampling, UncertaintySampling
from tests.neighbors.pools import BruteForce

X, TRUTH = load_digits(return_X_y=True)
X, TRUTH = X[:400] / 16, TRUTH[:400]


def partial(rows):
    y = np.full(len(X), -1)
    y[rows] = TRUTH[rows]
    return y


Y = partial(np.arange(20))
CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X[:20], TRUTH[:20])


def neighborhood(embedding, labeled, k, cosine=False):
    """Union of the k nearest other rows of each labelled row, without the labelled ones."""
    embedding = np.asarray(embedding, dtype=float)
    if cosine:
        embedding = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    distances = np.linalg.norm(embedding[labeled][:, None] - embedding, axis=2)
    distances[np.arange(len(labeled)), labeled] = np.inf
    return np.setdiff1d(np.argsort(distances, axis=1)[:, :k], labeled)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("embedding", ["input", "classifier", PCA(8, random_state=0)], ids=str)
def test_candidates_are_the_neighbors_of_labelled_rows(embedding, metric, monkeypatch):
    monkeypatch.setattr(
        "skal.strategies.seals._BLOCK_BYTES", 50 * (8 * X.shape[1] + 32 * 20)
    )  # several blocks
    strategy = SEALS(embedding, n_neighbors=4, metric=metric, random_state=0).fit(X, Y)
    encoded = {"input": X, "classifier": CLASSIFIER[0].transform(X)}.get(
        embedding if isinstance(embedding, str) else None
    )
    if encoded is None:
        encoded = strategy.encoder_.transform(X)
    for n_labeled in (20, 23, 23, 63):
        labeled = np.arange(n_labeled)
        strategy.query(X, partial(labeled), 5, estimator=CLASSIFIER)
        expected = neighborhood(encoded, labeled, 4, metric == "cosine")
        assert_array_equal(strategy.query_report_.rows, expected)


def test_an_offset_of_all_rows_changes_nothing():
    rows = 1.7e9 + np.arange(300.0)[:, None] * [1, 0.5]  # such as times in seconds
    labels = np.where(np.isin(np.arange(300), [10, 150]), 0, UNLABELED)
    strategy = SEALS("input", n_neighbors=4, criterion=RandomSampling(), random_state=0).fit(rows)
    strategy.query(rows, labels, 2)
    assert_array_equal(strategy.query_report_.rows, [8, 9, 11, 12, 148, 149, 151, 152])


def test_auto_is_the_classifier_where_there_is_one():
    strategy = SEALS(n_neighbors=4, criterion=RandomSampling(), random_state=0).fit(X, Y)
    strategy.query(X, Y, 5, estimator=CLASSIFIER)
    expected = neighborhood(CLASSIFIER[0].transform(X), np.arange(20), 4)
    assert_array_equal(strategy.query_report_.rows, expected)
    strategy.query(X, Y, 5)
    assert_array_equal(strategy.query_report_.rows, neighborhood(X, np.arange(20), 4))


def test_neighbors_are_looked_up_for_new_labels_only():
    strategy = SEALS(PCA(5), n_neighbors=4, random_state=0).fit(X, Y)
    n_searched = []
    for labeled in (np.arange(20), np.arange(23), np.arange(23), np.arange(10, 30)):
        strategy.query(X, partial(labeled), 5, estimator=CLASSIFIER)
        n_searched.append(strategy.query_report_.n_searched)
    assert n_searched == [20, 3, 0, 20]  # the last one has taken labels back, and starts again


def test_rounds_equal_a_fresh_start():
    strategy = SEALS(PCA(5), n_neighbors=4, random_state=0).fit(X, Y)
    for labeled in (np.arange(20), np.arange(35), np.arange(5, 35)):
        y = partial(labeled)
        fresh = clone(strategy).fit(X, y)
        pickled = pickle.loads(pickle.dumps(strategy))
        rows = strategy.query(X, y, 5, estimator=CLASSIFIER)
        assert_array_equal(rows, fresh.query(X, y, 5, estimator=CLASSIFIER))
        assert_array_equal(rows, pickled.query(X, y, 5, estimator=CLASSIFIER))


def test_the_criterion_chooses_among_the_neighbors():
    strategy = SEALS("input", n_neighbors=4, criterion=UncertaintySampling("entropy"), random_state=0)
    rows = strategy.fit(X, Y).query(X, Y, 5, estimator=CLASSIFIER)
    candidates = strategy.query_report_.rows
    p = CLASSIFIER.predict_proba(X[candidates])
    assert_array_equal(rows, candidates[np.argsort((p * np.log(p)).sum(axis=1))[:5]])


@pytest.mark.parametrize("embedding", ["input", PCA(5)], ids=str)
def test_more_neighbors_than_rows_and_no_labels(embedding):
    strategy = SEALS(embedding, n_neighbors=1000, criterion=RandomSampling(), random_state=0).fit(X, Y)
    strategy.query(X, Y, 5)
    assert_array_equal(strategy.query_report_.rows, np.arange(20, 400))
    rows = strategy.query(X, np.full(400, -1), 5)  # nothing to be near to: random rows
    assert len(strategy.query_report_.rows) == 0
    assert len(rows) == 5


def test_fewer_neighbors_than_queries_are_filled_up():
    strategy = SEALS("input", n_neighbors=1, criterion=RandomSampling(), random_state=0).fit(X, Y)
    rows = strategy.query(X, Y, 50)
    assert set(strategy.query_report_.rows) <= set(rows)


@pytest.mark.parametrize(
    "index",
    [NearestNeighbors(), KNeighborsTransformer(n_neighbors=4)],
    ids=lambda index: type(index).__name__,
)
def test_an_index_of_the_user(index):
    strategy = SEALS(PCA(5, random_state=0), n_neighbors=4, index=index, random_state=0)
    strategy.fit(X, Y).query(X, Y, 5, estimator=CLASSIFIER)
    exact = clone(strategy).set_params(index="exact").fit(X, Y)
    exact.query(X, Y, 5, estimator=CLASSIFIER)
    assert_array_equal(strategy.query_report_.rows, exact.query_report_.rows)


def test_an_index_that_answers_nonsense_is_refused():
    class Lost(BruteForce):
        def kneighbors(self, X, n_neighbors=1):
            distances, rows = super().kneighbors(X, n_neighbors)
            return distances, np.full_like(rows, -1)

    strategy = SEALS(PCA(5), index=Lost(), random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="from -1 to -1"):
        strategy.query(X, Y, 5, estimator=CLASSIFIER)


@pytest.mark.parametrize(
    "parameters",
    [{"embedding": "pixels"}, {"n_neighbors": 0}, {"metric": "manhattan"}, {"index": "tree"}],
    ids=str,
)
def test_bad_parameters(parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter of SEALS"):
        SEALS(**parameters).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("scale", "dtype"), [(1e20, np.float32), (1e25, np.float64), (1e160, np.float64)])
def test_distances_that_overflow_are_refused(scale, dtype):
    rows = (np.random.default_rng(0).normal(size=(60, 3)) * scale).astype(dtype)
    labels = np.where(np.arange(60) < 20, np.arange(60) % 2, UNLABELED)
    fitted = ActiveLearner(
        LogisticRegression(), SEALS("classifier", n_neighbors=3, criterion=RandomSampling())
    ).fit(rows, labels)
    with pytest.raises(ValueError, match="overflow"):
        fitted.query()
