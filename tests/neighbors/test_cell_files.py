"""Files of the exact index: damaged and forged ones are refused, or their answers are right."""

import json
import pickle
import re
from contextlib import suppress

import numpy as np
import pytest
import torch

from skal.exceptions import ModelFileError
from skal.neighbors import CellIndex, match
from skal.neighbors.cell_files import ARRAYS
from skal.neighbors.search import search
from skal.pool import NO_ROWS
from skal.training.files import map_file, write_file
from skal.utils.kernels import compiled, readonly
from tests import THOROUGH
from tests.fuzzing import N_MUTANTS, fuzz

from .fuzz_cases import QUERIES, X, answers, check, checksums, digest

MODES = pytest.mark.parametrize("mmap_mode", [None, "r"])


@pytest.fixture
def path(tmp_path):
    """A file of an index, five cells with some filling up."""
    index = CellIndex(5, random_state=3).fit(X)
    assert index.rows_.min() == -1
    index.save(tmp_path / "index.skal")
    return tmp_path / "index.skal"


def forge(path, changes, **content_changes):
    """Change what is in a file, with right checksums."""
    arrays, content = map_file(path)
    arrays = {name: array.copy() for name, array in arrays.items()}
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    content.update(content_changes)
    if "checksums" not in changes:
        with suppress(ValueError):  # arrays of another shape have none
            arrays["checksums"] = checksums(arrays)
    content["sha256"] = digest(content, arrays)
    write_file(
        path, {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}, content
    )


@pytest.fixture(scope="module")
def expected():
    return answers(CellIndex(5, random_state=3).fit(X))


