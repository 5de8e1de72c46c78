"""Lazy greedy herding against the greedy algorithm on the whole kernel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from skal.selection import KernelHerding, herding

from .rows import embedding, grids


def similar(rows, others, bandwidth):
    return np.exp(-cdist(rows.astype(np.float64), others.astype(np.float64), "sqeuclidean") / bandwidth**2)


def check_greedy(kernel, before, candidates, picks, rtol=1e-9):
    """Each pick adds as much as the best candidate does; rows of the kernel are the pool, columns the targets."""
    chosen = list(before)
    for pick in picks:
        covered = kernel[chosen].max(axis=0, initial=0)
        gains = np.maximum(kernel - covered, 0).sum(axis=1)
        left = np.setdiff1d(candidates, chosen)
        assert pick in left
        assert gains[pick] >= gains[left].max() - rtol * kernel.shape[1]
        chosen.append(int(pick))
    return kernel[chosen].max(axis=0).mean()


@given(grids(), st.integers(0, 1000), st.data())
def test_each_pick_adds_most(X, seed, data):
    rng = np.random.default_rng(seed)
    bandwidth = data.draw(st.sampled_from([0.1, 1.0, 30.0]))
    added, pending, candidates = np.split(rng.permutation(len(X)), np.sort(rng.integers(0, len(X), 2)))
    targets = data.draw(st.none() | st.just(np.sort(rng.choice(len(X), 1 + len(X) // 2, replace=False))))
    k = data.draw(st.integers(1, len(candidates)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(herding, "_TOGETHER", data.draw(st.sampled_from([1, 3, 128])))
        patch.setattr(herding, "_MOST_BLOCKED", data.draw(st.sampled_from([1, 4, 512])))
        known = KernelHerding(X, bandwidth, targets)
        known.add(added)
        picks, coverage = known.pick(k, candidates, pending, np.random.default_rng(seed))
        again = known.pick(k, candidates, pending, np.random.default_rng(seed))
    assert_array_equal(picks, again[0])  # the picks are forgotten
    kernel = similar(X, X if targets is None else X[targets], bandwidth)
    expected = check_greedy(kernel, [*added, *pending], candidates, picks)
    assert_allclose(coverage, expected, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["gaussian", "clusters", "offset"])
def test_a_larger_pool_without_a_bandwidth(kind, dtype):
    X = embedding(600, 0, kind).astype(dtype)
    targets = np.arange(0, 600, 3)
    known = KernelHerding(X, targets=targets)
    rows = X[targets].astype(np.float64)
    assert_allclose(known.bandwidth, np.sqrt(rows.var(axis=0).sum()), rtol=1e-6)
    picks, _ = known.pick(20, np.arange(100, 600), np.arange(5), np.random.default_rng(0))
    check_greedy(similar(X, X[targets], known.bandwidth), range(5), np.arange(100, 600), picks, 1e-7)


def test_rows_in_one_place_are_all_similar():
    picks, coverage = KernelHerding(np.ones((5, 2))).pick(
        4, np.arange(5), np.arange(0), np.random.default_rng(0)
    )
    assert len(set(picks.tolist())) == 4
    assert coverage == 1


def test_rows_are_measured_once_after_the_labels(monkeypatch):
    X, measured = embedding(600, 0, "clusters"), []
    bounds = KernelHerding._bounds_of
    monkeypatch.setattr(
        KernelHerding,
        "_bounds_of",
        lambda self, rows, known: measured.append(len(rows)) or bounds(self, rows, known),
    )
    known = KernelHerding(X)
    known.add(np.arange(100))
    known.pick(1, np.arange(100, 600), np.arange(0), np.random.default_rng(0))
    assert 600 <= sum(measured) <= 600 + 128
    known.add(np.arange(100, 110))
    known.pick(1, np.arange(110, 600), np.arange(0), np.random.default_rng(0))
    assert sum(measured) < 2 * 600


@pytest.mark.parametrize("far", [1e6, 1e9])
def test_far_rows_do_not_drown_the_differences_of_the_others(far):
    X = np.random.default_rng(0).normal(size=(200, 2))
    X[:20, 1] = far
    everyone, rng = np.arange(200), np.random.default_rng(0)
    picks, coverage = KernelHerding(X, 1.0).pick(10, everyone, everyone[:0], rng)
    assert_allclose(coverage, check_greedy(similar(X, X, 1.0), [], everyone, picks), rtol=1e-9)


@given(st.integers(0, 1000), st.sampled_from([1e-30, 1e-8, 1, 1e8, 1e30]), st.sampled_from([1e-3, 1, 30]))
def test_bounds_are_bounds_and_close(seed, scale, width):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, 3)) + rng.integers(-3, 4, size=(150, 1))
    X[:3] *= rng.choice([1, 1e5])
    herding = KernelHerding(X * scale, width * scale, rng.choice(150, 60, replace=False))
    herding.add(rng.choice(150, 4, replace=False))
    rows = np.arange(150)
    bounds, gains = (measure(rows, herding.similarities) for measure in (herding._bounds_of, herding._gains))
    assert (bounds >= gains).all()
    assert np.median(bounds - gains) < 1e-2
