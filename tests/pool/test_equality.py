"""Equality of values in whatever types: exact, or rounded to the type that is given."""

import numpy as np
import pandas as pd
import pytest
import torch

from skal.pool import as_pool
from skal.pool.equality import differing_rows, same_values

BIG = 2**53


@pytest.mark.parametrize(
    ("fitted", "given", "same"),
    [
        (np.float64(0.1), np.float32(0.1), True),
        (np.float32(0.1), np.float64(0.1), False),
        (np.float32(0.1), np.float64(np.float32(0.1)), True),
        (np.float64(1e5), np.float16(np.inf), True),
        (np.int64(3), np.float32(3), True),
        (np.int64(2**24 + 1), np.float32(2**24), True),  # what it rounds to
        (np.float32(2**24), np.int64(2**24 + 1), False),
        (np.float64(BIG), np.int64(BIG + 1), False),  # the same as floats
        (np.float64(BIG), np.int64(BIG), True),
        (np.float64(2**63), np.int64(2**63 - 1), False),
        (np.uint64(BIG + 1), np.int64(BIG), False),
        (np.float64(0.5), np.int64(0), False),
        (np.int16(300), np.uint8(44), False),
        (np.bool_(True), np.int8(1), True),
        (np.float64(np.nan), np.float32(np.nan), True),
        (np.complex128(complex(np.nan, 1)), np.complex128(complex(np.nan, 1)), True),
        (np.complex128(1j), np.float64(0), False),
        (np.datetime64("NaT", "s"), np.datetime64("NaT", "ms"), True),
        (np.datetime64("2020-01-01", "s"), np.datetime64("2020-01-01", "ns"), True),
        (np.str_("1"), np.float64(1), False),
    ],
    ids=lambda value: repr(value),
)
def test_values_are_the_same_exactly_or_rounded_to_the_type_given(fitted, given, same):
    arrays = np.array([[1, 1], [1, fitted]], fitted.dtype), np.array([[1, 1], [1, given]], given.dtype)
    if fitted.dtype.kind == "M":
        arrays = np.array([[fitted]]), np.array([[given]])
    assert same_values(*arrays) is same


class Plain:
    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    "make",
    [lambda value: torch.full((3,), float(value)), Plain, lambda value: pd.DataFrame({"a": [value]})],
    ids=["tensors", "objects without ==", "frames"],
)
def test_objects_that_do_not_compare_are_known_by_what_they_hold(make):
    pool = as_pool(["first", make(1), make(2)])
    assert pool.same_as(as_pool(["first", make(1), make(2)]))
    assert not pool.same_as(as_pool(["first", make(1), make(3)]))


def test_rows_differ_by_a_rounding_or_by_more():
    rows = np.array([[1.0, np.nan], [2.0, 0.0], [3.0, 1e300], [4.0, np.inf]])
    other = np.array([[1.0, np.nan], [2.0001, 0.0], [3.0, 2e300], [4.0, np.inf]])
    differ, much = differing_rows(rows, other)
    assert differ.tolist() == [False, True, True, False]
    assert much.tolist() == [False, False, True, False]
    differ, much = differing_rows(np.array([["a"], ["b"]]), np.array([["a"], [None]], dtype=object))
    assert differ.tolist() == much.tolist() == [False, True]


def test_no_entries_are_the_same():
    assert same_values(np.zeros(0), np.zeros(0))
    assert same_values(np.zeros((3, 0)), np.zeros((3, 0)))
    assert not same_values(np.zeros((3, 0)), np.zeros((2, 0)))
