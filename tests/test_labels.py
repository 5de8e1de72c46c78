"""Partial labels in every container that users have."""

import copy
import pickle
from decimal import Decimal
from enum import StrEnum

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skal.labels import UNLABELED, Labels, check_new_labels, check_partial_labels, labeled_mask, read_labels


class Animal(StrEnum):
    CAT = "cat"


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
        pd.Series(["cat", None, "dog"], dtype="category").values,
        pd.Series(["cat", None, "dog"], dtype="str").values,
        pd.Series(["cat", None, "dog"], dtype="string").values,
        pd.Series([0, None, 1], dtype="Int64").values,
        pd.Series([0, None, 1], dtype="UInt8").values,
        pd.Series([0.0, None, 1.0], dtype="Float32").values,
        pd.Series([True, None, False], dtype="boolean").values,
        pd.Series([True, None, False], dtype="boolean"),
        pd.Categorical([0, None, 1]),
        pd.Series([2.0, None, 1.0], dtype=object),
        torch.tensor([0, -1, 1]),
        torch.tensor([0.0, -1.0, 1.0], requires_grad=True),
        [torch.tensor(0), torch.tensor(-1), torch.tensor(1)],
        [torch.tensor(0), None, 1],
        [True, None, False],
        [0.0, None, 1.0],
        np.array([0.0, np.nan, 1.0], dtype=object),
        [np.int8(0), None, 1],
        [np.int64(0), -1, 1],
        [np.float32(0), None, 1],
        [np.str_("cat"), None, "dog"],
        [np.bool_(True), None, False],
        [np.array("cat"), None, "dog"],
        ["cat", -1, "dog"],
        np.array(["cat", -1.0, "dog"], dtype=object),
        ["cat", np.int64(-1), "dog"],
        [Animal.CAT, None, "dog"],
        np.ma.masked_array(["cat", "ox", "dog"], [False, True, False]),
        np.ma.masked_array([0, 2, 1], [False, True, False]),
        np.array(["cat", None, "dog"], dtype=np.dtypes.StringDType(na_object=None)),
    ],
    ids=lambda y: f"{type(y).__module__}-{getattr(y, 'dtype', 'list')}",
)
def test_every_container_marks_the_middle_row(y):
    checked = check_partial_labels(y, 3)
    assert_array_equal(labeled_mask(checked), [True, False, True])
    assert checked[1] in (None, UNLABELED)
    assert not isinstance(checked[0], Animal)


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
        ([[0, 1], [1, 0], [1, 1]], r"y has the label \[0, 1\] of type list.*exactly one label.*one-hot"),
        ([["a", "b"], ["a"], None], r"y has the label \['a', 'b'\] of type list.*consensus"),
        ([{"a", "b"}, {"a"}, set()], "of type set.*multi-label"),
        (pd.Series([["a", "b"], ["a"], None]), "of type list.*multi-label"),
        (pl.Series([["a", "b"], ["a"], None]), "of type list.*multi-label"),
        (np.array([frozenset("ab"), None, None]), "of type frozenset.*multi-label"),
        ([np.array([0, 1]), np.array([1]), np.array([0])], "of type ndarray.*multi-label"),
        (np.ones((3, 2)), r"y has the shape \(3, 2\)\. Each row has exactly one label"),
        (np.ones((3, 2, 2)), r"y has the shape \(3, 2, 2\)"),
        (csr_array((3, 2)), r"y has the shape \(3, 2\).*multi-label"),
        (pd.DataFrame({"a": [1, 2, 3], "b": [1, 2, 3]}), r"y has the shape \(3, 2\)"),
        (np.array([1, 2, 3], dtype=complex), "Complex"),
        (["a", "b\0", "c"], r"'b\\x00', whose end NumPy's strings lose"),
        ([b"a", None, b"b"], "of type bytes"),
        ([0, 10**30, -1], f"labels from -1 to {10**30}, which int64 cannot hold; give them as strings"),
        ([0, 2**63, -1], r"floats, which hold integers up to 2\*\*53"),
        ([0.0, 2.0**60, -1.0], r"floats, which hold integers up to 2\*\*53"),
        (np.array([0, 1, 2**63 + 1], np.uint64), "which int64 cannot hold"),
        (np.array([(0, 1), None, "a"], dtype=object), r"\(0, 1\) of type tuple"),
        (["a", 7, "b"], "several kinds, such as .* give all of them as strings or all as numbers"),
        (["a", True, "b"], "several kinds"),
        (["a", b"b", None], "of type bytes"),
        (np.array(["a", -2, None], dtype=object), "several kinds"),
        ([1, None, 1j], r"1j of type complex; give strings or integers"),
        ([Decimal(1), None, "a"], r"Decimal\('1'\) of type Decimal"),
        (np.array([[1], None, "a"], dtype=object), r"\[1\] of type list"),
        ([0.5, None, 0.25], "continuous"),
        ([0.0, None, np.inf], "infinity"),
        (pd.Series([0, None, 1]), r"NaN, at \[1\] .* unlabeled=np.nan .* mark them with -1"),
        (np.arange(3).astype("M8[D]"), r"dtype datetime64\[D\]; labels are integers, strings or objects"),
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
def test_new_labels_are_at_their_rows_and_the_rest_is_kept(y, data):
    labels = Labels.of(y)
    rows = np.array(data.draw(st.lists(st.integers(0, len(y) - 1), unique=True)), dtype=np.intp)
    given = data.draw(st.lists(st.integers(0, 70_000), min_size=len(rows), max_size=len(rows)))
    merged = labels.with_labels(rows, np.array(given, dtype=int)).to_array()
    assert_array_equal(merged[rows], given)
    others = np.setdiff1d(np.arange(len(y)), rows)
    assert_array_equal(merged[others], np.array(y)[others])
    assert_array_equal(labels.to_array(), y)


