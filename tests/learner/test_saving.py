"""A learner in a folder: the next query in another process is the one that would have been."""

import copy
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skal import ActiveLearner
from skal.classifiers import LabelEncodedClassifier, NetClassifier
from skal.exceptions import ModelFileError
from skal.learner import reader
from skal.strategies import (
    ASAL,
    DGAL,
    GAAL,
    SEALS,
    CoreSet,
    RandomSampling,
    SynthesisStrategy,
    UncertaintySampling,
)
from skal.training.files import read_file, write_file
from tests import THOROUGH
from tests.fuzzing import fuzz
from tests.learner.common import TRUTH, X, Y
from tests.networks import tiny_gan, tiny_vae
from tests.processes import run_fresh
from tests.properties.strategies import STRATEGIES, NearestMean

SAVED = Path(__file__).parent / "saved"
ENCODED = [
    DGAL(PCA(2)),
    DGAL(tiny_vae()),
    DGAL(FrozenEstimator(PCA(2).fit(X))),
    ASAL(tiny_gan()),
    GAAL(tiny_gan()),
    SEALS(PCA(2)),
    CoreSet(make_pipeline(StandardScaler(), PCA(2))),
]


def plan(classifier, strategy):
    return ActiveLearner(classifier, strategy, n_queries=3, cold_start=CoreSet("input"), random_state=0)


def taught(planned):
    fitted = clone(planned).fit(X, Y).skip([55]).teach([51, 53], [1, 2])
    fitted.teach([91], [1], audit=True)
    rows = fitted.audit(4)[:2]
    return fitted.teach(rows, TRUTH[rows], audit=True).extend(X[:2] + 0.1, [0, 1], keys=["a", "b"])


def asked(learner):
    is_synthesis = isinstance(learner.strategy, SynthesisStrategy)
    return learner.synthesize() if is_synthesis else learner.query()


def assert_same(one, other):
    for step in ("now", "undo", "teach"):
        if step == "undo":
            one.undo(), other.undo()
        elif step == "teach":
            one.teach([22], [0]), other.teach([22], [0])
        assert_array_equal(asked(one), asked(other), err_msg=step)
        assert_array_equal(one.predict(X), other.predict(X), err_msg=step)
        for name in (
            "labels_",
            "y_",
            "skipped_",
            "audit_",
            "audit_pending_",
            "row_states_",
            "extension_keys_",
        ):
            assert_array_equal(getattr(one, name), getattr(other, name), err_msg=f"{step} {name}")
        assert one.class_counts_ == other.class_counts_
        assert_array_equal(copy.deepcopy(one).audit(2), copy.deepcopy(other).audit(2), err_msg=step)
        if step == "now":
            for table in ("record_", "audit_sample_"):
                for name, array in getattr(one, table).items():
                    assert_array_equal(array, getattr(other, table)[name])


@pytest.mark.parametrize("strategy", [*STRATEGIES, *ENCODED], ids=lambda strategy: type(strategy).__name__)
def test_every_strategy_goes_on(tmp_path, strategy):
    planned = plan(NearestMean(), strategy)
    if isinstance(strategy, SynthesisStrategy):
        planned.set_params(cold_start=None)
    fitted = taught(planned)
    fitted.save(tmp_path)
    assert_same(ActiveLearner.load(tmp_path, X.copy(), planned), fitted)


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
    planned = ActiveLearner(LogisticRegression(max_iter=1000), DGAL(PCA(2)), n_queries=3, random_state=0)
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
    planned = plan(LogisticRegression(max_iter=1000), DGAL(PCA(2)))
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


CLASSIFIERS = [
    LogisticRegression(max_iter=1000),
    GaussianNB(),
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    LabelEncodedClassifier(LogisticRegression(max_iter=1000)),
    NetClassifier(max_epochs=2),
    make_pipeline(StandardScaler(), NetClassifier(max_epochs=2)),
    # These cannot be written, and are trained again.
    KNeighborsClassifier(3),
    RandomForestClassifier(5),
    SGDClassifier(loss="log_loss"),
    NeuralNetClassifier(nn.Linear, module__in_features=4, module__out_features=3, criterion=nn.CrossEntropyLoss,
                        train_split=None, verbose=0),
    FrozenEstimator(LogisticRegression(max_iter=1000).fit(X, TRUTH)),
]  # fmt: skip


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda classifier: type(classifier).__name__)
def test_every_classifier_goes_on(tmp_path, classifier):
    planned = plan(classifier, UncertaintySampling())
    fitted = taught(planned)
    fitted.save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, X, planned)
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert_same(loaded, fitted)


def test_the_classifier_is_the_one_of_before_untrained_answers(tmp_path):
    for classifier in (LogisticRegression(max_iter=1000), RandomForestClassifier(5)):
        planned = plan(classifier, UncertaintySampling())
        fitted = clone(planned).fit(X, Y).teach([51, 53], [2, 1], refit=False)
        fitted.save(tmp_path)
        loaded = ActiveLearner.load(tmp_path, X, planned)
        assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
        assert_array_equal(loaded.refit().predict_proba(X), fitted.refit().predict_proba(X))


