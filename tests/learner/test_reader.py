"""What a folder holds put together again: arrays that stay in their files, and damaged, forged and older files."""

import copy
import shutil
from pathlib import Path

import numpy as np
import polars
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.exceptions import ModelFileError
from skal.learner import reader
from skal.strategies import DGAL, SEALS, CoreSet, SynthesisStrategy, UncertaintySampling
from skal.training.files import read_file, write_file
from tests import THOROUGH
from tests.fuzzing import fuzz
from tests.learner.common import X, Y
from tests.learner.planned import ENCODED, assert_same, kept, plan, taught
from tests.properties.strategies import STRATEGIES, NearestMean

SAVED = Path(__file__).parent / "saved"


@pytest.mark.parametrize("strategy", [*STRATEGIES, *ENCODED], ids=lambda strategy: type(strategy).__name__)
def test_every_strategy_goes_on_with_arrays_in_files(tmp_path, strategy, monkeypatch):
    """All arrays, and not only the large ones; another save replaces the files meanwhile."""
    monkeypatch.setattr(reader, "_MAPPED_BYTES", 0)
    planned = plan(NearestMean(), strategy)
    if isinstance(strategy, SynthesisStrategy):
        planned.set_params(cold_start=None)
    taught(planned).save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, X.copy(), planned, mmap_mode="r")
    fitted = ActiveLearner.load(tmp_path, X.copy(), planned)
    loaded.save(tmp_path)
    assert_same(loaded, fitted)


def test_a_mapped_graph_and_index_stay_in_their_files(tmp_path):
    planned = ActiveLearner(LogisticRegression(tol=0.1), DGAL(PCA(2)), n_queries=3, random_state=0)
    rows = np.random.default_rng(0).normal(size=(12_000, 5)).astype(np.float32)
    labels = np.where(np.arange(12_000) < 20, np.arange(12_000) % 2, -1)
    for strategy, arrays in (
        (DGAL(PCA(2)), lambda fitted: fitted.diffusion_._steps._walks[1:]),
        (SEALS(PCA(2)), lambda fitted: [fitted.index_.features_, fitted.index_.rows_]),
        (CoreSet(FrozenEstimator(PCA(5).fit(rows))), lambda fitted: [fitted._encoded]),
    ):
        plan = clone(planned).set_params(strategy=strategy)
        fitted = clone(plan).fit(rows, labels)
        fitted.save(tmp_path)
        loaded = ActiveLearner.load(tmp_path, rows, plan, mmap_mode="r")
        for array in arrays(loaded.strategy_):
            assert array.nbytes < 1 << 16 or is_mapped(array)
        assert max(array.nbytes for array in arrays(loaded.strategy_)) > 1 << 16
        assert not any(map(is_mapped, arrays(ActiveLearner.load(tmp_path, rows, plan).strategy_)))
        assert_array_equal(loaded.query(), fitted.query())
    with pytest.raises(ValueError, match="mmap_mode='w' was given"):
        ActiveLearner.load(tmp_path, rows, plan, mmap_mode="w")


def test_a_damaged_file_is_not_mapped(tmp_path):
    planned = plan(LogisticRegression(tol=0.1), DGAL(PCA(2)))
    clone(planned).fit(X, Y).save(tmp_path)
    file = tmp_path / "learner.skal"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelFileError, match="damaged"):
        ActiveLearner.load(tmp_path, X, planned, mmap_mode="r")


def is_mapped(array):
    """Whether the numbers of an array are in a file."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)


def test_a_part_that_is_missing_or_damaged(tmp_path):
    planned = plan(NetClassifier(max_epochs=1), UncertaintySampling())
    taught(planned).save(tmp_path)
    part = next(tmp_path.glob("*-0.skal"))
    raw = part.read_bytes()
    part.write_bytes(raw[:-1])
    with pytest.raises(ModelFileError):
        ActiveLearner.load(tmp_path, X, planned)
    part.unlink()
    with pytest.raises(OSError, match=part.name):
        ActiveLearner.load(tmp_path, X, planned)
    with pytest.raises(FileNotFoundError, match=r"learner\.skal"):
        ActiveLearner.load(tmp_path / "nowhere", X, planned)


@pytest.mark.parametrize(
    "value", ["words", ["words"], np.array([1, 2]), {"a": np.array([1, 2])}, None], ids=str
)
def test_a_folder_with_parts_of_another_kind_is_refused(tmp_path, value):
    taught(kept()).save(tmp_path)
    tensors, whole = read_file(tmp_path / "learner.skal")
    for name in whole:
        if type(whole[name]) is not type(value) or isinstance(value, dict):
            write_file(tmp_path / "learner.skal", tensors, {**whole, name: value})
            with pytest.raises(ModelFileError):
                ActiveLearner.load(tmp_path, X, kept())


@pytest.mark.parametrize(
    ("dtype", "shape"), [(",", [1]), ("<U0", [10**12]), ("f4,f4", [1]), (3, [1]), ("<i8", "ab")]
)
def test_arrays_of_no_type_are_refused(tmp_path, dtype, shape):
    taught(kept()).save(tmp_path)
    tensors, whole = read_file(tmp_path / "learner.skal")
    for at, node in enumerate(whole["nodes"]):
        if "array" in node:
            nodes = copy.deepcopy(whole["nodes"])
            nodes[at]["array"][1:] = [dtype, shape]
            write_file(tmp_path / "learner.skal", tensors, {**whole, "nodes": nodes})
            with pytest.raises(ModelFileError):
                ActiveLearner.load(tmp_path, X, kept())


@pytest.mark.parametrize("n_mutants", [30_000 if THOROUGH else 200])
def test_forged_files_are_refused(tmp_path, n_mutants):
    report = fuzz("tests.learner.fuzz_cases:learner", folder=tmp_path, n=n_mutants)
    print(report)
    assert report["files"] == n_mutants
    assert set(report["found"]) <= {"ModelFileError", "ValueError", "loaded"}


@pytest.mark.skipif(
    "multi_class" in LogisticRegression().get_params(), reason="saved where it had other parameters"
)
@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_folder_of_every_version_is_read(tmp_path, version):
    """Made by ``python -m tests.learner.test_reader``; a new version adds one and keeps those before."""
    shutil.copytree(SAVED / f"version {version}", tmp_path, dirs_exist_ok=True)
    loaded = ActiveLearner.load(tmp_path, X, kept())
    twin = taught(kept())
    if version == 1:  # which knew no draws
        twin.forget(np.setdiff1d(twin.audit_, [91]))
        assert not len(loaded.audit_sample_["row"])
    else:
        assert_array_equal(loaded.audit_sample_["state"], ["labelled"] * 2 + ["pending"] * 2)
        assert_array_equal(loaded.audit_sample_["n_rows"], [150] * 4)
    assert_array_equal(loaded.labels_, twin.labels_)
    assert loaded.extension_keys_.tolist() == ["a", "b"]
    assert len(loaded.query()) == 3
    loaded.teach([22], [0]).save(tmp_path)


if __name__ == "__main__":
    taught(kept()).save(SAVED / "version 4")


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_compressed_frames_are_refused(compression, tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "zeros": np.zeros(4000),
        "numbers": rng.integers(2**62, size=4000),
        "texts": ["a long text"] * 4000,
    }
    polars.DataFrame(columns).write_ipc(tmp_path / "frame", compression=compression)
    assert reader._is_compressed((tmp_path / "frame").read_bytes()) == (compression != "uncompressed")
