"""ActiveLearner with every kind of container and label that it promises to take."""

import os
import pickle

import h5py
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils import get_tags

from skal import UNLABELED
from skal.classifiers import CNNClassifier
from skal.strategies import BADGE, CoreSet, RandomSampling, UncertaintySampling
from tests.learner.common import TRUTH, Noise, X, Y, learner, logistic


def test_only_labelled_rows_reach_the_classifier():
    fitted = learner().fit(X, Y)
    alone = logistic().fit(X[Y >= 0], Y[Y >= 0])
    assert_allclose(fitted.predict_proba(X), alone.predict_proba(X))
    assert_array_equal(fitted.classes_, [0, 1, 2])
    assert fitted.n_features_in_ == 4


def test_teach_refits_the_classifier_and_keeps_the_strategy():
    fitted = learner().fit(X, Y)
    strategy = fitted.strategy_
    rows = fitted.query()
    fitted.teach(rows, TRUTH[rows])
    assert fitted.strategy_ is strategy
    known = np.union1d(np.flatnonzero(Y >= 0), rows)
    assert_allclose(fitted.predict_proba(X), logistic().fit(X[known], TRUTH[known]).predict_proba(X))
    assert not set(rows) & set(fitted.query())


def test_extend_adds_samples_that_are_not_in_the_pool():
    fitted = learner().fit(X, Y)
    new = X[1:4] + 0.01
    fitted.extend(new, TRUTH[1:4])
    known = Y >= 0
    alone = logistic().fit(np.vstack([X[known], new]), np.append(TRUTH[known], TRUTH[1:4]))
    assert_allclose(fitted.predict_proba(X), alone.predict_proba(X))
    assert len(fitted.query(n_queries=135)) == 135


@pytest.mark.parametrize(
    ("classifier", "strategy", "taken"),
    [
        (logistic(), RandomSampling(), True),
        (logistic(), Noise(), False),
        (GaussianNB(), RandomSampling(), False),
        (logistic(), None, True),  # refused later, with the name of the parameter
    ],
    ids=str,
)
def test_sparse_rows_are_taken_by_classifier_and_strategy(classifier, strategy, taken):
    assert get_tags(learner(estimator=classifier, strategy=strategy)).input_tags.sparse == taken


@pytest.mark.parametrize(
    ("classifier", "taken"),
    [
        (logistic(), False),
        (HistGradientBoostingClassifier(), True),
        (make_pipeline(StandardScaler(), logistic()), True),  # what the scaler makes of it is not known here
        (make_pipeline(None, logistic()), False),
        (make_pipeline("passthrough", HistGradientBoostingClassifier()), True),
        (make_pipeline(PCA(2), HistGradientBoostingClassifier()), False),
    ],
    ids=str,
)
def test_nan_is_taken_by_the_first_step(classifier, taken):
    assert get_tags(learner(estimator=classifier)).input_tags.allow_nan == taken


def test_tags_of_the_classifier_are_passed_on():
    class Odd(type(logistic())):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.non_deterministic = tags.classifier_tags.poor_score = True
            tags.classifier_tags.multi_class = False
            return tags

    tags = get_tags(learner(estimator=Odd()))
    assert tags.non_deterministic
    assert tags.classifier_tags.poor_score
    assert not tags.classifier_tags.multi_class


def test_images_extend_flat_rows_and_flat_rows_images():
    images = X.reshape(-1, 1, 2, 2)
    expected = learner().fit(X, Y).extend(X[:2] + 0.5, [0, 1]).query()
    assert_array_equal(learner().fit(X, Y).extend(images[:2] + 0.5, [0, 1]).query(), expected)
    fitted = learner(estimator=make_pipeline(Flatten(), logistic())).fit(images, Y)
    assert_array_equal(fitted.extend(X[:2] + 0.5, [0, 1]).query(), expected)


def test_extend_can_bring_the_first_labels():
    fitted = learner().fit(X, np.full(150, UNLABELED))
    fitted.extend(X[[0, 149]], TRUTH[[0, 149]])
    assert_array_equal(fitted.classes_, [0, 2])


