"""Exact neighbours by products of torch against brute force, on the CPU."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal.graph import nearest_neighbors
from skal.neighbors import on_device
from skal.neighbors.on_device import nearest_on_device

from .pools import pools, spectrum_pool
from .test_products import others_by_brute_force


@pytest.mark.parametrize("precision", ["highest", "medium"])
@given(pools(150), st.integers(1, 30))
def test_neighbors_are_those_of_brute_force(precision, pool, k):
    X, _ = pool
    if len(X) == 1:
        return
    k = min(k, len(X) - 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(on_device, "_QUERIES", 17)
        patched.setattr(on_device, "_CANDIDATES", 29)
        patched.setattr(torch, "get_float32_matmul_precision", lambda: precision)
        ours, found = nearest_on_device(X, k, torch.device("cpu"))
    distances, expected = others_by_brute_force(X, np.arange(len(X)), k)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(ours, distances.astype(np.float32))


def test_few_rows_are_searched_again(monkeypatch):
    X, again = spectrum_pool(2000), []
    by_products = on_device.nearest_by_products
    monkeypatch.setattr(
        on_device, "nearest_by_products", lambda X, rows, k: again.extend(rows) or by_products(X, rows, k)
    )
    nearest_on_device(X, 10, torch.device("cpu"))
    assert len(again) < 20


@pytest.mark.gpu
def test_cuda():
    X = spectrum_pool(5000)
    for ours, theirs in zip(
        nearest_neighbors(X, 10, method="exact", device="cuda"),
        nearest_neighbors(X, 10, method="exact"),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
