"""Each criterion against its equation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.svm import LinearSVC

from skal import ActiveLearner, SimulatedLearner
from skal.stopping import ClassificationChange, ExpectedGain, MaximumUtility, StabilizingPredictions
from skal.strategies import CoreSet, QueryByCommittee, RandomSampling, UncertaintySampling

from .common import Scripted

X, Y = load_iris(return_X_y=True)


def value(criterion, *looks):
    learner = Scripted()
    for n, look in enumerate(looks):
        criterion.update(learner.after(4 + 2 * n, **look))
    return criterion.history_["value"][-1]


def test_kappa_by_hand():
    # Observed agreement 3/4; by chance (2 * 1 + 2 * 3) / 16.
    assert value(
        StabilizingPredictions(), {"predicted": list("aabb")}, {"predicted": list("abbb")}
    ) == pytest.approx(1 - (0.75 - 0.5) / (1 - 0.5))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=12))
def test_kappa_by_its_definition(pairs):
    before, after = map(list, zip(*pairs, strict=True))
    observed = np.mean([one == other for one, other in pairs])
    chance = np.mean([[one == other for one in before] for other in after])
    expected = 0 if observed == 1 else 1 - (observed - chance) / (1 - chance)
    found = value(StabilizingPredictions(), {"predicted": before}, {"predicted": after})
    assert found == pytest.approx(expected)


def test_change_of_the_unlabelled_rows_alone():
    first, then = {"predicted": list("aabb")}, {"predicted": list("bbbb"), "labeled": [0]}
    assert value(ClassificationChange(), first, then) == pytest.approx(1 / 3)
    assert value(ClassificationChange(), first, {"predicted": list("bbbb"), "labeled": range(4)}) == 0


def test_gain_by_hand():
    first = {"predicted": list("abcc")}
    probabilities = [[0.1, 0.7, 0.2], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0, 0, 1]]
    then = {"predicted": list("bbbc"), "probabilities": probabilities}
    # Two labels are new; row 0 goes from a to b, row 2 from c to b.
    assert value(ExpectedGain(), first, then) == pytest.approx(((0.7 - 0.1) + (0.5 - 0.3)) / 4 / 2)


def test_gain_over_a_class_that_is_not_known_any_more():
    first, probabilities = {"predicted": list("cb")}, [[0.8, 0.2], [0.4, 0.6]]
    then = {"predicted": list("ab"), "probabilities": probabilities, "classes": ("a", "b")}
    assert value(ExpectedGain(), first, then) == pytest.approx(0.8 / 2 / 2)


def test_gain_where_the_predicted_class_is_not_the_most_probable_one():
    X = np.linspace(-3, 3, 60)[:, np.newaxis]
    classifier = FixedThresholdClassifier(
        LogisticRegression(), threshold=0.2, pos_label="yes", response_method="predict_proba"
    )
    learner = ActiveLearner(classifier, RandomSampling(), random_state=0)
    learner.fit(X, [None] * 60).teach([0, 29, 50, 59], ["no", "no", "yes", "yes"])
    criterion = ExpectedGain(n_rounds=1).update(learner)
    before = learner.predict(X)
    criterion.update(learner.teach([20, 25, 33, 36], ["no", "yes", "yes", "yes"]))
    of = {label: learner.predict_proba(X)[:, i] for i, label in enumerate(learner.classes_.tolist())}
    pairs = zip(before.tolist(), learner.predict(X).tolist(), strict=True)
    expected = sum(of[now][i] - of[then][i] for i, (then, now) in enumerate(pairs)) / 60 / 4
    assert expected < -0.01
    assert criterion.history_["value"][-1] == pytest.approx(expected)
    assert criterion.should_stop_
    assert criterion.labels_left_ == 0
    assert str(criterion.report_).endswith("Stop: the criterion has fallen to its threshold.")


@pytest.mark.parametrize("statistic", ["max", "mean"])
@pytest.mark.parametrize("measure", ["entropy", "margin"])
def test_utilities_of_the_unlabelled_rows(statistic, measure):
    learner = ActiveLearner(LogisticRegression(max_iter=1000), RandomSampling(), random_state=0)
    learner.fit(X, np.full(len(X), -1)).teach([0, 50, 100, 101], Y[[0, 50, 100, 101]])
    p = np.sort(learner.predict_proba(np.delete(X, [0, 50, 100, 101], axis=0)))
    utility = -(p * np.log(p)).sum(axis=1) if measure == "entropy" else p[:, -2] - p[:, -1]
    expected = getattr(utility, statistic)()
    criterion = MaximumUtility(UncertaintySampling(measure), statistic=statistic, threshold=expected + 1e-9)
    assert criterion.update(learner).history_["value"] == pytest.approx([expected])
    assert criterion.should_stop_
    if measure == "margin":
        assert np.isnan(criterion.set_params(threshold=expected - 1e-3).labels_left_)


def test_nothing_is_worth_asking_for_when_all_is_labelled():
    learner = ActiveLearner(LogisticRegression(max_iter=1000), RandomSampling(), random_state=0).fit(X, Y)
    assert MaximumUtility().update(learner).should_stop_


def test_what_a_criterion_cannot_measure_is_refused_before_any_training():
    class Untrained(LinearSVC):
        def fit(self, X, y):
            raise AssertionError("trained")

    for criterion, match in [
        (ExpectedGain(), "predict_proba"),
        (MaximumUtility(), "predict_proba"),
        (MaximumUtility(UncertaintySampling("nothing")), "measure"),
        (MaximumUtility(CoreSet()), "criterion"),
        (MaximumUtility(QueryByCommittee(n_members=3)), "n_members=3 is trained for a query"),
        (StabilizingPredictions(threshold=-1), "threshold"),
        (MaximumUtility(threshold=np.nan), "threshold"),
    ]:
        learner = SimulatedLearner(Untrained(), RandomSampling(), stopping=criterion)
        with pytest.raises((TypeError, ValueError), match=match):
            learner.fit(X, Y)
