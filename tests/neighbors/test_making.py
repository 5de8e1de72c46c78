"""Indexes by name."""

import pytest
from sklearn.neighbors import NearestNeighbors

from skal.neighbors import CellIndex, GraphIndex, make_index

from .pools import BruteForce


def test_make_index():
    assert make_index("exact", 3).get_params() == CellIndex(random_state=3).get_params()
    assert isinstance(make_index("approximate", 3), GraphIndex)
    theirs = NearestNeighbors(algorithm="brute")
    assert make_index(theirs) is not theirs
    assert make_index(theirs).get_params() == theirs.get_params()
    own = BruteForce()
    assert make_index(own) is own
    with pytest.raises(ValueError, match=r"'fast'.*exact"):
        make_index("fast")
    for wrong in (3, None, NearestNeighbors):
        with pytest.raises(TypeError, match="NearestNeighbors\\(\\)"):
            make_index(wrong)
