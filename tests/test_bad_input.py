"""The table of docs/bad_input.md, over every strategy."""

import copy
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.exceptions import PoolExhaustedWarning
from skal.generators import GAN, VAE, AutoEncoder
from skal.neighbors import CellIndex
from skal.pool import as_pool
from skal.strategies import (
    ADBA,
    ASAL,
    BADGE,
    BALD,
    DGAL,
    GAAL,
    SEALS,
    CoreSet,
    KMedian,
    RandomSampling,
    RandomSubset,
    UncertaintySampling,
)

from .networks import AffineGenerator, Discriminating
from .properties.strategies import STRATEGIES

X, TRUTH = make_blobs(40, n_features=3, centers=3, random_state=0)
Y = np.where(np.arange(40) < 15, TRUTH, -1)


class Untrainable(Discriminating):
    """Bad input must be refused before this is fitted."""

    def fit(self, X, y):
        raise AssertionError("the classifier was trained on bad input")


@pytest.fixture(params=STRATEGIES, ids=str)
def strategy(request):
    return request.param


def unfitted(strategy, classifier=None):
    return ActiveLearner(classifier or Untrainable(), clone(strategy), n_queries=3, random_state=0)


@cache
def fitted(strategy):
    return unfitted(strategy, Discriminating()).fit(X, Y)


@pytest.fixture
def learner(strategy):
    return copy.deepcopy(fitted(strategy))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(strategy, learner, value):
    bad = X.copy()
    bad[20, 1] = value
    with pytest.raises(ValueError, match=r"NaN|infinity"):  # by the classifier, which is tried on the row
        unfitted(strategy, Discriminating()).fit(bad, Y)
    if not isinstance(strategy, RandomSampling | RandomSubset):  # which look at no row, or at few
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            learner.query(bad)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        learner.extend(bad[20:21], [0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reader", [each for each in STRATEGIES if each.reads_rows], ids=str)
def test_numbers_whose_squares_overflow(reader, dtype):
    huge = (X * np.sqrt(np.finfo(dtype).max)).astype(dtype)
    with pytest.raises(ValueError, match=r"numbers reach .*, and squares of that overflow.*Scale"):
        unfitted(reader).fit(huge, Y)


@pytest.mark.parametrize("strategy", [CoreSet(), KMedian(), BADGE()], ids=str)
def test_embeddings_whose_squares_overflow(strategy):
    learner = unfitted(strategy, Discriminating()).fit(X, Y)
    vars(learner.estimator_)["embed"] = lambda rows: np.asarray(rows) * 1e160
    vars(learner.estimator_)["embed_and_predict_proba"] = lambda rows: (
        np.asarray(rows) * 1e160,
        learner.estimator_.predict_proba(rows),
    )
    with pytest.raises(
        ValueError, match=r"go from -3.*e\+160 to 1.*e\+161, and squared distances .* overflow"
    ):
        learner.query()


def test_empty_pool(strategy, learner):
    with pytest.raises(ValueError, match="0 sample"):
        unfitted(strategy).fit(X[:0], Y[:0])
    with pytest.raises(ValueError, match="0 sample"):
        learner.query(X[:0])


@pytest.mark.parametrize("n_labels", [0, 3])
def test_no_labels_or_one_class(strategy, n_labels):
    y = np.full(40, -1)
    y[:n_labels] = 1
    learner = unfitted(strategy, Discriminating()).fit(X, y)
    if getattr(strategy, "first", strategy).requires:  # what a Switch asks later is not needed yet
        with pytest.raises(NotFittedError, match=r"RandomSampling\(\) or TypiClust\(.*cold_start"):
            learner.query()
    else:
        assert learner.query().shape == (3,)
    if n_labels:
        assert_array_equal(learner.predict(X), np.ones(40))
    else:
        with pytest.raises(NotFittedError, match="no row is labelled yet"):
            learner.predict(X)


@pytest.mark.parametrize("n_queries", [0, -1, 2.5, True, "3"])
def test_bad_n_queries(strategy, learner, n_queries):
    with pytest.raises(ValueError, match="n_queries"):
        learner.query(n_queries=n_queries)
    with pytest.raises(ValueError, match="n_queries"):
        learner.strategy_.query(X, Y, n_queries, estimator=learner.estimator_)
    if n_queries is not True:  # to scikit-learn's validation of parameters, True is the integer 1
        with pytest.raises(ValueError, match="n_queries"):
            unfitted(strategy).set_params(n_queries=n_queries).fit(X, Y)


def test_more_than_left(learner):
    with pytest.warns(PoolExhaustedWarning, match="26 rows were asked for and 25 are unlabelled"):
        rows = learner.query(n_queries=26)
    assert_array_equal(np.sort(rows), np.arange(15, 40))
    learner.teach(rows, TRUTH[rows])
    with pytest.warns(PoolExhaustedWarning, match="1 rows were asked for and 0"):
        assert learner.query(n_queries=1).shape == (0,)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y[:-1], "inconsistent numbers of samples"),
        (None, "requires y"),
        (np.linspace(0, 1, 40), "continuous"),
        (np.where(Y < 0, np.nan, Y), "NaN"),
    ],
)
def test_bad_labels(strategy, y, message):
    with pytest.raises(ValueError, match=message):
        unfitted(strategy).fit(X, y)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([20], [-1], "unlabelled"),
        ([20], ["cat"], "all of them as numbers"),
        ([20, 21], [0], "2 rows and 1 labels"),
        ([40], [0], "out of range"),
        ([-1], [0], "out of range"),
        ([20, 20], [0, 0], "more than once"),
        ([20.5], [0], "integer positions"),
        ([[20]], [0], "1-D array"),
        ([3], [7], "labelled already"),
    ],
)
def test_bad_teaching(learner, rows, labels, message):
    fitted = learner.estimator_
    with pytest.raises(ValueError, match=message):
        learner.teach(rows, labels)
    assert_array_equal(learner.y_, Y)
    assert learner.estimator_ is fitted


