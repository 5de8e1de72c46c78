"""Learners over memory maps: their pickles hold the name of the file and what the strategy prepared, no rows."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skal import ActiveLearner
from skal.strategies import (
    ASAL,
    BADGE,
    DGAL,
    GAAL,
    SEALS,
    CoreSet,
    KMedian,
    RandomSampling,
    RandomSubset,
    SynthesisStrategy,
    UncertaintySampling,
)
from tests import THOROUGH
from tests.networks import tiny_gan

N_ROWS, N_FEATURES = 3000, 2000
Y = np.where(np.arange(N_ROWS) < 12, np.arange(N_ROWS) % 3, -1)
STRATEGIES = {
    "random": RandomSampling(),
    "uncertainty": UncertaintySampling(),
    "core-set": CoreSet("input"),
    "core-set of an encoder": CoreSet(PCA(2)),
    "k-median": KMedian(PCA(2), max_iter=1),
    "BADGE": BADGE(),
    "SEALS, index": SEALS(PCA(2), n_neighbors=5),
    "DGAL, graph": DGAL(PCA(2), n_neighbors=5, n_candidates=30),
    "subset": RandomSubset(40, CoreSet("input")),
    "ASAL, index": ASAL(tiny_gan(), n_steps=2, n_components=2),
    "GAAL": GAAL(tiny_gan(), n_steps=2),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pool") / "pool.npy"
    rows = np.random.default_rng(0).normal(size=(N_ROWS, N_FEATURES))
    rows[:, 0] *= 30
    np.save(path, rows)
    return path


def learner(strategy, classifier=None):
    classifier = classifier or KNeighborsClassifier(3)
    return ActiveLearner(classifier, clone(strategy), n_queries=5, random_state=0)


def ask(fitted):
    return fitted.synthesize() if isinstance(fitted.strategy, SynthesisStrategy) else fitted.query()


@pytest.mark.parametrize("kind", STRATEGIES)
def test_a_pickle_is_smaller_than_a_hundredth_of_the_pool(file, kind):
    rows = np.load(file, mmap_mode="r")
    fitted = learner(STRATEGIES[kind], LogisticRegression(tol=1)).fit(rows, Y)
    before = ask(fitted)
    data = pickle.dumps(fitted)
    generator = pickle.dumps(getattr(fitted.strategy_, "generator_", None))  # as large for any number of rows
    assert len(data) - len(generator) < rows.nbytes / 100
    back = pickle.loads(data)
    assert back.strategy_._pool is back._state.pool
    assert_array_equal(ask(back), before)
    assert_array_equal(ask(copy.deepcopy(fitted)), before)
    if not isinstance(fitted.strategy, SynthesisStrategy):
        assert_array_equal(back.query(rows), before)
        assert_array_equal(back.query(np.array(rows)), before)
        back.teach(before, np.zeros(5, int))
        assert not len(np.intersect1d(back.query(), before))


def test_labels_add_nothing_per_row_to_a_pickle(tmp_path):
    rows = np.lib.format.open_memmap(tmp_path / "narrow.npy", "w+", np.float64, shape=(100_000, 4))
    rows[:] = np.arange(400_000).reshape(100_000, 4)
    fitted = learner(RandomSampling()).fit(
        rows, np.where(np.arange(100_000) < 12, np.arange(100_000) % 3, -1)
    )
    fitted.teach(fitted.query(), np.zeros(5, int))  # what was known before is kept for undo
    assert len(pickle.dumps(fitted)) < rows.nbytes / 100
    back = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(back.y_, fitted.y_)
    assert_array_equal(back.query(), fitted.query())
    assert_array_equal(back.undo().y_, fitted.undo().y_)


def test_extensions_pickle_by_name_too(file, tmp_path):
    rows = np.load(file, mmap_mode="r")
    new = np.memmap(tmp_path / "new.dat", np.float64, "w+", shape=(1000, N_FEATURES))
    new[:] = rows[:1000] + 1
    new = np.memmap(tmp_path / "new.dat", np.float64, "r", shape=(1000, N_FEATURES))
    fitted = learner(CoreSet("input")).fit(rows, Y).extend(new, np.arange(1000) % 3, refit=False)
    fitted.extend(np.asarray(rows[:2]) + 2, [0, 1], refit=False)
    data = pickle.dumps(fitted)
    assert len(data) < rows.nbytes / 100
    back = pickle.loads(data)
    for ours, theirs in zip(fitted._state.extensions, back._state.extensions, strict=True):
        assert_array_equal(ours.X, theirs.X)
    assert_array_equal(back.query(), fitted.query())
    os.rename(tmp_path / "new.dat", tmp_path / "moved.dat")
    with pytest.raises(FileNotFoundError, match=r"new\.dat"):
        pickle.loads(data)


def test_clones_hold_no_pool(file):
    fitted = learner(DGAL(PCA(2), n_neighbors=5)).fit(np.load(file, mmap_mode="r"), Y)
    assert len(pickle.dumps(clone(fitted))) < 5000


def answered(fitted, rows):
    return fitted.query(rows), fitted


def fitted_there(fresh, rows):
    return fresh.fit(rows, Y)


@pytest.mark.skipif(not THOROUGH, reason="imports skal again; in a forked process OpenMP may wait for ever")
def test_processes_ask_learners_and_give_them_back(file):
    rows = np.load(file, mmap_mode="r")
    fitted = learner(CoreSet(PCA(2))).fit(rows, Y)
    with Parallel(2, backend="loky", max_nbytes=1000) as parallel:
        answers = parallel([delayed(answered)(fitted, rows)] * 2)
        in_memory = parallel([delayed(fitted_there)(learner(CoreSet(PCA(2))), np.array(rows[:, :50]))])[0]
        mapped = parallel([delayed(fitted_there)(learner(CoreSet(PCA(2))), rows)])[0]
    for asked, back in answers:
        assert_array_equal(asked, fitted.query())
        assert_array_equal(back.query(), fitted.query())
    # joblib handed the array over in a file, which is gone.
    assert not isinstance(in_memory.X_, np.memmap)
    assert_array_equal(in_memory.X_, rows[:, :50])
    assert len(in_memory.query(np.array(rows[:, :50]))) == 5
    assert_array_equal(pickle.loads(pickle.dumps(in_memory)).query(), in_memory.query())
    assert_array_equal(mapped.query(rows), fitted.query())


@pytest.mark.skipif(not THOROUGH, reason="imports skal again")
def test_a_new_process_asks_the_same(file, tmp_path):
    fitted = learner(DGAL(PCA(2), n_neighbors=5, n_candidates=30)).fit(
        np.load(file, mmap_mode="r")[:, :20], Y
    )
    (tmp_path / "learner.pkl").write_bytes(pickle.dumps(fitted))
    code = f"import pickle; print(*pickle.load(open({str(tmp_path / 'learner.pkl')!r}, 'rb')).query())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert list(map(int, answer.split())) == fitted.query().tolist()


@pytest.mark.parametrize("kind", ["core-set", "DGAL, graph"])
def test_a_file_that_was_replaced_by_one_of_its_size_is_refused(file, tmp_path, kind):
    path = tmp_path / "pool.npy"
    rows = np.load(file, mmap_mode="r")[:, :20]
    np.save(path, rows)
    data = pickle.dumps(learner(STRATEGIES[kind]).fit(np.load(path, mmap_mode="r"), Y))
    other = np.array(rows)
    other[1234, 5] += 1
    np.save(tmp_path / "new.npy", other)
    os.replace(tmp_path / "new.npy", path)
    with pytest.raises(ValueError, match=r"pool\.npy holds other rows.*fit again"):
        pickle.loads(data)
    np.save(path, rows)
    assert len(pickle.loads(data).query()) == 5
    os.truncate(path, 100_000)
    with pytest.raises(ValueError, match=r"pool\.npy.*has 100000 bytes of the"):
        pickle.loads(data)


@pytest.mark.parametrize("as_view", [np.asarray, lambda new: new[:, ::-1][:, ::-1]], ids=["array", "view"])
def test_extensions_from_a_map_that_may_be_written_are_copied(file, tmp_path, as_view):
    new = np.memmap(tmp_path / "new.dat", np.float64, "w+", shape=(10, N_FEATURES))
    new[:] = np.load(file, mmap_mode="r")[:10] + 1
    fitted = learner(CoreSet("input")).fit(np.load(file, mmap_mode="r"), Y)
    fitted.extend(as_view(new), np.arange(10) % 3, refit=False)
    kept = np.array(new)
    new[:] = 0  # the next samples
    assert_array_equal(fitted._state.extensions[0].X, kept)
