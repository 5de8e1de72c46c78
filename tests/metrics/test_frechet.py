"""The Frechet distance against literal formulas in float64."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import linalg, sparse
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

import skal.metrics.frechet
from skal.access import embed
from skal.metrics import FeatureStatistics, frechet_distance

from .conftest import FAKES, X, Y


def literal_frechet(real, generated):
    """The formula as published programs compute it, by scipy's root of a matrix."""
    one, other = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = linalg.sqrtm(one @ other)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    return shift @ shift + np.trace(one + other - 2 * root.real)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_frechet_distance_is_that_of_the_published_formula(dtype):
    varying = X.std(axis=0) > 0.1
    real, fakes = X[:, varying].astype(dtype), FAKES[:, varying].astype(dtype)
    result = frechet_distance(real, fakes)
    assert_allclose(result.distance, literal_frechet(real.astype(float), fakes.astype(float)), rtol=1e-6)
    assert (result.n_real, result.n_generated, result.n_features) == (len(X), len(X), varying.sum())
    assert float(result) == result.distance
    assert result.name == "Frechet distance"


@given(seed=st.integers(0, 1000), n_features=st.integers(1, 6))
def test_frechet_distance_of_diagonal_covariances(seed, n_features):
    """Without correlations it is the sum of the squared differences of means and of deviations."""
    rng = np.random.default_rng(seed)
    means, scales = rng.normal(size=(2, n_features)), rng.choice([0, 0.5, 1, 3], size=(2, n_features))
    # Plus and minus the axes: exactly uncorrelated.
    axes = np.concatenate([np.eye(n_features), -np.eye(n_features)])
    real, generated = (mean + scale * axes for mean, scale in zip(means, scales, strict=True))
    variance = 2 / (2 * n_features - 1)
    expected = ((means[0] - means[1]) ** 2 + variance * (scales[0] - scales[1]) ** 2).sum()
    assert_allclose(float(frechet_distance(real, generated)), expected, rtol=1e-9, atol=1e-12)


def test_singular_covariances_and_few_rows():
    few = X[:20]  # 64 pixels, some of them constant
    assert float(frechet_distance(few, few)) == pytest.approx(0, abs=1e-10)
    assert float(frechet_distance(few, few + 0.25)) == pytest.approx(64 / 16)
    # A rotation of low rank: both covariances are projections, whose root of the product is known.
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    one, other = basis[:, :4], np.concatenate([basis[:, :2], basis[:, 10:12]], axis=1)
    real, generated = (np.concatenate([part.T, -part.T]) for part in (one, other))
    # Four directions of variance 2/7 each, two of them shared.
    assert_allclose(float(frechet_distance(real, generated)), 2 / 7 * (4 + 4 - 2 * 2), rtol=1e-12)
    assert float(frechet_distance(np.ones((3, 4)), np.zeros((3, 4)))) == 4


def test_distance_is_symmetric_and_ignores_the_order():
    rows = np.random.default_rng(0).permutation(len(X))
    forth, back = frechet_distance(X, FAKES), frechet_distance(FAKES[rows], X)
    assert_allclose(float(forth), float(back), rtol=1e-9)


def test_statistics_stream_and_merge(monkeypatch):
    shifted = 1e4 + X  # cancels where sums of squares are subtracted
    whole = FeatureStatistics().update(shifted)
    assert_allclose(whole.mean, shifted.mean(axis=0), rtol=1e-12)
    assert_allclose(whole.covariance, np.cov(shifted, rowvar=False), rtol=1e-8, atol=1e-10)
    parts = [FeatureStatistics().update(part) for part in np.array_split(shifted, 3)]
    merged = parts[0].merge(parts[1]).merge(pickle.loads(pickle.dumps(parts[2])))
    assert merged.n_samples == len(X)
    assert parts[1].n_samples == len(X) // 3
    monkeypatch.setattr(skal.metrics.frechet, "BLOCK_BYTES", 64 * 8 * 7)
    sizes = []
    by_seven = FeatureStatistics(lambda block: sizes.append(len(block)) or block).update(shifted)
    assert max(sizes) == 7
    for other in (merged, by_seven):
        assert_allclose(other.mean, whole.mean, rtol=1e-12)
        assert_allclose(other.covariance, whole.covariance, rtol=1e-8, atol=1e-10)


