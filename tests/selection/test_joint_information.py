"""BatchBALD against joint entropies over all combinations of labels."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skal.selection import batch_bald, joint_information, lazy
from skal.selection.joint_information import _Combinations, _Members


def brute_force(p, rows):
    """Joint mutual information of the labels of some rows and the member, by the sum over all combinations."""
    n_members, n_classes = p.shape[1:]
    joint = 0.0
    for labels in product(range(n_classes), repeat=len(rows)):
        each = [
            np.prod([p[row, w, c] for row, c in zip(rows, labels, strict=True)]) for w in range(n_members)
        ]
        mean = np.mean(each)
        joint -= mean * np.log(mean) if mean > 0 else 0
    within = -sum(q * np.log(q) for row in rows for q in p[row].ravel() if q > 0) / n_members
    return joint - within


@st.composite
def committees(draw):
    n_rows, n_members, n_classes = draw(st.tuples(st.integers(2, 6), st.integers(2, 4), st.integers(2, 3)))
    n_counts = n_rows * n_members * n_classes
    counts = draw(st.lists(st.integers(0, 4), min_size=n_counts, max_size=n_counts))
    p = np.array(counts, dtype=float).reshape(n_rows, n_members, n_classes)
    p[p.sum(axis=2) == 0] = 1
    return p / p.sum(axis=2, keepdims=True)


@given(committees(), st.integers(0, 1000), st.sampled_from([1, 2, 128]))
def test_each_pick_adds_most(p, seed, together):
    rng = np.random.default_rng(seed)
    pending, candidates = np.split(rng.permutation(len(p)), [rng.integers(0, len(p))])
    k = int(rng.integers(1, len(candidates) + 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint_information, "_SETTLED", -1)  # no second choice
        patch.setattr(lazy.LazyMaximum.__init__, "__defaults__", (together,))
        joint = batch_bald(p, k, rng, candidates, pending, max_combinations=3**6)
    chosen = pending.tolist()
    for pick in joint.rows:
        left = np.setdiff1d(candidates, chosen)
        assert pick in left
        information = {row: brute_force(p, [*chosen, row]) for row in left}
        assert information[pick] >= max(information.values()) - 1e-12
        chosen.append(int(pick))
    assert joint.is_exact
    assert_allclose(joint.information, brute_force(p, chosen), atol=1e-12)


@given(committees(), st.integers(0, 1000))
def test_means_of_posteriors_promise_no_less(p, seed):
    rng, members = np.random.default_rng(seed), _Members(p)
    known = _Combinations.none(p.shape[1])
    for row in p[:3]:
        known = known.extended(row, 8, rng)
        assert_allclose(known.weights.sum(), 1)
        assert_allclose(known.posteriors.sum(axis=1), 1)
        merged, rows = known.merged(), np.arange(len(p))
        assert len(merged.weights) <= p.shape[1]
        assert_allclose(merged.weights @ merged.posteriors, known.weights @ known.posteriors)
        assert (members.gains(merged, rows) >= members.gains(known, rows) - 1e-12).all()


def dirichlet(n_rows, n_members, n_classes, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.5), (n_rows, n_members))


def test_drawn_combinations_estimate_what_all_would_say():
    p, members, before = dirichlet(7, 5, 3), _Members(dirichlet(7, 5, 3)), [0, 1, 2, 3, 4]
    rng, gains, left = np.random.default_rng(0), [], []
    for _ in range(300):
        known = _Combinations.none(5)
        for row in before:
            known = known.extended(p[row], 30, rng)
        assert len(known.weights) == 30
        assert not known.is_exact
        gains.append(members.gains(known, np.array([5, 6])))
        left.append(known.left)
    all_before = brute_force(p, before)
    exact = [brute_force(p, [*before, row]) - all_before for row in (5, 6)]
    error = np.std(gains, axis=0) / 300**0.5
    assert (error < 0.05 * np.array(exact)).all()
    assert (np.abs(np.mean(gains, axis=0) - exact) < 3 * error).all()
    assert abs(np.mean(left) - (np.log(5) - all_before)) < 3 * np.std(left) / 300**0.5


def test_a_batch_by_drawn_combinations_says_as_much():
    p = dirichlet(40, 6, 3, seed=1)
    exact = batch_bald(p, 6, np.random.default_rng(0), max_combinations=3**6)
    drawn = batch_bald(p, 6, np.random.default_rng(0), max_combinations=100)
    assert exact.is_exact
    assert not drawn.is_exact
    assert_array_equal(exact.rows[:4], drawn.rows[:4])  # 81 combinations of four
    assert brute_force(p, drawn.rows) > 0.99 * exact.information
    assert_allclose(drawn.information, brute_force(p, drawn.rows), rtol=0.05)


def test_rows_that_say_the_same_are_not_both_chosen():
    a, b = [[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0.1, 0.9], [1, 0], [0.1, 0.9]]
    p = np.array([a, a, b, a])
    for seed in range(5):
        first, second = batch_bald(p, 2, np.random.default_rng(seed)).rows
        assert second == 2
        assert first != 2
        assert batch_bald(p, 1, np.random.default_rng(seed), pending=np.array([1])).rows == [2]


def test_once_members_are_told_apart_the_choice_starts_anew():
    sure, agreed = [[1, 0], [0, 1]], [[0.6, 0.4], [0.6, 0.4]]
    p = np.array([agreed, [[0.9, 0.1], [0.1, 0.9]], sure, agreed, sure])
    joint = batch_bald(p, 4, np.random.default_rng(0))
    assert set(joint.rows[:2]) == {2, 4}
    assert joint.rows[2] == 1
    assert_allclose(joint.information, np.log(2))


def test_members_that_agree_leave_the_choice_to_chance():
    p = np.full((30, 3, 4), 0.25, dtype=np.float32)
    first = {int(batch_bald(p, 1, np.random.default_rng(seed)).rows[0]) for seed in range(20)}
    assert len(first) > 5
    joint = batch_bald(p, 30, np.random.default_rng(0))
    assert sorted(joint.rows) == list(range(30))
    assert_allclose(joint.information, 0, atol=1e-12)
    with pytest.raises(ValueError, match="k=31 rows asked of 30"):
        batch_bald(p, 31, np.random.default_rng(0))