@pytest.mark.parametrize(
    "container", ["list", "array", "fortran", "memmap", "pandas", "polars", "csr", "csr_array", "N-D"]
)
@pytest.mark.parametrize(
    "strategy", [UncertaintySampling(), CoreSet("input"), BADGE(), RandomSampling()], ids=str
)
def test_every_container_gives_the_same_rows(container, strategy, tmp_path):
    names = ["a", "b", "c", "d"]

    def contain(rows):
        if container == "memmap":
            file = np.memmap(tmp_path / f"{len(rows)}.dat", dtype=rows.dtype, mode="w+", shape=rows.shape)
            file[:] = rows
            return file
        return {
            "list": rows.tolist,
            "array": rows.copy,
            "fortran": lambda: np.asfortranarray(rows),
            "pandas": lambda: pd.DataFrame(rows, columns=names),
            "polars": lambda: pl.DataFrame(rows, schema=names),
            "csr": lambda: sparse.csr_matrix(rows),
            "csr_array": lambda: sparse.csr_array(rows),
            "N-D": lambda: rows.reshape(-1, 1, 2, 2),
        }[container]()

    classifier = make_pipeline(Flatten(), logistic()) if container == "N-D" else logistic()
    expected = learner(strategy=strategy).fit(X, Y)
    fitted = learner(estimator=classifier, strategy=strategy).fit(contain(X), Y)
    assert_array_equal(fitted.query(), expected.query())
    assert_array_equal(fitted.query(contain(X)), expected.query())
    assert fitted.n_features_in_ == 4
    assert_allclose(fitted.score(contain(X), TRUTH), expected.score(X, TRUTH))
    rows = expected.query()
    fitted.teach(rows, TRUTH[rows]).extend(contain(X[:2] + 0.5), TRUTH[:2])
    expected.teach(rows, TRUTH[rows]).extend(X[:2] + 0.5, TRUTH[:2])
    assert_array_equal(fitted.query(), expected.query())


class Flatten(sklearn.base.TransformerMixin, sklearn.base.BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X).reshape(len(X), -1)


def test_a_memmap_stays_on_disk(tmp_path):
    pool = np.memmap(tmp_path / "pool.dat", dtype=np.float64, mode="w+", shape=X.shape)
    pool[:] = X
    assert learner().fit(pool, Y).X_ is pool


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
def test_string_labels(missing):
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    y = np.array([missing if code < 0 else names[code] for code in Y], dtype=object)
    fitted = learner().fit(X, y)
    rows = fitted.query()
    assert_array_equal(rows, learner().fit(X, Y).query())
    fitted.teach(rows, names[TRUTH[rows]])
    assert_array_equal(fitted.classes_, names)
    assert set(fitted.predict(X)) == set(names)
    assert fitted.score(X, y) == fitted.score(X[Y >= 0], names[TRUTH[Y >= 0]])


@pytest.mark.parametrize("n_labels", [0, 1])
def test_cold_start(n_labels):
    y = np.full(150, UNLABELED)
    y[:n_labels] = 0
    cold = learner().fit(X, y)
    with pytest.raises(NotFittedError, match="RandomSampling"):
        cold.query()
    if n_labels == 0:
        with pytest.raises(NotFittedError, match="no row is labelled"):
            cold.predict(X)
    else:
        assert_array_equal(cold.predict(X), np.zeros(150))
    starter = learner(strategy=RandomSampling()).fit(X, y)
    rows = starter.query(n_queries=20)
    cold.teach(rows, TRUTH[rows])
    assert cold.query().shape == (5,)


def test_frames_keep_their_columns_for_the_classifiers_own_pipeline():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 5.8, "long", "short"))
    encoder = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    fitted = learner(estimator=make_pipeline(encoder, logistic())).fit(frame, Y)
    assert_array_equal(fitted.feature_names_in_, [*"abcd", "kind"])
    assert fitted.query(frame.copy()).shape == (5,)
    with pytest.raises(ValueError, match="feature names"):
        fitted.query(frame.rename(columns={"a": "z"}))


def test_missing_values_pass_where_the_classifier_takes_them():
    holes = X.copy()
    holes[::7, 1] = np.nan
    fitted = learner(estimator=HistGradientBoostingClassifier(min_samples_leaf=2, max_iter=5)).fit(holes, Y)
    assert fitted.query().shape == (5,)
    with pytest.raises(ValueError, match="NaN"):
        learner().fit(holes, Y)
    with pytest.raises(ValueError, match="NaN"):
        learner(estimator=HistGradientBoostingClassifier(), strategy=CoreSet("input")).fit(holes, Y)


