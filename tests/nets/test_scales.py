import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal.nets.scales import deconvolution, halvings


def test_halvings():
    assert halvings((28, 9), 3) == [(28, 9), (14, 5), (7, 3), (4, 2)]
    assert halvings((28, 9), 3, ceil=False) == [(28, 9), (14, 4), (7, 2), (3, 1)]
    assert halvings((1, 1), 2) == [(1, 1)] * 3


@pytest.mark.parametrize(("kernel_size", "rounding"), [(3, math.ceil), (5, math.ceil), (4, math.floor)])
@given(height=st.integers(2, 60), width=st.integers(2, 60))
def test_deconvolution_makes_the_very_size(kernel_size, rounding, height, width):
    size = rounding(height / 2), rounding(width / 2)
    layer = deconvolution(1, 1, kernel_size, size, (height, width))
    assert layer(torch.zeros(1, 1, *size)).shape == (1, 1, height, width)
