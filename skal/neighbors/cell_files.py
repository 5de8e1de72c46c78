"""The files of a `CellIndex`: its data, and checksums that are compared at the latest when a search reads the data."""

import json
import os
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..exceptions import ModelFileError
from ..training.encoding import MALFORMED, encode
from ..training.files import map_file, write_file
from ..utils.kernels import compiled, readonly
from ..utils.threads import in_threads
from .base import positions_dtype
from .search import WIDTH, add_checksums

Arrays = dict[str, NDArray[Any]]

ARRAYS = ("centers_", "first_chunk_", "shells_", "features_", "rows_")
_SUMS = "checksums"
# A few bytes per chunk, which every search reads.
_SMALL = ("centers_", "first_chunk_", "shells_", _SUMS)
_BLOCK_CHUNKS = 1 << 13
_PART_WORDS = 1 << 21  # whose sum takes some milliseconds
_REMEDY = "copy it again from its source, or fit and save the index again"


class Checksums:
    """The checksums of the chunks in a file; each is compared when a search first reads its chunk.

    Threads that search at the same time may compare a checksum twice.
    """

    def __init__(self, path: str, sums: NDArray[np.uint64]) -> None:
        self.path, self._sums = path, sums
        self._compared = bytearray(len(sums))  # joblib would hand on a large array read-only

    def check(self, arrays: Arrays, chunks: NDArray[np.intp]) -> None:
        """Raise ModelFileError for chunks that have changed since they were saved."""
        compared = np.frombuffer(self._compared, np.bool_)
        chunks = chunks[~compared[chunks]]
        damaged = chunks[_checksums(arrays, chunks) != self._sums[chunks]]
        if len(damaged):
            raise ModelFileError(
                f"{self.path} is damaged: its chunk {damaged[0]} does not match its checksum; {_REMEDY}"
            )
        compared[chunks] = True


def write_cells(
    path: str | os.PathLike[str], kind: str, params: dict[str, Any], n_samples: int, arrays: Arrays
) -> None:
    """Write an index with its checksums; ValueError for arrays that are not an index."""
    _check_arrays(arrays, n_samples)
    sums = _checksums(arrays, np.arange(len(arrays["rows_"])))
    arrays = {**arrays, _SUMS: sums}
    content = {"index": kind, "params": params, "n_samples": n_samples}
    content["sha256"] = _digest(content, arrays)
    # torch warns of arrays that it must not write to, as those of a mapped index.
    copies = {name: array if array.flags.writeable else np.array(array) for name, array in arrays.items()}
    write_file(path, {name: torch.from_numpy(array) for name, array in copies.items()}, content)


def read_cells(
    path: str | os.PathLike[str], kind: str, mapped: bool
) -> tuple[dict[str, Any], int, Arrays, Checksums]:
    """Return the parameters, the number of rows and the arrays of an index, and the checksums of its chunks."""
    arrays, content = map_file(path, verify=not mapped)
    try:
        if not isinstance(content["index"], str) or content["index"] != kind:
            raise ValueError("it holds something else")
        if _SUMS not in arrays:
            raise ValueError(
                "it has no checksums, as an older skal has written it; fit and save the index again"
            )
        if set(arrays) != {*ARRAYS, _SUMS}:
            raise ValueError(f"it has the arrays {sorted(arrays)}")
        # Nothing is computed of values that may be arrays as large as they like.
        values = [content["sha256"], content["n_samples"], *content["params"].values()]
        if len(content) != 4 or not all(isinstance(value, str | int | np.integer | None) for value in values):
            raise ValueError("it says more of itself than numbers and words")
        if content.pop("sha256") != _digest(content, arrays):
            raise ModelFileError(
                f"{path} is damaged: what it says of its cells does not match its checksum; {_REMEDY}"
            )
        _check_arrays(arrays, content["n_samples"])
        sums = arrays.pop(_SUMS)
        if (sums.dtype, sums.shape) != (np.dtype(np.uint64), (len(arrays["rows_"]),)):
            raise ValueError("it has no checksum of each chunk")
    except ModelFileError:
        raise
    except MALFORMED as error:
        raise ModelFileError(
            f"{path} holds no {kind} ({error}); give a file that {kind}.save has written"
        ) from error
    if not mapped:
        arrays = {name: np.array(array) for name, array in arrays.items()}
    return content["params"], content["n_samples"], arrays, Checksums(str(path), np.array(sums))


