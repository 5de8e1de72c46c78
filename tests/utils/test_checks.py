"""One check of integers, for what scikit-learn's constraints do not reach."""

import numpy as np
import pytest

from skal.utils.checks import check_integer


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
