"""What every index refuses, and that it touches nothing global."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skal.neighbors import CellIndex, GraphIndex

from .pools import spectrum_pool


@pytest.mark.parametrize("index", [CellIndex(4, random_state=0), GraphIndex(random_state=0)], ids=repr)
def test_bad_input(index):
    X = spectrum_pool(20, 3)
    for bad, message in (
        ([[np.nan, 1]], "NaN"),
        ([[np.inf, 1]], "infinity"),
        ([[1e300, 1]], "float32"),
        (np.ones(3), "2D"),
        (np.ones((0, 3)), "minimum of 1"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(index).fit(bad)
    with pytest.raises(NotFittedError):
        clone(index).kneighbors(X)
    fitted = clone(index).fit(X)
    for n_neighbors in (0, -1, True, 1.0, "1", None):
        with pytest.raises(ValueError, match="integer of at least 1"):
            fitted.kneighbors(X, n_neighbors)
    with pytest.raises(ValueError, match=r"n_neighbors=21 .*only 20 rows"):
        fitted.kneighbors(X, 21)
    with pytest.raises(ValueError, match="3 features"):
        fitted.kneighbors(X[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        fitted.kneighbors(np.full((1, 3), np.nan))


def test_no_global_random_state_is_touched():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    CellIndex().fit(spectrum_pool(300)).kneighbors(spectrum_pool(2))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
