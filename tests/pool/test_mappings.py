import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skal.pool import as_pool

IDS, MASK = np.arange(40).reshape(20, 2), np.ones((20, 2), dtype=np.int8)
PAIR = {"ids": IDS, "mask": MASK}


def test_rows_are_parts_of_all_arrays():
    pool = as_pool(PAIR)
    assert (len(pool), pool.row_shape, pool.row_bytes) == (20, (), 18)
    taken = pool.take(np.array([3, 1]))
    assert_array_equal(taken["ids"], IDS[[3, 1]])
    assert_array_equal(taken["mask"], MASK[[3, 1]])
    assert len(taken) == 2
    assert np.shares_memory(pool.X["ids"], IDS)
    assert_array_equal(pool.stack([taken])["ids"], [*IDS, *IDS[[3, 1]]])
    assert [len(block) for block, _ in pool.blocks(max_bytes=18 * 12)] == [12, 8]
    with pytest.raises(TypeError, match="mappings of ids, mask"):
        pool.dense()


def test_the_same_arrays_are_the_same_pool():
    pool = as_pool(PAIR)
    assert pool.same_as(as_pool({"mask": MASK.copy(), "ids": torch.tensor(IDS)}))
    assert not pool.same_as(as_pool({"ids": IDS}))
    assert not pool.same_as(as_pool({"ids": IDS, "mask": np.zeros_like(MASK)}))
    assert not pool.same_as(as_pool(["text"] * 20))
    assert pickle.loads(pickle.dumps(pool)).same_as(pool)


def test_changes_in_place_and_flaws():
    ids = IDS.astype(float)
    pool = as_pool({"ids": ids, "mask": MASK})
    pool.watch(1 << 18)
    assert pool.is_unchanged()
    assert pool.is_finite
    ids[7, 1] = np.nan
    assert not pool.is_unchanged()
    assert as_pool({"ids": ids, "mask": MASK}).flaw == "NaN"


def test_arrays_of_other_shapes_do_not_match():
    pool = as_pool(PAIR)
    for other in ({"ids": IDS}, {"ids": IDS[:, :1], "mask": MASK}):
        with pytest.raises(ValueError, match="shapes"):
            pool.matching(as_pool(other))
    with pytest.raises(ValueError, match="give the same"):
        pool.matching(as_pool(IDS))
    with pytest.raises(ValueError, match="each with the same rows"):
        as_pool({"ids": IDS, "length": 20})


def test_new_rows_are_cast_to_the_numbers_of_the_pool():
    pool = as_pool(PAIR)
    new = pool.matching(as_pool({"mask": MASK[:2].astype(bool), "ids": IDS[:2].astype(float)}))
    assert [pool.stack([new.X])[name].dtype for name in PAIR] == [IDS.dtype, np.int8]
    with pytest.raises(ValueError, match="do not fit the int64 of the pool"):
        pool.matching(as_pool({"ids": IDS[:2] + 0.5, "mask": MASK[:2]}))


def test_memory_maps_pickle_as_the_names_of_their_files(tmp_path):
    ids = np.memmap(tmp_path / "ids.bin", np.float32, mode="w+", shape=(100_000, 2))
    ids[:] = np.arange(200_000).reshape(-1, 2)
    pool = as_pool({"ids": ids, "number": np.arange(100_000, dtype=np.int8)})
    data = pickle.dumps(pool)
    assert len(data) < 200_000
    assert pickle.loads(data).same_as(pool)


def test_tensors_that_record_gradients_are_arrays():
    assert_array_equal(as_pool({"a": torch.ones(2, 2, requires_grad=True)}).X["a"], np.ones((2, 2)))
