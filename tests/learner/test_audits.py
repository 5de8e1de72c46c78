"""The audit of a learner: rows drawn with known probabilities, and never trained on."""

import pickle
from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from skal import UNLABELED, ActiveLearner, RowState
from skal.classifiers import NetClassifier
from skal.exceptions import PoolExhaustedWarning
from skal.strategies import CoreSet, RandomSampling
from tests.selection.test_successive import chances

from .common import TRUTH, X, Y, learner, logistic

pd = pytest.importorskip("pandas")
FREE = np.flatnonzero(Y < 0)


@pytest.mark.parametrize("how", ["uniform", "active"])
def test_drawn_rows_are_offered_to_nobody_again(how):
    fitted = learner().fit(X, Y).skip(FREE[:3])
    before = fitted.predict_proba(X)
    first = fitted.audit(20, how=how, pending=FREE[3:6])
    second = fitted.audit(30, how=how)
    rows = np.concatenate([first, second])
    assert len(set(rows.tolist())) == 50
    assert set(rows.tolist()) <= set(FREE[3:].tolist())
    assert not set(first.tolist()) & set(FREE[3:6].tolist())
    assert_array_equal(fitted.audit_pending_, np.sort(rows))
    assert len(fitted.audit_) == 0
    assert_array_equal(np.flatnonzero(fitted.row_states_ == RowState.AUDIT), np.sort(rows))
    offered = fitted.query(n_queries=len(FREE) - 53)
    assert set(offered.tolist()) == set(FREE[3:].tolist()) - set(rows.tolist())
    assert_array_equal(fitted.predict_proba(X), before)
    fitted.query(X + 1)  # another pool, of which nothing was drawn
    twin = learner().fit(X, Y).skip(FREE[:3])
    assert_array_equal(twin.audit(20, how=how, pending=FREE[3:6]), first)
    assert_array_equal(twin.audit(30, how=how), second)
    other = learner(random_state=1).fit(X, Y).skip(FREE[:3])
    assert not np.array_equal(other.audit(20, how=how, pending=FREE[3:6]), first)


def test_a_strategy_does_not_know_what_was_drawn():
    fitted = learner(strategy=CoreSet("input")).fit(X, Y)
    rows = fitted.audit(40)
    chosen = fitted.query()
    assert_array_equal(chosen, learner(strategy=CoreSet("input")).fit(X, Y).query(exclude=rows))
    fitted.teach(rows[:20], TRUTH[rows[:20]], audit=True)
    assert_array_equal(fitted.query(), chosen)


def test_uniform_draws_are_uniform():
    fitted = learner().fit(X[:6], Y[:6]).teach([5], [0])  # 1, 2, 3 and 4 are left
    counts = Counter()
    for fitted._seed in range(3000):
        counts[tuple(fitted.audit(2).tolist())] += 1
        fitted.undo()
    assert len(counts) == 12  # all sequences
    assert max(abs(count - 250) for count in counts.values()) < 4 * np.sqrt(250)


def test_probabilities_of_a_uniform_draw():
    fitted = learner().fit(X, Y).skip(FREE[:5])
    fitted.audit(2)
    fitted.teach(FREE[[i for i in range(5, 30) if FREE[i] not in fitted.audit_pending_][:4]], [0] * 4)
    fitted.audit(1, pending=fitted.query(n_queries=3))
    sample = fitted.audit_sample_
    n = len(FREE) - 5
    assert_array_equal(sample["n_left"], [n, n - 1, n - 2 - 4 - 3])
    assert_allclose(sample["probability"], 1 / sample["n_left"])
    assert_array_equal(sample["n_taken"], [15, 15, 15 + 4 + 3])
    assert_array_equal(sample["how"], ["uniform"] * 3)


