import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.utils.data import TensorDataset

from skal.pool import DatasetRows, as_pool
from skal.training.batches import Batches, LabeledRows, RedundantBatches, Rows, Stream, as_tensor, as_tensors

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
        for (x, w, _), y in taken:
            assert torch.equal(x[:, 0], y.float())
            assert torch.equal(w, y + 0.5)
        passes.append(order.tolist())
    assert passes[0] != passes[1]


def test_bytes_stay_bytes_and_wide_numbers_are_narrowed():
    def stored(dtype, network=torch.float32):
        return Rows(np.ones((2, 3), dtype), dtype=network, device=CPU).X.dtype

    assert stored(np.uint8) == torch.uint8
    assert stored(bool) == torch.bool
    assert stored(np.int64) == torch.int64  # which a module may look up
    assert stored(np.float32, torch.float64) == torch.float32
    assert stored(np.float64) == torch.float32


def test_tensors_share_the_memory_of_arrays(tmp_path):
    X = np.arange(6.0).reshape(2, 3)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", mode="r", shape=(2, 3))
    for array in (X, X.T, mapped):
        assert as_tensor(array).data_ptr() == array.ctypes.data
    records = np.zeros(2, dtype=[("flag", "u1"), ("x", "f8", 3)])
    records["x"] = X
    for array in (X[::-1], X.astype(">f8"), records["x"]):
        assert torch.equal(as_tensor(array), torch.tensor(array.astype(float)))


def test_a_subset_has_its_rows_and_the_memory_of_all():
    everything = Rows(np.arange(10.0)[:, None], dtype=torch.float64, device=CPU)
    part = everything.subset(np.array([7, 2, 4]))
    assert len(part) == 3
    assert part.X is everything.X
    assert part[torch.tensor([2, 0])][:, 0].tolist() == [4, 7]
    assert part[1:][:, 0].tolist() == [2, 4]
    assert len(everything) == len(everything.subset(None)) == 10
    order = [row for batch in Batches(part, 2, seed=0) for row in batch[:, 0].tolist()]
    assert sorted(order) == [2, 4, 7]
    assert everything[:3][:, 0].tolist() == [0, 1, 2]


def stream(n=12, batch_size=2, n_batches=2, n_steps=100, seed=0, *, start=0, stop=6):
    everything = Rows(np.arange(float(n))[:, None], dtype=torch.float64, device=CPU)
    return Stream(everything, batch_size, n_batches, n_steps, seed, start=start, stop=stop)


def steps_of(stream):
    shape = (stream.n_batches, stream.batch_size)
    return [rows[:, 0].unflatten(0, shape).tolist() for rows in stream]


def test_a_stream_holds_every_row_once_a_pass():
    steps = steps_of(stream())
    assert np.shape(steps) == (6, 2, 2)
    first, second = (
        np.array(steps[:3]).ravel(),
        np.array(steps[3:]).ravel(),
    )  # three steps of four rows are a pass
    assert sorted(first) == sorted(second) == list(range(12))
    assert first.tolist() != second.tolist()


def test_rows_that_fill_no_batch_wait_for_another_pass():
    """Five batches of two of eleven rows are a pass; the steps of two batches cross the passes."""
    batches = np.concatenate(steps_of(stream(n=11, stop=20)))
    assert batches.shape == (40, 2)
    left_out = set()
    for k in range(8):
        seen = batches[5 * k : 5 * (k + 1)].ravel().tolist()
        assert len(set(seen)) == 10
        left_out |= set(range(11)) - set(seen)
    assert len(left_out) > 1


@pytest.mark.parametrize("n", [11, 12, 3])
def test_a_step_depends_on_its_number_alone(n):
    whole = steps_of(stream(n=n, stop=9))
    for start in (1, 4, 8):
        assert steps_of(stream(n=n, start=start, stop=9)) == whole[start:]
    assert steps_of(stream(n=n, seed=1, stop=9)) != whole


def test_iterations_of_a_stream_follow_one_another():
    batches = stream(n_steps=4, stop=10)
    lengths, steps = [], []
    while len(batches):
        lengths.append(len(batches))
        taken = steps_of(batches)
        assert len(taken) == lengths[-1]
        steps += taken
    assert lengths == [4, 4, 2]
    assert steps == steps_of(stream(stop=10))
    assert steps_of(batches) == []


def test_a_stream_of_fewer_rows_than_a_batch():
    steps = steps_of(stream(n=3, batch_size=100, stop=4))
    assert np.shape(steps) == (4, 2, 3)
    for batch in np.reshape(steps, (8, 3)):
        assert sorted(batch) == [0, 1, 2]