def _digest(content: dict[str, Any], arrays: Arrays) -> str:
    digest = sha256(json.dumps(encode(content)).encode())
    for name in _SMALL:
        digest.update(np.ascontiguousarray(arrays[name]))
    return digest.hexdigest()


def _checksums(arrays: Arrays, chunks: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Return a checksum of the features and positions of each given chunk."""
    kernel, stop = compiled(add_checksums), np.zeros(1, np.bool_)
    words = [
        readonly(arrays[name].reshape(len(arrays[name]), -1).view(np.uint64))
        for name in ("features_", "rows_")
    ]
    sums = chunks.astype(np.uint64) + np.uint64(1)
    step = 1 + _PART_WORDS // words[0].shape[1]  # chunks

    def add(start: int) -> None:
        part = slice(start, start + step)
        for each in words:
            kernel(chunks[part], each, sums[part], stop)

    in_threads(
        add, range(0, len(chunks), step), stop if len(chunks) > step else None, unit="blocks of checksums"
    )
    return sums


def _check_arrays(arrays: Arrays, n_samples: Any) -> None:
    """Raise ValueError for arrays that are not an index of `n_samples` rows."""
    centers, first_chunk, shells, features, rows = (arrays[name] for name in ARRAYS)
    if type(n_samples) is not int:
        raise ValueError(f"its number of rows is {n_samples!r}")
    n_cells, n_features, n_chunks = *centers.shape, len(features)
    shapes = (
        (n_cells, n_features),
        (n_cells + 1,),
        (n_chunks, 2),
        (n_chunks, n_features, WIDTH),
        (n_chunks, WIDTH),
    )
    if [arrays[name].shape for name in ARRAYS] != list(shapes) or not n_cells * n_features * n_chunks:
        raise ValueError("its arrays do not fit together")
    dtypes = [
        np.dtype(dtype)
        for dtype in (np.float32, np.int64, np.float32, np.float32, positions_dtype(n_samples))
    ]
    if [arrays[name].dtype for name in ARRAYS] != dtypes:
        raise ValueError("its arrays have other types")
    if not all(arrays[name].flags.aligned and arrays[name].flags.c_contiguous for name in ARRAYS):
        raise ValueError("its arrays are not where a processor can read them")
    if [first_chunk[0], first_chunk[-1]] != [0, n_chunks] or (first_chunk[1:] <= first_chunk[:-1]).any():
        raise ValueError("its cells are not made of its chunks")
    if not np.isfinite(centers).all():
        raise ValueError("its centers are not finite")
    if not (shells[:, 0] <= shells[:, 1]).all():
        raise ValueError("its shells have no inside")
    _check_rows(rows, first_chunk, n_samples)


def _check_rows(rows: NDArray[Any], first_chunk: NDArray[np.int64], n_samples: int) -> None:
    """Raise ValueError unless each row of the pool is there once, and chunks are filled up at the ends of cells."""
    if not 0 < n_samples <= rows.size:
        raise ValueError(f"it has room for {rows.size} rows, and the pool has {n_samples}")
    seen, n_found = np.zeros(n_samples, np.bool_), 0
    is_last = np.zeros(len(rows), np.bool_)
    is_last[first_chunk[1:] - 1] = True
    for start in range(0, len(rows), _BLOCK_CHUNKS):
        block = rows[start : start + _BLOCK_CHUNKS]
        if not -1 <= block.min() <= block.max() < n_samples:
            raise ValueError(f"its rows go from {block.min()} to {block.max()}, and the pool has {n_samples}")
        filled = block >= 0
        ends = ~filled.all(axis=1)
        if (ends & ~is_last[start : start + _BLOCK_CHUNKS]).any() or not (
            filled[:, 0].all() and (filled[:, :-1] >= filled[:, 1:]).all()
        ):
            raise ValueError("its chunks are filled up within a cell")
        found = block[filled]
        seen[found] = True
        n_found += len(found)
    if n_found != n_samples or not seen.all():
        raise ValueError(
            f"it has {n_found} rows, {np.count_nonzero(seen)} different ones, and the pool has {n_samples}"
        )