def test_another_pool_has_no_labelled_rows():
    fitted = learner().fit(X, Y)
    assert_array_equal(np.sort(fitted.query(X + 1, n_queries=150)), np.arange(150))
    assert_array_equal(np.sort(fitted.query(X[:30], n_queries=30)), np.arange(30))
    # An equal array is the fitted pool: its labelled rows stay out.
    assert not (Y[fitted.query(X.copy(), n_queries=100)] >= 0).any()


def test_the_fitted_pool_is_known_by_its_content():
    images = X.reshape(-1, 1, 2, 2)
    fitted = learner(estimator=make_pipeline(Flatten(), logistic())).fit(images, Y)
    assert_array_equal(fitted.query(X.copy()), fitted.query())
    frame = pd.DataFrame(X, columns=list("abcd"))
    fitted = learner().fit(frame, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_array_equal(fitted.query(X), fitted.query())
    with pytest.raises(ValueError, match="in another order"):
        fitted.query(frame.iloc[::-1])
    assert not len(
        set(fitted.query(frame.iloc[::-1].reset_index(drop=True), n_queries=150)) - set(range(150))
    )


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_frame_changed_in_place_is_noticed(frame):
    pool = frame(np.zeros((500, 3)) + np.arange(500)[:, None])
    fitted = learner(strategy=RandomSampling()).fit(pool, np.arange(500) % 2)
    if frame is pd.DataFrame:
        pool.iloc[77, 1] = -1
    else:
        pool[77, 1] = -1
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query(pool)


def test_images_and_flat_rows_give_the_same_queries():
    X8, y8 = load_digits(return_X_y=True)
    X8, y = (X8[:200] / 16).astype(np.float32), np.where(np.arange(200) < 40, y8[:200], UNLABELED)
    for strategy in (UncertaintySampling(), BADGE(), CoreSet()):
        flat = learner(estimator=CNNClassifier(image_shape=(1, 8, 8), max_epochs=3), strategy=strategy).fit(
            X8, y
        )
        images = learner(estimator=CNNClassifier(max_epochs=3), strategy=strategy).fit(
            X8.reshape(-1, 1, 8, 8), y
        )
        assert_array_equal(flat.query(), images.query())
        assert_array_equal(flat.query(X8.reshape(-1, 1, 8, 8)), flat.query())


def test_a_pool_changed_in_place_is_noticed():
    pool = X.copy()
    fitted = learner().fit(pool, Y)
    pool[3] += 1
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query(pool)
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query()


VERBS = {
    "teach": lambda fitted, folder: fitted.teach([121], [0]),
    "teach, recorded only": lambda fitted, folder: fitted.teach([121], [0], refit=False),
    "teach the audit": lambda fitted, folder: fitted.teach([121], [0], audit=True),
    "forget": lambda fitted, folder: fitted.forget([0]),
    "skip": lambda fitted, folder: fitted.skip([121]),
    "audit": lambda fitted, folder: fitted.audit(3),
    "grow": lambda fitted, folder: fitted.grow(np.append(fitted.X_, X[:2], axis=0)),
    "refit": lambda fitted, folder: fitted.refit(),
    "use": lambda fitted, folder: fitted.use(CoreSet("input")),
    "save": lambda fitted, folder: fitted.save(folder / "learner"),
}


@pytest.mark.parametrize("in_file", [False, True], ids=["array", "file"])
@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_takes_other_rows_for_those_of_fit(verb, in_file, tmp_path):
    np.save(tmp_path / "pool.npy", X)
    writing = np.load(tmp_path / "pool.npy", mmap_mode="r+")
    pool = np.load(tmp_path / "pool.npy", mmap_mode="r") if in_file else writing.copy()
    fitted = learner().fit(pool, Y)
    before = fitted.labels_
    if in_file:
        os.utime(tmp_path / "pool.npy", (1, 1))  # as if written a while ago
        fitted = learner().fit(pool, Y)
        writing[:] = X[::-1]
        writing.flush()
    else:
        pool[:] = X[::-1]
    with pytest.raises(ValueError, match=r"changed in place.*learner.labels_ has the labels"):
        VERBS[verb](fitted, tmp_path)
    assert_array_equal(fitted.labels_, before)
    assert not len(fitted.skipped_)
    assert not (tmp_path / "learner").exists() or not list((tmp_path / "learner").iterdir())


def test_answers_are_recorded_while_the_file_of_the_pool_is_closed(tmp_path):
    with h5py.File(tmp_path / "pool.h5", "w") as file:
        file["rows"] = X
    with h5py.File(tmp_path / "pool.h5", "r") as file:
        fitted = learner().fit(file["rows"], Y)
    fitted.teach([121], [0], refit=False).skip([123])
    with pytest.raises(ValueError, match="was closed") as caught:
        fitted.teach([124], [1])
    assert "The answers are recorded" in caught.value.__notes__[0]
    assert_array_equal(fitted.labels_[[121, 124]], [0, 1])
    with pytest.raises(ValueError, match="was closed"):
        fitted.query()


def test_samples_beside_a_changed_pool_are_kept():
    pool = X.copy()
    fitted = learner().fit(pool, Y)
    pool[3] += 1
    with pytest.raises(ValueError, match="changed in place") as caught:
        fitted.extend(X[:1], [0])
    assert "The answers are recorded" in caught.value.__notes__[0]
    assert len(fitted.extension_keys_) == 1


def test_pickle_keeps_one_pool():
    fitted = learner(strategy=CoreSet("input")).fit(
        np.zeros((20_000, 10)) + np.arange(10), np.arange(20_000) % 2
    )
    assert len(pickle.dumps(fitted)) < 1.5 * fitted.X_.nbytes


def test_without_a_random_state_nothing_is_seeded():
    fitted = learner(strategy=BADGE(), random_state=None).fit(X, Y)
    assert fitted.strategy_.random_state is None
    assert fitted.estimator_.random_state is None
    seeded = learner(strategy=BADGE(), random_state=1).fit(X, Y)
    assert isinstance(seeded.strategy_.random_state, int)
    assert isinstance(seeded.estimator_.random_state, int)
    own = learner(strategy=BADGE(random_state=4), random_state=1).fit(X, Y)
    assert own.strategy_.random_state == 4


def test_samples_are_others_after_more_labels_and_for_another_seed():
    fitted = learner(strategy=Noise()).fit(X, Y)
    first = fitted.synthesize()
    assert first.shape == (5, 4)
    assert_array_equal(fitted.synthesize(), first)
    assert_array_equal(fitted.synthesize(random_state=3), fitted.synthesize(random_state=3))
    assert (fitted.synthesize(random_state=3) != first).any()
    fitted.teach([1], [0])
    second = fitted.synthesize()
    assert (second != first).any()
    fitted.extend(X[:1] + 1, [0])
    assert (fitted.synthesize() != second).any()
    assert_array_equal(learner(strategy=Noise()).fit(X, Y).synthesize(), first)


def test_a_strategy_prepares_with_the_labels():
    class Prepared(UncertaintySampling):
        def _fit(self, X, y):
            self.codes_ = y

    assert_array_equal(learner(strategy=Prepared()).fit(X, Y).strategy_.codes_, Y)


def test_extensions_that_do_not_fit_the_pool_are_refused_and_not_recorded():
    frame, other = pd.DataFrame(X, columns=list("abcd")), pl.DataFrame(X, schema=list("abcd"))
    for pool, given in (
        (frame, other[:2]),
        (other, frame[:2]),
        (other, other[:2].cast({"a": pl.String})),
        (frame, frame[:2].assign(a="x")),
        (X, sparse.csr_array(X[:2])),
    ):
        fitted = learner(strategy=RandomSampling()).fit(pool, np.full(150, UNLABELED))
        with pytest.raises((ValueError, TypeError)):
            fitted.extend(given, [0, 0])
        fitted.teach([3, 60], TRUTH[[3, 60]])
        assert_array_equal(fitted.classes_, [0, 1])


def test_dense_rows_extend_sparse_ones():
    expected = learner().fit(X, Y).extend(X[:2] + 1, [1, 0])
    fitted = learner().fit(sparse.csr_array(X), Y).extend(X[:2] + 1, [1, 0])
    assert_allclose(fitted.predict_proba(X), expected.predict_proba(X), rtol=1e-3)


@pytest.mark.parametrize(
    "names", [np.array(["a", "b", "c"], dtype=object), np.array([3, 4, 5], dtype=np.uint8)], ids=str
)
@pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")
def test_a_semi_supervised_classifier_whose_last_row_is_labelled(names):
    y = names[TRUTH]
    fitted = learner(estimator=SelfTrainingClassifier(logistic())).fit(X, y)
    assert_array_equal(fitted.classes_, names)
