"""Answers of other people's indexes."""

import numpy as np
import pytest

from skal.neighbors.answers import checked_answer


def test_right_answers_are_left_and_others_sorted():
    distances, found = np.array([[0.0, 1.0], [0.5, 0.5]]), np.array([[0, 2], [3, 1]])
    for ours, theirs in zip(checked_answer((distances, found), 2, 2, 4), (distances, found), strict=True):
        assert ours is theirs
    distances, found = checked_answer(([[3.0, 1.0, 2.0]], [[5, 6, 7]]), 1, 3, 8)
    np.testing.assert_array_equal(distances, [[1, 2, 3]])
    np.testing.assert_array_equal(found, [[6, 7, 5]])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (3, "answered with int"),
        ((np.ones((2, 2)),), "answered with tuple"),
        (([[0.0]], [[0]]), r"shapes \(1, 1\) and \(1, 1\) to 2 queries for 2"),
        ((np.zeros((2, 2)), [[0, 1]]), "shapes"),
        (([[0, 1], [0, 1]], [["0", "1"], ["2", "3"]]), "positions integers"),
        (([[0, 1], [0, 1]], [[0.0, 1.0], [2.0, 3.0]]), "positions integers"),
        (([[0, np.nan], [0, 1]], [[0, 1], [0, 1]]), "1 of 2 rows distances that are negative or not"),
        (([[0, np.inf], [0, -1]], [[0, 1], [0, 1]]), "2 of 2 rows"),
        (([[0, 1], [0, 1]], [[0, 1], [0, 4]]), "from 0 to 4 in a pool of 4 rows"),
        (([[0, 1], [0, 1]], [[0, -1], [0, 3]]), "from -1 to 3.*found too few"),
        (([[0, 1], [0, 1]], [[0, 3], [2, 2]]), "twice"),
    ],
)
def test_wrong_answers(answer, message):
    with pytest.raises(ValueError, match=message):
        checked_answer(answer, 2, 2, 4)