def test_taught_twice(learner):
    rows = learner.query()
    learner.teach(rows, TRUTH[rows])
    with pytest.raises(ValueError, match="labelled already"):
        learner.teach(rows[:1], TRUTH[rows[:1]] + 1)


def test_classifier_without_what_is_required(strategy):
    for classifier in (LinearSVC(), SVC(kernel="rbf")):
        class_ = type(classifier)
        lacking = type(class_.__name__, (class_,), {"fit": Untrainable.fit})()
        missing = {
            "predict_proba": True,
            "decision_function": False,
            "labeled_proba": True,
            "critic_scores": True,
            "dropout_proba": True,
            "committee_proba": True,
            "posterior_proba": True,
            "predicted_loss": True,
        }
        missing |= dict.fromkeys(["embed", "linear_head", "as_torch"], class_ is SVC)
        if any(missing[need] for need in strategy.requires):
            with pytest.raises(
                TypeError,
                match=rf"needs a classifier with .* (and {class_.__name__} has none|{class_.__name__} cannot)\b.*\w+",
            ):
                unfitted(strategy, lacking).fit(X, Y)


def test_wrong_number_of_features(learner):
    with pytest.raises(ValueError, match="4 features"):
        learner.query(np.hstack([X, X[:, :1]]))
    with pytest.raises(ValueError, match="2 features"):
        learner.extend(X[:1, :2], [0])
    with pytest.raises(ValueError, match="2 features"):
        learner.predict(X[:, :2])


def test_changed_in_place(strategy):
    pool = X.copy()
    learner = unfitted(strategy, Discriminating()).fit(pool, Y)
    pool[:, 0] *= 2
    with pytest.raises(ValueError, match="changed in place"):
        learner.query(pool)


def test_unfitted(strategy):
    for method in ("query", "predict"):
        with pytest.raises(NotFittedError):
            getattr(unfitted(strategy), method)(X)
    with pytest.raises(NotFittedError):
        clone(strategy).query(X)


class UntrainableEncoder(PCA):
    """Bad input must be refused before this is fitted, too."""

    def fit(self, X, y=None):
        raise AssertionError("the encoder was trained on bad input")


