"""ExpectedErrorReduction against training again, written as loops, and what reaches it through a learner."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import entr
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.strategies import ExpectedErrorReduction, RandomSubset, expected_error

RNG = np.random.default_rng(0)
X = np.abs(RNG.normal(size=(60, 3)))
TRUTH = np.array(["no", "maybe", "yes"])[np.digitize(X[:, 0] + 0.3 * RNG.normal(size=60), [0.5, 1.0])]
Y = np.where(np.arange(60) < 20, TRUTH, None)
LEFT = np.arange(20, 60)
LOSSES = {"log_loss": lambda p: entr(p).sum(axis=1).mean(), "zero_one": lambda p: 1 - p.max(axis=1).mean()}


def by_hand(classifier, X_known, y_known, rows, evaluated, loss, weights=None, new_weights=None):
    now = clone(classifier).fit(X_known, y_known, **({} if weights is None else {"sample_weight": weights}))
    expected = []
    for i in range(len(rows)):
        total = 0.0
        for label, share in zip(now.classes_, now.predict_proba(rows[i : i + 1])[0], strict=True):
            params = {} if weights is None else {"sample_weight": np.append(weights, new_weights[i])}
            then = clone(classifier).fit(np.vstack([X_known, rows[i]]), np.append(y_known, label), **params)
            total += share * LOSSES[loss](then.predict_proba(evaluated))
        expected.append(total)
    return np.array(expected)


def learner(classifier, *args, n_queries=4, **params):
    strategy = ExpectedErrorReduction(*args, **params)
    return ActiveLearner(classifier, strategy, n_queries=n_queries, random_state=0)


def report(fitted):
    return fitted.strategy_.query_report_


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "classifier",
    [
        GaussianNB(),
        MultinomialNB(),
        KNeighborsClassifier(3),
        DecisionTreeClassifier(max_depth=2, random_state=0),
        make_pipeline(FunctionTransformer(np.sqrt), GaussianNB()),
        make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2, random_state=0)),
    ],
    ids=str,
)
def test_every_row_against_training_again(classifier, loss):
    fitted = learner(classifier, loss).fit(X, Y)
    rows = fitted.query()
    expected = by_hand(classifier, X[:20], TRUTH[:20], X[20:], X[20:], loss)
    assert_array_equal(report(fitted).rows, LEFT)
    assert_allclose(report(fitted).expected_loss, expected, atol=1e-9)
    assert_allclose(report(fitted).loss, LOSSES[loss](fitted.predict_proba(X[20:])))
    assert_allclose(expected[rows - 20], np.sort(expected)[:4], atol=1e-9)
    assert len(set(rows)) == 4


@pytest.mark.parametrize("classifier", [GaussianNB(), DecisionTreeClassifier(max_depth=2, random_state=0)])
def test_weights_and_samples_of_extend_are_in_the_training(classifier):
    weight = RNG.uniform(0.5, 2, size=60)
    fitted = learner(classifier).fit(X, Y, sample_weight=weight)
    fitted.extend(X[:3] + 0.5, ["yes", "no", "yes"], sample_weight=[3.0, 2.0, 1.0])
    fitted.query(exclude=[25, 26], pending=[27])
    rows = np.setdiff1d(LEFT, [25, 26, 27])
    assert_array_equal(report(fitted).rows, rows)
    known = np.vstack([X[:20], X[:3] + 0.5]), np.append(TRUTH[:20], ["yes", "no", "yes"])
    weights = np.append(weight[:20], [3.0, 2.0, 1.0])
    expected = by_hand(classifier, *known, X[rows], X[20:], "log_loss", weights, weight[rows])
    assert_allclose(report(fitted).expected_loss, expected, atol=1e-9)
    other = X[20:30] + 0.1  # rows of another pool weigh one
    fitted.query(other)
    expected = by_hand(classifier, *known, other, other, "log_loss", weights, np.ones(10))
    assert_allclose(report(fitted).expected_loss, expected, atol=1e-9)


def test_weights_of_answers_are_those_of_the_next_training():
    fitted = learner(GaussianNB()).fit(X, Y).teach([20], TRUTH[[20]], sample_weight=[4.0])
    fitted.query()
    weights = np.append(np.ones(20), 4.0)
    expected = by_hand(GaussianNB(), X[:21], TRUTH[:21], X[21:], X[21:], "log_loss", weights, np.ones(39))
    assert_allclose(report(fitted).expected_loss, expected, atol=1e-9)


def test_logistic_regression_chooses_nearly_what_training_again_would():
    classifier = LogisticRegression(tol=1e-8, max_iter=1000)
    fitted = learner(classifier, n_queries=5).fit(X, Y)
    rows = fitted.query()
    expected = by_hand(classifier, X[:20], TRUTH[:20], X[20:], X[20:], "log_loss")
    assert np.corrcoef(report(fitted).expected_loss, expected)[0, 1] > 0.95
    assert np.sort(expected)[:9].max() >= expected[rows - 20].max()


@pytest.mark.parametrize(
    "classifier", [LogisticRegression(), GaussianNB(), MultinomialNB(), KNeighborsClassifier(3)]
)
def test_blocks_and_samples_decide_nothing_but_cost(classifier, monkeypatch):
    fitted = learner(classifier).fit(X, Y)
    whole = fitted.query(), report(fitted).expected_loss
    monkeypatch.setattr(expected_error, "_BLOCK_BYTES", 1)
    assert_array_equal(fitted.query(), whole[0])
    assert_allclose(report(fitted).expected_loss, whole[1], atol=1e-12)
    few = learner(classifier, n_candidates=9, n_evaluated=6).fit(X, Y)
    rows = few.query()
    assert len(report(few).rows) == 9
    assert set(rows) < set(report(few).rows) < set(LEFT)
    assert_array_equal(few.query(), rows)
    assert len(few.query(n_queries=15)) == len(report(few).rows) == 15
    assert set(few.query()) != set(few.teach(rows, TRUTH[rows]).query())


def test_clones_are_trained_for_labels_that_the_classifier_thinks_of_alone():
    fits = []

    class Watched(DecisionTreeClassifier):
        def fit(self, X, y, **params):
            fits.append(len(y))
            return super().fit(X, y, **params)

    fitted = learner(Watched(random_state=0), n_candidates=7, n_queries=2).fit(X, Y)  # a sure one
    del fits[:]
    fitted.query()
    assert fits == [21] * 7


def test_sparse_rows_frames_and_texts():
    counts = RNG.integers(0, 3, size=(60, 8))
    dense = learner(MultinomialNB()).fit(counts, Y)
    assert_array_equal(learner(MultinomialNB()).fit(sparse.csr_array(counts), Y).query(), dense.query())
    for classifier in (LogisticRegression(), KNeighborsClassifier(2)):
        fitted = learner(classifier, n_candidates=5).fit(sparse.csr_array(counts), Y)
        assert fitted.query().min() >= 20


@pytest.mark.parametrize("classifier", [NetClassifier(max_epochs=1), LogisticRegression()])
def test_inside_another_strategy(classifier):
    inside = RandomSubset(3, ExpectedErrorReduction(n_evaluated=10))
    fitted = ActiveLearner(classifier, inside, n_queries=2, random_state=0).fit(X.astype(np.float32), Y)
    assert_array_equal(fitted.query(), fitted.query())


def test_labels_that_wait_for_a_training():
    fitted = learner(GaussianNB(), n_candidates=6).fit(X, np.where(TRUTH == "yes", None, Y))
    rows = np.flatnonzero(TRUTH == "yes")[:4]
    fitted.teach(rows, TRUTH[rows], refit=False)
    assert not set(fitted.query()) & set(rows)


def test_outside_a_learner_and_refusals():
    classifier = GaussianNB().fit(X[:20], TRUTH[:20])
    strategy = ExpectedErrorReduction(random_state=0).fit(X)
    assert strategy.query(X, Y, 3, estimator=classifier).min() >= 20
    with pytest.raises(ValueError, match="no row is labelled; give y"):
        strategy.query(X, estimator=classifier)
    frozen = FrozenEstimator(classifier)
    for each in (frozen, make_pipeline(StandardScaler(), frozen)):
        with pytest.raises(TypeError, match="a FrozenEstimator learns nothing"):
            learner(each).fit(X, Y)
    with pytest.raises(TypeError, match="predict_proba and LinearSVC has none"):
        learner(LinearSVC()).fit(X, Y)
    for params, name in [({"loss": "hinge"}, "loss"), ({"n_candidates": 0}, "n_candidates")]:
        with pytest.raises(ValueError, match=f"'{name}' parameter of ExpectedErrorReduction"):
            learner(GaussianNB(), **params).fit(X, Y)
    assert not hasattr(learner(GaussianNB()).fit(X, Y), "score_samples")


def test_strings_for_a_classifier_that_learns_from_unlabelled_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    y = np.where(np.arange(30) < 10, np.where(X[:, 0] > 0, "yes", "no"), None)
    strategy = ExpectedErrorReduction(n_candidates=3)
    learner = ActiveLearner(SelfTrainingClassifier(GaussianNB()), strategy, n_queries=2, random_state=0)
    assert len(learner.fit(X, y).query()) == 2


def test_classes_are_those_of_the_labels_where_a_new_one_waits(monkeypatch):
    """Label spreading is trained on codes of strings, and those of "a" and "c" become others once there is a "b"."""
    X = np.arange(12.0)[:, np.newaxis]
    learner = ActiveLearner(LabelSpreading(), ExpectedErrorReduction(n_candidates=2), random_state=0)
    learner.fit(X, ["a", "a", *[None] * 8, "c", "c"]).teach([5], ["b"], refit=False)
    trained, added = expected_error.trained_clone, []
    monkeypatch.setattr(
        expected_error, "trained_clone", lambda *args: added.append(args[2][-1]) or trained(*args)
    )
    learner.query()
    assert set(added) == {0, 2}


def test_features_below_zero_are_what_training_again_makes_of_them(monkeypatch):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 3))
    X[20] = -9  # far below what the labelled rows tell a scaler
    y = np.where(np.arange(40) < 6, np.arange(40) % 2, -1)
    strategy = ExpectedErrorReduction(n_candidates=40)
    scaled = make_pipeline(MinMaxScaler(), MultinomialNB(alpha=0.1))
    learner = ActiveLearner(scaled, strategy, n_queries=3, random_state=0).fit(X, y)
    rows, found = learner.query(), learner.strategy_.query_report_.expected_loss
    monkeypatch.setattr(expected_error, "updates_of", lambda classifier: None)
    assert_array_equal(learner.query(), rows)
    assert_array_equal(learner.strategy_.query_report_.expected_loss, found)
    monkeypatch.undo()
    plain = ActiveLearner(MultinomialNB(), strategy, random_state=0)
    for rows in (X, sparse.csr_array(X)):
        learner = plain.fit(abs(rows), y).use(strategy)
        with pytest.raises(ValueError, match="Negative values in data passed to MultinomialNB"):
            learner.query(rows)
