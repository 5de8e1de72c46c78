"""Pools of data frames: columns count, the index of the rows does not."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from skal.pool import as_pool

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "kind": ["x", "y", None]})


def test_the_index_does_not_matter_and_columns_do():
    pool = as_pool(FRAME)
    assert pool.same_as(as_pool(FRAME.set_index(np.array([7, 5, 1]))))
    assert not pool.same_as(as_pool(FRAME.rename(columns={"a": "b"})))
    assert not pool.same_as(as_pool(FRAME[["kind", "a"]]))
    assert not pool.same_as(as_pool(FRAME.assign(kind=["x", "z", None])))
    assert not pool.same_as(as_pool(FRAME.iloc[::-1]))


def test_a_column_rounded_to_a_narrower_type_is_the_same():
    wide = pd.DataFrame({"a": [0.1, np.nan]})
    assert as_pool(wide).same_as(as_pool(wide.astype(np.float32)))
    assert not as_pool(wide.astype(np.float32)).same_as(as_pool(wide))


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_rows_keep_their_kind(kind):
    pool = as_pool(kind({"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}))
    assert isinstance(pool.take(np.array([2, 0])), kind)
    assert_array_equal(pool.dense(np.array([2, 0])), [[3.0, 6.0], [1.0, 4.0]])
    like = pool.like(np.ones((2, 1, 2)))
    assert isinstance(like, kind)
    assert list(like.columns) == ["a", "b"]
    assert_array_equal(np.asarray(pool.stack([like]))[3:], np.ones((2, 2)))
    assert pool.row_bytes == 16
    are_bytes = as_pool(kind({"a": np.array([1, 2], np.uint8), "b": np.array([3, 4], np.uint8)}))
    like = are_bytes.like(np.array([[-3.0, 1.6], [300.0, 2.0]]))
    assert isinstance(like, kind)
    assert as_pool(like).numbers == "bytes"
    assert_array_equal(np.asarray(like), [[0, 2], [255, 2]])


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: setattr(frame, "columns", ["z", "kind"]),
        lambda frame: frame.insert(2, "b", 0),
        lambda frame: frame.pop("a"),
        lambda frame: frame.loc.__setitem__(7, [1.0, "x"]),
    ],
    ids=["renamed", "added", "dropped", "longer"],
)
def test_other_columns_in_place_are_noticed(change):
    pool = as_pool(FRAME.copy())
    pool.watch(1 << 20)
    change(pool.X)
    assert not pool.is_unchanged()


def test_columns_of_several_types_become_numbers():
    mixed = pd.DataFrame({"a": pd.array([1.0, 2.0], dtype="Float64"), "b": [0.5, 1.5], "c": [True, False]})
    array = as_pool(mixed).dense()
    assert array.dtype == np.float64
    assert_array_equal(array, [[1, 0.5, 1], [2, 1.5, 0]])
    assert as_pool(mixed).same_as(as_pool(array))
    with pytest.raises(TypeError, match=r"columns \['kind'\] hold no numbers"):
        as_pool(FRAME).dense()
    assert not as_pool(FRAME).same_as(as_pool(np.ones((3, 2))))
    assert as_pool(mixed.assign(a=pd.array([1.0, None], dtype="Float64"))).flaw == "NaN"


def test_names_may_be_repeated():
    twice = pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "a"])
    assert as_pool(twice).same_as(as_pool(twice.copy()))
    assert not as_pool(twice).same_as(as_pool(twice.iloc[:, ::-1]))
    twice.iloc[2, 1] = np.nan
    assert as_pool(twice).flaw == "NaN"


def test_words_may_be_missing():
    assert as_pool(FRAME).is_finite
    assert as_pool(pl.DataFrame({"a": [1.0, 2.0, 3.0], "kind": ["x", "y", None]})).is_finite
    with pytest.raises(ValueError, match=r"'a'.*infinity"):
        as_pool(FRAME.assign(a=[1.0, np.inf, 2.0])).assert_finite(allow_nan=True)


def test_cells_that_cannot_be_hashed_are_watched():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "tags": [["x"], ["y", "z"], []]})
    pool = as_pool(frame)
    pool.watch(1 << 20)
    assert pool.is_unchanged()
    frame["tags"][1].append("w")
    assert not pool.is_unchanged()


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["x", "y", None], dtype="string"),
        pd.Series(["x", "y", None], dtype="str"),
        pd.Series(["x", "y", None], dtype="category"),
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series([1.5, 2, None], dtype="Float64"),
        pd.Series([1.5, 2, None], dtype=float),
        pd.Series([True, False, None], dtype="boolean"),
        pd.Series([pd.Timestamp("2020-01-01"), pd.Timestamp("2021-01-01"), None]),
        pl.Series(["x", "y", None]),
        pl.Series(["x", "y", None], dtype=pl.Categorical),
        pl.Series([1, 2, None]),
    ],
    ids=lambda column: str(column.dtype),
)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_cells_are_cast_whatever_stands_for_them(column, missing):
    kind = pd.DataFrame if isinstance(column, pd.Series) else pl.DataFrame
    pool = as_pool(kind({"a": column}))
    given = [column[1], missing if kind is pd.DataFrame else None]
    for cells in (given, given[1:]):
        new = kind({"a": cells}, **({"dtype": object} if kind is pd.DataFrame else {}))
        cast = pool.matching(as_pool(new)).X["a"]
        assert cast.dtype == column.dtype
        assert list(np.asarray(cast.isna() if kind is pd.DataFrame else cast.is_null()))[-1]


def test_repeated_names_are_columns_of_their_own():
    frame = pd.DataFrame(np.eye(4), columns=list("abab"))
    pool = as_pool(frame)
    assert_array_equal(pool.take(np.array([2, 0])), np.eye(4)[[2, 0]])
    assert_array_equal(pool.dense(slice(1, 3)), np.eye(4)[1:3])
    pool.watch(1 << 20)
    frame.iloc[3, 2] = 5
    assert not pool.is_unchanged()


def test_cells_of_objects_are_watched_whole():
    frame = pd.DataFrame({"a": [1, 2], "b": [np.zeros(5000), {"x", "y"}]})
    for change in (lambda: frame["b"][0].__setitem__(2500, 1), lambda: frame["b"][1].add("z")):
        pool = as_pool(frame)
        pool.watch(1 << 20)
        change()
        assert not pool.is_unchanged()


def test_columns_in_another_order_do_not_match():
    pool = as_pool(pd.DataFrame(np.eye(2)))
    with pytest.raises(ValueError, match="in the same order"):
        pool.matching(as_pool(pool.X[[1, 0]]))


def test_objects_that_are_numbers_may_be_missing():
    frame = pd.DataFrame({"a": pd.Series([1.5, None], dtype=object), "b": [True, False]})
    assert_array_equal(as_pool(frame).dense(), [[1.5, 1], [np.nan, 0]])
