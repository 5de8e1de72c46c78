import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skal.pool import as_pool

TEXTS = [f"text {row}" for row in range(20)]
KINDS = [list, tuple, np.array, lambda X: np.array(X, dtype=object), pd.Series, pl.Series, pd.Index]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_taken_by_position(kind):
    pool = as_pool(kind(TEXTS))
    assert (len(pool), pool.row_shape, pool.obstacle) == (20, (), "its rows are texts")
    assert list(pool.take(np.array([7, 2, 7]))) == ["text 7", "text 2", "text 7"]
    assert list(pool.take(slice(3, 5))) == TEXTS[3:5]
    assert list(pool.stack([["a"], as_pool(kind(["b", "c"])).X])) == [*TEXTS, "a", "b", "c"]
    assert [len(block) for block, _ in pool.blocks(max_bytes=pool.row_bytes * 8)] == [8, 8, 4]
    assert pool.is_finite
    with pytest.raises(TypeError, match="texts"):
        pool.dense()
    with pytest.raises(TypeError, match="cannot be made of numbers"):
        pool.like(np.zeros((1, 1)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_the_same_items_in_any_container_are_the_same_pool(kind, other):
    pool = as_pool(kind(TEXTS))
    assert pool.same_as(as_pool(other(TEXTS)))
    assert not pool.same_as(as_pool(other([*TEXTS[:-1], "other"])))
    assert not pool.same_as(as_pool(other(TEXTS[:-1])))
    assert not pool.same_as(as_pool(np.zeros((20, 1))))


@pytest.mark.parametrize(
    ("item", "other"),
    [
        ({"a": [1, np.arange(3)]}, {"a": [1, np.arange(3) + 1]}),
        ([1, [2, 3]], [1, [2, 4]]),
        (np.arange(5), np.arange(5.0)),
        (np.zeros(2000), np.r_[np.zeros(1000), 1, np.zeros(999)]),  # which repr abbreviates
        (pd.Timestamp("2020"), pd.Timestamp("2021")),
        (float("nan"), 0.5),
        (None, "None"),
        (pd.NA, None),
        ({1, 2}, {1, 3}),
        (datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)),
    ],
    ids=str,
)
def test_items_of_any_kind_are_compared_and_watched(item, other):
    import copy

    items = ["first", *[copy.deepcopy(item) for _ in range(5)]]
    pool = as_pool(items)
    assert pool.same_as(as_pool(copy.deepcopy(items)))
    assert not pool.same_as(as_pool([*items[:5], other]))
    pool.watch(1 << 18)
    assert pool.is_unchanged()
    items[3] = other
    assert not pool.is_unchanged()
    items[3] = item
    items.append("last")
    assert not pool.is_unchanged()
    assert not pool.seems_unchanged()


def test_kinds_are_named():
    names = [as_pool(items).obstacle for items in (["a"], [b"a"], [{}], [[1, "a"]], [None, "a"], [{1}])]
    kinds = ["texts", "bytes", "dicts", "sequences", "texts", "objects of type set"]
    assert names == [f"its rows are {kind}" for kind in kinds]


def test_lists_of_numbers_become_arrays_and_ragged_ones_stay():
    assert_array_equal(as_pool([[1, 2], [3, 4]]).X, [[1, 2], [3, 4]])
    assert as_pool([np.zeros((2, 2))] * 3).row_shape == (2, 2)
    assert as_pool([[1, 2], [3]]).X == [[1, 2], [3]]
    assert as_pool([[1, "a"], [2, "b"]]).X == [[1, "a"], [2, "b"]]


def test_a_series_is_watched_by_position_whatever_its_index():
    digests = {as_pool(pd.Series(TEXTS, index=index)).digest(1000) for index in (range(20), range(100, 120))}
    assert len(digests) == 1
    assert digests == {as_pool(pd.Series(TEXTS, index=[f"row {n}" for n in range(20)])).digest(1000)}
