"""An index file for the fuzzer."""

import json
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from skal.neighbors import CellIndex, match
from skal.neighbors.cell_files import ARRAYS
from skal.neighbors.search import search
from skal.utils.kernels import compiled
from tests.fuzzing import Case

from .pools import spectrum_pool

X = spectrum_pool(300, 5)
QUERIES = np.concatenate([X[:20], spectrum_pool(20, 5, seed=1)])
_AVAILABLE = np.arange(len(X)) % 3 > 0
_DTYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32, "U64": np.uint64}


def answers(index):
    matched = match(index, QUERIES, _AVAILABLE, 2)
    return (*index.kneighbors(QUERIES, 7), *index.kneighbors(X[:5], len(X)), *matched)


def check(index):
    """Whatever an index answers, it answers with rows of its pool, and by the code that is compiled for all."""
    found = answers(index)
    for rows in found[1], found[3]:
        assert 0 <= rows.min() <= rows.max() < len(X)
    assert -1 <= found[4].min() <= found[4].max() < len(X)
    assert len(compiled(search).signatures) == 1


def checksums(arrays):
    """The checksum of each chunk, of its features and then of its positions."""
    sums = np.arange(1, len(arrays["rows_"]) + 1, dtype=np.uint64)
    for name in ("features_", "rows_"):
        data = arrays[name].reshape(len(sums), -1)
        for word in data[:, : data.shape[1] // 2 * 2].copy().view(np.uint64).T:
            sums = (sums ^ word) * np.uint64(0x9E3779B97F4A7C15)
            sums ^= sums >> np.uint64(32)
    return sums


def digest(content, arrays):
    """The checksum of what every search reads."""
    known = sha256(json.dumps({name: value for name, value in content.items() if name != "sha256"}).encode())
    for name in ("centers_", "first_chunk_", "shells_", "checksums"):
        known.update(np.ascontiguousarray(arrays[name]))
    return known.hexdigest()


def _renew(header, content, data):
    arrays = {}
    for name in (*ARRAYS, "checksums"):
        entry = header[name]
        part = data[slice(*entry["data_offsets"])]
        arrays[name] = np.frombuffer(part, _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    sums = checksums(arrays)
    data[slice(*header["checksums"]["data_offsets"])] = sums.tobytes()
    content["sha256"] = digest(content, {**arrays, "checksums": sums})


def index():
    """A file that is mapped and read."""

    def attempt(path):
        try:
            check(CellIndex.load(path, mmap_mode="r"))
        finally:
            check(CellIndex.load(path))

    with TemporaryDirectory() as folder:
        path = Path(folder, "index.skal")
        CellIndex(5, random_state=3).fit(X).save(path)
        return Case(path.read_bytes(), attempt, renew=_renew)
