"""Test folds of labelled rows, and training folds without what belongs to the test fold."""

import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeavePOut,
    PredefinedSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.semi_supervised import SelfTrainingClassifier

from skal import UNLABELED, ActiveLearner
from skal.model_selection import LabeledSplit
from skal.strategies import RandomSampling

X, TRUTH = load_iris(return_X_y=True)
Y = np.where(np.arange(150) % 4 == 0, TRUTH, UNLABELED)
KNOWN = np.flatnonzero(Y >= 0)
HIDDEN = np.flatnonzero(Y < 0)
NAMES = np.where(Y < 0, None, np.array(["ant", "bee", "cow"], dtype=object)[TRUTH])


def learner():
    return ActiveLearner(LogisticRegression(max_iter=1000), RandomSampling())


@pytest.mark.parametrize("y", [Y, NAMES, Y.astype(float), list(Y)], ids=["int", "str", "float", "list"])
def test_the_inner_splitter_sees_the_labelled_rows_only(y):
    inner = StratifiedKFold(3).split(KNOWN, TRUTH[KNOWN])
    folds = list(LabeledSplit(3).split(X, y))
    assert LabeledSplit(3).get_n_splits(X, y) == len(folds) == 3
    for (train, test), (own_train, own_test) in zip(folds, inner, strict=True):
        assert_array_equal(test, KNOWN[own_test])
        assert_array_equal(train, np.union1d(HIDDEN, KNOWN[own_train]))


@pytest.mark.parametrize("y", [Y, NAMES], ids=["int", "str"])
@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr"])
def test_every_scorer_is_right(y, scoring):
    scores = cross_val_score(learner(), X, y, cv=LabeledSplit(3), scoring=scoring)
    on_known = cross_val_score(
        LogisticRegression(max_iter=1000),
        X[KNOWN],
        y[KNOWN].astype("U" if y is NAMES else int),
        cv=3,
        scoring=scoring,
    )
    np.testing.assert_allclose(scores, on_known)


def test_accuracy_without_it_counts_the_marker_as_a_class():
    assert cross_val_score(learner(), X, Y, scoring="accuracy").mean() < 0.3
    assert cross_val_score(learner(), X, Y, scoring="accuracy", cv=LabeledSplit()).mean() > 0.9


def test_unlabelled_rows_reach_classifiers_that_learn_from_them():
    seen = []

    class Watching(SelfTrainingClassifier):
        def fit(self, X, y):
            seen.append(int((np.asarray(y) == -1).sum()))
            return super().fit(X, y)

    cross_val_score(Watching(LogisticRegression(max_iter=1000)), X, Y, cv=LabeledSplit(2), scoring="accuracy")
    assert seen == [len(HIDDEN)] * 2


@given(st.integers(0, 2**16), st.sampled_from([GroupKFold(2), LeaveOneGroupOut(), GroupShuffleSplit(3)]))
def test_no_group_is_on_both_sides_by_an_unlabelled_row(seed, cv):
    rng = np.random.default_rng(seed)
    groups = rng.choice(["g", "h", "i", "j"], 60)
    y = rng.integers(-1, 3, 60)
    y[:2], groups[:2] = [0, 1], ["g", "h"]
    for train, test in LabeledSplit(cv).split(np.zeros((60, 1)), y, groups):
        assert (y[test] >= 0).all()
        hidden = np.flatnonzero(y < 0)
        assert_array_equal(np.intersect1d(train, hidden), hidden[~np.isin(groups[hidden], groups[test])])


@pytest.mark.parametrize("gap", [0, 2])
def test_unlabelled_rows_of_the_future_are_left_out(gap):
    cv = TimeSeriesSplit(3, gap=gap)
    for (train, test), (own, _) in zip(LabeledSplit(cv).split(X, Y), cv.split(KNOWN), strict=True):
        assert train.max() < test.min()
        assert_array_equal(train, np.arange(KNOWN[own.max() + 1]))  # the gap is one for all rows