@pytest.mark.parametrize(
    "surrogate", [None, GaussianNB().fit(X, TRUTH), GaussianNB().fit(X[:100], TRUTH[:100])]
)
def test_probabilities_of_an_active_draw(surrogate):
    fitted = learner().fit(X, Y)
    uniform = fitted.audit(10)
    rows = fitted.audit(100, how="active", surrogate=surrogate)
    left = np.setdiff1d(FREE, uniform)
    judge = surrogate or fitted
    p = judge.predict_proba(X[left])
    wrong = np.array(
        [1 - sum(row[judge.classes_ == label]) for row, label in zip(p, fitted.predict(X[left]), strict=True)]
    )
    weights = 0.5 * np.sqrt(wrong) / np.sqrt(wrong).mean() + 0.5
    sample = fitted.audit_sample_
    assert_allclose(sample["probability"][10:], chances(weights, np.searchsorted(left, rows)), rtol=1e-9)
    assert_array_equal(sample["n_left"][10:], len(left) - np.arange(100))
    assert_array_equal(sample["n_taken"][10:], 15 + np.arange(100))
    assert (sample["how"][10:] == "active").all()


def test_a_prediction_may_be_wrong_although_its_class_is_not_the_most_probable():
    """The threshold of a classifier may have been tuned."""
    plan = FixedThresholdClassifier(logistic(), threshold=0.05, response_method="predict_proba")
    fitted = learner(estimator=plan).fit(X, np.where(Y > 0, 1, Y))
    assert (fitted.predict(X) != fitted.classes_[fitted.predict_proba(X).argmax(axis=1)]).any()
    twin = learner(estimator=plan).fit(X, np.where(Y > 0, 1, Y))
    rows = fitted.audit(100, how="active")
    assert_array_equal(twin.audit(100, how="active", surrogate=twin.estimator_), rows)
    assert_array_equal(twin.audit_sample_["probability"], fitted.audit_sample_["probability"])


def test_a_network_passes_over_the_rows_once():
    class Counted(NetClassifier):
        n_rows: ClassVar[int] = 0

        def predict(self, X):
            Counted.n_rows += len(X)
            return super().predict(X)

    fitted = learner(estimator=Counted(max_epochs=1, random_state=0)).fit(X, Y)
    Counted.n_rows = 0
    rows = fitted.audit(20, how="active")
    assert Counted.n_rows == 0
    twin = learner(estimator=Counted(max_epochs=1, random_state=0)).fit(X, Y)
    assert_array_equal(twin.audit(20, how="active", surrogate=twin.estimator_), rows)


def test_an_active_draw_prefers_the_rows_in_doubt():
    doubts = []
    for seed in range(20):
        fitted = learner(random_state=seed).fit(X, Y)
        doubt = 1 - fitted.predict_proba(X).max(axis=1)
        doubts.append([doubt[fitted.audit(30, how="active")].mean(), doubt[FREE].mean()])
    drawn, of_all = np.mean(doubts, axis=0)
    assert drawn > 1.05 * of_all


def test_a_classifier_that_is_never_in_doubt_is_audited_uniformly():
    class Sure(GaussianNB):
        def predict_proba(self, X):
            return np.tile([1.0, 0.0, 0.0], (len(X), 1))

        def predict(self, X):
            return np.full(len(X), self.classes_[0])

    fitted = learner(estimator=Sure()).fit(X, Y)
    fitted.audit(5, how="active")
    assert_allclose(fitted.audit_sample_["probability"], 1 / fitted.audit_sample_["n_left"])


def states(fitted):
    return fitted.audit_sample_["state"].tolist()


def test_what_becomes_of_drawn_rows():
    fitted = learner().fit(X, Y)
    a, b, c, d = fitted.audit(4).tolist()
    fitted.teach([a, b], TRUTH[[a, b]], audit=True).skip([c])
    assert states(fitted) == ["labelled", "labelled", "skipped", "pending"]
    assert_array_equal(fitted.audit_, sorted([a, b]))
    assert_array_equal(fitted.y_, Y)
    for row in (c, d):
        with pytest.raises(ValueError, match="overwrite=True moves them"):
            fitted.teach([row], [0])
    fitted.forget([a])  # a label in doubt, which is asked for again
    assert states(fitted) == ["pending", "labelled", "skipped", "pending"]
    assert a not in fitted.query(n_queries=len(FREE) - 4)
    fitted.unskip([c])
    assert states(fitted)[2] == "pending"
    fitted.forget([c]).teach([b, d], TRUTH[[b, d]], overwrite=True)
    assert states(fitted) == ["pending", "withdrawn", "withdrawn", "withdrawn"]
    assert_array_equal(fitted.y_[[b, d]], TRUTH[[b, d]])
    assert c in fitted.query(n_queries=len(FREE) - 3)
    with pytest.raises(ValueError, match="no label to forget"):
        fitted.forget([c])
    actions = pd.DataFrame(fitted.record_).groupby("action", sort=False)["row"].apply(list)
    assert actions["draw"] == [a, b, c, d]
    fitted.undo()
    assert states(fitted) == ["pending", "labelled", "withdrawn", "pending"]
    again = pickle.loads(pickle.dumps(fitted))
    assert states(again) == states(fitted)
    assert_array_equal(again.audit(3), fitted.audit(3))
    fitted.undo()
    assert len(states(fitted)) == 4
    with pytest.raises(ValueError, match="no answer to take back"):
        fitted.undo()


