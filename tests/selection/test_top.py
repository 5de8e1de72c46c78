"""The highest scores against a stable sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.selection import top_k


@given(st.lists(st.sampled_from([-np.inf, -1.5, 0.0, -0.0, 2.0, np.inf]), max_size=30), st.data())
def test_top_k_is_a_stable_descending_sort(scores, data):
    k = data.draw(st.integers(0, len(scores)))
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
    chosen = top_k(np.array(scores, dtype=float), k)
    assert chosen.tolist() == expected
    assert chosen.dtype == np.intp


@pytest.mark.parametrize("ties", [1, 100, 2000])
@pytest.mark.parametrize(
    "order", ["any", "rising", "falling", "each sixteenth is high", "each sixteenth is low"]
)
def test_the_top_of_many_scores_is_that_of_a_sort(order, ties):
    # Of many scores one in sixteen tells where the highest ones begin.
    scores = np.random.default_rng(0).permutation(2000) // ties
    if order in ("rising", "falling"):
        scores = np.sort(scores)[:: 1 if order == "rising" else -1]
    elif order != "any":
        scores[::16] = 3000 if order.endswith("high") else -1
    for k in (1, 20, 200, 1999):
        assert top_k(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8, bool])
def test_top_k_of_any_dtype(dtype):
    assert top_k(np.array([0, 1, 0, 1, 1], dtype=dtype), 4).tolist() == [1, 3, 4, 0]


def test_top_k_refuses_nan():
    with pytest.raises(ValueError, match="1 of 3 scores are NaN"):
        top_k([0.0, np.nan, 1.0], 1)


@pytest.mark.parametrize("k", [-1, 4])
def test_top_k_refuses_more_than_there_are(k):
    with pytest.raises(ValueError, match=f"k={k}"):
        top_k([1.0, 2.0, 3.0], k)
