"""A transformer that works in place, as with ``copy=False``, does not write to the pool."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skal import ActiveLearner
from skal.access import predict_proba
from skal.generators import encode, fit_encoder
from skal.strategies import ASAL, DGAL, ClassBalanced, CoreSet, UncertaintySampling

from ..networks import tiny_gan

LABELED = 20


def in_memory(X, folder):
    return X


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r+")


def framed(X, folder):
    return pd.DataFrame(X, columns=list("abc"))


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(60, 3)) * 3 + 5


def learner(copy, strategy):
    classifier = make_pipeline(StandardScaler(copy=copy), LogisticRegression())
    return ActiveLearner(classifier, strategy(copy), n_queries=3, random_state=0)


@pytest.mark.parametrize("container", [in_memory, mapped, framed])
@pytest.mark.parametrize(
    "strategy",
    [
        lambda copy: UncertaintySampling(),
        lambda copy: ClassBalanced(),  # two passes
        lambda copy: CoreSet(),
        lambda copy: DGAL(make_pipeline(StandardScaler(copy=copy), PCA(2))),
    ],
    ids=["margin", "balanced", "core-set", "DGAL"],
)
def test_queries_leave_the_pool_as_it_was(container, strategy, rows, tmp_path):
    y = np.where(np.arange(60) < LABELED, rows[:, 0] > 5, -1)
    expected = learner(True, strategy).fit(rows, y).query()
    X = container(rows.copy(), tmp_path)
    asked = learner(False, strategy).fit(X, y)
    assert_array_equal(asked.query(), expected)
    assert_array_equal(asked.query(), expected)
    assert_array_equal(np.asarray(X), rows)


@pytest.mark.parametrize("container", [in_memory, framed, lambda X, folder: sparse.csr_array(X)])
@pytest.mark.parametrize("classifier", [LogisticRegression(), SelfTrainingClassifier(LogisticRegression())])
def test_trainings_on_the_whole_pool_leave_it_as_it_was(container, classifier, rows, tmp_path):
    X = container(rows.copy(), tmp_path)
    everything = np.arange(60) if isinstance(classifier, LogisticRegression) else np.arange(LABELED)
    y = np.where(np.isin(np.arange(60), everything), rows[:, 0] > 5, -1)
    scaled = make_pipeline(StandardScaler(copy=False, with_mean=False), classifier)
    ActiveLearner(scaled, UncertaintySampling(), random_state=0).fit(X, y)
    assert_array_equal(X.toarray() if sparse.issparse(X) else np.asarray(X), rows)


def test_questions_and_encoders_leave_rows_as_they_were(rows):
    X = rows.copy()
    classifier = make_pipeline(StandardScaler(copy=False), LogisticRegression()).fit(
        rows.copy(), rows[:, 0] > 5
    )
    predict_proba(classifier, X)
    encoder = fit_encoder(make_pipeline(StandardScaler(copy=False), IncrementalPCA(2)), X, seed=0)
    encode(encoder, X)
    encode(FrozenEstimator(StandardScaler(copy=False).fit(rows)), X)
    assert_array_equal(X, rows)


@pytest.mark.parametrize("n_components", [None, 2])
def test_features_of_asal_leave_rows_as_they_were(n_components, rows):
    X, y = rows.copy(), np.where(np.arange(60) < LABELED, rows[:, 0] > 5, -1)
    found = []
    for copy in (True, False):
        strategy = ASAL(tiny_gan(n_iter=1), StandardScaler(copy=copy), n_steps=2, n_components=n_components)
        learner = ActiveLearner(LogisticRegression(), strategy, n_queries=3, random_state=0).fit(X, y)
        found.append(learner.query())
        assert_array_equal(X, rows)
    assert_array_equal(*found)
