"""A learner in a folder: the next query in another process is the one that would have been."""

import copy
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
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
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import Dataset, TensorDataset

from skal import ActiveLearner
from skal.classifiers import LabelEncodedClassifier, NetClassifier
from skal.exceptions import ModelFileError, PoolWarning, UnsavableError
from skal.learner import reader
from skal.strategies import (
    ASAL,
    DGAL,
    SEALS,
    CoreSet,
    RandomSampling,
    SynthesisStrategy,
    TypiClust,
    UncertaintySampling,
)
from tests.learner.common import TRUTH, X, Y
from tests.learner.planned import ENCODED, assert_same, plan, taught
from tests.networks import tiny_gan
from tests.processes import run_fresh
from tests.properties.strategies import STRATEGIES, NearestMean


@pytest.mark.parametrize("strategy", [*STRATEGIES, *ENCODED], ids=lambda strategy: type(strategy).__name__)
def test_every_strategy_goes_on(tmp_path, strategy):
    planned = plan(NearestMean(), strategy)
    if isinstance(strategy, SynthesisStrategy):
        planned.set_params(cold_start=None)
    fitted = taught(planned)
    fitted.save(tmp_path)
    assert_same(ActiveLearner.load(tmp_path, X.copy(), planned), fitted)


CLASSIFIERS = [
    LogisticRegression(tol=0.1),
    GaussianNB(),
    make_pipeline(StandardScaler(), LogisticRegression(tol=0.1)),
    LabelEncodedClassifier(LogisticRegression(tol=0.1)),
    NetClassifier(max_epochs=2),
    make_pipeline(StandardScaler(), NetClassifier(max_epochs=2)),
    # These cannot be written, and are trained again.
    KNeighborsClassifier(3),
    RandomForestClassifier(5),
    SGDClassifier(loss="log_loss"),
    NeuralNetClassifier(nn.Linear, module__in_features=4, module__out_features=3, criterion=nn.CrossEntropyLoss,
                        train_split=None, verbose=0),
    FrozenEstimator(LogisticRegression(tol=0.1).fit(X, TRUTH)),
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
    for classifier in (LogisticRegression(tol=0.1), RandomForestClassifier(5)):
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
        (frame, frame[:2] + 1, LogisticRegression(tol=0.1)),
        (sparse.csr_array(X), sparse.csr_array(X[:2] + 1), LogisticRegression(tol=0.1)),
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


class Decoded(Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return self.rows[row]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_samples_beside_a_torch_dataset_go_on(tmp_path, dtype, monkeypatch):
    monkeypatch.setattr(reader, "_MAPPED_BYTES", 0)
    rows = (10 * X).astype(dtype)
    pool = TensorDataset(torch.tensor(rows), torch.tensor(TRUTH))
    planned = plan(NetClassifier(max_epochs=1), RandomSampling())
    fitted = clone(planned).fit(pool, Y).extend(rows[1:4], [0, 1, 2], keys=["a", "b", "c"])
    fitted.extend(TensorDataset(torch.tensor(rows[5:6])), [1], keys=["d"]).forget(extension=["b"])
    fitted.save(tmp_path)
    for mmap_mode in (None, "r"):
        loaded = ActiveLearner.load(tmp_path, pool, planned, mmap_mode=mmap_mode)
        assert_array_equal(loaded.predict_proba(pool), fitted.predict_proba(pool))
        assert_array_equal(np.vstack([each.X.read() for each in loaded._state.extensions]), rows[[1, 3, 5]])
        assert loaded._state.extensions[0].X.dtype == dtype
        assert_array_equal(
            loaded.refit().predict_proba(pool), copy.deepcopy(fitted).refit().predict_proba(pool)
        )
    with pytest.raises(TypeError, match=r"extensions\[2\]\.X is a skal\.pool") as caught:
        fitted.extend(Decoded(rows), TRUTH).save(tmp_path)
    assert "in an array, or in a TensorDataset" in caught.value.__notes__[0]


@pytest.mark.parametrize("index", [[f"flower {row}" for row in range(150)], None], ids=["named", "counted"])
def test_a_frame_in_another_order_is_put_into_that_of_then(tmp_path, index):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcd"), index=index)
    planned = plan(LogisticRegression(tol=0.1), UncertaintySampling())
    fitted = clone(planned).fit(frame, Y)
    fitted.save(tmp_path)
    other = frame.sample(frac=1, random_state=0)
    with pytest.warns(PoolWarning, match=r"index=learner\.ids_"):
        loaded = ActiveLearner.load(tmp_path, other, planned)
    assert_array_equal(loaded.query(), fitted.query())
    by_name = other.assign(label=pd.Series(loaded.labels_, index=loaded.ids_))["label"]
    assert_array_equal(by_name.loc[frame.index], Y)
    assert_array_equal(loaded.X_.index, frame.index)
    if index is None:  # and names of rows are welcome later
        return
    with pytest.raises(ValueError, match="other ids"):
        ActiveLearner.load(tmp_path, frame.set_axis([f"tree {row}" for row in range(150)]), planned)


@pytest.mark.parametrize(
    "ids", [[f"flower {row}" for row in range(150)], np.arange(150)[::-1]], ids=["words", "numbers"]
)
def test_ids_beside_an_index_that_only_counts(tmp_path, ids):
    frame = pytest.importorskip("pandas").DataFrame(X)
    planned = plan(LogisticRegression(tol=0.1), UncertaintySampling())
    fitted = clone(planned).fit(frame, Y, ids=ids)
    fitted.save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, frame, planned)
    assert_array_equal(loaded.query(), fitted.query())
    assert_array_equal(loaded.ids_, ids)
    with pytest.raises(ValueError, match="not like those of the rows"):
        fitted.positions(np.arange(150) < 3)


def test_another_process_goes_on_without_training(tmp_path):
    planned = ActiveLearner(
        LogisticRegression(tol=0.1), ASAL(tiny_gan(), n_steps=3), n_queries=5, random_state=0
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
planned = ActiveLearner(LogisticRegression(tol=0.1), ASAL(tiny_gan(), n_steps=3), n_queries=5, random_state=0)
learner = ActiveLearner.load(folder, np.load(f"{folder}/pool.npy"), planned)
assert learner.query().tolist() == rows
""",
        folder=str(tmp_path),
        rows=fitted.query().tolist(),
    )


def test_another_pool_and_another_plan_are_refused(tmp_path):
    planned = plan(LogisticRegression(tol=0.1), DGAL(PCA(2)))
    taught(planned).save(tmp_path)
    for pool in (X[::-1], X[:100], X + 1e-9, X.astype(np.float32)):
        with pytest.raises(ValueError, match="X is not the pool"):
            ActiveLearner.load(tmp_path, pool, planned)
    for other in (
        plan(LogisticRegression(tol=0.1), DGAL(PCA(2), n_neighbors=3)),
        plan(LogisticRegression(max_iter=999), DGAL(PCA(2))),
        plan(LogisticRegression(tol=0.1), SEALS(PCA(2))),
        plan(LogisticRegression(tol=0.1), DGAL(PCA(2))).set_params(classes=[0, 1, 2]),
    ):
        with pytest.raises(ValueError, match="The learner was saved with"):
            ActiveLearner.load(tmp_path, X, other)


class Before(GaussianNB):
    __qualname__ = "Classifier"

    def __init__(self, var_smoothing=1e-9, gone="x", strict=False):
        super().__init__(var_smoothing=var_smoothing)
        self.gone, self.strict = gone, strict


class After(GaussianNB):
    __qualname__ = "Classifier"

    def __init__(self, var_smoothing=1e-8, new=3, strict=False):
        super().__init__(var_smoothing=var_smoothing)
        self.new, self.strict = new, strict


def test_another_version_of_a_library_has_other_defaults(tmp_path):
    fitted = taught(plan(Before(), UncertaintySampling()))
    fitted.save(tmp_path)
    changes = (
        "gone from 'x' to nothing, .*new from nothing to 3, .*var_smoothing from 1e-09 to 1e-08. Trainings"
    )
    with pytest.warns(UserWarning, match=changes):
        loaded = ActiveLearner.load(tmp_path, X, plan(After(), UncertaintySampling()))
    assert_array_equal(loaded.labels_, fitted.labels_)
    assert_array_equal(loaded.query(), fitted.query())
    loaded.teach(loaded.query(), TRUTH[loaded.query()])
    for other in (After(new=4), After(var_smoothing=1e-7), After(strict=True)):
        with pytest.raises(ValueError, match="The learner was saved with"):
            ActiveLearner.load(tmp_path, X, plan(other, UncertaintySampling()))
    taught(plan(Before(gone="y"), UncertaintySampling())).save(tmp_path)
    with pytest.raises(
        ValueError, match="saved with estimator__gone='y', and estimator__gone=None was given"
    ):
        ActiveLearner.load(tmp_path, X, plan(After(), UncertaintySampling()))


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


class Opaque(DecisionTreeClassifier):
    """Its state holds what no file can."""

    def fit(self, X, y):
        self.opaque_ = lambda: None
        return super().fit(X, y)


def test_draws_that_the_record_lacks_are_refused(tmp_path):
    fitted = ActiveLearner(GaussianNB(), RandomSampling(), random_state=0).fit(X, Y)
    fitted.audit(3)
    fitted._state = replace(fitted._state, record=fitted._state.record[:-1])
    fitted.save(tmp_path)
    with pytest.raises(ModelFileError, match="holds draws of an audit that its record lacks"):
        ActiveLearner.load(tmp_path, X, clone(fitted))


def test_a_classifier_of_other_parameters_is_not_trained_again(tmp_path):
    planned = plan(Opaque(max_depth=2), UncertaintySampling())
    fitted = clone(planned).fit(X, Y).set_params(estimator__max_depth=3)
    with pytest.raises(TypeError, match="estimator"):
        fitted.save(tmp_path)
    fitted.refit().save(tmp_path)


def test_requests_of_metadata_are_no_obstacle(tmp_path):
    with config_context(enable_metadata_routing=True):
        planned = plan(LogisticRegression(tol=0.1).set_fit_request(sample_weight=True), UncertaintySampling())
        fitted = clone(planned).fit(X, Y).teach([51], [1], sample_weight=[2.0])
        fitted.save(tmp_path)
        assert_same(ActiveLearner.load(tmp_path, X, planned), fitted)


def test_learners_pickle_while_others_teach(tmp_path):
    fitted = taught(plan(LogisticRegression(tol=0.1), UncertaintySampling()))

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
    planned = plan(LogisticRegression(tol=0.1), UncertaintySampling())
    fitted = taught(planned)
    fitted.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for strategy, classifier, part in (
        (DGAL(Unsavable(2)), LogisticRegression(tol=0.1), "state.strategy.encoder_.callback_"),
        (SEALS(PCA(2), index="approximate"), LogisticRegression(tol=0.1), "state.strategy.index_"),
    ):
        with pytest.raises(TypeError, match=part) as error:
            taught(plan(classifier, strategy)).save(tmp_path)
        assert "Nothing was saved" in error.value.__notes__[0]
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    forest = taught(plan(KNeighborsClassifier(3), UncertaintySampling()).set_params(random_state=None))
    forest.save(tmp_path)  # nothing in it is random


@pytest.mark.parametrize("strategy", [CoreSet, DGAL, TypiClust])
def test_an_encoder_that_cannot_be_restored_is_saved_once_it_is_frozen(tmp_path, strategy):
    """As the note says; `use` gives it to a learner that has labels already."""
    planned = plan(LogisticRegression(tol=0.1), strategy(Unsavable(2)))
    fitted = taught(planned)
    with pytest.raises(UnsavableError, match="encoder_") as refused:
        fitted.save(tmp_path)
    assert "FrozenEstimator(encoder)" in refused.value.__notes__[0]
    frozen = strategy(FrozenEstimator(Unsavable(2).fit(X)))
    fitted.use(frozen).save(tmp_path)
    assert_same(ActiveLearner.load(tmp_path, X, clone(planned).set_params(strategy=frozen)), fitted)


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


@pytest.mark.parametrize("interrupted", ["learner.skal", "-0.skal"], ids=["the last file", "a part"])
def test_a_save_that_is_interrupted_leaves_a_whole_folder(tmp_path, monkeypatch, interrupted):
    planned, rename = plan(NetClassifier(max_epochs=1), UncertaintySampling()), os.replace
    fitted = taught(planned)
    fitted.save(tmp_path)
    before = ActiveLearner.load(tmp_path, X, planned)
    fitted.teach(fitted.query(n_queries=2), [0, 1])

    def renamed(old, new):
        rename(old, new)
        if str(new).endswith(interrupted):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", renamed)
        with pytest.raises(KeyboardInterrupt):
            fitted.save(tmp_path)
    expected = fitted if interrupted == "learner.skal" else before
    assert_same(ActiveLearner.load(tmp_path, X, planned), expected)
    fitted.save(tmp_path)
    assert_same(ActiveLearner.load(tmp_path, X, planned), fitted)
    saves = {path.name.partition("-")[0] for path in tmp_path.glob("*-*.skal")}
    assert len(saves) == 1