@given(st.lists(st.sampled_from([None, "ox", "cat", "bee"]), min_size=1, max_size=12), st.data())
def test_codes_point_to_sorted_classes_whatever_is_taught(y, data):
    labels = Labels.of(y)
    for _ in range(3):
        row = data.draw(st.integers(0, len(y) - 1))
        y[row] = data.draw(st.sampled_from(["ant", "cat", "yak"]))
        labels = labels.with_labels([row], [y[row]])
        assert labels.classes.tolist() == sorted(set(labels.classes.tolist()))
        assert_array_equal(labels.rows, np.flatnonzero([label is not None for label in y]))
        assert [None if code < 0 else labels.classes[code] for code in labels.codes] == y
        assert labels.to_array().tolist() == y


@pytest.mark.parametrize(
    "y",
    [
        np.array([True, None, False], dtype=object),
        pd.Series([True, None, False], dtype="boolean"),
        pl.Series([True, None, False]),
    ],
    ids=lambda y: type(y).__module__,
)
def test_booleans_with_a_marker_are_integers(y):
    labels = Labels.of(y)
    assert_array_equal(labels.to_array(), [1, -1, 0])
    assert_array_equal(labels.with_labels([1], [True]).to_array(), [1, 1, 0])


def test_longer_strings_replace_shorter_ones_and_the_other_way_round():
    for first, second in ((["a", "b"], ["long", "longer"]), (["long", "longer"], ["a", "b"])):
        labels = Labels.of(np.array(first)).with_labels([0, 1], np.array(second))
        assert labels.to_array().tolist() == second
        assert labels.classes.tolist() == sorted(first + second)


