import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.access import dropout_proba
from skal.classifiers import CNNClassifier, NetClassifier
from skal.strategies import BALD
from skal.strategies.bald import _MEASURES

from ..networks import DIGITS, generator_states

X = np.random.default_rng(0).normal(size=(30, 4))
Y = (X[:, 0] > 0).astype(int)
CLASSIFIER = NetClassifier(
    module_params={"hidden": (8, 8), "dropout": 0.4}, max_epochs=3, lr=0.02, random_state=0
)


@pytest.fixture(scope="module")
def fitted():
    return CLASSIFIER.fit(X, Y)


# Measures


def test_measures_of_probabilities():
    p = np.random.default_rng(0).dirichlet([0.3, 0.5, 1.0], size=(6, 5))
    p[0, :, :] = [1, 0, 0]
    p[1, ::2], p[1, 1::2] = [0, 1, 0], [0, 0, 1]
    for i, passes in enumerate(p):
        # The mutual information is the mean Kullback-Leibler divergence of the passes from their mean.
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = np.nansum(passes * np.log(passes / passes.mean(0)), axis=1).mean()
            uncertainty = -np.nansum(passes.mean(0) * np.log(passes.mean(0)))
        expected = {
            "mutual_information": divergence,
            "entropy": uncertainty,
            "variation_ratio": 1 - max(passes.mean(0)),
            "mean_std": np.mean([np.sqrt(np.mean((c - c.mean()) ** 2)) for c in passes.T]),
        }
        for name, value in expected.items():
            assert_allclose(_MEASURES[name](p)[i], value, atol=1e-12)


def test_information_does_not_drown_in_rounding():
    p = np.full((1, 4, 2), 0.5, dtype=np.float32)
    p[0, :2, 0] += np.float32(2**-12)
    p[0, :, 1] = 1 - p[0, :, 0]
    # Of a binary label, to second order, four times the variance over two.
    assert_allclose(_MEASURES["mutual_information"](p), [2 * (2**-13) ** 2], rtol=1e-4)


def test_a_classifier_without_dropout_is_refused():
    dry = NetClassifier(module_params={"hidden": (3,)}, max_epochs=1).fit(X, Y)
    y = np.where(np.arange(30) < 20, Y, -1)
    for classifier in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(
            TypeError, match=r"BALD\(\) needs a classifier with dropout layers and .* has none.*Use"
        ):
            ActiveLearner(classifier, BALD()).fit(X, y)
    with pytest.raises(TypeError, match="NetClassifier has none"):
        ActiveLearner(FrozenEstimator(dry), BALD()).fit(X, y)
    learner = ActiveLearner(NetClassifier(module_params={"hidden": (3,)}, max_epochs=1), BALD()).fit(X, y)
    with pytest.raises(TypeError, match="NetClassifier has none"):
        learner.query()


# The strategy


@pytest.mark.parametrize("measure", _MEASURES)
def test_queries_are_the_highest_scores(fitted, measure):
    y = np.where(np.arange(30) < 10, Y, -1)
    before = generator_states()
    strategy = BALD(5, measure, random_state=3).fit(X)
    rows = strategy.query(X, y, 4, estimator=fitted)
    scores = strategy.utility(X, estimator=fitted)
    assert generator_states() == before
    expected = _MEASURES[measure](dropout_proba(fitted, X, n_passes=5, seed=3))
    assert_allclose(scores, expected, rtol=1e-9)
    assert_array_equal(rows, 10 + np.argsort(-expected[10:])[:4])
    other = BALD(5, measure, random_state=4).fit(X).utility(X, estimator=fitted)
    assert (other != scores).any()


class Dealt(BaseEstimator):
    """A classifier whose passes are dealt out by the seed."""

    def fit(self):
        self.classes_, self.asked, self.dealt = np.arange(3), [], []
        return self

    def dropout_proba(self, X, n_passes, seed):
        self.asked.append((len(X), n_passes))
        p = np.random.default_rng(seed).dirichlet([0.3, 0.5, 1.0], size=(1, n_passes)).repeat(len(X), axis=0)
        self.dealt.append(p[0])
        return p


@pytest.mark.parametrize("measure", _MEASURES)
def test_many_passes_are_averaged_in_parts(monkeypatch, measure):
    monkeypatch.setattr("skal.strategies.bald._PART_PASSES", 4)
    monkeypatch.setattr("skal.strategies.bald._PART_ROWS", 20)
    dealt = Dealt().fit()
    scores = BALD(10, measure, random_state=3).fit(X)._score(X, dealt)
    assert dealt.asked == [(20, 4), (20, 4), (20, 2), (10, 4), (10, 4), (10, 2)]
    passes = np.concatenate(dealt.dealt[:3])  # all rows see the same ones
    assert len(np.unique(passes, axis=0)) == 10
    assert_allclose(scores, _MEASURES[measure](passes[np.newaxis]).repeat(30), rtol=1e-12)


def test_rows_make_room_for_passes(monkeypatch):
    monkeypatch.setattr("skal.access.answers._MAX_PROBABILITIES", 150)
    dealt = Dealt().fit()
    assert BALD(10, random_state=3).fit(X)._score(X, dealt).shape == (30,)
    assert dealt.asked == [(5, 10)] * 6


def test_images():
    labels = np.arange(40) % 3
    clf = CNNClassifier("lenet", max_epochs=1, random_state=0).fit(DIGITS[:20].astype("float32"), labels[:20])
    bytes_ = DIGITS[:40].astype(np.uint8)
    scores = BALD(random_state=0).fit(bytes_).utility(bytes_, estimator=clf)
    flat = bytes_.reshape(40, -1)
    assert_allclose(BALD(random_state=0).fit(flat).utility(flat, estimator=clf), scores, rtol=1e-5)
    assert (scores > 0).all()


def test_no_pass_over_the_whole_pool_is_held(fitted):
    pool = np.random.default_rng(0).normal(size=(20_000, 4))
    BALD(20).fit(X).utility(X, estimator=fitted)
    strategy = BALD(20).fit(pool)
    tracemalloc.start()
    strategy.utility(pool, estimator=fitted)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 20 * 2 * 8 / 4
