"""DGAL: what is restricted, explored and reused."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors
from sklearn.preprocessing import FunctionTransformer

from skal import ActiveLearner, SimulatedLearner
from skal.classifiers import LinearClassifier
from skal.neighbors import CellIndex
from skal.strategies import BADGE, DGAL, CoreSet, RandomSampling, UncertaintySampling
from tests.neighbors.pools import BruteForce
from tests.networks import tiny_vae

X, TRUTH = load_digits(return_X_y=True)
X, TRUTH = X[:400] / 16, TRUTH[:400]


def partial(rows):
    y = np.full(len(X), -1)
    y[rows] = TRUTH[rows]
    return y


Y = partial(np.arange(30))
CLASSIFIER = LogisticRegression(max_iter=1000).fit(X[:30], TRUTH[:30])


@pytest.mark.parametrize("symmetric", [True, False])
def test_candidates_are_those_of_the_literal_algorithm(symmetric):
    """Equations 2, 7, 8 and 9 with dense matrices in float64."""
    n_neighbors, n_steps, n_candidates = 6, 4, 25
    strategy = DGAL(
        PCA(10, random_state=0),
        n_neighbors=n_neighbors,
        n_steps=n_steps,
        n_candidates=n_candidates,
        symmetric=symmetric,
        random_state=0,
    )
    strategy.fit(X, Y).query(X, Y, 5, estimator=CLASSIFIER)

    latents = strategy.encoder_.transform(X)
    distances = np.linalg.norm(latents[:, None] - latents, axis=2)
    np.fill_diagonal(distances, np.inf)
    neighbors = np.argsort(distances, axis=1)[:, :n_neighbors]
    scale = np.sort(distances, axis=1)[:, n_neighbors - 1]
    weights = np.zeros_like(distances)
    for i, row in enumerate(neighbors):
        weights[i, row] = np.exp(-(distances[i, row] ** 2) / (scale[i] * scale[row]))
    if symmetric:
        weights = (weights + weights.T) / 2
    transitions = weights / weights.sum(axis=1, keepdims=True)
    known = Y >= 0
    start = np.where(known[:, None], np.where(np.arange(10) == Y[:, None], 1.0, -1.0), 0.0)
    signal = start
    for _ in range(n_steps):
        signal = np.where(known[:, None], start, transitions @ signal)
    uncertainty = np.abs(signal).min(axis=1)[~known]

    report = strategy.query_report_
    assert_allclose(report.uncertainty, np.sort(uncertainty)[:n_candidates], atol=1e-5)
    assert_allclose(np.abs(signal).min(axis=1)[report.rows], report.uncertainty, atol=1e-5)
    assert report.n_unreached == np.count_nonzero((signal[~known] == 0).all(axis=1))


def dense_diffusion(transitions, labels, n_classes, n_steps):
    """Equations 7 and 8 and, from shares 1/C of each class, appendix C, in float64."""
    known = labels >= 0
    own = np.arange(n_classes) == labels[:, None]
    starts = [np.where(own, 1.0, -1.0) * known[:, None], np.where(known[:, None], own, 1 / n_classes)]
    answers = []
    for start in starts:
        signal = start
        for _ in range(n_steps):
            signal = np.where(known[:, None], start, transitions @ signal)
        answers.append(signal)
    return answers


@pytest.mark.parametrize("uncertainty", ["min", "norm", 1, np.inf, "confidence", "margin", "entropy"])
@pytest.mark.parametrize("classes", [None, np.arange(10)], ids=["seen", "ten"])
def test_classes_are_all_that_the_learner_knows(uncertainty, classes):
    """Equation 7 and appendix C have all classes, of which the first labels may show half."""
    rows = np.flatnonzero(TRUTH < 5)[:20]
    strategy = DGAL(
        PCA(5),
        n_steps=4,
        n_candidates=30,
        uncertainty=uncertainty,
        criterion=RandomSampling(),
        random_state=0,
    )
    learner = ActiveLearner(LogisticRegression(), strategy, classes=classes).fit(X, partial(rows))
    learner.query(n_queries=30)
    report = learner.strategy_.query_report_

    diffusion = learner.strategy_.diffusion_
    walks, inverse = diffusion.to_arrays(), np.argsort(diffusion.to_arrays()["order"])
    matrix = csr_array((walks["entries"], walks["columns"], walks["starts"]), shape=(len(X), len(X)))
    transitions = matrix.toarray()[inverse][:, inverse].astype(float)
    signal, shares = dense_diffusion(transitions, partial(rows), 5 if classes is None else 10, 4)
    two = np.sort(shares, axis=1)[:, -2:]
    expected = {
        "min": np.abs(signal).min(axis=1),
        "norm": np.linalg.norm(signal, axis=1),
        1: np.abs(signal).sum(axis=1),
        np.inf: np.abs(signal).max(axis=1),
        "confidence": two[:, 1],
        "margin": two[:, 1] - two[:, 0],
        "entropy": xlogy(shares, shares).sum(axis=1),
    }[uncertainty]
    assert_allclose(expected[report.rows], report.uncertainty, atol=1e-5)
    unlabeled = np.setdiff1d(np.arange(len(X)), rows)
    assert_allclose(report.uncertainty, np.sort(expected[unlabeled])[:30], atol=1e-5)


def test_the_criterion_chooses_among_the_candidates():
    strategy = DGAL(PCA(5), n_candidates=20, random_state=0).fit(X, Y)
    rows = strategy.query(X, Y, 5, estimator=CLASSIFIER)
    candidates = strategy.query_report_.rows
    assert len(candidates) == 20
    first, second = np.sort(CLASSIFIER.predict_proba(X[candidates]))[:, :-3:-1].T
    assert_array_equal(np.sort(rows), np.sort(candidates[np.argsort(first - second)[:5]]))


@pytest.mark.parametrize(
    "criterion", [UncertaintySampling("least_confidence"), BADGE(), CoreSet("classifier")], ids=str
)
def test_any_criterion(criterion):
    strategy = DGAL(PCA(5), n_candidates=20, criterion=criterion, random_state=0).fit(X, Y)
    rows = strategy.query(X, Y, 20, estimator=CLASSIFIER)
    assert_array_equal(np.sort(rows), np.sort(strategy.query_report_.rows))


def test_the_classifier_sees_the_candidates_only():
    class Counting(LogisticRegression):
        def predict_proba(self, X):
            seen.append(len(X))
            return super().predict_proba(X)

    seen = []
    classifier = Counting(max_iter=1000).fit(X[:30], TRUTH[:30])
    DGAL(PCA(5), n_candidates=20).fit(X, Y).query(X, Y, 5, estimator=classifier)
    assert sum(seen) == 20


@pytest.mark.parametrize("uncertainty", ["min", "norm", "confidence", "margin", "entropy"])
def test_what_no_label_has_reached_comes_first_and_at_random(uncertainty):
    pool, blob = make_blobs([40, 40, 40], cluster_std=0.1, random_state=0)
    y = np.full(120, -1)
    y[np.flatnonzero(blob == 0)[:2]] = 0
    y[np.flatnonzero(blob == 1)[:2]] = 1
    chosen = []
    for seed in range(3):
        strategy = DGAL(
            FunctionTransformer(),
            n_neighbors=5,
            n_steps=60,
            n_candidates=10,
            uncertainty=uncertainty,
            criterion=RandomSampling(),
            random_state=seed,
        ).fit(pool, y)
        rows = strategy.query(pool, y, 10)
        assert (blob[rows] == 2).all()
        assert strategy.query_report_.n_unreached == 40
        chosen.append(set(rows.tolist()))
    assert len(set.union(*chosen)) > 20  # three times the same, or the first ten, would be ten


def test_exploration_before_refinement():
    """Between two known clusters rows are uncertain only when nothing is left to explore."""
    pool = np.r_[np.linspace(0, 1, 41), np.linspace(9, 10, 20)][:, None]
    y = np.full(61, -1)
    y[[0, 40]] = [0, 1]
    strategy = DGAL(
        FunctionTransformer(),
        n_neighbors=2,
        n_steps=200,
        n_candidates=1,
        criterion=RandomSampling(),
        random_state=0,
    ).fit(pool, y)
    assert strategy.query(pool, y)[0] > 40
    y[50] = 0
    assert strategy.query(pool, y)[0] == 20
    assert strategy.query_report_.n_unreached == 0


def test_rounds_equal_a_fresh_start():
    """What is kept between rounds changes no answer, also when labels are taken back."""
    strategy = DGAL(PCA(5), n_candidates=20, random_state=0).fit(X, Y)
    for labeled in (np.arange(30), np.arange(35), np.arange(5, 35), np.arange(60)):
        y = partial(labeled)
        fresh = clone(strategy).fit(X, y)
        pickled = pickle.loads(pickle.dumps(strategy))
        rows = strategy.query(X, y, 5, estimator=CLASSIFIER)
        assert_array_equal(rows, fresh.query(X, y, 5, estimator=CLASSIFIER))
        assert_array_equal(rows, pickled.query(X, y, 5, estimator=CLASSIFIER))
        assert strategy.diffusion_.n_updated_ <= fresh.diffusion_.n_updated_


def test_few_rows_are_computed_again():
    strategy = DGAL(PCA(5), n_steps=1, random_state=0).fit(X, Y)
    strategy.query(X, Y, 5, estimator=CLASSIFIER)
    y = partial(np.arange(31))
    strategy.query(X, y, 5, estimator=CLASSIFIER)
    neighbors = np.diff(strategy.diffusion_._steps._walks[0]).max()
    assert 1 <= strategy.query_report_.n_updated <= 1 + neighbors


def test_another_pool_has_its_own_graph_and_the_same_encoder():
    strategy = DGAL(PCA(5), n_candidates=20, random_state=0).fit(X, Y)
    graph, encoder = strategy.diffusion_, strategy.encoder_
    rows = strategy.query(X[:100], Y[:100], 5, estimator=CLASSIFIER)
    assert rows.max() < 100
    assert strategy.diffusion_ is graph
    assert strategy.encoder_ is encoder
    assert strategy.query_report_.rows.max() < 100


def test_teaching_trains_no_encoder_and_builds_no_graph():
    learner = ActiveLearner(
        LogisticRegression(max_iter=1000), DGAL(PCA(5), n_candidates=20), n_queries=5, random_state=0
    ).fit(X, Y)
    strategy = learner.strategy_
    graph, encoder = strategy.diffusion_, strategy.encoder_
    for _ in range(2):
        rows = learner.query()
        learner.teach(rows, TRUTH[rows])
    assert learner.strategy_.diffusion_ is graph
    assert learner.strategy_.encoder_ is encoder


def test_images_strings_and_a_variational_autoencoder():
    images = X.reshape(-1, 1, 8, 8).astype(np.float32)
    y = np.where(Y >= 0, np.char.add("digit ", TRUTH.astype(str)).astype(object), None)
    learner = ActiveLearner(
        LinearClassifier(max_epochs=1), DGAL(tiny_vae(), n_candidates=30), n_queries=5, random_state=0
    ).fit(images, y)
    assert len(learner.query()) == 5


@pytest.mark.parametrize(
    "index",
    [
        "exact",
        NearestNeighbors(algorithm="brute"),
        KNeighborsTransformer(n_neighbors=6),
        CellIndex(),
        BruteForce(),
    ],
    ids=lambda index: index if isinstance(index, str) else type(index).__name__,
)
def test_an_index_of_the_user_makes_the_same_graph(index, tmp_path):
    strategy = DGAL(PCA(5), n_neighbors=6, index=index, n_candidates=30)
    learner = ActiveLearner(LogisticRegression(max_iter=1000), strategy, n_queries=5, random_state=0)
    rows = learner.fit(X, Y).query()
    assert_array_equal(rows, clone(learner).set_params(strategy__index="auto").fit(X, Y).query())
    if not isinstance(index, BruteForce):
        learner.save(tmp_path)
        assert_array_equal(ActiveLearner.load(tmp_path, X, learner).query(), rows)


def test_an_index_with_another_metric_makes_another_graph():
    cosine = DGAL(PCA(5), index=NearestNeighbors(metric="cosine", algorithm="brute"), random_state=0).fit(X)
    matrix = dict(zip(("starts", "columns"), cosine.diffusion_._steps.walks()[:2], strict=True))
    euclidean = DGAL(PCA(5), random_state=0).fit(X).diffusion_._steps.walks()
    assert not np.array_equal(matrix["columns"], euclidean[1])


def test_an_index_that_answers_nonsense_is_refused():
    class Lost(BruteForce):
        def kneighbors(self, X, n_neighbors=1):
            distances, rows = super().kneighbors(X, n_neighbors)
            return distances, rows + 10**9

    with pytest.raises(ValueError, match="in a pool of 400 rows"):
        DGAL(PCA(5), index=Lost()).fit(X)


def test_a_frozen_encoder_is_taken_as_it_is_and_sparse_rows_too():
    svd = TruncatedSVD(5, random_state=0).fit(X)
    components = svd.components_.copy()
    from scipy import sparse

    strategy = DGAL(FrozenEstimator(svd), n_candidates=30, random_state=0)
    rows = strategy.fit(sparse.csr_array(X), Y).query(sparse.csr_array(X), Y, 5, estimator=CLASSIFIER)
    assert_array_equal(svd.components_, components)
    dense = clone(strategy).fit(X, Y)
    assert_array_equal(rows, dense.query(X, Y, 5, estimator=CLASSIFIER))


def test_neighbors_are_searched_over_a_grid():
    simulated = SimulatedLearner(
        LogisticRegression(max_iter=200),
        DGAL(PCA(5), n_candidates=20),
        n_initial=20,
        n_queries=10,
        budget=30,
        random_state=0,
    )
    grid = {"strategy__n_neighbors": [3, 10], "strategy__encoder__n_components": [4]}
    search = GridSearchCV(simulated, grid, cv=2).fit(X[:200], TRUTH[:200])
    assert search.best_params_["strategy__n_neighbors"] in (3, 10)


@pytest.mark.parametrize(
    "parameters",
    [
        {"encoder": 3},
        {"n_neighbors": 0},
        {"n_steps": 0},
        {"n_steps": 255},
        {"n_steps": "all"},
        {"n_candidates": 0},
        {"uncertainty": "max"},
        {"uncertainty": 0.5},
        {"symmetric": "yes"},
        {"kernel": "gaussian"},
        {"criterion": "margin"},
        {"device": 0},
    ],
    ids=str,
)
def test_bad_parameters(parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter of DGAL"):
        DGAL(**parameters).fit(X)


def test_a_device_that_is_not_there_is_refused_before_training():
    class Untrainable(PCA):
        def fit(self, X, y=None):
            raise AssertionError("trained")

    with pytest.raises(ValueError, match="device"):
        DGAL(Untrainable(), device="cuda:99").fit(X)
