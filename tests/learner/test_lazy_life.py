"""The whole life of a learner whose pool is on disk, or computed: what it asks for is what it asks for in memory."""

import h5py
import numpy as np
import pytest
import zarr
from numpy.testing import assert_array_equal
from sklearn.decomposition import IncrementalPCA
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.strategies import DGAL, SEALS, CoreSet, UncertaintySampling

da = pytest.importorskip("dask.array")

BEFORE, AFTER = 300, 450
RNG = np.random.default_rng(0)
TRUTH = RNG.integers(3, size=AFTER)
X = (RNG.normal(size=(AFTER, 6)) + TRUTH[:, None]).astype(np.float32)
STRATEGIES = {
    "margin": UncertaintySampling(),
    "core-set, codes": CoreSet(IncrementalPCA(3)),
    "SEALS, index": SEALS(IncrementalPCA(3), n_neighbors=8),
    "DGAL, graph": DGAL(IncrementalPCA(3), n_neighbors=5, n_candidates=40),
}


def on_disk(kind, folder, n_rows):
    file = folder / f"{n_rows}-{len(list(folder.iterdir()))}"
    if kind == "memmap":
        np.save(file.with_suffix(".npy"), X[:n_rows])
        return np.load(file.with_suffix(".npy"), mmap_mode="r")
    if kind == "h5py":
        with h5py.File(file, "w") as opened:
            opened.create_dataset("X", data=X[:n_rows], chunks=(70, 6))
        return h5py.File(file)["X"]
    if kind == "zarr":
        zarr.create_array(file, shape=(n_rows, 6), chunks=(70, 6), dtype="f4")[:] = X[:n_rows]
        return zarr.open_array(file, mode="r")
    return da.from_array(X[:n_rows], chunks=(70, 4)) if kind == "dask" else X[:n_rows]


def life(strategy, kind, folder):
    """The rows that a learner asks for, and a sum of what it predicts, along its life."""
    y = np.where(np.arange(BEFORE) < 12, TRUTH[:BEFORE], -1)
    pool = on_disk(kind, folder, BEFORE)
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=6, random_state=0).fit(pool, y)
    first = learner.query()
    learner.teach(first[:4], TRUTH[first[:4]]).skip(first[4:5])
    yield from (first, learner.query(pending=first[5:]), learner.audit(5), learner.audit(3, how="active"))
    learner.teach(learner.audit_pending_[:4], TRUTH[learner.audit_pending_[:4]], audit=True)
    longer = on_disk(kind, folder, AFTER)
    yield learner.grow(longer, np.where(np.arange(AFTER - BEFORE) < 2, TRUTH[BEFORE:], -1)).query()
    yield learner.extend(X[:3] + 0.25, TRUTH[:3]).query()
    learner.save(folder / "learner")
    for mmap_mode in (None, "r"):
        loaded = ActiveLearner.load(folder / "learner", longer, learner, mmap_mode=mmap_mode)
        rows = loaded.query()
        yield from (rows, loaded.teach(rows, TRUTH[rows]).query(), loaded.undo().query())
    yield np.asarray(loaded.predict_proba(longer)).round(5)


@pytest.mark.parametrize("kind", ["memmap", "h5py", "zarr", "dask"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_pool_on_disk_is_asked_for_the_rows_of_one_in_memory(kind, name, tmp_path, monkeypatch):
    for folder in ("memory", "disk"):
        (tmp_path / folder).mkdir()
    expected = list(life(STRATEGIES[name], "array", tmp_path / "memory"))
    monkeypatch.setattr("skal.utils.scratch.MEMORY_BYTES", 1000)  # codes are in temporary files
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 100)
    found = list(life(STRATEGIES[name], kind, tmp_path / "disk"))
    assert len(found) == len(expected) == 13
    for ours, theirs in zip(found, expected, strict=True):
        assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["memmap", "h5py", "zarr", "dask"])
def test_samples_on_disk_are_learned_as_those_in_memory(kind, tmp_path):
    y = np.where(np.arange(BEFORE) < 12, TRUTH[:BEFORE], -1)
    asked = []
    for samples in (X, on_disk(kind, tmp_path, AFTER)):
        learner = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=6, random_state=0)
        learner.fit(on_disk(kind, tmp_path, BEFORE), y).extend(samples, TRUTH)
        assert learner.is_trained_
        asked.append(learner.teach([20], TRUTH[20:21]).query())
    assert_array_equal(*asked)
