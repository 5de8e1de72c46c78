"""What every criterion shares: rounds, means, the trend, and the rows that it looks at."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner
from skal.stopping import (
    ClassificationChange,
    ExpectedGain,
    MaximumUtility,
    StabilizingPredictions,
    StoppingCriterion,
)
from skal.strategies import UncertaintySampling

from .common import Scripted

X, Y = load_iris(return_X_y=True)
CRITERIA = [StabilizingPredictions(), ClassificationChange(), ExpectedGain(), MaximumUtility()]


class Given(StoppingCriterion):
    """Measures what a test gives."""

    values = ()

    def _value(self, look):
        return self.values[len(getattr(self, "_rounds", []))]


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
    values = [0.1, 3, np.nan, *(8 * n_labeled**-1.5)]
    criterion = measured(values, [3, 4, 5, *n_labeled], threshold=8 * 250**-1.5)
    assert criterion.labels_left_ == pytest.approx(90)


@pytest.mark.parametrize(
    ("values", "threshold"),
    [([0.4, 0.3, 0.2], 0.1), ([0.1, 0.2, 0.3, 0.4], 0.05), ([0.4, 0.3, 0.2, 0.1], 0.0)],
    ids=["few rounds", "rising", "no bound"],
)
def test_where_no_trend_can_be_told(values, threshold):
    criterion = measured(values, threshold=threshold)
    assert np.isnan(criterion.labels_left_)
    assert "no trend" in str(criterion.report_)


def test_a_trend_beyond_all_numbers_is_infinite():
    n_labeled = np.array([10, 20, 40, 80, 160])
    assert measured(n_labeled**-1e-4, n_labeled, threshold=1e-9).labels_left_ == np.inf
    for threshold, is_told in ((1e-4, True), (5e-5, False), (1e-9, False)):  # 10,000 labels in all, or more
        criterion = measured(1.0 / n_labeled, n_labeled, threshold=threshold)
        assert ("about 9840 labels" in str(criterion.report_)) == is_told
        assert ("too slowly to tell" in str(criterion.report_)) == (not is_told)


def test_nothing_is_left_when_labelling_may_stop():
    criterion = measured([0.4, 0.3, 0.2, 0.0], threshold=0.1)
    assert criterion.should_stop_
    assert criterion.labels_left_ == 0
    assert "Stop" in str(criterion.report_)


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


@pytest.mark.parametrize("criterion", CRITERIA, ids=str)
def test_before_the_first_update(criterion):
    criterion = clone(criterion)
    assert not criterion.should_stop_
    with pytest.raises(NotFittedError, match="seen no round"):
        _ = criterion.report_
    with pytest.raises(NotFittedError):
        criterion.update(ActiveLearner(LogisticRegression(), UncertaintySampling()))


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
    for row in criterion._rows:
        moved[row] = "b"
    assert criterion.update(learner.after(5, moved)).history_["value"][-1] == 1
    other = ClassificationChange(n_rows=10, random_state=0).update(learner.after(4, ["a"] * 100))
    assert (other._rows == criterion._rows).all()
    third = ClassificationChange(n_rows=10, random_state=1).update(learner.after(4, ["a"] * 100))
    assert (third._rows != criterion._rows).any()


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
    assert copy.report_ == criterion.report_
    assert not hasattr(clone(criterion), "_rounds")


def test_texts():
    texts = ["good film", "bad film", "good play", "bad play", "good song", "bad song"] * 3
    labels = np.array([1, 0] * 9)
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression())
    learner = ActiveLearner(classifier, UncertaintySampling(), random_state=0)
    learner.fit(texts, np.full(len(texts), -1)).teach([0, 1], labels[:2])
    criterion = StabilizingPredictions(n_rounds=1, n_rows=10).update(learner)
    assert criterion.update(learner.teach([2, 3], labels[2:4])).should_stop_
