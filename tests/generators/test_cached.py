"""Codes that are kept: found again by encoder and rows, whole after an interrupt, written again where damaged."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skal import ActiveLearner
from skal.generators import CachedEncoder, encode
from skal.strategies import CoreSet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 6))


class Counting(PCA):
    n_rows = 0

    def transform(self, X):
        Counting.n_rows += len(X)
        if Counting.n_rows > Counting.most:
            raise KeyboardInterrupt
        return super().transform(X)


@pytest.fixture(autouse=True)
def _counters(monkeypatch):
    monkeypatch.setattr(Counting, "n_rows", 0)
    monkeypatch.setattr(Counting, "most", 10**6, raising=False)
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 40)


def frozen(seed=0):
    return FrozenEstimator(Counting(3, random_state=0).fit(np.random.default_rng(seed).normal(size=(50, 6))))


def test_codes_are_read_where_the_same_block_comes_again(tmp_path):
    encoder = CachedEncoder(frozen(), folder=tmp_path / "new" / "codes").fit(X)
    first = encode(encoder, X)
    assert_array_equal(first, encode(encoder.encoder, X))
    Counting.n_rows = 0
    assert_array_equal(encode(CachedEncoder(frozen(), folder=tmp_path / "new" / "codes").fit(X), X), first)
    assert Counting.n_rows == 0
    encode(CachedEncoder(frozen(seed=1), folder=tmp_path / "new" / "codes").fit(X), X)
    assert Counting.n_rows == len(X)  # another encoder
    changed = X.copy()
    changed[50] += 1
    encode(encoder, changed)
    assert Counting.n_rows == len(X) + 40  # the block that changed


def test_an_interrupted_encoding_goes_on(tmp_path):
    strategy = CoreSet(CachedEncoder(frozen(), folder=tmp_path))
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=4, random_state=0)
    y = np.where(np.arange(len(X)) < 20, (X[:, 0] > 0).astype(int), -1)
    Counting.most = 100
    with pytest.raises(KeyboardInterrupt):
        learner.fit(X, y)
    assert len(list(tmp_path.iterdir())) >= 2
    Counting.n_rows, Counting.most = 0, 10**6
    rows = learner.fit(X, y).query()
    assert Counting.n_rows <= 200 - 80 + 1  # and the row that is tried before anything is trained
    plain = ActiveLearner(LogisticRegression(), CoreSet(frozen()), n_queries=4, random_state=0).fit(X, y)
    assert_array_equal(rows, plain.query())


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"nothing that numpy has written"])
def test_what_is_damaged_is_written_again(tmp_path, damage):
    encoder = CachedEncoder(frozen(), folder=str(tmp_path)).fit(X)
    expected = encode(encoder, X)
    files = list(tmp_path.iterdir())
    assert len(files) == 5
    files[2].write_bytes(damage)
    for _ in range(2):
        assert_array_equal(encode(encoder, X), expected)
    assert Counting.n_rows == len(X) + 40
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_nothing_is_kept_without_a_folder():
    encoder = CachedEncoder(PCA(2)).fit(X)
    assert_array_equal(encoder.transform(X), PCA(2).fit(X).transform(X))
    assert encoder.get_feature_names_out().tolist() == ["pca0", "pca1"]


@parametrize_with_checks([CachedEncoder(PCA(1))])
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("params", [{"encoder": 3}, {"encoder": PCA(), "folder": 3}])
def test_bad_parameters(params):
    with pytest.raises(InvalidParameterError):
        CachedEncoder(**params).fit(X)
