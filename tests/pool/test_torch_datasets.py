import os
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from skorch.helper import SliceDataset
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset

from skal.pool import DatasetPool, DatasetRows, as_pool, check_pool
from skal.pool.torch_datasets import collate
from skal.strategies import RandomSampling

X = np.arange(120, dtype=np.float32).reshape(20, 2, 3)


class Photos(Dataset):
    """Files that are decoded when asked for, as an `ImageFolder` is."""

    def __init__(self, folder, names):
        self.samples = [(os.fspath(folder / name), 0) for name in names]
        self.n_decoded = 0

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.n_decoded += 1
        return Image.open(self.samples[index][0]), self.samples[index][1]


@pytest.fixture
def photos(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (6, 5, 4, 3), dtype=np.uint8)
    names = [f"{number}.png" for number in range(6)]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    return lambda chosen=names: Photos(tmp_path, chosen), np.moveaxis(images, -1, 1), tmp_path


def test_rows_are_decoded_in_any_order():
    pool = as_pool(TensorDataset(torch.tensor(X), torch.arange(20)))
    assert (len(pool), pool.row_shape, pool.row_bytes, pool.obstacle) == (20, (2, 3), 24, None)
    assert_array_equal(pool.read(np.array([7, 2, 7])), X[[7, 2, 7]])
    assert_array_equal(pool.dense(slice(3, 5)), X[3:5])
    assert_array_equal(pool.whole(), X)
    assert_array_equal(np.concatenate([block for block, _ in pool.blocks(max_bytes=24 * 7)]), X)
    assert pool.read(np.array([], dtype=np.intp)).shape == (0, 2, 3)
    taken = pool.take(np.array([9, 4, 1]))
    assert isinstance(taken, DatasetRows)
    assert (len(taken), taken.shape, taken.dtype) == (3, (3, 2, 3), np.float32)
    assert_array_equal(taken[np.array([False, True, True])].read(), X[[4, 1]])
    assert_array_equal(taken[1][0], X[4])
    assert_array_equal(as_pool(taken).take(slice(1, None)).read(), X[[4, 1]])


def test_containers_of_datasets():
    dataset = TensorDataset(torch.tensor(X), torch.arange(20))
    assert_array_equal(as_pool(SliceDataset(dataset, idx=0)[5:8]).whole(), X[5:8])
    pool = as_pool(Subset(dataset, [4, 2]))
    assert_array_equal(pool.whole(), X[[4, 2]])
    new = pool.matching(as_pool(X[:1]))
    assert_array_equal(as_pool(pool.stack([new.X])).whole(), X[[4, 2, 0]])
    assert isinstance(pool.stack([new.X]), ConcatDataset)
    with pytest.raises(ValueError, match="give the same"):
        pool.matching(as_pool(X[:, :1]))


def test_photos_are_known_by_their_files(photos):
    make, images, folder = photos
    dataset = make()
    pool = as_pool(dataset)
    assert_array_equal(pool.whole(), images)  # channels first
    dataset.n_decoded = 0
    pool.watch(1 << 26)
    assert pool.same_as(as_pool(make()))
    assert not pool.same_as(as_pool(make(["0.png", "2.png", "1.png", "3.png", "4.png", "5.png"])))
    assert as_pool(Subset(make(), [1, 2])).same_as(as_pool(Subset(make(), [1, 2])))
    assert not as_pool(Subset(make(), [1, 2])).same_as(as_pool(Subset(make(), [2, 1])))
    assert not pool.same_as(as_pool(images))
    assert pickle.loads(pickle.dumps(pool)).same_as(pool)
    assert pool.is_unchanged()
    dataset.samples[2], dataset.samples[4] = dataset.samples[4], dataset.samples[2]
    assert not pool.is_unchanged()
    dataset.samples[2], dataset.samples[4] = dataset.samples[4], dataset.samples[2]
    assert pool.is_unchanged()
    os.utime(folder / "3.png", ns=(0, 12345))
    assert not pool.is_unchanged()
    assert dataset.n_decoded == 0


def test_a_key_stands_for_the_rows():
    def pool(key):
        return DatasetPool(TensorDataset(torch.tensor(X)), key=key)

    assert pool("a").same_as(pool("a"))
    assert not pool("a").same_as(pool("b"))
    assert not pool(None).same_as(pool(None))
    one = pool(None)
    assert one.same_as(DatasetPool(one.X))
    assert one.is_unchanged()