def test_a_withdrawn_row_may_be_drawn_again():
    fitted = learner().fit(X[:12], Y[:12])
    rows = fitted.audit(10)
    fitted.forget(rows[:1])
    assert fitted.audit(1).tolist() == rows[:1].tolist()
    assert states(fitted) == ["withdrawn"] + ["pending"] * 10
    fitted.teach(rows[:1], TRUTH[rows[:1]], audit=True)
    assert states(fitted) == ["withdrawn"] + ["pending"] * 9 + ["labelled"]


def test_draws_of_the_same_rows_are_others_each_time():
    fitted = learner().fit(X, Y)
    rows = fitted.audit(10)
    assert set(fitted.forget(rows).audit(10).tolist()) != set(rows.tolist())


def test_what_was_drawn_stays_drawn_as_the_pool_grows():
    fitted = learner().fit(X[:140], Y[:140])
    rows = fitted.audit(10)
    fitted.grow(X, Y[140:])
    assert_array_equal(fitted.audit_pending_, np.sort(rows))
    fitted.audit(1)
    assert fitted.audit_sample_["n_left"][-1] == len(FREE) - 10


def test_all_that_are_left():
    fitted = learner().fit(X, Y)
    with pytest.warns(PoolExhaustedWarning, match=f"{len(FREE)} are left"):
        rows = fitted.audit(1000)
    assert_array_equal(np.sort(rows), FREE)
    with pytest.warns(PoolExhaustedWarning):
        assert len(fitted.audit(1, how="active")) == 0
    with pytest.warns(PoolExhaustedWarning):
        assert len(fitted.query()) == 0


def test_bad_input_draws_nothing():
    fitted = learner().fit(X, Y)
    state = fitted._state
    for given, message in (
        ({"n": 0}, "n=0"),
        ({"n": 2.5}, "n=2.5"),
        ({"n": 1, "how": "hard"}, "'uniform' or 'active'"),
        ({"n": 1, "pending": [150]}, "out of range"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.audit(**given)
    for surrogate, error, message in (
        (LinearSVC().fit(X, TRUTH), TypeError, "LinearSVC has none"),
        (LinearRegression().fit(X, TRUTH), TypeError, "LinearRegression has none"),
        (logistic(), NotFittedError, "not fitted"),
        (
            logistic().fit(X, TRUTH.astype(str)),
            ValueError,
            "knows the classes .*'0'.*, and none of the learner's",
        ),
    ):
        with pytest.raises(error, match=message):
            fitted.audit(1, how="active", surrogate=surrogate)
    assert fitted._state is state
    with pytest.raises(NotFittedError):
        learner().audit(1)
    unlabeled = ActiveLearner(logistic(), RandomSampling()).fit(X, np.full(150, UNLABELED))
    with pytest.raises(NotFittedError, match="draw uniformly"):
        unlabeled.audit(1, how="active")
    assert len(unlabeled.audit(5)) == 5


def test_a_draw_of_no_row_is_no_step():
    fitted = learner().fit(X, Y)
    with pytest.warns(PoolExhaustedWarning):
        fitted.audit(1000)
    state = fitted._state
    with pytest.warns(PoolExhaustedWarning):
        assert len(fitted.audit(1)) == 0
    assert fitted._state is state
