"""The lazy search for a largest value against the whole list of values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skal.selection import lazy
from skal.selection.lazy import LazyMaximum


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12), st.integers(1, 5), st.data())
def test_the_largest_is_found(triples, together, data):
    values, rough, bounds = np.cumsum(np.array(triples, dtype=float), axis=1).T
    is_out = np.array(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    is_out[data.draw(st.integers(0, len(values) - 1))] = False
    before = bounds[:] = np.where(is_out, -np.inf, bounds)
    before = before.copy()
    found = set()
    for seed in range(20):
        bounds, measured = before.copy(), []
        found.add(
            LazyMaximum(bounds, together).argmax(
                [rough.take, lambda rows: measured.extend(rows) or values[rows]],  # noqa: B023
                np.random.default_rng(seed),
            )
        )
        best = values[~is_out].max()
        assert len(set(measured)) == len(measured)
        assert_array_equal(bounds[measured], values[measured])
        assert (bounds <= before).all()
        assert (bounds[~is_out] >= values[~is_out]).all()
        assert not is_out[measured].any()
    equal = np.flatnonzero((values == best) & ~is_out)
    assert found <= set(equal.tolist())
    assert len(found) > 1 or len(equal) == 1


def test_few_are_measured():
    values, measured = np.arange(1000.0), []
    bounds = values + 1.5
    assert (
        LazyMaximum(bounds, 2).argmax(
            [lambda rows: measured.extend(rows) or values[rows]], np.random.default_rng(0)
        )
        == 999
    )
    assert sorted(measured) == [998, 999]


def test_equal_values_have_equal_chances_also_where_they_are_measured_one_by_one():
    values = np.array([2.0, 1.0, 2.0])
    found = {
        LazyMaximum(values.copy(), 1).argmax([values.take], np.random.default_rng(seed)) for seed in range(20)
    }
    assert found == {0, 2}


def test_rounding_raises_no_bound():
    bounds = np.array([1.0, 0.5])
    measure = [lambda rows: np.full(len(rows), 1 + 1e-12)]
    assert LazyMaximum(bounds, 1).argmax(measure, np.random.default_rng(0)) == 0
    assert_array_equal(bounds, [1.0, 0.5])


def test_what_a_cheap_bound_rules_out_is_not_measured():
    values, measured = np.arange(20.0)[::-1], []
    bounds = np.full(20, 30.0)
    measures = [values.take, lambda rows: measured.extend(rows) or values[rows]]
    assert LazyMaximum(bounds, 10).argmax(measures, np.random.default_rng(0)) == 0
    assert len(measured) < 20
    assert_array_equal(bounds, values)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 3))
def test_picks_one_after_the_other_are_those_of_the_whole_list(seed, together, n_kinds):
    """Values fall after each pick, a submodular gain: the share of what a row covers that no pick covers yet."""
    rng = np.random.default_rng(seed)
    covers, left = rng.integers(0, n_kinds + 1, size=(400, 12)).astype(float), np.ones(12)
    bounds = covers @ left + rng.integers(0, 2, size=400)
    search, naive = LazyMaximum(bounds, together), np.zeros(400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lazy, "_LEAST", 1)  # so that a few rows lead
        for _ in range(30):
            picked = search.argmax([lambda rows: covers[rows] @ left], rng)  # noqa: B023
            values = np.where(naive == 0, covers @ left, -np.inf)
            assert values[picked] == values.max()
            bounds[picked], naive[picked] = -np.inf, 1
            left = left * (covers[picked] == 0)


def test_of_many_values_a_search_looks_at_those_that_lead(monkeypatch):
    looked, values = [], np.arange(100_000.0)
    bounds = values.copy()
    search = LazyMaximum(bounds)
    partition = np.argpartition
    monkeypatch.setattr(np, "argpartition", lambda a, n: looked.append(len(a)) or partition(a, n))
    for expected in range(99_999, 99_899, -1):
        assert search.argmax([values.take], np.random.default_rng(0)) == expected
        bounds[expected] = -np.inf
    assert sum(looked) < 100_000 * 2 + 100 * 5000
