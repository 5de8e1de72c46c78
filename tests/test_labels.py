"""Partial labels in every container that users have."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skal.labels import UNLABELED, check_new_labels, check_partial_labels, labeled_mask, merge_labels


@pytest.mark.parametrize(
    "y",
    [
        [0, -1, 1],
        np.array([0, -1, 1], dtype=np.int8),
        np.array([0.0, -1.0, 1.0]),
        np.array([0, None, 1], dtype=object),
        pd.Series([0, -1, 1]),
        pd.Series([0, None, 1], dtype="Int64"),
        pl.Series([0, None, 1]),
        np.array([False, None, True], dtype=object),
        ["cat", None, "dog"],
        np.array(["cat", np.nan, "dog"], dtype=object),
        pd.Series(["cat", None, "dog"]),
        pd.Series(["cat", pd.NA, "dog"], dtype="string"),
        pd.Series(["cat", None, "dog"], dtype="category"),
        pl.Series(["cat", None, "dog"]),
    ],
    ids=lambda y: f"{type(y).__module__}-{getattr(y, 'dtype', 'list')}",
)
def test_every_container_marks_the_middle_row(y):
    checked = check_partial_labels(y, 3)
    assert_array_equal(labeled_mask(checked), [True, False, True])
    assert checked[1] in (None, UNLABELED)


@pytest.mark.parametrize(
    "y", [[0, 1], np.array([True, False]), np.array(["-1", "nan"]), np.array([0, 255], np.uint8)]
)
def test_labels_without_marker_are_all_known(y):
    assert labeled_mask(check_partial_labels(y)).all()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([0, 1], "3 rows and y has 2"),
        ([0.0, np.nan, 1.0], "NaN"),
        ([0.0, np.inf, 1.0], "infinity"),
        ([0.5, 0.25, 1.0], "continuous"),
        ([[0, 1], [1, 0], [1, 1]], "1d array"),
        (np.array([1, 2, 3], dtype=complex), "Complex"),
    ],
)
def test_bad_labels_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        check_partial_labels(y, 3)


def test_new_labels_must_all_be_known():
    with pytest.raises(ValueError, match="positions \\[1\\] are unlabelled"):
        check_new_labels([0, -1], 2)
    with pytest.raises(ValueError, match="2 rows and 1 labels"):
        check_new_labels([0], 2)


@given(st.lists(st.integers(-1, 300), min_size=1, max_size=20), st.data())
def test_merge_writes_the_rows_and_keeps_the_rest(y, data):
    y = check_partial_labels(y)
    rows = np.array(data.draw(st.lists(st.integers(0, len(y) - 1), unique=True)), dtype=np.intp)
    labels = np.array(
        data.draw(st.lists(st.integers(0, 70_000), min_size=len(rows), max_size=len(rows))), dtype=int
    )
    before = y.copy()
    merged = merge_labels(y, rows, labels)
    assert_array_equal(merged[rows], labels)
    others = np.setdiff1d(np.arange(len(y)), rows)
    assert_array_equal(merged[others], before[others])
    assert_array_equal(y, before)


def test_small_integer_types_grow_and_kinds_do_not_mix():
    merged = merge_labels(np.array([0, -1], dtype=np.int8), np.array([1]), np.array([300]))
    assert_array_equal(merged, [0, 300])
    with pytest.raises(ValueError, match="give all of them as numbers"):
        merge_labels(np.array([0, -1]), np.array([1]), np.array(["cat"]))
    started = merge_labels(np.array([-1, -1]), np.array([1]), np.array(["cat"]))
    assert started.tolist() == [None, "cat"]
