"""Principal components of whole pools, against scikit-learn's singular value decomposition."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skal.neighbors import components, principal_components
from skal.pool import base

DIGITS = load_digits().data
ATTRIBUTES = (
    "mean_",
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "noise_variance_",
)


def pool(seed, n_samples, n_features, offset=0.0):
    """Rows with distinct variances, in the order of the first number: blocks have means of their own."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(n_features, n_features)))[0]
    rows = rng.normal(size=(n_samples, n_features)) * 0.8 ** np.arange(n_features) @ directions
    return rows[np.argsort(rows[:, 0])] + offset


def assert_same_components(pca, expected, rtol=1e-9):
    for name in ATTRIBUTES:
        scale = np.abs(getattr(expected, name)).max()
        assert_allclose(getattr(pca, name), getattr(expected, name), atol=rtol * scale, err_msg=name)
    for name in ("n_components_", "n_samples_", "n_features_in_"):
        assert getattr(pca, name) == getattr(expected, name)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(base, "BLOCK_BYTES", 4000)


def test_components_of_rows_in_float16_are_float32():
    rng = np.random.default_rng(0)
    rows = (30000 + rng.normal(0, 500, (60, 1)) + rng.normal(0, 100, (60, 30))).astype(np.float16)
    pca, expected = principal_components(rows, 5), PCA(5, svd_solver="full").fit(rows.astype(float))
    assert pca.components_.dtype == pca.mean_.dtype == np.float32
    assert_allclose(pca.transform(rows), expected.transform(rows.astype(float)), atol=1)


@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(10, 60), st.sampled_from([0.0, 1e3]))
def test_the_components_of_scikit_learn(seed, n_features, n_samples, offset):
    X = pool(seed, n_samples, n_features, offset)
    for n_components in {1, n_features // 2, n_features}:
        if n_components:
            expected = PCA(n_components, svd_solver="full").fit(X)
            assert_same_components(principal_components(X, n_components), expected, 1e-7)


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_blocks_are_joined_exactly(small_blocks, offset):
    """A sorted pool of 500 blocks, far from the origin: sums of squares about it would keep six digits."""
    X = pool(0, 5000, 20, offset)
    pca = principal_components(X, 8)
    assert_same_components(pca, PCA(8, svd_solver="full").fit(X), 1e-8)
    assert_allclose(pca.transform(X), PCA(8, svd_solver="full").fit_transform(X), atol=1e-6)


def test_fewer_rows_than_features():
    X = pool(0, 6, 15)
    assert_same_components(principal_components(X, 4), PCA(4, svd_solver="full").fit(X))
    pca = principal_components(X, 50)
    assert pca.n_components_ == 6
    distances = np.linalg.norm(X[:, None] - X, axis=2)
    codes = pca.transform(X)
    assert_allclose(np.linalg.norm(codes[:, None] - codes, axis=2), distances, atol=1e-9)


KINDS = {
    "bytes": lambda X, _: X.astype(np.uint8),
    "images": lambda X, _: X.reshape(-1, 1, 8, 8),
    "float32": lambda X, _: X.astype(np.float32),
    "frame": lambda X, _: pd.DataFrame(X),
    "sparse": lambda X, _: sparse.csr_array(X),
    "file": lambda X, path: mapped(X, path / "X.npy"),
}


def mapped(X, file):
    np.save(file, X)
    return np.load(file, mmap_mode="r")


@pytest.mark.parametrize("kind", KINDS)
def test_pools_of_any_kind(kind, tmp_path, small_blocks):
    expected = PCA(10, svd_solver="full").fit(DIGITS)
    pca = principal_components(KINDS[kind](DIGITS, tmp_path), 10)
    in_bytes = kind in ("bytes", "float32")
    assert pca.components_.dtype == (np.float32 if in_bytes else np.float64)
    assert_same_components(pca, expected, 1e-6 if in_bytes else 1e-9)


def test_rows_without_a_shape_have_features(small_blocks):
    texts = [f"{'a' * (n % 7)}{'b' * (n % 5)}{'c' * (n % 3)}" for n in range(300)]
    counts = np.array([[text.count(letter) for letter in "abc"] for text in texts], dtype=float)
    pca = principal_components(
        texts, 2, lambda block: np.array([[text.count(letter) for letter in "abc"] for text in block])
    )
    assert_same_components(pca, PCA(2, svd_solver="full").fit(counts), 1e-6)


def test_features_in_any_shape(small_blocks):
    pca = principal_components(DIGITS, 5, lambda rows: rows.reshape(-1, 2, 32)[:, :, ::2] ** 2)
    assert_same_components(
        pca, PCA(5, svd_solver="full").fit(DIGITS.reshape(-1, 2, 32)[:, :, ::2].reshape(-1, 32) ** 2)
    )


def test_many_features_are_iterated(monkeypatch, small_blocks):
    monkeypatch.setattr(components, "_MOST_FEATURES", 30)
    X = pool(0, 400, 60, offset=3.0)
    pca = principal_components(X, 10, seed=1)
    assert_same_components(pca, PCA(10, svd_solver="full").fit(X), 1e-6)
    assert_array_equal(pca.components_, principal_components(X, 10, seed=1).components_)


def test_many_features_of_one_value(monkeypatch):
    for most in (30, 60):
        monkeypatch.setattr(components, "_MOST_FEATURES", most)
        pca = principal_components(np.ones((5, 40)), 3)
        assert np.isnan(pca.explained_variance_ratio_).all()
        assert_allclose(pca.transform(np.ones((5, 40))), 0, atol=1e-12)


def test_memory_does_not_grow_with_the_pool():
    peaks = []
    for n_rows in (50_000, 200_000):
        X = np.zeros((n_rows, 64), np.float32)
        tracemalloc.start()
        principal_components(X, 3)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
    assert peaks[1] < 40e6


def test_it_is_a_pca_of_scikit_learn():
    pca = principal_components(DIGITS, 5)
    assert isinstance(clone(pca), PCA)
    assert_array_equal(pickle.loads(pickle.dumps(pca)).transform(DIGITS), pca.transform(DIGITS))
    assert_allclose(pca.inverse_transform(pca.transform(DIGITS)).mean(axis=0), pca.mean_, atol=1e-9)
    with pytest.raises(ValueError, match="63 features"):
        pca.transform(DIGITS[:, :63])
