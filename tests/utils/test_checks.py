"""One check of integers, for what scikit-learn's constraints do not reach."""

import numpy as np
import pytest

from skal.utils.checks import check_integer, squares_fit


@pytest.mark.parametrize("value", [0, -3, 1.0, "2", None, True, np.float64(2)])
def test_what_is_no_integer_of_at_least_one(value):
    with pytest.raises(ValueError, match=r"n=.* was given; it must be an integer of at least 1\."):
        check_integer("n", value)


@pytest.mark.parametrize("value", [1, 7, np.int64(7), np.uint8(7)])
def test_integers_of_any_type(value):
    assert type(check_integer("n", value)) is int
    assert check_integer("n", value) == value


def test_both_ends_of_a_range_are_inside():
    assert [check_integer("n", value, least=2, most=4) for value in (2, 3, 4)] == [2, 3, 4]
    for value in (1, 5):
        with pytest.raises(ValueError, match="from 2 to 4"):
            check_integer("n", value, least=2, most=4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", ">f8", np.complex64])
def test_squares_that_fit_and_that_do_not(dtype):
    X = np.ones((300, 7), dtype=dtype)
    assert squares_fit(X)
    assert squares_fit(X[::2, ::3])
    assert squares_fit(np.asfortranarray(X))
    largest = float(np.finfo(X.dtype).max)
    for bad in (np.nan, np.inf, -largest):
        X[299, 6] = bad
        assert squares_fit(X) == (bad == -largest and dtype is np.float16)
        assert squares_fit(X[:299])


@pytest.mark.skipif(np.finfo(np.longdouble).max <= np.finfo(np.float64).max, reason="nothing is wider here")
def test_wider_numbers_are_computed_with_in_float64():
    assert squares_fit(np.ones((3, 2), np.longdouble))
    assert not squares_fit(np.full((3, 2), "1e160", np.longdouble))
    assert not squares_fit(np.full((3, 2), "1e4000", np.longdouble))


def test_many_large_rows_fit_where_each_of_them_does():
    X = np.full((2000, 10), 3e15, dtype=np.float32)
    assert squares_fit(X)
    assert np.isfinite(((X[0] - -X[1]) ** 2).sum())
    assert not squares_fit(np.full((2, 10), 1e19, dtype=np.float32))


def test_integers_and_empty_arrays_fit():
    assert squares_fit(np.full((3, 2), 2**62))
    assert squares_fit(np.empty((0, 2)))
    assert squares_fit(np.empty((2, 0)))