@MODES
def test_save_and_load(path, mmap_mode, expected):
    index = CellIndex(5, random_state=3).fit(X)
    loaded = CellIndex.load(path, mmap_mode=mmap_mode)
    assert loaded.get_params() == index.get_params()
    assert isinstance(loaded.features_.base, np.memmap) == (mmap_mode == "r")
    forge(path, {})  # these checksums are those of the file
    for same in (loaded, pickle.loads(pickle.dumps(loaded)), CellIndex.load(path, mmap_mode=mmap_mode)):
        for ours, theirs in zip(answers(same), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@MODES
@pytest.mark.parametrize("damage", ["empty", "foreign", "header", "cut", "longer", "other", "list"])
def test_damaged_files(path, damage, mmap_mode):
    data = path.read_bytes()
    if damage == "other":
        write_file(path, {}, {"estimator": "VAE"})
    elif damage == "list":
        write_file(path, {}, [1])
    else:
        changed = {
            "empty": b"",
            "foreign": bytes(999),
            "header": data[:200],
            "cut": data[:-1],
            "longer": data + b"1",
        }
        path.write_bytes(changed[damage])
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        CellIndex.load(path, mmap_mode=mmap_mode)


def test_bad_mmap_mode(path):
    with pytest.raises(ValueError, match="mmap_mode='w'"):
        CellIndex.load(path, mmap_mode="w")


def places(path):
    """Where the parts of a file are, in bytes."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:start])
    return {
        "length": (0, 8),
        "header": (8, start),
        **{name: [start + o for o in entries[name]["data_offsets"]] for name in (*ARRAYS, "checksums")},
    }


@pytest.mark.parametrize("part", ["length", "header", *ARRAYS, "checksums"])
def test_a_flipped_bit_is_an_error_or_changes_no_answer(path, part, expected):
    data = path.read_bytes()
    first, last = places(path)[part]
    rng = np.random.default_rng(0)
    n_refused, n_flips = 0, 600 if THOROUGH else 40
    for place in rng.integers(8 * first, 8 * last, n_flips):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ModelFileError, match=re.escape(str(path))):
            CellIndex.load(path)
        try:
            index = CellIndex.load(path, mmap_mode="r")
            found = answers(index)
        except ModelFileError:
            n_refused += 1
        else:
            assert index.get_params() == {"n_cells": 5, "random_state": 3}
            for ours, theirs in zip(found, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    # In the header are the digest of the whole file, which is not compared, and spaces.
    assert n_refused == n_flips if part != "header" else n_refused > n_flips / 2


def test_rows_are_compared_when_they_are_first_read(path):
    index = CellIndex.load(path)
    chunk = index.first_chunk_[3]
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(data.index(index.features_[chunk].tobytes()))
        file.write(bytes(4))
    mapped = CellIndex.load(path, mmap_mode="r")
    n_right = 0
    for center in np.delete(index.centers_, 3, axis=0):  # from some of them nothing near the third is read
        with suppress(ModelFileError):
            np.testing.assert_array_equal(mapped.kneighbors([center])[0], index.kneighbors([center])[0])
            n_right += 1
    assert n_right
    message = f"{re.escape(str(path))} is damaged: its chunk {chunk} does not match its checksum"
    for damaged in (mapped, pickle.loads(pickle.dumps(mapped))):
        for _ in range(2):
            with pytest.raises(ModelFileError, match=message):
                damaged.kneighbors(index.centers_[[3]])
        with pytest.raises(ModelFileError, match=message):
            damaged.save(path.with_name("again.skal"))
    assert not path.with_name("again.skal").exists()
    mapped.fit(X).save(path)
    CellIndex.load(path, mmap_mode="r").kneighbors(index.centers_)


def put(where, value):
    return lambda array: np.put(array, where, value) or array


def swapped(array):
    return array[::-1]


@MODES
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows_": put(3, 300)}, "rows go from -1 to 300, and the pool has 300"),
        ({"rows_": put(3, -2)}, "rows go from -2 to 299"),
        ({"rows_": put(3, -1)}, "filled up within a cell"),
        ({"rows_": put(range(32), -1)}, "filled up within a cell"),
        ({"rows_": lambda rows: np.where(rows == 7, 8, rows)}, "300 rows, 299 different ones"),
        ({"rows_": lambda rows: np.where(rows < 0, 8, rows)}, "300 different ones, and the pool has 300"),
        ({"rows_": lambda rows: rows.astype(np.float32)}, "other types"),
        ({"rows_": lambda rows: rows.astype(np.int64)}, "other types"),
        ({"first_chunk_": lambda first: first.astype(np.int32)}, "other types"),
        ({"features_": lambda features: features.astype(np.float64)}, "other types"),
        ({"first_chunk_": put(-1, 99)}, "chunks"),
        ({"first_chunk_": put(0, 1)}, "chunks"),
        ({"first_chunk_": put(1, 99)}, "chunks"),
        ({"first_chunk_": put(1, 0)}, "chunks"),
        ({"first_chunk_": put(1, 2**62)}, "chunks"),
        ({"first_chunk_": lambda first: first[:-1]}, "fit together"),
        ({"features_": lambda features: features[:-1]}, "fit together"),
        ({"features_": lambda features: features[:, :, :31]}, "fit together"),
        ({"features_": lambda features: features[:0]}, "fit together"),
        ({"shells_": lambda shells: shells[:, :1]}, "fit together"),
        ({"shells_": lambda shells: shells[:, ::-1]}, "no inside"),
        ({"shells_": put(2, np.nan)}, "no inside"),
        ({"centers_": lambda centers: centers[:, :-1]}, "fit together"),
        ({"centers_": lambda centers: centers[0]}, "holds no CellIndex"),
        ({"centers_": put(0, np.inf)}, "centers are not finite"),
        ({"checksums": lambda sums: sums[:-1]}, "no checksum of each chunk"),
        ({"checksums": lambda sums: sums.astype(np.int64)}, "no checksum of each chunk"),
    ],
)
def test_forged_arrays(path, changes, message, mmap_mode):
    forge(path, changes)
    with pytest.raises(ModelFileError, match=message):
        CellIndex.load(path, mmap_mode=mmap_mode)


@MODES
@pytest.mark.parametrize(
    "content",
    [
        {"index": "GraphIndex"},
        {"n_samples": "300"},
        {"n_samples": 300.0},
        {"n_samples": True},
        {"n_samples": 299},
        {"n_samples": 2**40},
        {"n_samples": -1},
        {"params": {"n_lists": 3}},
        {"params": {"n_cells": -3}},
        {"params": {"random_state": "x"}},
        {"params": [1]},
        {"params": 3},
        {"params": {"n_cells": [3]}},
        {"more": 3},
    ],
)
def test_forged_contents(path, content, mmap_mode):
    forge(path, {}, **content)
    with pytest.raises(ModelFileError, match="holds no CellIndex"):
        CellIndex.load(path, mmap_mode=mmap_mode)


@MODES
def test_other_arrays_and_older_files(path, mmap_mode):
    arrays, content = map_file(path)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    write_file(path, {**tensors, "kneighbors": torch.zeros(3)}, content)
    with pytest.raises(ModelFileError, match="it has the arrays"):
        CellIndex.load(path, mmap_mode=mmap_mode)
    del tensors["checksums"], content["sha256"]
    write_file(path, tensors, content)
    with pytest.raises(ModelFileError, match="no checksums, as an older skal has written it; fit and save"):
        CellIndex.load(path, mmap_mode=mmap_mode)
    write_file(path, tensors, {})
    with pytest.raises(ModelFileError, match="holds no CellIndex"):
        CellIndex.load(path, mmap_mode=mmap_mode)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_forged_features_never_lead_outside_the_pool(path, bad):
    forge(path, {"features_": lambda features: np.where(np.isfinite(features), np.float32(bad), 0)})
    index = CellIndex.load(path, mmap_mode="r")
    with pytest.raises(ModelFileError, match=f"{re.escape(str(path))} was forged: its rows are not finite"):
        index.kneighbors(QUERIES)
    with pytest.raises(ModelFileError, match="its rows are not finite"):
        match(index, QUERIES, np.ones(len(X), bool))
    rows, distances, _ = match(index, QUERIES, np.arange(len(X)) > 0)
    assert (rows == -1).all()  # as where nothing is available
    assert np.isinf(distances).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("first_chunk_", put(1, 2**62)),
        ("first_chunk_", put(1, -1)),
        ("first_chunk_", put(-1, 2**31)),
        ("first_chunk_", lambda first: first[:-1]),
        ("shells_", lambda shells: shells[:-1]),
        ("features_", lambda features: features[:, :-1].copy()),
        ("features_", lambda features: features[:1]),
        ("rows_", lambda rows: rows[:2]),
        ("rows_", lambda rows: rows + np.int32(2**20)),
        ("centers_", lambda centers: centers[:3]),
    ],
)
def test_the_search_leaves_no_array(name, change):
    """Also where an index is changed after it was checked."""
    index = CellIndex(5, random_state=3).fit(X)
    setattr(index, name, change(getattr(index, name).copy()))
    for excluded in (NO_ROWS, np.array([3])):
        with pytest.raises(
            ValueError, match=r"changed after its fit: its cell \d leads outside its arrays; fit it again"
        ):
            index._search(QUERIES, 300, excluded)
    with pytest.raises(ValueError, match="its "):
        index.save("/dev/null/index.skal")


def test_a_search_that_is_told_to_stop_reads_nothing():
    index = CellIndex(5, random_state=3).fit(X)
    read = np.zeros(len(index.rows_) + 1, dtype=np.bool_)
    read[-1] = True
    arrays = [np.ascontiguousarray(index.centers_.T), *(getattr(index, name) for name in ARRAYS[1:])]
    arrays = [readonly(array) for array in arrays]
    sq_distances, rows = np.full((40, 1), np.inf), np.full((40, 1), -1)
    nothing, queries = readonly(NO_ROWS), readonly(QUERIES)
    assert compiled(search)(*arrays, len(X), nothing, queries, sq_distances, rows, read) == -1
    assert not read[:-1].any()
    assert (rows < 0).all()


def mutants(rng):
    """A change of a random array: odd numbers at random places, another shape, or other words."""
    integers = [0, 1, -1, -2, 3, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63)]
    odd = [*integers, np.nan, np.inf, -np.inf, 1e38, -1e-45]
    name = rng.choice(ARRAYS)

    def change(array):
        array, kind = array.copy(), rng.integers(5)
        if kind == 0:
            words = array.reshape(-1).view(np.uint8)
            words[rng.integers(words.size, size=rng.integers(1, 20))] = rng.integers(256)
        elif kind == 1:
            array = rng.permutation(array, axis=rng.integers(array.ndim))
        elif kind == 2:
            array = array[tuple(slice(rng.integers(3), None) for _ in range(array.ndim))]
        else:
            with np.errstate(all="ignore"):
                values = np.array(rng.choice(odd, 4)).astype(array.dtype)
            array.reshape(-1)[rng.integers(array.size, size=4)] = values
        return array

    return {name: change}


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_no_forged_file_leads_outside_the_pool(path):
    data = path.read_bytes()
    n_read = n_mutants = 10_000 if THOROUGH else 150
    for seed in range(n_mutants):
        path.write_bytes(data)
        forge(path, mutants(np.random.default_rng(seed)))
        try:
            index = CellIndex.load(path, mmap_mode=[None, "r"][seed % 2])
            check(index)
        except ModelFileError:
            n_read -= 1
    assert n_read > n_mutants / 20


def test_fuzzed_files(tmp_path):
    report = fuzz("tests.neighbors.fuzz_cases:index", folder=tmp_path)
    print(report)
    assert report["files"] == N_MUTANTS
    assert report["found"]["loaded"] > N_MUTANTS / 100
