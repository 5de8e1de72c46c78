"""What every criterion shares: rounds, means, the trend, and the rows that it looks at."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner
from skal.stopping import (
    ClassificationChange,
    ExpectedGain,
    MaximumUtility,
    StabilizingPredictions,
    StoppingCriterion,
    StoppingReport,
)
from skal.strategies import UncertaintySampling

from .common import Scripted

X, Y = load_iris(return_X_y=True)
CRITERIA = [StabilizingPredictions(), ClassificationChange(), ExpectedGain(), MaximumUtility()]


class Given(StoppingCriterion):
    """Measures what a test gives."""

    values = ()

    def _value(self, look):
        return self.values[len(self._seen.rounds)]


def measured(values, n_labeled=None, **params):
    criterion = Given(**params)
    criterion.values = values
    for n in n_labeled if n_labeled is not None else range(2, 2 + len(values)):
        criterion.update(Scripted().after(n, ["a", "b"]))
    return criterion


def test_the_mean_of_the_last_rounds_decides():
    assert not measured([0, 0.1, 0.3], threshold=0.19, n_rounds=2).should_stop_
    assert measured([0.5, 0.1, 0.3], threshold=0.2, n_rounds=2).should_stop_
    assert not measured([0.1, 0.1], threshold=0.2, n_rounds=3).should_stop_
    assert not measured([np.nan, 0.1], threshold=0.2, n_rounds=2).should_stop_


def test_a_trend_that_is_a_power_law_is_followed_exactly():
    n_labeled = np.array([10, 20, 40, 80, 160])
    criterion = measured(8 * n_labeled**-1.5, n_labeled, threshold=8 * 250**-1.5)
    assert criterion.labels_left_ == pytest.approx(90)
    assert criterion.report_.labels_left == criterion.labels_left_
    # The first half is forgotten, and so are rounds without a value.
    values, n_labeled = [0.1, 3, np.nan, 5, 2, 4, *(8 * n_labeled**-1.5)], [3, 4, 5, 6, 7, 8, *n_labeled]
    assert measured(values, n_labeled, threshold=8 * 250**-1.5).labels_left_ == pytest.approx(90)
    values[6] *= 2  # the first of the later half counts
    assert measured(values, n_labeled, threshold=8 * 250**-1.5).labels_left_ < 80


@pytest.mark.parametrize(
    ("values", "threshold"),
    [
        ([0.4, 0.3, 0.2], 0.1),
        ([0.1, 0.2, 0.3, 0.4], 0.05),
        ([1.0, 1.0, 1.0, 1.0], 0.5),
        ([0.4, 0.3, 0.2, 0.1], 0.0),
    ],
    ids=["few rounds", "rising", "level", "no bound"],
)
def test_where_no_trend_can_be_told(values, threshold):
    criterion = measured(values, threshold=threshold)
    assert np.isnan(criterion.labels_left_)
    assert "no trend" in str(criterion.report_)


@pytest.mark.parametrize("value", [0, -0.1])
def test_a_round_that_is_not_above_zero_is_on_no_line(value):
    n_labeled = np.array([10, 20, 30, 40, 80, 160])
    values = np.where(n_labeled == 30, value, 8 * n_labeled**-1.5)
    assert measured(values, n_labeled, threshold=8 * 250**-1.5).labels_left_ == pytest.approx(90)


def test_a_trend_beyond_all_numbers_is_infinite():
    n_labeled = np.array([10, 20, 40, 80, 160])
    assert measured(n_labeled**-1e-4, n_labeled, threshold=1e-9).labels_left_ == np.inf
    for threshold, is_told in ((1e-4, True), (5e-5, False), (1e-9, False)):  # 10,000 labels in all, or more
        criterion = measured(1.0 / n_labeled, n_labeled, threshold=threshold)
        text = str(replace(criterion.report_, n_left=None))  # whatever the pool has left
        assert ("about 9840 labels" in text) == is_told
        assert ("too slowly to tell" in text) == (not is_told)


def test_nothing_is_left_when_labelling_may_stop():
    criterion = measured([0.4, 0.3, 0.2, 0.0], threshold=0.1)
    assert criterion.should_stop_
    assert criterion.labels_left_ == 0
    assert "Stop" in str(criterion.report_)


def test_a_label_is_left_where_the_line_is_below_the_threshold_and_the_mean_is_not():
    criterion = measured([0.2, 0.15, 0.1, 0.02, 5e-4, 5e-4, 6e-3], range(20, 90, 10), threshold=5e-3)
    assert not criterion.should_stop_
    assert criterion.labels_left_ == 1
    assert "a few labels are still worth buying" in str(replace(criterion.report_, n_left=50))


def test_a_round_without_a_new_label_is_none():
    learner = Scripted().after(4, ["a", "b"])
    criterion = ClassificationChange().update(learner).update(learner)
    assert not criterion.should_stop_
    assert criterion.history_["n_labeled"].tolist() == [4]
    assert criterion.update(learner.after(6, ["a", "b"])).should_stop_


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_a_single_class_is_no_round_to_compare_with(criterion):
    learner = Scripted()
    learner.after(1, ["a", "a"])
    criterion = clone(criterion).update(learner)
    assert np.isnan(criterion.history_["value"]).all()
    assert not criterion.should_stop_


def test_the_report_says_what_changed():
    learner = Scripted()
    criterion = ClassificationChange(threshold=0.1).update(learner.after(4, list("aabbc")))
    criterion.update(learner.after(10, list("abbac")))
    report = criterion.report_
    assert (report.n_labeled, report.n_new, report.n_rows) == (10, 6, 5)
    assert report.changes == {("a", "b"): 1, ("b", "a"): 1}
    assert report.value == report.mean == 0.4
    assert "40" not in str(report)
    assert "2 of 5 rows" in str(report)
    criterion.update(learner.after(11, list("bbbbb")))
    assert list(criterion.report_.changes.items()) == [(("a", "b"), 2), (("c", "b"), 1)]


def test_the_report_says_which_rows_were_measured():
    learner, criterion, every = Scripted(), ClassificationChange(), StabilizingPredictions()
    given, own = ClassificationChange(), np.arange(5.0)[:, None]
    for n, predicted in (4, "aabbc"), (10, "abbbc"):
        learner.after(n, list(predicted), labeled=[1])
        criterion, every, given = criterion.update(learner), every.update(learner), given.update(learner, own)
    text = "The predictions of 1 of 5 rows changed, most from 'a' to 'b' (1).\nCriterion"
    assert f"{text}, of the rows without a label: 0, to fall to 0. Stop" in str(criterion.report_)
    assert f"{text}: not known yet" in str(every.report_)
    assert f"{text}: 0.2, to fall to 0. Go on" in str(given.report_)
    partial = np.where(np.arange(len(X)) % 5, -1, Y)
    real = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling()).fit(X, partial)
    assert "Criterion, of the rows without a label: " in str(MaximumUtility().update(real).report_)


def test_the_first_report_says_nothing_of_changes():
    criterion = ClassificationChange(threshold=0.1).update(Scripted().after(4, list("aabbc")))
    report = criterion.report_
    assert (report.is_first, report.n_rows, report.changes) == (True, 5, {})
    assert "changed" not in str(report)
    assert "nan" not in str(report)


@pytest.mark.parametrize(
    ("labels_left", "n_left", "says"),
    [
        (60.0, 60, "about 60 labels"),
        (60.0, None, "about 60 labels"),
        (60.0, 59, "the 59 rows without a label will not be enough"),
        (np.inf, 59, "too slowly"),
        (np.inf, None, "too slowly"),
        (0.0, 59, "a few labels"),
        (1.2, 59, "a few labels"),
        (np.nan, 59, "no trend"),
        (np.nan, 0, "No row is left"),
    ],
)
def test_what_the_report_advises(labels_left, n_left, says):
    report = StoppingReport(
        n_labeled=140,
        n_new=20,
        value=0.02,
        mean=0.03,
        threshold=0.01,
        should_stop=False,
        labels_left=labels_left,
        n_rows=2000,
        changes={},
        n_left=n_left,
    )
    assert says in str(report)


def test_the_report_names_classes_without_a_label(tmp_path):
    learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), classes=[0, 1, 2, 5])
    learner.fit(X, np.where((np.arange(len(X)) % 3 > 0) & (Y != 2), Y, -1))
    criterion = ClassificationChange().update(learner)
    assert criterion.report_.unseen == (2, 5)
    assert "No label yet of 2, 5: no criterion knows" in str(criterion.report_)
    criterion.save(tmp_path / "criterion")
    assert ClassificationChange.load(tmp_path / "criterion").report_.unseen == (2, 5)
    report = ClassificationChange().update(clone(learner).set_params(classes=None).fit(X, Y)).report_
    assert report.unseen == ()
    assert "No label yet" not in str(report)


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_a_classifier_that_has_not_learned_the_labels_yet_is_not_measured(criterion):
    learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), random_state=0)
    learner.fit(X, np.where(np.arange(len(X)) % 3, Y, -1))
    criterion = clone(criterion).set_params(n_rounds=1).update(learner)
    rows = learner.query(n_queries=6)
    learner.teach(rows, Y[rows], refit=False)
    assert criterion.update(learner).history_["n_labeled"].tolist() == [100]
    assert criterion.update(learner.refit()).history_["n_labeled"].tolist() == [100, 106]


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_a_label_that_was_taken_back_is_no_round(criterion):
    learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), random_state=0)
    learner.fit(X, np.where(np.arange(len(X)) % 3, Y, -1))
    criterion = clone(criterion).set_params(n_rounds=1).update(learner).update(learner.forget([1]))
    assert criterion.history_["n_labeled"].tolist() == [100]
    assert criterion.update(learner.teach([0, 1, 3], Y[[0, 1, 3]])).report_.n_new == 2


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_a_classifier_that_could_not_be_trained_yet(criterion):
    learner = ActiveLearner(KNeighborsClassifier(20), UncertaintySampling(), random_state=0)
    with pytest.warns(FitFailedWarning):
        learner.fit(X, np.where(np.arange(len(X)) % 15, -1, Y))
    criterion = clone(criterion).update(learner)
    assert criterion.history_["n_labeled"].tolist() == [0]
    assert not criterion.should_stop_
    rows = np.flatnonzero(learner.row_states_ == 0)[::4]
    criterion.update(learner.teach(rows, Y[rows]))
    assert criterion.history_["n_labeled"].tolist() == [0, 10 + len(rows)]


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_before_the_first_update(criterion):
    criterion = clone(criterion)
    assert not criterion.should_stop_
    with pytest.raises(NotFittedError, match="seen no round"):
        _ = criterion.report_
    with pytest.raises(NotFittedError):
        criterion.update(ActiveLearner(LogisticRegression(), UncertaintySampling()))


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_what_is_no_learner(criterion):
    fitted = GridSearchCV(LogisticRegression(max_iter=1000), {"C": [1]}).fit(X, Y)
    name = type(criterion).__name__
    for given in (fitted, fitted.best_estimator_):
        for call in (criterion.update, criterion.check):
            match = f"{name} was given an object of class {type(given).__name__}; give an ActiveLearner"
            with pytest.raises(TypeError, match=match):
                call(given)
    with pytest.raises(TypeError, match="the class ActiveLearner; give an ActiveLearner"):
        criterion.update(ActiveLearner)


@pytest.mark.parametrize(
    ("params", "match"),
    [({"threshold": -0.1}, "threshold"), ({"n_rounds": 0}, "n_rounds"), ({"n_rows": 0}, "n_rows")],
)
@pytest.mark.parametrize("criterion", [StabilizingPredictions, ClassificationChange, ExpectedGain])
def test_invalid_parameters(criterion, params, match):
    with pytest.raises(ValueError, match=match):
        criterion(**params).update(Scripted().after(4, ["a", "b"]))


def test_the_rows_are_drawn_once():
    learner = Scripted()
    learner.after(4, ["a"] * 100)
    criterion = ClassificationChange(n_rows=10, random_state=0).update(learner)
    assert criterion.report_.n_rows == 10
    moved = ["a"] * 100
    for row in criterion._seen.rows:
        moved[row] = "b"
    assert criterion.update(learner.after(5, moved)).history_["value"][-1] == 1
    other = ClassificationChange(n_rows=10, random_state=0).update(learner.after(4, ["a"] * 100))
    assert (other._seen.rows == criterion._seen.rows).all()
    third = ClassificationChange(n_rows=10, random_state=1).update(learner.after(4, ["a"] * 100))
    assert (third._seen.rows != criterion._seen.rows).any()


def test_other_rows_are_refused():
    learner = Scripted()
    criterion = ClassificationChange(n_rows=None).update(learner.after(4, ["a"] * 5))
    criterion.update(learner.after(6, ["a"] * 7))  # the pool may have grown
    assert criterion.report_.n_rows == 5
    with pytest.raises(ValueError, match="3 rows"):
        criterion.update(learner.after(8, ["a"] * 3))
    with pytest.raises(ValueError, match="2 rows were given and 5"):
        criterion.update(learner.after(8, ["a"] * 7), learner.X_[:2])
    assert criterion.history_["n_labeled"].tolist() == [4, 6]


@pytest.mark.parametrize("first", [list("aab"), list("aaa")], ids=["predicted", "one class"])
def test_rows_are_given_in_all_rounds_or_in_none(first):
    learner, rows = Scripted(), np.array([[0.0], [1.0], [2.0]])
    given = ClassificationChange().update(learner.after(len(set(first)), first), rows)
    drawn = ClassificationChange().update(learner.after(len(set(first)), first))
    with pytest.raises(ValueError, match=r"No rows were given, and some before; .* Give those of before, or"):
        given.update(learner.after(5, list("aab")))
    with pytest.raises(ValueError, match=r"3 rows were given and 3 drawn before; .* Leave X out, or begin"):
        drawn.update(learner.after(5, list("aab")), rows)
    for criterion, X in ((given, rows), (drawn, None)):
        assert len(criterion.history_["value"]) == 1
        assert len(criterion.update(learner, X).history_["value"]) == 2


def test_rows_of_a_set_of_its_own_are_all_open():
    learner = Scripted()
    rows = np.array([[0.0], [2.0]])
    criterion = ClassificationChange().update(learner.after(4, list("aaa")), rows)
    criterion.update(learner.after(5, list("bba"), labeled=[0, 1]), rows)
    assert criterion.history_["value"][-1] == 0.5


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, csr_array], ids=["array", "frame", "sparse"])
def test_a_learner_is_left_as_it_is(criterion, container):
    learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), random_state=0)
    learner.fit(container(X), np.full(len(X), -1)).teach([0, 50, 100], Y[[0, 50, 100]])
    before = pickle.dumps(learner)
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    criterion = clone(criterion).update(learner)
    rows = learner.query(n_queries=4)
    criterion.update(learner.teach(rows, Y[rows]))
    assert len(criterion.history_["value"]) == 2
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    other = pickle.loads(before)
    other.teach(other.query(n_queries=4), Y[rows])
    assert (other.query(n_queries=4) == learner.query(n_queries=4)).all()
    copy = pickle.loads(pickle.dumps(criterion))
    assert_equal(vars(copy.report_), vars(criterion.report_))
    assert not clone(criterion)._seen.rounds


def test_texts():
    texts = ["good film", "bad film", "good play", "bad play", "good song", "bad song"] * 3
    labels = np.array([1, 0] * 9)
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression())
    learner = ActiveLearner(classifier, UncertaintySampling(), random_state=0)
    learner.fit(texts, np.full(len(texts), -1)).teach([0, 1], labels[:2])
    criterion = StabilizingPredictions(n_rounds=1, n_rows=10).update(learner)
    assert criterion.update(learner.teach([2, 3], labels[2:4])).should_stop_
