"""ClassBalanced: shares of predicted classes, against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from skal import ActiveLearner
from skal.strategies import ALCG, ClassBalanced, CoreSet, UncertaintySampling
from skal.strategies.class_balanced import divided

X, TRUTH = load_digits(return_X_y=True)
X = X / 16
Y = np.where(np.arange(len(X)) < 60, TRUTH, -1)


def learner(strategy, **params):
    return ActiveLearner(LogisticRegression(max_iter=1000), strategy, random_state=0, **params).fit(X, Y)


@pytest.mark.parametrize("criterion", [ALCG(), UncertaintySampling("entropy"), CoreSet("input")], ids=str)
def test_equal_shares_of_the_criterions_own_choice(criterion):
    fitted = learner(ClassBalanced(criterion), n_queries=40)
    rows = fitted.query()
    predicted = fitted.predict(X)
    assert_array_equal(np.bincount(predicted[rows]), 4)
    for stop in (10, 20, 30):
        assert_array_equal(np.bincount(predicted[rows[:stop]]), stop // 10)
    if not isinstance(criterion, CoreSet):
        utility = learner(criterion).score_samples(X)
        for label in range(10):
            own = np.flatnonzero((predicted == label) & (Y < 0))
            best = own[np.argsort(-utility[own], kind="stable")[:4]]
            assert set(rows[predicted[rows] == label]) == set(best)


def test_a_tuned_threshold_decides_what_is_predicted():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 2))
    y = np.where(np.arange(400) < 80, np.where(rows[:, 0] > 1.2, "rare", "common"), None)
    classifier = FixedThresholdClassifier(LogisticRegression(), threshold=0.05, pos_label="rare")
    for strategy in (ClassBalanced(UncertaintySampling()), ALCG()):
        fitted = ActiveLearner(classifier, strategy, n_queries=20, random_state=0).fit(rows, y)
        report, predicted = fitted.strategy_, fitted.predict(rows[fitted.query()])
        assert_array_equal(report.query_report_.classes, ["common", "rare"])
        assert_array_equal(
            report.query_report_.counts, [(predicted == "common").sum(), (predicted == "rare").sum()]
        )
        if isinstance(strategy, ClassBalanced):
            assert_array_equal(report.query_report_.counts, 10)


def test_inverse_and_given_shares():
    y = np.where((np.arange(len(X)) < 60) | ((TRUTH == 3) & (np.arange(len(X)) < 600)), TRUTH, -1)
    fitted = learner(ClassBalanced(ALCG(), "inverse")).fit(X, y)
    predicted = fitted.predict(X)
    counts = np.bincount(predicted[fitted.query(n_queries=60)], minlength=10)
    assert counts[3] <= 1
    assert counts[np.arange(10) != 3].min() >= 5
    fitted.use(ClassBalanced(ALCG(), {0: 3, 7: 1}))
    assert_array_equal(
        np.bincount(predicted[fitted.query(n_queries=8)], minlength=10), [6, 0, 0, 0, 0, 0, 0, 2, 0, 0]
    )


def test_rows_that_are_asked_about_one_by_one_have_the_same_shares():
    fitted = learner(ClassBalanced(), n_queries=20)
    batch, singles = fitted.query(), []
    for _ in range(20):
        singles.extend(fitted.query(n_queries=1, pending=singles).tolist())
    assert singles == batch.tolist()
    fitted.skip(batch[fitted.predict(X)[batch] < 3])
    counts = np.bincount(fitted.predict(X)[fitted.query()], minlength=10)
    assert_array_equal(counts, 2, err_msg="rows that nobody will label take no seats for good")


def test_labels_outside_the_pool_count_for_inverse_shares():
    strategy, ones = ClassBalanced(shares="inverse"), np.flatnonzero((TRUTH == 1) & (Y < 0))[:60]
    X_pool, y_pool = np.delete(X, ones, axis=0), np.delete(Y, ones)
    fitted = ActiveLearner(LogisticRegression(max_iter=1000), strategy, n_queries=30, random_state=0)
    fitted.fit(X_pool, y_pool).extend(X[ones], TRUTH[ones])
    predicted = fitted.predict(X_pool)
    assert np.bincount(predicted[fitted.query()], minlength=10)[1] == 0
    other = X[::-1] + 0.01
    assert np.bincount(fitted.predict(other)[fitted.query(other)], minlength=10)[1] == 0


def test_classes_that_run_out_leave_their_seats():
    fitted = learner(ClassBalanced(shares={0: 1, "no class": 5}))
    left = np.flatnonzero(Y < 0)
    predicted = fitted.predict(X)
    n_zeros = int((predicted[left] == 0).sum())
    with pytest.warns(
        UserWarning, match=r"shares has the labels \['no class'\], which the classifier does not know"
    ):
        rows = fitted.query(n_queries=n_zeros + 18)
    assert_array_equal(predicted[rows[:n_zeros]], 0)
    assert_array_equal(np.bincount(predicted[rows[n_zeros:]], minlength=10), [0] + [2] * 9)
    known = ActiveLearner(
        fitted.estimator, ClassBalanced(shares={0: 1, 10: 5}), classes=range(11), random_state=0
    )
    assert (
        len(known.fit(X, Y).query(n_queries=3)) == 3
    )  # a class that is known and has no label yet: no warning
    fitted.use(ClassBalanced(shares={0: 1}))
    assert set(fitted.query(n_queries=len(left))) == set(left)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), min_size=1, max_size=5),
    st.integers(0, 9),
    st.integers(0, 3),
)
def test_seats_go_to_the_class_furthest_below_its_share(classes, n_seats, seed):
    weights, available = np.array(classes, dtype=float).T
    available = available.astype(int)
    n_seats = min(n_seats, available.sum())
    seats = divided(n_seats, weights, available, np.random.default_rng(seed))
    assert len(seats) == n_seats
    taken = np.zeros(len(weights), dtype=int)
    for seat in seats:
        able = [code for code in range(len(weights)) if taken[code] < available[code]]
        with_share = [code for code in able if weights[code]] or able
        assert seat in with_share
        if weights[seat]:
            claims = [(taken[code] + 0.5) / weights[code] for code in with_share]
            assert np.isclose((taken[seat] + 0.5) / weights[seat], min(claims))
        taken[seat] += 1


@pytest.mark.parametrize("shares", [{}, {0: -1, 1: 2}, {0: 0}, {0: np.nan}, {0: "x"}])
def test_shares_that_are_none(shares):
    with pytest.raises(ValueError, match="weights of classes"):
        learner(ClassBalanced(shares=shares))
