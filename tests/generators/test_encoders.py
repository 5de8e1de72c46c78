import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.random_projection import GaussianRandomProjection
from torch.utils.data import Dataset

from skal import ActiveLearner
from skal.generators import CachedEncoder, encode, fit_encoder
from skal.strategies import CoreSet

X = np.random.default_rng(0).normal(size=(20, 5))


class Images(TransformerMixin, BaseEstimator):
    """Gives rows the shape of images, in float64, and records how many it got."""

    def fit(self, X, y=None):
        self.seen_ = []
        return self

    def transform(self, X):
        self.seen_.append(len(X))
        return X.reshape(len(X), 1, -1)


def test_the_encoder_is_a_seeded_clone():
    given = make_pipeline(GaussianRandomProjection(3), PCA(2, random_state=5))
    first, again, other = (fit_encoder(given, X, seed) for seed in (1, 1, 2))
    assert not hasattr(given[0], "components_")
    assert given[0].random_state is None
    assert first[1].random_state == 5
    np.testing.assert_array_equal(first[0].components_, again[0].components_)
    assert not np.array_equal(first[0].components_, other[0].components_)


def test_a_frozen_encoder_stays_fitted():
    fitted = PCA(2).fit(X[:9])
    encoder = fit_encoder(FrozenEstimator(fitted), X, 0)
    np.testing.assert_array_equal(encoder.transform(X), fitted.transform(X))


def test_a_frozen_encoder_reads_no_rows():
    class Rows(Dataset):
        def __len__(self):
            return len(X)

        def __getitem__(self, row):
            pytest.fail("a row was read")

    fitted = FrozenEstimator(PCA(2).fit(X))
    assert fit_encoder(fitted, Rows(), 0) is fitted
    with pytest.raises(NotFittedError):
        fit_encoder(FrozenEstimator(PCA(2)), X, 0)


def test_codes_are_those_of_transform_in_float32():
    encoder = PCA(2).fit(X)
    codes = encode(encoder, X)
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes, encoder.transform(X).astype(np.float32))


def test_codes_come_in_blocks_and_are_flat():
    rows = np.arange(140_000.0).reshape(70_000, 2)
    encoder = Images().fit(rows)
    codes = encode(encoder, rows)
    assert len(encoder.seen_) > 1
    assert sum(encoder.seen_) == 70_000
    np.testing.assert_array_equal(codes, rows.astype(np.float32))


def test_float32_codes_are_not_copied():
    rows = X.astype(np.float32)
    assert np.shares_memory(encode(Images().fit(rows), rows), rows)


def test_codes_of_a_frame():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    encoder = PCA(2).set_output(transform="pandas").fit(frame)
    codes = encode(encoder, frame)
    assert type(codes) is np.ndarray
    np.testing.assert_allclose(codes, PCA(2).fit_transform(X), rtol=1e-5, atol=1e-6)


def test_codes_without_numbers_are_refused():
    encoder = FunctionTransformer(lambda X: X[:, :0])
    with pytest.raises(ValueError, match=r"made codes of shape \(3, 0\)"):
        encode(encoder, np.eye(3))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_codes_are_finite(wrong):
    with pytest.raises(ValueError, match="codes with NaN or infinity"):
        encode(FunctionTransformer(), np.array([[0.0], [wrong]]))


def test_functions_get_images_and_others_flat_rows():
    images = np.arange(24.0).reshape(3, 1, 2, 4)
    assert encode(FunctionTransformer(lambda X: X[:, 0, 0]), images).shape == (3, 4)
    assert encode(PCA(2).fit(images.reshape(3, -1)), images).shape == (3, 2)


class Convolution(TransformerMixin, BaseEstimator):
    """Reads images alone, as its tags say."""

    def fit(self, X, y=None):
        assert X.shape[1:] == (1, 2, 4)
        self.fitted_ = True
        return self

    def transform(self, X):
        assert X.shape[1:] == (1, 2, 4)
        return X.mean(axis=1).reshape(len(X), -1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


IMAGES = np.random.default_rng(0).normal(size=(20, 1, 2, 4))


@pytest.mark.parametrize(
    "encoder",
    [
        Convolution(),
        FrozenEstimator(Convolution().fit(IMAGES)),
        make_pipeline("passthrough", Convolution()),
        make_pipeline(FrozenEstimator(Convolution().fit(IMAGES)), PCA(8)),
        FrozenEstimator(make_pipeline(Convolution(), PCA(8)).fit(IMAGES)),
        CachedEncoder(Convolution()),
        CachedEncoder(make_pipeline(Convolution(), PCA(8))),
        CachedEncoder(FrozenEstimator(make_pipeline(Convolution(), PCA(8)).fit(IMAGES))),
        make_pipeline(CachedEncoder(make_pipeline(Convolution(), PCA(8))), PCA(8)),
        CachedEncoder(FunctionTransformer(lambda X: X[:, 0].reshape(len(X), -1))),
    ],
)
def test_an_encoder_whose_tags_say_so_gets_images_in_their_shape(encoder):
    assert encode(fit_encoder(encoder, IMAGES, 0), IMAGES).shape == (20, 8)
    y = [0, 1] * 3 + [-1] * 14
    flat = make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), LogisticRegression())
    learner = ActiveLearner(flat, CoreSet(encoder), n_queries=3, random_state=0).fit(IMAGES, y)
    assert len(learner.query()) == 3


class InParts(TransformerMixin, BaseEstimator):
    """What is fitted tells how."""

    def fit(self, X, y=None):
        self.n_seen_ = [len(X)]
        return self

    def partial_fit(self, X, y=None):
        self.n_seen_ = [*getattr(self, "n_seen_", []), len(X)]
        return self

    def transform(self, X):
        return X


def test_an_encoder_gets_a_large_memory_map_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 40)
    np.save(tmp_path / "pool.npy", np.zeros((100, 3), np.float32))
    mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
    assert fit_encoder(InParts(), mapped, seed=0).n_seen_ == [100]  # a small one
    monkeypatch.setattr("skal.generators.encoders._WHOLE_BYTES", 1000)
    assert fit_encoder(InParts(), mapped, seed=0).n_seen_ == [40, 40, 20]
    assert fit_encoder(InParts(), np.array(mapped), seed=0).n_seen_ == [100]  # it is in memory
