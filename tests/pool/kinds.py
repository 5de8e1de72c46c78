"""The same rows in every kind of container, and what reads them."""

import json

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

RNG = np.random.default_rng(0)
N_ROWS, WORDS = 120, ["red", "green", "blue", "cyan", "pink"]
TRUTH = np.arange(N_ROWS) % 3
# Counts of five words, which tell the classes well but not all too well.
COUNTS = RNG.poisson(np.array([[3, 1, 1, 0.5, 1], [1, 3, 1, 1, 0.5], [0.5, 1, 3, 1, 1]])[TRUTH]).astype(float)
COUNTS[:, 4] += 1  # no row is empty
Y = np.where(np.arange(N_ROWS) < 30, TRUTH, -1)


def _words(row):
    return [word for word, count in zip(WORDS, row, strict=True) for _ in range(int(count))]


SEQUENCES = list(map(_words, COUNTS))
TEXTS = list(map(" ".join, SEQUENCES))
DICTS = [{word: count for word, count in zip(WORDS, row, strict=True) if count} for row in COUNTS]
HOLES = np.where(RNG.random(COUNTS.shape) < 0.1, np.nan, COUNTS)


def as_dense(X):
    """Whatever a vectorizer makes, as an array, so that any transformer can follow."""
    return X.toarray() if sparse.issparse(X) else np.asarray(X, float)


def _counted(sequences):
    return np.array([[list(sequence).count(word) for word in WORDS] for sequence in sequences], float)


def _counted_cells(frame):
    return _counted(frame["words"])


def _of_dicts(dicts):
    return np.array([[row.get(word, 0) for word in WORDS] for row in dicts], float)


def _loaded(paths):
    return np.array([json.loads(path.read_text()) for path in paths], float)


def _parsed(cells):
    return np.array([[float(cell.removeprefix("n")) for cell in row] for row in np.asarray(cells)])


def _reader(*steps):
    return make_pipeline(*steps, FunctionTransformer(as_dense))


_VECTORIZER = CountVectorizer(vocabulary=WORDS)


def containers(folder):
    """Kinds of pools by name: the container, and a transformer that makes the counts of it (or of HOLES)."""
    import dask.array as da
    import h5py
    import zarr

    for number, row in enumerate(COUNTS):
        (folder / f"{number:03}.json").write_text(json.dumps(row.tolist()))
    with h5py.File(folder / "pool.h5", "w") as file:
        file["rows"] = COUNTS
    cells = np.array([[f"n{cell}" for cell in row] for row in COUNTS])
    imputer, passed = SimpleImputer(strategy="constant", fill_value=1.0), FunctionTransformer(as_dense)
    columns = ColumnTransformer([("all", imputer, WORDS)])
    return {
        "array": (COUNTS, passed),
        "integers": (COUNTS.astype(np.int16), passed),
        "bytes": (COUNTS.astype(np.uint8), passed),
        "tensor": (torch.tensor(COUNTS), passed),
        "unsorted CSR": (_unsorted(COUNTS), _reader("passthrough")),
        "object array of numbers": (COUNTS.astype(object), passed),
        "texts": (TEXTS, _reader(_VECTORIZER)),
        "array of objects": (np.array(TEXTS, dtype=object), _reader(_VECTORIZER)),
        "array of strings": (np.array(TEXTS), _reader(_VECTORIZER)),
        "Series": (pd.Series(TEXTS, index=range(7, 7 + N_ROWS)), _reader(_VECTORIZER)),
        "Series of the string type": (pd.Series(TEXTS, dtype="string"), _reader(_VECTORIZER)),
        "polars Series": (pl.Series(TEXTS), _reader(_VECTORIZER)),
        "dicts": (DICTS, FunctionTransformer(_of_dicts)),
        "sequences": (SEQUENCES, FunctionTransformer(_counted)),
        "paths": (sorted(folder.glob("*.json")), FunctionTransformer(_loaded)),
        "object cells": (cells.astype(object), FunctionTransformer(_parsed)),
        "string cells": (cells, FunctionTransformer(_parsed)),
        "frame of words": (pd.DataFrame(cells, columns=WORDS), FunctionTransformer(_parsed)),
        "frame of lists": (pd.DataFrame({"words": SEQUENCES}), FunctionTransformer(_counted_cells)),
        "polars frame of lists": (pl.DataFrame({"words": SEQUENCES}), FunctionTransformer(_counted_cells)),
        "frame of extension types": (
            pd.DataFrame(COUNTS, columns=WORDS).astype(
                {"red": "Int64", "blue": "Float32", "pink": "category"}
            ),
            passed,
        ),
        "h5py": (h5py.File(folder / "pool.h5", "r")["rows"], passed),
        "zarr": (zarr.array(COUNTS, chunks=(16, 5)), passed),
        "dask": (da.from_array(COUNTS, chunks=(16, 3)), passed),
        "holes": (HOLES, imputer),
        "frame with holes": (pd.DataFrame(HOLES, columns=WORDS), columns),
        "polars frame with holes": (pl.DataFrame(HOLES, schema=WORDS), columns),
        "nullable frame with holes": (pd.DataFrame(HOLES, columns=WORDS).convert_dtypes(), columns),
    }


NAMES = [
    "array", "integers", "bytes", "tensor", "unsorted CSR", "object array of numbers", "texts", "array of objects",
    "array of strings", "Series", "Series of the string type", "polars Series", "dicts", "sequences", "paths",
    "object cells", "string cells", "frame of words", "frame of lists", "polars frame of lists",
    "frame of extension types", "h5py", "zarr", "dask", "holes", "frame with holes", "polars frame with holes",
    "nullable frame with holes",
]  # fmt: skip
NUMBERS = {
    "array",
    "integers",
    "bytes",
    "tensor",
    "object array of numbers",
    "frame of extension types",
    "h5py",
    "zarr",
    "dask",
}


def _unsorted(X):
    """A CSR matrix whose entries come in decreasing order of their columns."""
    matrix = sparse.csr_array(X)
    for start, stop in zip(matrix.indptr, matrix.indptr[1:], strict=False):
        for part in (matrix.indices, matrix.data):
            part[start:stop] = part[start:stop][::-1].copy()
    matrix.has_sorted_indices = False
    return matrix