def test_small_integer_types_grow_and_kinds_do_not_mix():
    merged = Labels.of(np.array([0, -1], dtype=np.int8)).with_labels([1], [300])
    assert_array_equal(merged.to_array(), [0, 300])
    with pytest.raises(ValueError, match="give all of them as numbers"):
        Labels.of([0, -1]).with_labels([1], ["cat"])
    started = Labels.of([-1, -1]).with_labels([1], ["cat"])
    assert started.to_array().tolist() == [None, "cat"]
    for first in (np.array([200], np.uint8), [7.0], [-3]):
        assert Labels.of([None, None]).with_labels([1], first).to_array().tolist() == [-1, first[0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_unsigned_labels_become_signed_and_can_hold_the_marker(dtype):
    labels = Labels.of(np.array([0, 200], dtype=dtype)).with_labels([1], np.array([7], dtype=dtype))
    assert labels.classes.dtype == labels.to_array().dtype == np.int64
    none = Labels.none(3).with_labels([2], np.array([255], dtype=dtype))
    assert none.for_semi_supervised().tolist() == [-1, -1, 255]


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([0, -1, 2], [0, -1, 2]),
        ([0.0, -1.0, 2.0], [0.0, -1.0, 2.0]),
        (["cat", None, "dog"], ["cat", -1, "dog"]),
        (np.array(["cat", "dog"], dtype=object), ["cat", "dog"]),
    ],
)
def test_semi_supervised_estimators_get_their_marker(y, expected):
    marked = Labels.of(y).for_semi_supervised()
    assert marked.tolist() == expected
    if isinstance(y[0], str):
        assert marked.dtype == object  # SelfTrainingClassifier takes no other strings


def test_classes_make_room_for_other_samples():
    labels = Labels.of([5, -1, 7]).with_classes(np.array([6]))
    assert_array_equal(labels.classes, [5, 6, 7])
    assert_array_equal(labels.codes, [0, -1, 2])
    assert_array_equal(labels.known, [5, 7])


def test_labels_without_a_common_order_are_refused():
    with pytest.raises(ValueError, match="several kinds"):
        Labels.of(np.array(["cat", 3, None], dtype=object))


@pytest.mark.parametrize(
    ("y", "unlabeled", "known"),
    [
        ([7, -1, -99], -99, [7, -1]),
        (np.array([7, 255, 0], np.uint8), 255, [7, 0]),
        ([1.0, -1.0, np.nan], np.nan, [1, -1]),
        ([1, -1, None], np.nan, [1, -1]),
        (pd.Series([1, None, -1], dtype="Int64"), np.nan, [1, -1]),
        (np.array(["a", "?", "b"]), "?", ["a", "b"]),
        (["a", "?", None], "?", ["a"]),
        (["a", "nan", ""], "nan", ["a", ""]),
        (["a", -1, -99], -99, None),
        (["a", "b", -99], -99, ["a", "b"]),
        ([True, None, False], 0, [1, 0]),
        (np.array([True, False, True]), 1, [True, False, True]),
        ([-1, 2, 3], -1, [2, 3]),
    ],
)
def test_markers_of_ones_own(y, unlabeled, known):
    if known is None:
        with pytest.raises(ValueError, match="several kinds, such as"):
            read_labels(y, unlabeled=unlabeled)
        return
    labels, is_known = read_labels(y, unlabeled=unlabeled)
    assert labels[is_known].tolist() == known


def test_a_marker_of_another_kind_is_refused():
    with pytest.raises(
        ValueError, match=r"unlabeled='\?' was given, and the labels are numbers, such as 1; give a"
    ):
        read_labels([1, 2], unlabeled="?")
    assert not read_labels([None, None], unlabeled="?")[1].any()


@pytest.mark.parametrize(
    ("y", "unlabeled"),
    [
        ([7, -1, -99], -99),
        ([1, -1, None], np.nan),
        (["a", "?", "b"], "?"),
        (np.array([1, 200, 1], np.int16), 200),
    ],
)
def test_what_comes_back_means_the_same(y, unlabeled):
    labels = Labels.of(y, unlabeled=unlabeled)
    for changed in (
        labels,
        labels.without(labels.rows[:1]),
        labels.with_labels(labels.rows[:1], labels.known[-1:]),
    ):
        again = Labels.of(changed.to_array(), unlabeled=unlabeled)
        assert_array_equal(again.codes >= 0, changed.codes >= 0)
        assert_array_equal(again.known, changed.known)
    y = Labels.of(np.array([1.0, np.nan]), unlabeled=np.nan).to_array()
    assert_array_equal(y, [1, np.nan])