def wide_generator():
    """Trained on rows of four numbers, where those of the pool have three."""
    return FrozenEstimator(AffineGenerator(np.ones((4, 2)), np.zeros(4)).fit(np.zeros((5, 4))))


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        (DGAL("pca"), ValueError, "'encoder' parameter of DGAL"),
        (SEALS(3), ValueError, "'embedding' parameter of SEALS"),
        (DGAL(UntrainableEncoder(), n_neighbors=0), ValueError, "'n_neighbors' parameter of DGAL"),
        (DGAL(UntrainableEncoder(), device="cuda:99"), ValueError, 'device="cuda:99" is not there'),
        (DGAL(UntrainableEncoder(n_components="all")), ValueError, "'n_components' parameter"),
        (DGAL(VAE(n_latent=0)), ValueError, "'n_latent' parameter of VAE"),
        (DGAL(VAE(device="cuda:99")), ValueError, "is not there"),
        (
            DGAL(UntrainableEncoder(), criterion=CoreSet("pixels")),
            ValueError,
            "'embedding' parameter of CoreSet",
        ),
        (RandomSubset(5, DGAL(device="cuda:99")), ValueError, "is not there"),
        (RandomSubset(5, RandomSubset(5, BALD(n_passes=0))), ValueError, "'n_passes' parameter of BALD"),
        (RandomSubset(5, UncertaintySampling("votes")), ValueError, "'measure' parameter"),
        (CoreSet(make_pipeline(StandardScaler(), PCA("all"))), ValueError, "'n_components' parameter of PCA"),
        (SEALS(UntrainableEncoder(), metric="dot"), ValueError, "'metric' parameter of SEALS"),
        (DGAL(UntrainableEncoder(), index="tree"), ValueError, "'index' parameter of DGAL"),
        (DGAL(UntrainableEncoder(), index=CellIndex), TypeError, "use .*an object with fit and kneighbors"),
        (DGAL(UntrainableEncoder(), index=KMeans()), TypeError, "fit and transform"),
        (SEALS(UntrainableEncoder(), index=CellIndex), TypeError, "use .*an object with fit and kneighbors"),
        (ASAL(AffineGenerator(), index=CellIndex), TypeError, "use .*an object with fit and kneighbors"),
        (GAAL(Discriminating()), TypeError, "Discriminating has no torch_decoder"),
        (ASAL(GAN(n_iter=0)), ValueError, "'n_iter' parameter of GAN"),
        (ASAL(PCA()), TypeError, "PCA has no torch_decoder"),
        (ASAL(wide_generator()), ValueError, r"rows of shape \(4,\), and the pool's have shape \(3,\)"),
        (
            ASAL(AffineGenerator(), criterion=KMedian(max_iter=0)),
            ValueError,
            "'max_iter' parameter of KMedian",
        ),
        (GAAL(PCA()), TypeError, "PCA has no torch_decoder"),
        (GAAL(wide_generator()), ValueError, "pool's have shape"),
        (ADBA(AutoEncoder()), NotFittedError, "decoder AutoEncoder is not fitted"),
    ],
    ids=str,
)
def test_what_the_parts_of_a_strategy_refuse(strategy, error, message):
    """Nothing is trained, and an unfitted learner stays unfitted."""
    learner = unfitted(strategy)
    with pytest.raises(error, match=message):
        learner.fit(X, Y)
    assert not hasattr(learner, "y_")
    with pytest.raises(error, match=message):
        clone(strategy).fit(X, Y)


def test_what_a_part_cannot_read():
    holes = X.copy()
    holes[20, 1] = np.nan
    for strategy in (CoreSet("input"), RandomSubset(5, CoreSet("input")), DGAL(VAE()), CoreSet(VAE())):
        with pytest.raises(ValueError, match="NaN"):
            unfitted(strategy).fit(holes, Y)
    for classifier in (NetClassifier(), make_pipeline("passthrough", NetClassifier())):
        with pytest.raises(ValueError, match="NaN"):
            ActiveLearner(classifier, RandomSampling()).fit(holes, Y)
    with pytest.raises(TypeError, match="takes dense rows only"):
        unfitted(ASAL(AffineGenerator())).strategy.check(as_pool(csr_array(X)))