@pytest.mark.parametrize("labels", [np.full(150, -1), np.where(Y == 1, 1, -1)], ids=["none", "one class"])
def test_before_there_is_a_classifier(tmp_path, labels):
    planned = plan(LogisticRegression(), UncertaintySampling())
    fitted = clone(planned).fit(X, labels)
    fitted.save(tmp_path)
    assert_array_equal(ActiveLearner.load(tmp_path, X, planned).query(), fitted.query())


def test_other_containers_go_on(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"), index=[f"flower {row}" for row in range(150)])
    texts = [" ".join("abcdefgh"[int(value) % 8] * 2 for value in row) for row in X * 10]
    names = np.array(["setosa", "versicolor", "virginica", None], dtype=object)[Y]
    for pool, new, classifier in (
        (frame, frame[:2] + 1, LogisticRegression(max_iter=1000)),
        (sparse.csr_array(X), sparse.csr_array(X[:2] + 1), LogisticRegression(max_iter=1000)),
        (texts, texts[:2], make_pipeline(TfidfVectorizer(), LogisticRegression())),
    ):
        planned = plan(classifier, UncertaintySampling()).set_params(cold_start=RandomSampling())
        fitted = clone(planned).fit(pool, names).extend(new, ["setosa", "virginica"], keys=["a", "b"])
        fitted.save(tmp_path)
        loaded = ActiveLearner.load(tmp_path, pool, planned)
        assert_array_equal(loaded.query(), fitted.query())
        rows = fitted.query()
        answers = ["setosa"] * len(rows)
        assert_array_equal(loaded.teach(rows, answers).query(), fitted.teach(rows, answers).query())
        assert list(loaded.y_) == list(fitted.y_)
        if pool is frame:
            assert_array_equal(loaded.ids_, fitted.ids_)


def test_a_frame_in_another_order_is_put_into_that_of_then(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"), index=[f"flower {row}" for row in range(150)])
    planned = plan(LogisticRegression(max_iter=1000), UncertaintySampling())
    fitted = clone(planned).fit(frame, Y)
    fitted.save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, frame.sample(frac=1, random_state=0), planned)
    assert_array_equal(loaded.query(), fitted.query())
    assert_array_equal(loaded.X_.index, frame.index)
    with pytest.raises(ValueError, match="other ids"):
        ActiveLearner.load(tmp_path, frame.set_axis([f"tree {row}" for row in range(150)]), planned)


def test_another_process_goes_on_without_training(tmp_path):
    planned = ActiveLearner(
        LogisticRegression(max_iter=1000), ASAL(tiny_gan(), n_steps=3), n_queries=5, random_state=0
    )
    fitted = clone(planned).fit(X, Y).teach([51, 53], [1, 2])
    fitted.save(tmp_path)
    np.save(tmp_path / "pool.npy", X)
    run_fresh(
        """
import numpy as np
from sklearn.linear_model import LogisticRegression
from skal import ActiveLearner
from skal.generators import GAN
from skal.strategies import ASAL
from tests.networks import tiny_gan

def fit(*args, **params):
    raise AssertionError("a generator was trained")

GAN.fit = fit
planned = ActiveLearner(LogisticRegression(max_iter=1000), ASAL(tiny_gan(), n_steps=3), n_queries=5, random_state=0)
learner = ActiveLearner.load(folder, np.load(f"{folder}/pool.npy"), planned)
assert learner.query().tolist() == rows
""",
        folder=str(tmp_path),
        rows=fitted.query().tolist(),
    )


def test_another_pool_and_another_plan_are_refused(tmp_path):
    planned = plan(LogisticRegression(max_iter=1000), DGAL(PCA(2)))
    taught(planned).save(tmp_path)
    for pool in (X[::-1], X[:100], X + 1e-9, X.astype(np.float32)):
        with pytest.raises(ValueError, match="X is not the pool"):
            ActiveLearner.load(tmp_path, pool, planned)
    for other in (
        plan(LogisticRegression(max_iter=1000), DGAL(PCA(2), n_neighbors=3)),
        plan(LogisticRegression(max_iter=999), DGAL(PCA(2))),
        plan(LogisticRegression(max_iter=1000), SEALS(PCA(2))),
        plan(LogisticRegression(max_iter=1000), DGAL(PCA(2))).set_params(classes=[0, 1, 2]),
    ):
        with pytest.raises(ValueError, match="The learner was saved with"):
            ActiveLearner.load(tmp_path, X, other)


def test_saves_that_meet_leave_a_whole_folder(tmp_path):
    planned = plan(NetClassifier(max_epochs=1), UncertaintySampling())
    fitted = taught(planned)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: fitted.save(tmp_path), range(12)))
    assert_same(ActiveLearner.load(tmp_path, X, planned), fitted)