def test_small_types_can_hold_the_marker():
    assert Labels.of(np.array([3, 0], np.int8)).without([0]).to_array().tolist() == [-1, 0]
    assert Labels.of(np.array([True, False])).without([0]).to_array().tolist() == [-1, 0]
    far = Labels.of(np.array([3, 0], np.int8), unlabeled=-999).without([0])
    assert far.to_array().tolist() == [-999, 0]


@pytest.mark.parametrize("label", ["-1", "nan", "", "None", "<NA>"])
def test_strings_that_were_markers_once_are_warned_about(label):
    for y in (np.array(["a", label]), ["a", label, None], pd.Series(["a", label])):
        with pytest.warns(UserWarning, match=rf"labels \['{label}'\], as markers of .*unlabeled="):
            assert label in Labels.of(y).classes
        Labels.of(y, unlabeled=label)
    with pytest.warns(UserWarning, match="as markers"):
        labels = Labels.of(["a", None]).with_labels([1], [label])
    labels.with_labels([0], [label])  # once


def test_objects_that_are_repeated():
    y = np.array(["a", None, "b", -1], dtype=object)[np.arange(400) % 4]
    assert Labels.of(y).codes.tolist() == [0, -1, 1, -1] * 100


def test_markers_that_are_numbers_say_that_labels_will_be():
    assert check_partial_labels(np.array([-1, None], dtype=object)).tolist() == [-1, -1]
    assert check_partial_labels([None, None]).tolist() == [None, None]


def test_new_labels_become_numbers_like_those_so_far():
    whole = Labels.of(np.array([2**60 + 1, 0, -1]))
    assert whole.with_labels([2], np.array([3.0])).to_array().tolist() == [2**60 + 1, 0, 3]
    floats = Labels.of(np.array([0.0, 1.0, -1.0]))
    assert floats.with_labels([2], [2]).to_array().dtype == np.float64
    with pytest.raises(ValueError, match="floats cannot hold"):
        floats.with_labels([2], [2**60 + 1])


@pytest.mark.parametrize("y", [np.array([b"a", b"b"]), [b"a", b"b"], np.array([b"a", b"b"], dtype=object)])
def test_bytes_are_no_labels(y):
    with pytest.raises(ValueError, match="of type bytes; give strings or integers"):
        Labels.of(y)


@pytest.mark.parametrize(
    ("so_far", "new"),
    [
        (np.int8([0, 1, -1]), [200.0]),
        (np.int8([0, 1, -1]), [257.0]),
        (np.int16([0, 1, -1]), np.array([70000.0])),
        (np.int32([0, 1, -1]), [2.0**53]),
        (np.float16([0, 1, -1]), [2049]),
        (np.float16([0, 1, -1]), [70000]),
        (np.float32([0, 1, -1]), [2**24 + 1]),
    ],
    ids=str,
)
def test_no_label_is_too_large_for_those_so_far(so_far, new):
    labels = Labels.of(so_far)
    taught = labels.with_labels([2], labels.check_new(new, 1))
    assert taught.to_array().tolist() == [0, 1, *new]
    assert taught.classes.dtype.kind == so_far.dtype.kind
    fitting = labels.with_labels([2], labels.check_new([2.0] if so_far.dtype.kind == "i" else [2], 1))
    assert fitting.classes.dtype == so_far.dtype


def test_narrow_floats_are_labels():
    assert Labels.of(np.array([0, 1, -1], dtype=np.float16)).codes.tolist() == [0, 1, -1]


@pytest.mark.parametrize("n_labeled", [0, 1, 33, 34, 100])
@pytest.mark.parametrize("copied", [lambda each: pickle.loads(pickle.dumps(each)), copy.deepcopy, copy.copy])
def test_labels_come_back_from_a_pickle(n_labeled, copied):
    labels = Labels.of([str(row % 3) for row in range(n_labeled)] + [None] * (100 - n_labeled))
    back = copied(labels)
    assert_array_equal(back.codes, labels.codes)
    assert back.codes.dtype == np.int32
    assert_array_equal(back.rows, labels.rows)
    assert_array_equal(back.with_labels([99], "x").to_array()[-1:], ["x"])
