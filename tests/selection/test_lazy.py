"""The lazy search for a largest value against the whole list of values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skal.selection.lazy import lazy_argmax


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
            lazy_argmax(
                bounds,
                [rough.take, lambda rows: measured.extend(rows) or values[rows]],  # noqa: B023
                np.random.default_rng(seed),
                together,
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
        lazy_argmax(bounds, [lambda rows: measured.extend(rows) or values[rows]], np.random.default_rng(0), 2)
        == 999
    )
    assert sorted(measured) == [998, 999]


def test_equal_values_have_equal_chances_also_where_they_are_measured_one_by_one():
    values = np.array([2.0, 1.0, 2.0])
    found = {lazy_argmax(values.copy(), [values.take], np.random.default_rng(seed), 1) for seed in range(20)}
    assert found == {0, 2}


def test_rounding_raises_no_bound():
    bounds = np.array([1.0, 0.5])
    assert lazy_argmax(bounds, [lambda rows: np.full(len(rows), 1 + 1e-12)], np.random.default_rng(0), 1) == 0
    assert_array_equal(bounds, [1.0, 0.5])


def test_what_a_cheap_bound_rules_out_is_not_measured():
    values, measured = np.arange(20.0)[::-1], []
    bounds = np.full(20, 30.0)
    measures = [values.take, lambda rows: measured.extend(rows) or values[rows]]
    assert lazy_argmax(bounds, measures, np.random.default_rng(0), 10) == 0
    assert len(measured) < 20
    assert_array_equal(bounds, values)