def test_features_of_all_kinds(judge):
    pca = PCA(5).fit(X)
    by_hand = frechet_distance(pca.transform(X), pca.transform(FAKES)).distance
    for features in (pca, pca.transform, FrozenEstimator(pca)):
        result = frechet_distance(X, FAKES, features)
        assert_allclose(result.distance, by_hand, rtol=1e-9)
        assert result.name == "Frechet distance"
    by_hand = literal_frechet(embed(judge, X), embed(judge, FAKES))
    for classifier in (judge, FrozenEstimator(judge)):
        result = frechet_distance(X, FAKES, classifier)
        assert_allclose(result.distance, by_hand, rtol=1e-5)
        assert (result.name, result.n_features) == ("classifier Frechet distance", 16)
    images = frechet_distance(X.reshape(-1, 8, 8), FAKES.reshape(-1, 8, 8))
    assert images == frechet_distance(X, FAKES)
    assert_allclose(frechet_distance(sparse.csr_array(X), FAKES).distance, images.distance)


def test_statistics_bring_their_features(judge):
    reference = FeatureStatistics(judge).update(X)
    assert frechet_distance(reference, FAKES) == frechet_distance(X, FAKES, judge)
    assert frechet_distance(reference, FAKES, judge) == frechet_distance(X, FAKES, judge)
    pca = PCA(2).fit(X)  # each look at whose transform gives another object
    reduced = FeatureStatistics(pca.transform).update(X)
    assert frechet_distance(reduced, FAKES, pca.transform) == frechet_distance(X, FAKES, pca)
    with pytest.raises(ValueError, match="bring their own"):
        frechet_distance(reference, FAKES, PCA(2).fit(X))
    with pytest.raises(ValueError, match=r"16 features \(classifier.* and 64 features"):
        frechet_distance(reference, FeatureStatistics().update(FAKES))


def test_refusals_of_the_distance():
    with pytest.raises(ValueError, match="seen 1 rows and at least 2"):
        frechet_distance(X, FAKES[:1])
    with pytest.raises(ValueError, match="seen 0 rows"):
        _ = FeatureStatistics().mean
    with pytest.raises(ValueError, match="give rows"):
        frechet_distance(X, FAKES[:0])
    with pytest.raises(ValueError, match="give rows"):
        frechet_distance(X, FAKES[0])
    with pytest.raises(ValueError, match=r"64 features .* and 32 features"):
        frechet_distance(X, FAKES[:, :32])
    broken = FAKES.copy()
    broken[-1, -1] = np.nan
    statistics = FeatureStatistics().update(X)
    with pytest.raises(ValueError, match="NaN or infinity"):
        statistics.update(broken)
    with pytest.raises(ValueError, match="32 features were given after 64"):
        statistics.update(X[:, :32])
    assert statistics.n_samples == len(X)
    with pytest.raises(ValueError, match="must be one row of features per row"):
        frechet_distance(X, FAKES, lambda block: block[:-1])
    with pytest.raises(ValueError, match="real numbers"):
        frechet_distance(X, FAKES, lambda block: block.astype(complex))
    with pytest.raises(TypeError, match="no penultimate embedding"):
        frechet_distance(X, FAKES, RandomForestClassifier(2).fit(X, Y))
    with pytest.raises(TypeError, match="give a function of rows"):
        frechet_distance(X, FAKES, "pixels")
    for unfitted in (PCA(2), LogisticRegression()):
        with pytest.raises(NotFittedError):
            frechet_distance(X, FAKES, unfitted)
