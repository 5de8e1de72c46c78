"""Codes that are kept: found again by encoder and rows, whole after an interrupt, written again where damaged."""

import pickle
import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skal import ActiveLearner
from skal.generators import AutoEncoder, CachedEncoder, encode
from skal.strategies import CoreSet
from tests.processes import run_fresh

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


def changed_at(place, content):
    return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


def test_no_changed_byte_goes_unseen(tmp_path):
    encoder = CachedEncoder(frozen(), folder=tmp_path).fit(X[:40])
    expected = encoder.transform(X[:40])
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    assert_array_equal(np.load(file), expected)  # NumPy reads it
    damaged = [
        changed_at(place, content) for place in (*range(130), 300, len(content) - 40, len(content) - 1)
    ]
    damaged += [content[:300] + bytes(len(content) - 300), content[:-1], content + b"x"]
    damaged += [
        content.replace(b"(40, 3)", b"(40, 1)"),
        content.replace(b"(40, 3)", b"(30, 3)"),
        content[:-32],
    ]
    for each in damaged:
        assert each != content
        file.write_bytes(each)
        assert_array_equal(encoder.transform(X[:40]), expected)


def test_codes_of_other_rows_are_not_taken_under_a_new_name(tmp_path):
    encoder = CachedEncoder(frozen(), folder=tmp_path).fit(X)
    encode(encoder, X)
    one, other = list(tmp_path.iterdir())[:2]
    one.replace(other)
    assert_array_equal(encode(encoder, X), encode(encoder.encoder, X))


def all_but_one(rows):
    return rows[:-1]


def test_too_few_codes_are_not_kept(tmp_path):
    encoder = CachedEncoder(FunctionTransformer(all_but_one), folder=tmp_path).fit(X)
    assert len(encoder.transform(X)) == len(X) - 1
    assert not list(tmp_path.iterdir())


def test_the_order_of_rows_in_memory_does_not_matter(tmp_path):
    np.save(tmp_path / "X.npy", X)
    encoder = CachedEncoder(frozen(), folder=tmp_path / "codes").fit(X)
    for rows in (
        X,
        np.asfortranarray(X),
        np.load(tmp_path / "X.npy", mmap_mode="r"),
        np.repeat(X, 2, axis=1)[:, ::2],
    ):
        encode(encoder, rows)
    assert len(list((tmp_path / "codes").iterdir())) == 5


class Projection(TransformerMixin, BaseEstimator):
    """A network of torch's own, in a transformer of one's own."""

    def fit(self, X, y=None):
        self.layers_ = torch.nn.Sequential(torch.nn.Linear(6, 2), torch.nn.BatchNorm1d(2), torch.nn.Tanh())
        self.optimizer_ = torch.optim.Adam(self.layers_.parameters())
        self.layers_(torch.as_tensor(X, dtype=torch.float32)).sum().backward()
        self.optimizer_.step()
        self.layers_.eval()
        return self

    @torch.no_grad()
    def transform(self, X):
        return self.layers_(torch.as_tensor(X, dtype=torch.float32)).numpy()


ENCODING = """
import pickle
import torch
other = [torch.zeros(n) for n in range(place)]  # the weights lie elsewhere in each process
from sklearn.frozen import FrozenEstimator
import skal.pool.base
from skal.generators import AutoEncoder, CachedEncoder, encode
skal.pool.base._BLOCK_ROWS = 40
file = folder / "network"
network = AutoEncoder.load(file) if kind == "saved" else pickle.loads(file.read_bytes())
encode(CachedEncoder(FrozenEstimator(network), folder=folder / "codes").fit(X), X)
"""


@pytest.mark.parametrize("kind", ["saved", "pickled", "mine"])
def test_a_network_finds_its_codes_again_in_another_process(kind, tmp_path):
    network = Projection() if kind == "mine" else AutoEncoder(max_epochs=1, random_state=0)
    network.fit(X.astype(np.float32))
    if kind == "saved":
        network.save(tmp_path / "network")
    else:
        (tmp_path / "network").write_bytes(pickle.dumps(network))
    for place in (0, 1000):
        run_fresh(ENCODING, place=place, kind=kind, folder=tmp_path, X=X.astype(np.float32))
        files = {file: file.stat().st_mtime_ns for file in (tmp_path / "codes").iterdir()}
        assert len(files) == 5
    encode(CachedEncoder(FrozenEstimator(network), folder=tmp_path / "codes").fit(X), X.astype(np.float32))
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "codes").iterdir()} == files  # nor here


def test_a_network_that_has_learned_more_has_other_codes(tmp_path):
    network = Projection().fit(X)
    codes = [CachedEncoder(FrozenEstimator(network), folder=tmp_path).fit(X).transform(X)]
    network.layers_[0].weight.data += 1
    codes.append(CachedEncoder(FrozenEstimator(network), folder=tmp_path).fit(X).transform(X))
    assert_array_equal(codes[1], network.transform(X))
    assert not np.array_equal(*codes)


class Ids(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X["ids"]


def test_a_mapping_has_a_file_of_its_own(tmp_path):
    encoder = CachedEncoder(Ids(), folder=tmp_path).fit({"ids": X})
    for _ in range(2):
        assert_array_equal(encoder.transform({"ids": X, "mask": X > 0}), X)
        assert len([*tmp_path.iterdir()]) == 1


class Locked(PCA):
    def __init__(self, n_components=None):
        super().__init__(n_components)
        self.lock = threading.Lock()

    def fit(self, X, y=None):
        raise AssertionError("It was trained before it was refused.")


def test_what_cannot_be_told_from_others_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"encoder Locked cannot be pickled .*_thread\.lock.*folder=None, or"):
        CachedEncoder(Locked(), folder=tmp_path).fit(X)
    encoder = CachedEncoder(FunctionTransformer(len), folder=tmp_path).fit(X)
    with pytest.raises(TypeError, match=r"a list of rows cannot be pickled .*generator.*folder=None, or"):
        encoder.transform([iter([]), (each for each in "ab")])


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