def test_parts_of_another_learner_are_refused(tmp_path):
    planned = plan(NetClassifier(max_epochs=1), UncertaintySampling())
    parts = []
    for name, rows in (("a", [51, 53]), ("b", [57, 59])):
        clone(planned).fit(X, Y).teach(rows, [1, 2]).save(tmp_path / name)
        parts.append(next((tmp_path / name).glob("*-0.skal")))
    shutil.copy(parts[1], parts[0])
    with pytest.raises(ModelFileError, match="belongs to another learner"):
        ActiveLearner.load(tmp_path / "a", X, planned)


def test_a_classifier_of_other_parameters_is_not_trained_again(tmp_path):
    planned = plan(RandomForestClassifier(2, max_depth=2), UncertaintySampling())
    fitted = clone(planned).fit(X, Y).set_params(estimator__n_estimators=60)
    with pytest.raises(TypeError, match="estimator"):
        fitted.save(tmp_path)
    fitted.refit().save(tmp_path)


def test_requests_of_metadata_are_no_obstacle(tmp_path):
    with config_context(enable_metadata_routing=True):
        planned = plan(
            LogisticRegression(max_iter=1000).set_fit_request(sample_weight=True), UncertaintySampling()
        )
        fitted = clone(planned).fit(X, Y).teach([51], [1], sample_weight=[2.0])
        fitted.save(tmp_path)
        assert_same(ActiveLearner.load(tmp_path, X, planned), fitted)


def test_learners_pickle_while_others_teach(tmp_path):
    fitted = taught(plan(LogisticRegression(max_iter=1000), UncertaintySampling()))

    def teach():
        for row in np.flatnonzero(Y < 0)[30:60]:
            fitted.teach([row], [int(TRUTH[row])], overwrite=True, refit=False).query()

    with ThreadPoolExecutor(2) as threads:
        teaching = threads.submit(teach)
        while not teaching.done():
            copy.deepcopy(fitted)
        teaching.result()


class Unsavable(PCA):
    def fit(self, X, y=None):
        self.callback_ = lambda: 0
        return super().fit(X, y)

    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X)


def test_what_cannot_be_restored_is_refused_and_the_folder_stays(tmp_path):
    planned = plan(LogisticRegression(max_iter=1000), UncertaintySampling())
    fitted = taught(planned)
    fitted.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for strategy, classifier, part in (
        (DGAL(Unsavable(2)), LogisticRegression(max_iter=1000), "state.strategy.encoder_.callback_"),
        (SEALS(PCA(2), index="approximate"), LogisticRegression(max_iter=1000), "state.strategy.index_"),
    ):
        with pytest.raises(TypeError, match=part) as error:
            taught(plan(classifier, strategy)).save(tmp_path)
        assert "Nothing was saved" in error.value.__notes__[0]
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    forest = taught(plan(KNeighborsClassifier(3), UncertaintySampling()).set_params(random_state=None))
    forest.save(tmp_path)  # nothing in it is random


def test_a_save_that_fails_leaves_the_one_before(tmp_path, monkeypatch):
    planned = plan(NetClassifier(max_epochs=1), UncertaintySampling())
    fitted = taught(planned)
    fitted.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("skal.learner.saving.write_file", fail)
        with pytest.raises(OSError, match="No space"):
            fitted.teach([57], [0]).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "0123456789abcdef-0.skal").write_bytes(b"of a save that was killed")
    (tmp_path / "notes-1.skal").write_bytes(b"somebody's own")
    fitted.save(tmp_path)
    assert not (tmp_path / "0123456789abcdef-0.skal").exists()
    assert (tmp_path / "notes-1.skal").exists()
    assert_same(ActiveLearner.load(tmp_path, X, planned), fitted)


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


@pytest.mark.parametrize("version", [1, 2])
def test_a_folder_of_every_version_is_read(tmp_path, version):
    """Made by ``python -m tests.learner.test_saving``; a new version adds one and keeps those before."""
    shutil.copytree(SAVED / f"version {version}", tmp_path, dirs_exist_ok=True)
    loaded = ActiveLearner.load(tmp_path, X, kept())
    twin = taught(kept())
    if version == 1:  # which knew no draws
        twin.forget(np.setdiff1d(twin.audit_, [91]))
        assert not len(loaded.audit_sample_["row"])
    else:
        assert_array_equal(loaded.audit_sample_["state"], ["labelled"] * 2 + ["pending"] * 2)
    assert_array_equal(loaded.labels_, twin.labels_)
    assert loaded.extension_keys_.tolist() == ["a", "b"]
    assert len(loaded.query()) == 3
    loaded.teach([22], [0]).save(tmp_path)


def kept():
    return plan(LogisticRegression(max_iter=1000), CoreSet(tiny_vae()))


if __name__ == "__main__":
    taught(kept()).save(SAVED / "version 2")
