"""The choice between exact and approximate neighbours."""

import pytest

from skal.neighbors.rule import cells_are_faster, exact_is_fast


@pytest.mark.parametrize(
    ("n_features", "k", "most"),
    [(2, 10, 26_300), (50, 10, 17_000), (768, 10, 6_400), (50, 100, 73_000), (768, 100, 52_700)],
)
def test_exact_up_to_a_number_of_rows(n_features, k, most):
    assert exact_is_fast(round(most * 0.9), n_features, k)
    assert not exact_is_fast(round(most * 1.1), n_features, k)


def test_cells_for_few_columns():
    assert cells_are_faster(10_000, 2)
    assert not cells_are_faster(1000, 2)
    assert not cells_are_faster(10**6, 17)