def test_nothing_moves_torchs_generator():
    pool = DatasetPool(TensorDataset(torch.tensor(X)))
    state = torch.random.get_rng_state()
    pool.whole()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_items():
    assert_array_equal(collate([(torch.ones(2), 3), (torch.zeros(2), 4)]), [[1, 1], [0, 0]])
    assert_array_equal(collate([{"a": 1.0, "b": [2]}, {"a": 3.0, "b": [4]}])["b"], [[2], [4]])
    assert collate([Image.new("L", (4, 5))]).shape == (1, 1, 5, 4)
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        collate([np.zeros(2), np.zeros(3)])


def test_new_rows_are_cast_to_the_numbers_of_the_pool():
    pool = as_pool(TensorDataset(torch.tensor(X.astype(np.uint8))))
    together = as_pool(pool.stack([pool.matching(as_pool(X[:2].astype(">f8"))).X]))
    assert together.read(np.array([0, 20])).dtype == np.uint8
    assert together.read(np.array([20, 21])).dtype == np.uint8
    with pytest.raises(ValueError, match="do not fit the uint8 of the pool"):
        pool.matching(as_pool(X[:2] + 0.5))


def test_datasets_without_rows_by_position_are_refused():
    class Endless(IterableDataset):
        def __iter__(self):
            yield X[0]

    with pytest.raises(TypeError, match=r"Endless has no length.*__getitem__"):
        as_pool(Endless())
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        check_pool(RandomSampling(), TensorDataset(torch.zeros(0, 3)), reset=True)


class Dicts(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return {"number": index}


def test_dicts_in_a_list_are_compared_with_those_of_a_dataset():
    pool = as_pool([{"number": row} for row in range(len(X))])
    assert pool.same_as(as_pool(Dicts()))
    assert not as_pool([{"number": row + 1} for row in range(len(X))]).same_as(as_pool(Dicts()))


def test_a_dataset_of_other_numbers_does_not_match():
    pool = as_pool(TensorDataset(torch.tensor(X.astype(np.uint8))))
    with pytest.raises(ValueError, match=r"\['float32'\] was given, and those of the pool are \['uint8'\]"):
        pool.matching(as_pool(TensorDataset(torch.tensor(X))))
    wide = as_pool(TensorDataset(torch.tensor(X).double()))
    assert as_pool(TensorDataset(torch.tensor(X))).matching(wide) is wide


def test_a_file_of_several_rows_does_not_tell_which(photos):
    make, _, _ = photos
    one, two = (make(["0.png"] * 3) for _ in range(2))
    assert not as_pool(one).same_as(as_pool(two))
    assert as_pool(one).same_as(as_pool(one))
    assert as_pool(make(["0.png", "1.png"])).same_as(as_pool(make(["0.png", "1.png"])))


def test_rows_of_rows_are_rows_of_the_dataset():
    dataset = TensorDataset(torch.tensor(X))
    rows = DatasetRows(DatasetRows(dataset, np.array([7, 5, 3])), np.array([2, 0]))
    assert rows.dataset is dataset
    assert_array_equal(rows.read(), X[[3, 7]])
    assert rows[:0].read().shape == as_pool(rows[:0]).read(slice(None)).shape == (0, 2, 3)


def test_a_slice_dataset_has_its_own_rows():
    dataset = SliceDataset(TensorDataset(torch.tensor(X)), indices=np.array([7, 5, 3]))
    assert_array_equal(as_pool(dataset).dense(), X[[7, 5, 3]])


def test_other_parts_of_the_same_files_are_other_pools(photos):
    make, _, _ = photos
    parts = [as_pool(Subset(make(), chosen)) for chosen in ([0, 1], [0, 1], [1, 2])]
    assert parts[0].same_as(parts[1])
    assert not parts[0].same_as(parts[2])


def test_bytes_are_finite_without_being_decoded(photos):
    dataset = photos[0]()
    assert as_pool(dataset).flaw is None
    assert dataset.n_decoded == 1  # to see what they are
    rows = X.copy()
    rows[13, 1, 2] = np.nan
    assert as_pool(TensorDataset(torch.tensor(rows))).flaw == "NaN"


def test_whole_numbers_first_do_not_hide_what_comes_later():
    class Mixed(Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, row):
            return np.array([1, 2]) if row == 0 else np.array([np.nan, 0.5])

    assert as_pool(Mixed()).flaw == "NaN"
