"""Learners whose labels have a marker of their own, as -1 is a class."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier

from skal import ActiveLearner, SimulatedLearner
from skal.model_selection import LabeledSplit, labeled_scorer
from skal.strategies import (
    GAAL,
    VAAL,
    WAAL,
    CoreSet,
    ExpectedErrorReduction,
    QueryByCommittee,
    RandomSampling,
    UncertaintySampling,
)

from ..networks import tiny_gan, tiny_vaal, tiny_wasserstein

X, CODES = load_iris(return_X_y=True)
TRUTH = np.array([-1, 0, 1])[CODES]
Y = np.where(np.arange(150) % 10 == 0, TRUTH, -99)


def logistic():
    return LogisticRegression(tol=0.1)


def test_the_classes_are_the_same_as_under_other_names():
    named = ActiveLearner(logistic(), UncertaintySampling(), n_queries=5, random_state=0, unlabeled=-99).fit(
        X, Y
    )
    plain = ActiveLearner(logistic(), UncertaintySampling(), n_queries=5, random_state=0)
    plain.fit(X, np.where(Y == -99, -1, Y + 1))
    for _ in range(3):
        rows = named.query()
        np.testing.assert_array_equal(rows, plain.query())
        named.teach(rows, TRUTH[rows])
        plain.teach(rows, CODES[rows])
        np.testing.assert_array_equal(named.y_, np.where(plain.y_ < 0, -99, plain.y_ - 1))
    assert named.classes_.tolist() == [-1, 0, 1]
    assert named.score(X, TRUTH) == plain.score(X, CODES)
    assert named.score(X, Y) == plain.score(X, np.where(Y == -99, -1, Y + 1))


def test_answers_keep_their_marker():
    learner = ActiveLearner(logistic(), RandomSampling(), unlabeled=-99).fit(X, Y)
    assert learner.teach([1], [-1]).y_[1] == -1
    assert learner.forget([1]).y_[1] == -99
    assert learner.undo().y_[1] == -1
    with pytest.raises(ValueError, match=r"positions \[0\] are unlabelled \(-99\); leave those rows out"):
        learner.teach([2], [-99])
    assert learner.extend(X[:2], [-1, 0]).classes_.tolist() == [-1, 0, 1]
    grown = learner.grow(np.concatenate([X, X[:3]]), [-1, -99, 1])
    assert grown.y_[150:].tolist() == [-1, -99, 1]
    assert ActiveLearner(logistic(), RandomSampling(), unlabeled=-99).fit(grown.X_, grown.y_).y_[151] == -99


@pytest.mark.parametrize("classes", [None, [-1, 0, 1, 7]])
@pytest.mark.parametrize(
    ("classifier", "strategy"),
    [
        (SelfTrainingClassifier(logistic()), UncertaintySampling()),
        (LabelPropagation(), UncertaintySampling()),
        (make_pipeline(StandardScaler(), LabelSpreading()), CoreSet()),
        (make_pipeline(StandardScaler(), LabelSpreading()), QueryByCommittee("kl", n_members=3)),
        (SelfTrainingClassifier(logistic()), ExpectedErrorReduction(n_candidates=5)),
        (tiny_vaal(), VAAL()),
        (tiny_wasserstein(), WAAL()),
    ],
    ids=lambda part: type(part).__name__,
)
def test_classifiers_that_take_the_marker_are_given_codes(classifier, strategy, classes):
    given = {"classes": classes, "n_queries": 3, "random_state": 0}
    named = ActiveLearner(classifier, strategy, unlabeled=-99, **given).fit(X, Y)
    given["classes"] = None if classes is None else [0, 1, 2, 8]
    plain = ActiveLearner(classifier, strategy, **given).fit(X, np.where(Y == -99, -1, Y + 1))
    for _ in range(2):
        rows = named.query()
        np.testing.assert_array_equal(rows, plain.query())
        named.teach(rows, TRUTH[rows]).extend(X[:2], TRUTH[:2])
        plain.teach(rows, CODES[rows]).extend(X[:2], CODES[:2])
    np.testing.assert_array_equal(named.classes_, plain.classes_ - 1)
    np.testing.assert_array_equal(named.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(named.predict(X), plain.predict(X) - 1)
    assert named.score(X, TRUTH) == plain.score(X, CODES)


@pytest.mark.parametrize("classes", [None, ["a", "b", "c", "d"]])
@pytest.mark.parametrize(
    ("classifier", "strategy"),
    [
        (LabelPropagation(), UncertaintySampling()),
        (make_pipeline(StandardScaler(), LabelSpreading()), QueryByCommittee("kl", n_members=3)),
        (SelfTrainingClassifier(logistic()), UncertaintySampling()),
    ],
    ids=lambda part: type(part).__name__,
)
def test_strings_are_learned_beside_unlabelled_rows(classifier, strategy, classes):
    words, given = np.array(["a", "b", "c"], dtype=object), {"n_queries": 3, "random_state": 0}
    named = ActiveLearner(classifier, strategy, classes=classes, **given)
    named.fit(X, np.where(Y == -99, None, words[CODES]))
    given["classes"] = None if classes is None else [0, 1, 2, 3]
    plain = ActiveLearner(classifier, strategy, **given).fit(X, np.where(Y == -99, -1, CODES))
    for _ in range(2):
        rows = named.query()
        np.testing.assert_array_equal(rows, plain.query())
        named.teach(rows, words[CODES[rows]])
        plain.teach(rows, CODES[rows])
    assert named.classes_.tolist() == ["abcd"[code] for code in plain.classes_]
    np.testing.assert_array_equal(named.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(named.predict(X), words[plain.predict(X)])


def test_labels_minus_one_and_one_alone_are_warned_about():
    y = np.where(np.arange(150) % 10 == 0, 1, -1)
    for labels in (y, y.astype(float), y.tolist()):
        with pytest.warns(
            UserWarning, match=r"labels -1 and 1 alone.*unlabeled=-99; if it is the marker, unlabeled=-1"
        ) as found:
            ActiveLearner(logistic(), RandomSampling()).fit(X, labels)
        assert len(found) == 1
    for given in ({"unlabeled": -1}, {"classes": [0, 1]}, {"unlabeled": -99}):
        ActiveLearner(logistic(), RandomSampling(), **given).fit(X, y)
    few = np.where(np.arange(150) < 14, 1, -1)  # less than a tenth
    ActiveLearner(logistic(), RandomSampling()).fit(X, few)
    for others in (np.where(y == 1, 2, -1), np.ones(150, int), np.where(y == 1, np.arange(150) % 2, -1)):
        ActiveLearner(logistic(), RandomSampling()).fit(X, others)


def test_a_class_that_is_the_marker_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"Where -1 is a class, unlabeled=\.\.\. says what marks such a row"):
        ActiveLearner(logistic(), RandomSampling(), classes=[-1, 1]).fit(X, Y)
    with pytest.raises(ValueError, match="'unlabeled' parameter"):
        ActiveLearner(logistic(), RandomSampling(), unlabeled=[1]).fit(X, Y)


def test_simulations_with_such_a_class():
    given = {"n_initial": 10, "budget": 30, "random_state": 0, "validation_fraction": 0.3}
    named = SimulatedLearner(logistic(), UncertaintySampling(), unlabeled=-99, **given).fit(X, TRUTH)
    plain = SimulatedLearner(logistic(), UncertaintySampling(), **given).fit(X, CODES)
    np.testing.assert_array_equal(named.history_["score"], plain.history_["score"])
    np.testing.assert_array_equal(named.labeled_rows_, plain.labeled_rows_)
    assert named.classes_.tolist() == [-1, 0, 1]
    assert (named.y_ == -99).sum() == (plain.y_ == -1).sum()
    given |= {"validation_fraction": None, "scoring": "accuracy"}
    scores = [
        SimulatedLearner(logistic(), UncertaintySampling(), unlabeled=-99, **given)
        .fit(X, TRUTH, X_val=rows, y_val=y)
        .history_["score"]
        for rows, y in ((X, Y), (X[Y != -99], Y[Y != -99]))
    ]
    np.testing.assert_array_equal(*scores)
    with pytest.raises(ValueError, match=r"50 unlabelled rows.*Where -1 is a class.*unlabeled="):
        SimulatedLearner(logistic(), UncertaintySampling()).fit(X, TRUTH)


def test_annotators_may_answer_with_such_a_class():
    annotator = FrozenEstimator(logistic().fit(X, TRUTH))
    given = {"n_initial": 20, "n_queries": 5, "budget": 30, "random_state": 0}
    strategy = GAAL(tiny_gan(n_critic=1))
    named = SimulatedLearner(logistic(), strategy, annotator=annotator, unlabeled=-99, **given).fit(X, TRUTH)
    plain = SimulatedLearner(
        logistic(), strategy, annotator=lambda samples: annotator.predict(samples) + 1, **given
    ).fit(X, CODES)
    np.testing.assert_array_equal(named.history_["class_counts"], plain.history_["class_counts"])
    declining = SimulatedLearner(
        logistic(), strategy, annotator=lambda samples: np.full(len(samples), -99), unlabeled=-99, **given
    ).fit(X, TRUTH)
    assert declining.history_["class_counts"][-1].sum() == 20
    assert declining.history_["n_labeled"][-1] == 30


def test_scores_with_such_a_class():
    learner = ActiveLearner(logistic(), RandomSampling(), unlabeled=-99)
    scores = cross_val_score(learner, X, Y, cv=LabeledSplit(3, unlabeled=-99), scoring="f1_macro")
    plain = ActiveLearner(logistic(), RandomSampling())
    renamed = np.where(Y == -99, -1, Y + 1)
    np.testing.assert_array_equal(
        scores, cross_val_score(plain, X, renamed, cv=LabeledSplit(3), scoring="f1_macro")
    )
    scorer = labeled_scorer("f1_macro", unlabeled=-99)
    assert repr(scorer) == "labeled_scorer('f1_macro', unlabeled=-99)"
    assert scorer(learner.fit(X, Y), X, Y) == labeled_scorer("f1_macro")(plain.fit(X, renamed), X, renamed)


@pytest.mark.parametrize("marker", [np.nan, "?", ""])
def test_other_markers(marker):
    y = np.array(["a", "b", "c"], dtype=object)[CODES]
    y[np.arange(150) % 10 > 0] = marker
    learner = ActiveLearner(logistic(), RandomSampling(), unlabeled=marker).fit(X, y)
    assert learner.classes_.tolist() == ["a", "b", "c"]
    row = learner.query()[0]
    assert row % 10
    assert learner.teach([row], ["a"]).y_[row] == "a"