def test_any_splitter_that_goes_by_time_is_seen_as_one():
    class Forward(KFold):  # no TimeSeriesSplit
        def split(self, X, y=None, groups=None):
            yield from TimeSeriesSplit(self.n_splits).split(X)

    assert all(train.max() < test.min() for train, test in LabeledSplit(Forward(3)).split(X, Y))
    tail = PredefinedSplit(np.where(np.arange(len(KNOWN)) < 30, -1, 0))  # one fold says nothing about time
    ((train, _),) = LabeledSplit(tail).split(X, Y)
    assert np.isin(HIDDEN, train).all()


def test_folds_are_generated_one_by_one():
    first, _ = next(LabeledSplit(LeavePOut(18)).split(X, Y))  # of 10**10 folds
    assert len(first) == 150 - 18


def test_search_with_routed_groups():
    groups = np.arange(150) // 10
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            learner(), {"estimator__C": [0.1, 1]}, cv=LabeledSplit(GroupKFold(3)), scoring="accuracy"
        )
        search.fit(X, Y, groups=groups)
    assert clone(search).cv.cv.n_splits == 3
    search = GridSearchCV(
        learner(), {"estimator__C": [0.1, 1]}, cv=LabeledSplit(GroupKFold(3)), scoring="accuracy"
    )
    assert search.fit(X, Y, groups=groups).best_score_ > 0.8


def test_number_of_folds():
    assert LabeledSplit().get_n_splits() == LabeledSplit(None).get_n_splits(X, Y) == 5
    assert LabeledSplit(LeaveOneGroupOut()).get_n_splits(X, Y, np.arange(150) % 4) == 1
    assert repr(LabeledSplit(2, unlabeled="?")) == "LabeledSplit(cv=2, unlabeled='?')"


@pytest.mark.parametrize(
    ("cv", "y", "groups", "message"),
    [
        (3, np.full(150, -1), None, "y has no labelled row, so there is nothing to test on"),
        (
            PredefinedSplit(np.arange(150) % 2),
            Y,
            None,
            r"38 labelled rows.*positions in cv are those among the lab",
        ),
        (3, Y[:-1], None, "inconsistent numbers of samples"),
        (3, Y, np.zeros(149), "inconsistent numbers of samples"),
        (3, Y, np.where(np.arange(150) % 2, 1.0, np.nan), "groups contains NaN"),
        ("five", Y, None, "Expected .?cv.? as an integer"),
    ],
)
def test_what_is_refused(cv, y, groups, message):
    with pytest.raises(ValueError, match=message):
        list(LabeledSplit(cv).split(X, y, groups))


def test_folds_that_are_generated_last_for_several_passes():
    splitter = LabeledSplit(StratifiedKFold(3).split(KNOWN, TRUTH[KNOWN]))
    search = GridSearchCV(learner(), {"estimator__C": [0.1, 1]}, cv=splitter, scoring="accuracy")
    expected = GridSearchCV(learner(), {"estimator__C": [0.1, 1]}, cv=LabeledSplit(3), scoring="accuracy")
    for _ in range(2):
        assert clone(search).fit(X, Y).best_score_ == expected.fit(X, Y).best_score_
    assert splitter.get_n_splits() == splitter.get_n_splits(X, Y) == 3


def test_folds_that_are_lists():
    y = np.array([0, -1, 1, 0, 1])
    folds = [([0, 1], [2, 3]), (range(2, 4), [0, 1])]
    ours = list(LabeledSplit(folds).split(np.zeros((5, 1)), y))
    arrays = [(np.array(train), np.array(test)) for train, test in folds]
    for (train, test), (same_train, same_test) in zip(
        ours, LabeledSplit(arrays).split(np.zeros((5, 1)), y), strict=True
    ):
        assert_array_equal(train, same_train)
        assert_array_equal(test, same_test)