def test_a_stream_of_some_rows():
    everything = Rows(np.arange(10.0)[:, None], dtype=torch.float64, device=CPU)
    part = everything.subset(np.array([1, 3, 5, 9]))
    (batches,) = Stream(part, 2, 2, 1, 0, start=0, stop=1)
    assert sorted(batches.flatten().tolist()) == [1, 3, 5, 9]


def test_orders_leave_the_global_generator_alone():
    state = torch.get_rng_state()
    steps_of(stream())
    list(Batches(rows(10), 3, seed=0))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_read_only_rows_are_not_copied_and_nobody_is_warned(tmp_path, dtype):
    rows = np.arange(24, dtype=dtype).reshape(6, 4)
    rows.tofile(tmp_path / "rows")
    mapped = np.memmap(tmp_path / "rows", dtype=dtype, mode="r", shape=rows.shape)
    filters = list(warnings.filters)
    for array in (mapped, mapped[1:4], mapped[::2], mapped[:, 1:], mapped[:0]):
        tensor = as_tensor(array)
        assert tensor.shape == array.shape
        assert_array_equal(tensor.numpy(), array)
        assert not len(array) or tensor.data_ptr() == array.ctypes.data
    assert warnings.filters == filters
    tensor = as_tensor(np.frombuffer(rows.tobytes(), dtype=dtype))  # whose memory nothing else keeps
    assert_array_equal(tensor.numpy(), rows.ravel())


@pytest.mark.parametrize(("n_labeled", "n_unlabeled"), [(3, 25), (13, 26), (40, 9), (1, 2), (8, 8), (3, 17)])
def test_redundant_batches(n_labeled, n_unlabeled):
    device, rows = torch.device("cpu"), np.arange(float(n_labeled + n_unlabeled))
    labeled = LabeledRows(rows[:n_labeled], np.arange(n_labeled), None, dtype=torch.float64, device=device)
    unlabeled = Rows(rows, dtype=torch.float64, device=device).subset(np.arange(n_labeled, len(rows)))
    batches = RedundantBatches(labeled, unlabeled, 8, seed=0)
    orders = []
    for epoch in range(2):
        pairs = list(batches)
        assert len(pairs) == len(batches)
        first = torch.cat([x for (x, _, _), _ in pairs])
        assert torch.equal(torch.cat([y for _, y in pairs]).double(), first)
        second = torch.cat([x for (_, _, x), _ in pairs])
        n_rows = max(n_labeled, n_unlabeled)
        for drawn, members in ((first, rows[:n_labeled]), (second, rows[n_labeled:])):
            if len(members):
                values, counts = np.unique(drawn, return_counts=True)
                assert len(drawn) == n_rows
                np.testing.assert_array_equal(values, members)
                assert counts.max() - counts.min() <= (n_rows % len(members) > 0)
        assert all(1 < len(x) <= 9 or n_rows == 1 for (x, _, _), _ in pairs)
        if n_labeled >= n_unlabeled:  # as a NetClassifier goes through them
            alone = torch.cat([x for (x, *_), _ in Batches(labeled, 8, seed=0, epoch=epoch)])
            assert torch.equal(first, alone)
        orders.append(first if n_labeled >= n_unlabeled else second)
    assert n_rows < 3 or not torch.equal(*orders)


def test_decoded_rows_are_finite_and_wide_numbers_are_doubles():
    rows = np.array([[1.0], [np.nan]])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        as_tensors(as_pool(TensorDataset(torch.tensor(rows))).take(slice(None)))
    assert as_tensors(as_pool(TensorDataset(torch.tensor(rows))).take(slice(1))).tolist() == [[1.0]]
    unseen = DatasetRows(TensorDataset(torch.tensor(rows)))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        list(Batches(Rows(unseen, dtype=torch.float64, device=CPU), 2))
    assert as_tensor(np.ones(2, dtype=np.longdouble)).dtype == torch.float64


@pytest.mark.parametrize("batch_size", [1, 3])
def test_one_loader_decodes_all_batches_of_a_pass(batch_size, monkeypatch):
    array = np.arange(14.0, dtype=np.float32).reshape(7, 2)
    dataset = DatasetRows(TensorDataset(torch.tensor(array)))
    expected, got = (
        list(Batches(Rows(X, dtype=torch.float32, device=CPU).subset([5, 1, 2, 0]), batch_size, 0))
        for X in (array, dataset)
    )
    assert len(got) == len(expected)
    assert all(map(torch.equal, got, expected))
    loaders = []
    monkeypatch.setattr(DatasetRows, "batches", lambda *args: loaders.append(args) or iter(()))
    list(Batches(Rows(dataset, dtype=torch.float32, device=CPU), batch_size, 0))
    assert len(loaders) == 1
