"""Labelling for weeks, one situation a test: what annotators say is not lost, and what they cannot say not asked."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import UNLABELED, ActiveLearner, RowState, SimulatedLearner
from skal.classifiers import LinearClassifier
from skal.strategies import CoreSet, RandomSampling, UncertaintySampling
from tests.learner.common import TRUTH, X, Y, learner
from tests.properties.strategies import STRATEGIES, NearestMean

pd = pytest.importorskip("pandas")
FREE = np.flatnonzero(Y < 0)
NAMES = np.array([f"flower {row}" for row in range(150)])


class Interrupted(LogisticRegression):
    """A classifier whose training somebody ends by Ctrl-C."""

    is_ended = False

    def fit(self, X, y, sample_weight=None):
        if Interrupted.is_ended:
            raise KeyboardInterrupt
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_a_skipped_row_is_never_offered_again(strategy):
    """Four of ten answers a round are skips, for ten rounds."""
    rng = np.random.default_rng(0)
    X = rng.integers(-3, 4, (160, 3)).astype(float)
    y = np.full(160, UNLABELED)
    y[:3] = [0, 1, 2]
    fitted = ActiveLearner(NearestMean(), strategy, n_queries=10, random_state=0).fit(X, y)
    seen = {0, 1, 2}
    for _ in range(10):
        rows = fitted.query()
        assert len(rows) == 10
        assert not seen & set(rows.tolist())
        seen |= set(rows.tolist())
        fitted.skip(rows[:4]).teach(rows[4:], rng.integers(3, size=6))
    assert len(fitted.skipped_) == 40


def test_half_a_batch_is_pending():
    """The second half of CoreSet is what one batch of twice the size would have had."""
    fitted = learner(strategy=CoreSet("input")).fit(X, Y)
    both = fitted.query(n_queries=20)
    assert_array_equal(fitted.query(n_queries=10), both[:10])
    assert_array_equal(fitted.query(n_queries=10, pending=both[:10]), both[10:])


def test_a_typo_is_corrected():
    fitted = learner().fit(X, Y)
    rows, answers = FREE[:3], TRUTH[FREE[:3]]
    typo = np.array([answers[0], answers[1], 2 - answers[2]])
    strategy = fitted.teach(rows, typo).strategy_
    with pytest.raises(ValueError, match="labelled already"):
        fitted.teach(rows, answers)
    fitted.teach(rows, answers, overwrite=True)
    twin = learner().fit(X, Y).teach(rows, answers)
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))
    assert fitted.strategy_ is strategy, "the strategy was prepared again"


def test_a_label_is_withdrawn():
    fitted = learner().fit(X, Y)
    fitted.teach(FREE[:2], [0, 1]).forget(FREE[:1])
    assert_array_equal(fitted.predict_proba(X), learner().fit(X, Y).teach(FREE[1:2], [1]).predict_proba(X))
    assert FREE[0] in fitted.query(n_queries=150 - len(fitted.y_[fitted.y_ >= 0]))


def test_a_refit_is_interrupted(monkeypatch):
    fitted = learner(estimator=Interrupted(tol=0.1)).fit(X, Y)
    before = fitted.predict_proba(X)
    monkeypatch.setattr(Interrupted, "is_ended", True)
    with pytest.raises(KeyboardInterrupt) as caught:
        fitted.teach(FREE[:2], [0, 1])
    assert "refit()" in caught.value.__notes__[0]
    assert_array_equal(fitted.y_[FREE[:2]], [0, 1])
    assert_array_equal(fitted.predict_proba(X), before)
    monkeypatch.setattr(Interrupted, "is_ended", False)
    assert not np.array_equal(fitted.refit().predict_proba(X), before)


UNFITTABLE = [
    GridSearchCV(LogisticRegression(tol=0.1), {"C": [1, 2]}),
    KNeighborsClassifier(7),
    make_pipeline(StandardScaler(), KNeighborsClassifier(7)),
    SGDClassifier(loss="log_loss", early_stopping=True, random_state=0),
    LinearClassifier(validation_fraction=0.5, lr=0.1),
]


@pytest.mark.parametrize("classifier", UNFITTABLE, ids=lambda classifier: type(classifier).__name__)
def test_a_classifier_cannot_be_fitted_yet(classifier):
    y = np.full(150, UNLABELED)
    y[[0, 60, 120]] = TRUTH[[0, 60, 120]]
    for strategy in (RandomSampling(), UncertaintySampling()):
        with pytest.warns(FitFailedWarning, match="cannot be trained on so few labels") as caught:
            fitted = ActiveLearner(classifier, strategy, random_state=0).fit(X, y)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        reason = fitted._state.failure
        assert reason in str(caught[0].message)
        with pytest.raises(NotFittedError) as error:
            fitted.predict(X)
        assert reason in str(error.value)
        if strategy.requires:
            with pytest.raises(NotFittedError) as error:
                fitted.query()
            assert reason in str(error.value)
        else:
            assert len(fitted.query()) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted.teach(FREE[::2], TRUTH[FREE[::2]], overwrite=True)
        assert fitted.score(X, TRUTH) > 0.5
        worked = fitted.estimator_
        few = np.flatnonzero(fitted.y_ >= 0)
        few = few[~np.isin(few, [0, 60, 120])]
        with pytest.warns(FitFailedWarning):
            fitted.forget(few)
        assert fitted.estimator_ is worked, "the last one that could be trained stays"
        assert len(fitted.query()) == 1


class Refusing(LogisticRegression):
    """A classifier that refuses what the test says."""

    error = None

    def fit(self, X, y):
        raise Refusing.error


@pytest.mark.parametrize(
    ("n_labels", "error", "is_warning"),
    [
        (4, ValueError("too few"), True),
        (5, ValueError("too few"), False),
        (4, TypeError("too few"), False),
        (4, RuntimeError("too few"), False),
        (4, MemoryError("too few"), False),
    ],
)
def test_only_few_labels_excuse_a_failure(monkeypatch, n_labels, error, is_warning):
    monkeypatch.setattr(Refusing, "error", error)
    y = np.full(150, UNLABELED)
    y[:n_labels], y[50:60] = 0, 1
    if is_warning:
        with pytest.warns(FitFailedWarning, match="too few"):
            ActiveLearner(Refusing(), RandomSampling()).fit(X, y)
    else:
        with pytest.raises(type(error), match="too few"):
            ActiveLearner(Refusing(), RandomSampling()).fit(X, y)


def test_bad_rows_and_parameters_are_never_excused():
    y = np.full(150, UNLABELED)
    y[:2], y[50:52] = 0, 1
    flawed = X.copy()
    flawed[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ActiveLearner(LogisticRegression(), RandomSampling()).fit(flawed, y)
    with pytest.raises(ValueError, match="'C' parameter"):
        ActiveLearner(LogisticRegression(C=-1), RandomSampling()).fit(X, y)


def test_a_colleague_was_faster():
    fitted = learner().fit(X, Y).teach(FREE[:1], [1])
    record = fitted.record_
    with pytest.raises(ValueError, match=rf"rows \[{FREE[0]}\] are labelled already, as \[1\]"):
        fitted.teach(FREE[:2], [0, 0])
    assert_array_equal(fitted.record_["row"], record["row"])
    assert fitted.y_[FREE[1]] == UNLABELED
    fitted.teach(FREE[:2], [1, 0])
    assert_array_equal(fitted.y_[FREE[:2]], [1, 0])


def test_an_annotator_has_a_new_class():
    fitted = learner().fit(X, np.where(Y == 2, UNLABELED, Y))
    assert fitted.teach([120], [2]).classes_.tolist() == [0, 1, 2]
    named = learner(classes=[0, 1, 2]).fit(X, np.where(Y == 2, UNLABELED, Y))
    assert named.classes_.tolist() == [0, 1, 2]
    assert_array_equal(named.predict_proba(X)[:, 2], 0)
    assert (named.decision_function(X)[:, 2] == np.finfo(float).min).all()
    assert_array_equal(named.decision_function(X).argmax(axis=1), named.predict(X))
    assert log_loss(TRUTH, named.predict_proba(X)) > 1
    with pytest.raises(ValueError, match=r"\[3\] of rows \[120\] are not in classes"):
        named.teach([120], [3])
    assert named.y_[120] == UNLABELED


def test_nothing_is_fitted_and_the_classes_are_known():
    fitted = learner(classes=["b", "a", "c"]).fit(X, np.full(150, None))
    assert fitted.classes_.tolist() == ["a", "b", "c"]
    with pytest.raises(NotFittedError, match="no row is labelled"):
        fitted.predict_proba(X)
    assert_array_equal(fitted.teach([0], ["b"]).predict_proba(X[:1]), [[0, 1, 0]])


@pytest.mark.parametrize("is_in_pipeline", [False, True])
def test_networks_have_an_output_for_every_class(is_in_pipeline):
    network = LinearClassifier(max_epochs=2)
    network = make_pipeline(StandardScaler(), network) if is_in_pipeline else network
    fitted = learner(estimator=network, classes=range(5)).fit(X, np.where(Y == 2, UNLABELED, Y))
    assert fitted.estimator_.classes_.tolist() == [0, 1, 2, 3, 4]
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (150, 5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_simulation_knows_the_classes_of_its_oracle():
    simulated = SimulatedLearner(
        LogisticRegression(tol=0.1), RandomSampling(), n_initial=2, n_queries=1, budget=4, random_state=0,
        validation_fraction=0.3, scoring=["neg_log_loss", "roc_auc_ovr"],
    ).fit(X, TRUTH)  # fmt: skip
    assert np.isfinite(simulated.history_["score_neg_log_loss"]).all()
    assert np.isfinite(simulated.history_["score_roc_auc_ovr"]).all()


def test_a_frame_comes_in_another_order():
    frame = pd.DataFrame(X, index=NAMES, columns=list("abcd"))
    fitted = learner().fit(frame, Y)
    rows = fitted.query()
    other = frame.sample(frac=1, random_state=0)
    with pytest.raises(ValueError, match="in another order"):
        fitted.query(other)
    names = fitted.ids_[rows]
    assert_array_equal(other.loc[names], X[rows])
    fitted.teach(names, TRUTH[rows]).skip(NAMES[FREE[-2:-1]]).forget(names[:1])
    assert_array_equal(np.flatnonzero(fitted.y_ != Y), np.sort(rows[1:]))
    assert_array_equal(fitted.positions(names), rows)
    offered = fitted.query(n_queries=10, pending=NAMES[FREE[:60]], exclude=list(NAMES[FREE[60:100]]))
    assert not np.isin(offered, FREE[:100]).any()


def test_ids_of_integers_are_positions_by_a_name():
    fitted = learner().fit(X, Y, ids=np.arange(150)[::-1])
    assert_array_equal(fitted.positions([149, 0]), [0, 149])
    assert fitted.teach([149], [2]).y_[149] == 2, "integers are positions in every verb"
    for ids, message in (([0] * 150, "several rows"), ([1, 2], "one id per row")):
        with pytest.raises(ValueError, match=message):
            learner().fit(X, Y, ids=ids)
    with pytest.raises(ValueError, match="no row"):
        fitted.positions([150])
    with pytest.raises(ValueError, match=r"out of range.*as an index: pd.Index"):
        learner().fit(X, Y, ids=np.arange(150) + 1000).teach([1003], [2])
    unnamed = learner().fit(X, Y)
    assert_array_equal(unnamed.ids_, np.arange(150))
    assert_array_equal(unnamed.positions([3, 0]), [3, 0])


def test_an_index_of_pandas_names_rows_by_ids():
    frame = pd.DataFrame(X, index=np.arange(150)[::-1])
    fitted = learner().fit(frame, Y)
    fitted.teach(pd.Index(149 - FREE[:2]), [2, 1])
    assert fitted.y_[FREE[:2]].tolist() == [2, 1]
    assert_array_equal(learner().fit(X, Y).skip(pd.Index(FREE[:1])).skipped_, FREE[:1])


def test_an_audit_is_kept_out_of_training():
    fitted = learner().fit(X, Y)
    before, offered = fitted.predict_proba(X), fitted.query(n_queries=150 - len(Y[Y >= 0]))
    fitted.teach(FREE[:20], TRUTH[FREE[:20]], audit=True)
    assert_array_equal(fitted.predict_proba(X), before)
    assert_array_equal(fitted.y_, Y)
    assert_array_equal(fitted.labels_[FREE[:20]], TRUTH[FREE[:20]])
    assert_array_equal(fitted.audit_, FREE[:20])
    left = fitted.query(n_queries=len(offered) - 20)
    assert set(left.tolist()) == set(offered.tolist()) - set(FREE[:20].tolist())
    with pytest.raises(ValueError, match="overwrite=True moves them"):
        fitted.teach(FREE[:1], TRUTH[FREE[:1]])
    fitted.teach(FREE[:1], TRUTH[FREE[:1]], overwrite=True)
    assert_array_equal(fitted.audit_, FREE[1:20])
    assert (fitted.row_states_ == RowState.LABELED).sum() == (Y >= 0).sum() + 1
    assert_array_equal(fitted.forget(FREE[1:20]).audit_, [])


def test_an_answer_has_a_weight():
    fitted = learner().fit(X, Y).teach(FREE[:2], [0, 1], sample_weight=[3.0, 0.5])
    weight = np.ones(150)
    weight[FREE[:2]] = [3.0, 0.5]
    twin = learner().fit(X, Y, sample_weight=weight).teach(FREE[:2], [0, 1])
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))
    fitted.extend(X[:1], [2]).extend(X[:1], [1], sample_weight=[2.0])
    twin.extend(X[:1], [2], sample_weight=[1.0]).extend(X[:1], [1], sample_weight=[2.0])
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))
    state = fitted._state
    for weight, message in (
        ([-1.0], "none negative"),
        ([1.0, 2.0], "one weight per answer"),
        ([np.nan], "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.teach(FREE[2:3], [0], sample_weight=weight)
    assert fitted._state is state
    with pytest.raises(ValueError, match="takes no sample_weight"):
        learner(estimator=KNeighborsClassifier(1)).fit(X, Y).teach(FREE[:1], [0], sample_weight=[1.0])


def test_samples_from_elsewhere_are_corrected_and_withdrawn():
    fitted = learner().fit(X, Y).extend(X[:2] + 1, [0, 0], keys=["a", "b"]).extend(X[:1] + 2, [1])
    assert fitted.extension_keys_.tolist() == ["a", "b", 0]
    with pytest.raises(ValueError, match="labelled already"):
        fitted.teach(extension=["b"], y=[2])
    fitted.teach(extension=["b"], y=[2], overwrite=True).forget(extension=["a"])
    twin = learner().fit(X, Y).extend(X[1:2] + 1, [2]).extend(X[:1] + 2, [1])
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))
    assert fitted.extend(X[:1], [0]).extension_keys_.tolist() == ["b", 0, 1]
    assert fitted.extend(X[:1], [0], keys=["a"]).forget(extension=["a"]).extension_keys_.tolist() == [
        "b",
        0,
        1,
    ]
    for keys, message in ((["b"], "known already"), (["c", "c"], "repeated"), ([1.5], "integers or strings")):
        with pytest.raises(ValueError, match=message):
            fitted.extend(X[:1], [0], keys=keys)
    for keys in (["a"], ["c"], ["b", "b"]):
        with pytest.raises(ValueError, match="unknown or repeated"):
            fitted.forget(extension=keys)
    with pytest.raises(ValueError, match="both of rows and extension"):
        fitted.teach([0], [0], extension=["b"])
