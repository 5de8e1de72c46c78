"""Labelling for weeks, what comes later: pools that grow, tables in another order, classes and weights."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import clone, config_context
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import FitFailedWarning, UnsetMetadataPassedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skal import UNLABELED, ActiveLearner
from skal.classifiers import LabelEncodedClassifier
from skal.strategies import RandomSampling
from tests.learner.common import TRUTH, X, Y, learner
from tests.properties.strategies import STRATEGIES, NearestMean

pd = pytest.importorskip("pandas")
FREE = np.flatnonzero(Y < 0)
NAMES = np.array([f"flower {row}" for row in range(150)])


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_a_pool_grows(strategy):
    rng = np.random.default_rng(0)
    X = rng.integers(-3, 4, (60, 3)).astype(float)
    y = np.full(60, UNLABELED)
    y[:3], y[50] = [0, 1, 2], 1
    fitted = ActiveLearner(NearestMean(), strategy, n_queries=5, random_state=0).fit(X[:50], y[:50])
    fitted.skip([49]).teach([48], [2])
    encoder = getattr(fitted.strategy_, "encoder_", None)
    fitted.grow(X, y[50:])
    y[48] = 2
    assert_array_equal(fitted.y_, y)
    assert_array_equal(fitted.skipped_, [49])
    assert getattr(fitted.strategy_, "encoder_", None) is encoder
    offered = fitted.query(n_queries=60 - 6)
    assert set(offered.tolist()) == set(range(60)) - {0, 1, 2, 48, 49, 50}
    assert len(fitted.query()) == 5
    state = fitted._state
    with pytest.raises(ValueError, match="not those of before"):
        fitted.grow(X[::-1])
    assert fitted._state is state


def test_what_grows_with_the_pool(tmp_path):
    frame = pd.DataFrame(X, index=NAMES, columns=list("abcd"))
    weight = np.linspace(1, 2, 150)
    fitted = learner().fit(frame.iloc[:100], Y[:100], sample_weight=weight[:100])
    with pytest.raises(ValueError, match="value per row"):
        fitted.grow(frame, Y[100:])
    with pytest.raises(ValueError, match="index goes on"):
        fitted.grow(frame.reset_index(drop=True), Y[100:], sample_weight=weight[100:])
    fitted.grow(frame, Y[100:], sample_weight=weight[100:])
    assert_array_equal(fitted.ids_, NAMES)
    twin = learner().fit(frame, Y, sample_weight=weight)
    assert_array_equal(fitted.predict_proba(frame), twin.predict_proba(frame))
    with pytest.raises(ValueError, match="no answer to take back"):
        fitted.undo()
    stored = np.memmap(tmp_path / "pool", np.float64, "w+", shape=X.shape)
    stored[:] = X
    stored.flush()
    short = np.memmap(tmp_path / "pool", np.float64, "r", shape=(100, 4))
    grown = learner().fit(short, Y[:100]).grow(np.memmap(tmp_path / "pool", np.float64, "r", shape=X.shape))
    assert isinstance(grown.X_, np.memmap)
    assert len(grown.y_) == 150


@pytest.mark.parametrize(
    "index",
    [pd.RangeIndex(150), pd.RangeIndex(1, 151), pd.RangeIndex(300, 0, -2), pd.Index(np.arange(150) / 2)],
    ids=str,
)
def test_any_index_tells_the_order(index):
    frame = pd.DataFrame(X, columns=list("abcd"), index=index)
    fitted = learner().fit(frame, Y)
    other = frame.sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match="in another order"):
        fitted.query(other)
    assert_array_equal(fitted.query(frame.copy()), fitted.query())
    fitted.query(frame.iloc[:100] + 1)  # another pool
    if not index.equals(pd.RangeIndex(150)):
        assert_array_equal(fitted.positions(index[[3, 5]]), [3, 5])
        if index.dtype.kind != "i":
            assert fitted.teach(index[[3]], [2]).y_[3] == 2
            assert fitted.teach(fitted.ids_[[4]], [2]).y_[4] == 2


def test_ids_keep_their_kind_as_the_pool_grows():
    for ids, more in (
        (list(range(149)), ["b"]),
        ([(row, "x") for row in range(149)], [(149, "x")]),
        (pd.date_range("2020", periods=149).to_numpy("M8[ns]"), np.array(["2021-01-01"], "M8[ns]")),
        (["a", *range(148)], [148]),
    ):
        fitted = learner().fit(X[:149], Y[:149], ids=ids).grow(X, ids=more)
        assert_array_equal(fitted.positions(list(ids[3:4])), [3])
        assert_array_equal(fitted.positions(list(more)), [149])


def test_integers_among_objects_are_positions():
    fitted = learner().fit(pd.DataFrame(X, index=np.arange(150)[::-1]), Y)
    answers = np.array([(FREE[0], "x"), (FREE[1], "y")], dtype=object)
    fitted.teach(answers[:, 0], [1, 1])
    assert_array_equal(fitted.y_[FREE[:2]], [1, 1])


def test_what_was_given_may_be_written_to():
    rows, labels, ids, samples, outside = (
        FREE[:2].copy(),
        np.array([0, 1]),
        NAMES.copy(),
        X[:2].copy(),
        np.array([0, 1]),
    )
    fitted = learner().fit(X, Y, ids=ids).teach(rows, labels).extend(samples, outside, refit=False)
    before = fitted.record_
    rows[:], labels[:], ids[:], samples[:], outside[:] = 0, 2, "z", 0, 9
    fitted.classes_[:] = 7
    for name, array in fitted.record_.items():
        assert_array_equal(array, before[name])
    assert_array_equal(fitted.ids_, NAMES)
    assert fitted.refit().classes_.tolist() == [0, 1, 2]
    twin = learner().fit(X, Y).teach(FREE[:2], [0, 1]).extend(X[:2], [0, 1])
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))


def test_rows_that_move_between_training_and_audit_are_trained_on_or_not():
    fitted = learner().fit(X, Y).teach(FREE[:4], TRUTH[FREE[:4]])
    fitted.teach(FREE[:2], TRUTH[FREE[:2]], audit=True, overwrite=True)
    twin = learner().fit(X, Y).teach(FREE[2:4], TRUTH[FREE[2:4]])
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))
    fitted.forget(FREE[1:3])  # one of the audit, one of training
    assert_array_equal(
        fitted.predict_proba(X), learner().fit(X, Y).teach(FREE[3:4], TRUTH[FREE[3:4]]).predict_proba(X)
    )


def test_weights_of_several_answers():
    fitted = learner().fit(X[:140], Y[:140]).teach(FREE[:1], [0], sample_weight=[3.0])
    fitted.teach(FREE[1:2], [1], sample_weight=[2.0]).grow(X, Y[140:]).extend(X[:1], [2])
    weight = np.ones(150)
    weight[FREE[:2]] = [3.0, 2.0]
    twin = (
        learner()
        .fit(X, Y, sample_weight=weight)
        .teach(FREE[:2], [0, 1])
        .extend(X[:1], [2], sample_weight=[1.0])
    )
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))
    with pytest.raises(ValueError, match="no weight negative"):
        fitted.extend(X[:1], [0], sample_weight=[-1.0])


def test_undo_after_use_keeps_the_new_strategy():
    fitted = learner().fit(X, Y).teach(FREE[:1], [0]).use(RandomSampling())
    assert isinstance(fitted.undo().strategy_, RandomSampling)


@pytest.mark.parametrize(
    "classifier", [KNeighborsClassifier(12), GridSearchCV(LogisticRegression(), {"C": [1]}, cv=12)]
)
def test_more_neighbors_and_folds_than_labels(classifier):
    y = np.full(150, UNLABELED)
    y[:6], y[50:55] = 0, 1
    with pytest.warns(FitFailedWarning):
        ActiveLearner(classifier, RandomSampling()).fit(X, y)


def test_a_pretrained_classifier_knows_no_other_classes():
    frozen = FrozenEstimator(LogisticRegression(tol=0.1).fit(X, TRUTH))
    with pytest.raises(ValueError, match=r"knows \[2\], which are not in classes"):
        learner(estimator=frozen, classes=[0, 1]).fit(X, np.where(Y == 2, UNLABELED, Y))


def test_pairs_of_classes_are_no_classes():
    fitted = learner(
        estimator=SVC(decision_function_shape="ovo"), strategy=RandomSampling(), classes=range(4)
    ).fit(X, Y)
    assert_array_equal(fitted.decision_function(X), fitted.estimator_.decision_function(X))


def test_weights_go_through_a_label_encoder():
    fitted = learner(estimator=LabelEncodedClassifier(LogisticRegression(tol=0.1))).fit(X, Y)
    fitted.teach(FREE[:1], [0], sample_weight=[9.0])
    with config_context(enable_metadata_routing=True):
        weighted = LogisticRegression(tol=0.1).set_fit_request(sample_weight=True)
        routed = learner(estimator=LabelEncodedClassifier(weighted)).fit(X, Y)
        routed.teach(FREE[:1], [0], sample_weight=[9.0])
        assert_array_equal(routed.predict_proba(X), fitted.predict_proba(X))


def test_labels_with_an_index_in_another_order_are_refused():
    frame = pd.DataFrame(X, index=NAMES, columns=list("abcd"))
    labels = pd.Series(Y, index=NAMES)
    with pytest.raises(ValueError, match="in another order"):
        learner().fit(frame, labels.sample(frac=1, random_state=0))
    fitted = learner().fit(frame, labels)
    two = NAMES[FREE[:2]]
    with pytest.raises(ValueError, match="in another order"):
        fitted.teach(two, pd.Series([0, 1], index=two[::-1]))
    fitted.teach(two, pd.Series([0, 1], index=two))
    assert_array_equal(fitted.y_[FREE[:2]], [0, 1])
    fitted.teach([FREE[3], FREE[2]], pd.Series([0, 1]))
    assert_array_equal(fitted.y_[FREE[2:4]], [1, 0])


@pytest.mark.parametrize("step", ["the same label", "the same skip"])
def test_undo_takes_back_a_step_that_changed_nothing(step):
    fitted = learner().fit(X, Y).skip(FREE[5:6]).teach(FREE[:2], [0, 1])
    if step == "the same label":
        fitted.teach(FREE[:1], [0])
    else:
        fitted.skip(FREE[5:6])
    assert_array_equal(fitted.undo().y_[FREE[:2]], [0, 1])
    assert_array_equal(fitted.skipped_, FREE[5:6])
    with pytest.raises(ValueError, match="no answer to take back"):
        fitted.undo()
    fitted.teach(FREE[2:3], [0]).teach([], []).skip([]).forget([])  # which are no steps
    assert fitted.undo().y_[FREE[2]] == UNLABELED


def test_a_class_is_found_later():
    y = np.where(Y == 2, UNLABELED, Y)
    fitted = learner(classes=[0, 1]).fit(X, y)
    with pytest.raises(ValueError, match="set_params"):
        fitted.teach([120], [2])
    fitted.set_params(classes=[0, 1, 2])
    assert fitted.teach([120], [2]).predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match="not in classes"):
        fitted.set_params(classes=[0, 1])


def test_classes_that_were_told_outlive_an_answer_that_is_taken_back():
    y = np.where(Y == 2, UNLABELED, Y)
    fitted = learner(classes=[0, 1]).fit(X, y).teach(FREE[:1], [1])
    fitted.set_params(classes=[0, 1, 2]).undo()
    assert fitted.y_[FREE[0]] == UNLABELED
    assert 2 in fitted.teach(FREE[:1], [2]).y_
    with pytest.raises(ValueError, match="not in classes"):
        fitted.set_params(classes=[0, 1])
    assert fitted.classes == [0, 1, 2], "what is refused changes nothing"
    fitted.teach(FREE[:1], [1], overwrite=True).set_params(classes=[0, 1])
    with pytest.raises(ValueError, match="no answer to take back"):
        fitted.undo()  # to a label that is not one of the classes


def test_a_marker_that_was_told_outlives_an_answer_that_is_taken_back():
    fitted = learner().fit(X, Y).teach(FREE[:1], [1]).set_params(unlabeled=-99)
    assert (fitted.undo().y_[FREE] == -99).all()
    assert fitted.teach(FREE[:1], [-1]).y_[FREE[0]] == -1
    with pytest.raises(
        ValueError, match=r"unlabeled=1 was given, and 1 is one of the classes, \[-1, 0, 1, 2\]"
    ):
        fitted.set_params(unlabeled=1)
    assert fitted.unlabeled == -99


def test_a_class_whose_labels_were_corrected_may_be_the_marker():
    y = np.where(Y == 2, UNLABELED, Y)
    fitted = learner(unlabeled=-9).fit(X, np.where(y == UNLABELED, -9, y)).teach(FREE[:1], [2])
    with pytest.raises(ValueError, match="unlabeled=2 was given, and 2 is one of the classes"):
        fitted.set_params(unlabeled=2)
    fitted.teach(FREE[:1], [1], overwrite=True).set_params(unlabeled=2)
    assert fitted.y_[FREE[1]] == 2
    fitted.teach(FREE[1:2], [-1])
    with pytest.raises(ValueError, match="unlabeled=None was given, and -1 is one of the classes"):
        fitted.set_params(unlabeled=None)


def test_a_weight_goes_with_its_answer():
    fitted = learner().fit(X, Y).teach(FREE[:1], [0], sample_weight=[50.0])
    assert fitted.sample_weight_[FREE[0]] == 50
    fitted.forget(FREE[:1]).teach(FREE[:1], [0])
    assert_array_equal(fitted.predict_proba(X), learner().fit(X, Y).teach(FREE[:1], [0]).predict_proba(X))
    search = GridSearchCV(LogisticRegression(tol=0.1), {"C": [1]}, cv=3)
    learner(estimator=search).fit(X, Y).teach(FREE[:1], [0], sample_weight=[50.0])


def test_early_stopping_and_searches_need_more():
    y = np.full(150, UNLABELED)
    y[:6], y[50:56], y[100:106] = 0, 1, 2
    for classifier in (
        SGDClassifier(loss="log_loss", early_stopping=True),
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [30]}, cv=3),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", FitFailedWarning)
            with pytest.raises(FitFailedWarning, match="cannot be trained on so few"):
                ActiveLearner(classifier, RandomSampling(), random_state=0).fit(X, y)


def test_wrong_routing_is_never_excused():
    y = np.full(150, UNLABELED)
    y[:2], y[50:52] = 0, 1
    with config_context(enable_metadata_routing=True):
        weighted = LogisticRegression().set_fit_request(sample_weight=True)
        fitted = ActiveLearner(make_pipeline(StandardScaler(), weighted), RandomSampling()).fit(X, y)
        with pytest.raises(UnsetMetadataPassedError):
            fitted.teach([2], [0], sample_weight=[2.0])


@pytest.mark.parametrize("early_stopping", [True, "auto"])
def test_early_stopping_without_held_out_rows(early_stopping):
    classifier = HistGradientBoostingClassifier(
        early_stopping=early_stopping, validation_fraction=None, max_iter=3
    )
    assert len(learner(estimator=classifier).fit(X, Y).query()) == 5


@pytest.mark.parametrize("kind", ["frame", "texts"])
def test_new_rows_keep_their_ids_where_the_first_ones_only_counted(kind, tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    classifier = LogisticRegression(max_iter=1000)
    if kind == "texts":
        frame = pd.Series([" ".join(f"w{v:.0f}" for v in row) for row in X])
        classifier = make_pipeline(CountVectorizer(), classifier)
    plan = ActiveLearner(classifier, RandomSampling(), n_queries=3, random_state=0)
    fitted = clone(plan).fit(frame.iloc[:100], np.where(np.arange(100) < 60, Y[:100], -1))
    later = frame.set_axis([*range(100), *range(9050, 9000, -1)])
    fitted.grow(later)
    assert fitted.ids_.tolist() == later.index.tolist()
    fitted.teach(pd.Index([9001, 9050]), [2, 1])
    assert fitted.labels_[[149, 100]].tolist() == [2, 1]
    fitted.save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, later, plan)
    assert_array_equal(loaded.labels_, fitted.labels_)
    assert_array_equal(loaded.query(), fitted.query())
    fitted = clone(plan).fit(frame.iloc[:100], np.where(np.arange(100) < 60, Y[:100], -1))
    fitted.grow(pd.concat([frame.iloc[:100], frame.iloc[:50]]))  # names that are not distinct are none
    assert fitted.ids_.tolist() == list(range(150))
