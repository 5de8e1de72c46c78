"""The bounds of docs/memory.md: every strategy's peak, which takes minutes and varies with the allocator."""

import numpy as np
import pytest
from hypothesis import settings

from tests.memory import CASES, MEGABYTES, SPARE, STATUS, measure, shape_of

IS_THOROUGH = settings.get_current_profile_name() == "thorough"
needs_linux = pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells the peak of a process")


@needs_linux
def test_bytes_take_no_more_per_row_than_the_docs_say():
    """The slope between two pools of several blocks, which both have a whole one in memory."""
    n_small, n_large, width, n_classes = 6000, 22_000, 200, 50
    shapes = [(n_rows, width) for n_rows in (n_large, n_small, n_large)]
    found = measure(list(CASES), "uint8", shapes, n_classes, block_bytes=1 << 20)
    peaks = {name: last for name, (_, *last) in found.items()}  # the first compiles what large pools need
    allowed = {
        name: (n_large - n_small) * case.row_bytes(n_large, width, n_classes) + 2.5e6  # of the allocator
        for name, case in CASES.items()
    }
    wrong = {name: peak for name, peak in peaks.items() if not 0 < peak[1] < peak[0] + allowed[name]}
    assert not wrong


@needs_linux
@pytest.mark.skipif(not IS_THOROUGH, reason="takes half an hour")
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_large_pools_take_no_more_than_the_docs_say(dtype):
    shapes = [shape_of(dtype, size) for size in MEGABYTES]
    peaks = measure(list(CASES), dtype, shapes)
    most = {
        name: [SPARE + n_rows * case.row_bytes(n_rows, width, 10) for n_rows, width in shapes]
        for name, case in CASES.items()
    }
    assert not {name: found for name, found in peaks.items() if (np.array(found) > most[name]).any()}
