import numpy as np
import pytest
import torch

from skal.training.batches import Batches, LabeledRows, Rows, as_tensor

CPU = torch.device("cpu")


def rows(n, weight=None):
    return LabeledRows(
        np.arange(n, dtype=np.float32)[:, None], np.arange(n), weight, dtype=torch.float32, device=CPU
    )


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (6, 3, [3, 3]),
        (7, 3, [3, 4]),
        (8, 3, [3, 3, 2]),
        (4, 3, [4]),
        (3, 8, [3]),
        (1, 3, [1]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_no_batch_of_one_row_unless_asked_for(n, batch_size, sizes):
    batches = Batches(rows(n), batch_size)
    assert [len(y) for _, y in batches] == sizes
    assert len(batches) == len(sizes)


def test_shuffled_passes_hold_every_row_once():
    weight = np.arange(10) + 0.5
    batches = Batches(rows(10, weight), 4, seed=0)
    passes = []
    for _ in range(2):
        taken = list(batches)
        order = torch.cat([y for _, y in taken])
        assert sorted(order.tolist()) == list(range(10))
        for (x, w), y in taken:
            assert torch.equal(x[:, 0], y.float())
            assert torch.equal(w, y + 0.5)
        passes.append(order.tolist())
    assert passes[0] != passes[1]


def test_bytes_stay_bytes_and_wide_numbers_are_narrowed():
    def stored(dtype, network=torch.float32):
        return Rows(np.ones((2, 3), dtype), dtype=network, device=CPU).X.dtype

    assert stored(np.uint8) == torch.uint8
    assert stored(bool) == torch.bool
    assert stored(np.int64) == torch.float32
    assert stored(np.float32, torch.float64) == torch.float32
    assert stored(np.float64) == torch.float32


def test_tensors_share_the_memory_of_arrays(tmp_path):
    X = np.arange(6.0).reshape(2, 3)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", mode="r", shape=(2, 3))
    for array in (X, X.T, mapped):
        assert as_tensor(array).data_ptr() == array.ctypes.data
    for array in (X[::-1], X.astype(">f8")):
        assert torch.equal(as_tensor(array), torch.tensor(array.astype(float)))
