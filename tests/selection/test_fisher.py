"""BAIT with updates of low rank against inverses of whole matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skal.selection import FisherRows, bait, points
from skal.selection.fisher import _Roots


def information(h, p):
    return np.kron(np.outer(h, h), np.diag(p) - np.outer(p, p))


def trace(known, each, rows, total):
    return np.trace(np.linalg.inv(known + sum(each[row] for row in rows)) @ total)


def make(seed, n_rows=8, d=2, n_classes=3):
    rng = np.random.default_rng(seed)
    h, p = rng.normal(size=(n_rows, d)), rng.dirichlet(np.ones(n_classes), n_rows)
    each = np.stack([information(*row) for row in zip(h, p, strict=True)])
    return FisherRows(h, p), each


def test_totals(monkeypatch):
    rows, each = make(0)
    monkeypatch.setattr(points, "BLOCK_SIZE", 13)
    assert_allclose(rows.total(), each.sum(axis=0), atol=1e-12)
    assert_allclose(rows.total(np.array([5, 2])), each[[5, 2]].sum(axis=0), atol=1e-12)
    assert_allclose(rows.total(np.arange(0)), 0)
    assert_allclose(rows.traces(), each.trace(axis1=1, axis2=2))


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(0, 5))
def test_roots_are_those_of_the_covariances_of_labels(seed, n_classes, n_zeros):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(n_classes, 0.2), 20)
    p[rng.integers(20, size=n_zeros), rng.integers(n_classes, size=n_zeros)] = 0
    p[0] = np.eye(n_classes)[rng.integers(n_classes)]
    whole = np.repeat(np.eye(n_classes)[:, :, np.newaxis], 20, axis=2)
    roots = _Roots(p).times(whole)
    found = np.einsum("kin,kjn->nij", roots, roots)
    total = p.sum(axis=1)
    expected = np.stack(
        [np.diag(row) * each - np.outer(row, row) for row, each in zip(p, total, strict=True)]
    )
    assert_allclose(found, expected, atol=1e-15)


def test_nothing_is_lost_where_a_row_is_nearly_sure():
    p = np.array([[1 - 1e-12, 0.75e-12, 0.25e-12]])
    root = _Roots(p).times(np.eye(3)[:, :, np.newaxis])[:, :, 0]
    assert_allclose((root.T @ root)[0, 0], 1e-12, rtol=1e-9)
    assert_allclose((root.T @ root)[2, 2], 0.25e-12, rtol=1e-9)


@given(
    st.integers(0, 10_000),
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([1.0, 1.5, 2.0, 9.0]),
    st.sampled_from([0.01, 1.0]),
    st.sampled_from([1, 50, 1 << 17]),
)
def test_every_row_is_added_and_removed_as_inverses_tell(seed, d, n_classes, oversampling, penalty, block):
    rng = np.random.default_rng(seed)
    rows, each = make(seed, int(rng.integers(2, 9)), d, n_classes)
    if rng.random() < 0.3:  # sure of a class, and far
        rows.probabilities[0] = np.eye(n_classes)[0]
        each[0] = 0
    before, candidates = np.split(rng.permutation(len(each)), [rng.integers(0, len(each))])
    k = int(rng.integers(1, len(candidates) + 1))
    known, total = each[before].sum(axis=0) + penalty * np.eye(rows.side), each.sum(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(points, "BLOCK_SIZE", block)
        chosen = bait(rows, np.linalg.inv(known), total, k, rng, candidates, oversampling=oversampling)

    # The naive algorithm goes along with the choices, as equal rows are chosen by chance.
    def check(picked, options, value):
        best = min(trace(known, each, [*value, row], total) for row in options)
        assert trace(known, each, [*value, picked], total) <= best * (1 + 1e-9)

    kept = list(chosen.rows)
    assert len(set(kept)) == k
    assert set(kept) <= set(candidates)
    assert_allclose(chosen.objective, trace(known, each, kept, total), rtol=1e-7)
    naive = naive_bait(known, each, total, k, candidates, oversampling)
    assert_allclose(chosen.objective, trace(known, each, naive, total), rtol=1e-7)
    if oversampling == 1:
        for place, picked in enumerate(kept):
            check(picked, np.setdiff1d(candidates, kept[:place]), kept[:place])


def naive_bait(known, each, total, k, candidates, oversampling):
    """The rows that the algorithm picks, with an inverse for every comparison."""
    picks = []
    for _ in range(min(len(candidates), max(k, round(oversampling * k)))):
        left = [row for row in candidates if row not in picks]
        picks.append(min(left, key=lambda row: trace(known, each, [*picks, row], total)))
    while len(picks) > k:
        without = [[row for row in picks if row != out] for out in picks]
        picks = min(without, key=lambda rows: trace(known, each, rows, total))
    return picks


def test_a_batch_as_large_as_in_practice_has_the_picks_of_inverses():
    rows, each = make(1, 60, 5, 4)
    known, total = np.eye(20) + each[:5].sum(axis=0), each.sum(axis=0)
    chosen = bait(rows, np.linalg.inv(known), total, 12, np.random.default_rng(0), np.arange(5, 60))
    naive = naive_bait(known, each, total, 12, np.arange(5, 60), 2.0)
    assert chosen.rows.tolist() == naive
    greedy = naive_bait(known, each, total, 12, np.arange(5, 60), 1.0)
    assert chosen.objective < trace(known, each, greedy, total)  # that is what removing is for
    assert_allclose(chosen.objective, trace(known, each, naive, total), rtol=1e-9)


def test_equal_rows_are_chosen_by_chance():
    rows = FisherRows(np.ones((20, 2), dtype=np.float32), np.full((20, 2), 0.5, dtype=np.float32))
    first = {
        int(bait(rows, np.eye(4), rows.total(), 1, np.random.default_rng(seed)).rows[0]) for seed in range(20)
    }
    assert len(first) > 5
    with pytest.raises(ValueError, match="k=21 rows asked of 20"):
        bait(rows, np.eye(4), rows.total(), 21, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(1, 6))
def test_what_rounding_has_made_meaningless_is_refused(seed):
    rng = np.random.default_rng(seed)
    rows = FisherRows(1e6 * rng.normal(size=(30, 4)), rng.dirichlet(np.ones(3), 30))
    inverse = np.linalg.inv(rows.total(np.arange(5)) + np.eye(12))
    with pytest.raises(ValueError, match="Rounding has made the trace meaningless"):
        bait(rows, (inverse + inverse.T) / 2, rows.total() / 30, 6, rng, np.arange(5, 30))
