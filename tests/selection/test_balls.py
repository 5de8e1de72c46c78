"""Balls against all pairs of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skal.selection import BallCover, balls, pure_sq_radius

from .rows import embedding, grids


def sq_distances(X):
    rows = X.astype(np.float64)
    return ((rows[:, None] - rows) ** 2).sum(axis=2)


def some_radius(data, X):
    """A squared distance between two rows, which are then on the edge of each other's balls; or any other."""
    found = np.unique(sq_distances(X)).tolist()
    return data.draw(st.sampled_from([*found, found[-1] / 2, 1e-300, np.inf]))


@given(grids(), st.data())
def test_counts_are_those_of_all_pairs(X, data):
    sq_radius = some_radius(data, X)
    near = sq_distances(X) < sq_radius
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balls, "_BLOCK_ROWS", data.draw(st.sampled_from([1, 3, 1024])))
        cover = BallCover(X, sq_radius)
        assert_array_equal(cover.gains, near.sum(axis=1))
        covered = np.zeros(len(X), bool)
        for centers in data.draw(st.lists(st.lists(st.integers(0, len(X) - 1), max_size=3), max_size=3)):
            cover.add(centers)
            covered |= near[centers].any(axis=0)
            assert_array_equal(cover.covered, covered)
            assert_array_equal(cover.gains, near[:, ~covered].sum(axis=1))


@pytest.mark.parametrize(("outlier", "tolerance"), [(1.0, 1e-9), (1e4, 1e-9), (1e12, 1e-5)])
@pytest.mark.parametrize("side", [-1, 1])
def test_float64_decides_near_the_edge(outlier, tolerance, side):
    X = np.random.default_rng(0).normal(size=(300, 20))
    X[7] *= outlier  # beside it float32 tells none of the others apart
    distances = sq_distances(X)
    for other in range(20, 30):
        sq_radius = distances[10, other] * (1 + side * tolerance)  # the edge runs beside that row
        assert_array_equal(BallCover(X, sq_radius).gains, (distances < sq_radius).sum(axis=1))


@pytest.mark.parametrize("scale", [1e-18, 1e-20, 1e-21, 1e-22, 1e-23])
def test_numbers_whose_squares_vanish_beside_another_row(scale):
    X = np.random.default_rng(0).normal(size=(60, 3)) * scale
    X[0] = 1
    distances = sq_distances(X)
    sq_radius = float(np.median(distances[1:, 1:]))
    assert_array_equal(BallCover(X, sq_radius).gains, (distances < sq_radius).sum(axis=1))


@pytest.mark.parametrize("sq_radius", [3.4e38, 1e39, 1e300, np.inf])
def test_a_radius_beyond_float32(sq_radius):
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    assert_array_equal(BallCover(X, sq_radius).gains, np.full(60, 60))


def test_groups_that_are_far_apart_are_counted_in_float64():
    X = np.random.default_rng(0).normal(size=(300, 20))
    X[::2] += 1e4
    distances = sq_distances(X)
    sq_radius = float(np.quantile(distances, 0.2))
    cover = BallCover(X, sq_radius)
    assert cover._dtype is np.float64
    assert_array_equal(cover.gains, (distances < sq_radius).sum(axis=1))


@given(grids(), st.integers(0, 1000), st.data())
def test_each_pick_covers_most(X, seed, data):
    sq_radius = some_radius(data, X)
    near = sq_distances(X) < sq_radius
    rows = np.random.default_rng(seed).permutation(len(X))
    pending, candidates = np.split(rows, [data.draw(st.integers(0, len(X) - 1))])
    k = data.draw(st.integers(1, len(candidates)))
    cover = BallCover(X, sq_radius)
    picks, coverage = cover.pick(k, candidates, pending, np.random.default_rng(seed))
    assert len(set(picks.tolist()) - set(pending.tolist())) == k
    chosen = pending.tolist()
    for pick in picks.tolist():
        uncovered = ~near[chosen].any(axis=0)
        left = np.setdiff1d(candidates, chosen)
        assert near[pick, uncovered].sum() == near[left][:, uncovered].sum(axis=1).max()
        chosen.append(pick)
    assert coverage == near[chosen].any(axis=0).mean()
    assert_array_equal(cover.gains, near.sum(axis=1))  # the picks are forgotten


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["gaussian", "clusters", "offset"])
def test_rows_that_are_far_from_the_origin(kind, dtype):
    X = embedding(300, 0, kind).astype(dtype)
    found = sq_distances(X)
    sq_radius = float(np.quantile(found, 0.05))
    sq_radius = float(found.flat[np.abs(found - sq_radius).argmin()])
    assert_array_equal(BallCover(X, sq_radius).gains, (found < sq_radius).sum(axis=1))


@given(grids(), st.integers(0, 1000), st.sampled_from([0.05, 0.5, 0.9, 0.95, 1.0]))
def test_the_radius_is_the_largest_with_so_many_pure_balls(X, seed, purity):
    labels = np.random.default_rng(seed).integers(0, 3, len(X))
    sq_radius = pure_sq_radius(X, labels, purity)
    found = sq_distances(X)
    differ = labels[:, None] != labels

    def share(sq_radius):
        return (~((found < sq_radius) & differ).any(axis=1)).mean()

    assert share(sq_radius) >= purity - 1e-9
    if np.isfinite(sq_radius):
        assert share(sq_radius * (1 + 1e-9) + 1e-300) < purity
    else:
        assert share(np.inf) >= purity - 1e-9
