"""QueryByCommittee against measures written as loops, committees against their members, and bootstrap committees."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skal import ActiveLearner
from skal.access import committee_proba
from skal.classifiers import NetClassifier
from skal.strategies import QueryByCommittee, RandomSubset
from skal.strategies.query_by_committee import _MEASURES

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
TRUTH = np.array(["no", "maybe", "yes"])[np.digitize(X[:, 0] + 0.5 * RNG.normal(size=60), [-0.5, 0.5])]
Y = np.where(np.arange(60) < 30, TRUTH, None)
KNOWN = np.arange(30)
MEASURES = sorted(_MEASURES)


def by_hand(measure, p):
    """The measure of one row, of shape (n_members, n_classes)."""

    def entropy(shares):
        return -sum(share * np.log(share) for share in shares if share > 0)

    consensus = p.mean(axis=0)
    votes = np.zeros(p.shape[1])
    for member in p:
        votes[member.argmax()] += 1 / len(p)
    if measure == "kl":
        divergences = [sum(a * np.log(a / b) for a, b in zip(q, consensus, strict=True) if a > 0) for q in p]
        return np.mean(divergences)
    return {
        "vote_entropy": entropy(votes),
        "consensus_entropy": entropy(consensus),
        "variation_ratio": 1 - votes.max(),
    }[measure]


@pytest.mark.parametrize("measure", MEASURES)
@given(counts=st.lists(st.lists(st.integers(0, 5), min_size=3, max_size=3), min_size=8, max_size=8))
def test_measures(measure, counts):
    p = np.array(counts, dtype=float).reshape(2, 4, 3)
    p[p.sum(axis=2) == 0] = 1
    p /= p.sum(axis=2, keepdims=True)
    assert_allclose(_MEASURES[measure](p), [by_hand(measure, row) for row in p], atol=1e-12)


def encoded_members(ensemble):
    return [member.predict_proba(X) for member in ensemble.estimators_]


@pytest.mark.parametrize(
    "ensemble",
    [
        RandomForestClassifier(5, random_state=0),
        ExtraTreesClassifier(5, max_depth=3, random_state=0),
        BaggingClassifier(LogisticRegression(), 4, random_state=0),
        VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft"),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=4, random_state=0),
    ],
    ids=lambda ensemble: type(ensemble).__name__,
)
def test_every_kind_of_committee(ensemble):
    ensemble.fit(X[KNOWN], TRUTH[KNOWN])
    expected = np.stack(encoded_members(ensemble), axis=1)
    assert_allclose(committee_proba(ensemble, X), expected, atol=1e-6)  # forests compare in float32
    assert_allclose(committee_proba(ensemble, X, [3, 0]), expected[[3, 0]], atol=1e-6)
    search = GridSearchCV(clone(ensemble), {}, cv=2).fit(X[KNOWN], TRUTH[KNOWN])
    inside = make_pipeline("passthrough", FrozenEstimator(search))
    assert_allclose(committee_proba(inside, X), expected, atol=1e-6)
    frame = pd.DataFrame(X, columns=list("abcd"))
    named = clone(ensemble).fit(frame[:30], TRUTH[KNOWN])
    assert_allclose(committee_proba(named, frame), expected, atol=1e-6)


class Unweighted(LinearSVC):
    """One that gets the rows of a bootstrap sample, not their weights, and so may miss a class."""

    def fit(self, X, y):
        return super().fit(X, y)


def test_members_that_miss_features_and_classes_and_probabilities():
    y = np.where(np.arange(30) == 0, "rare", TRUTH[KNOWN])
    bagging = BaggingClassifier(Unweighted(), 6, max_features=2, max_samples=12, random_state=0)
    bagging.fit(X[KNOWN], y)
    assert any(len(member.classes_) < 4 for member in bagging.estimators_)
    members = zip(bagging.estimators_, bagging.estimators_features_, strict=True)
    votes = [member.predict(X[:, features]) for member, features in members]
    p = committee_proba(bagging, X)
    assert_array_equal(p.argmax(axis=2), np.stack(votes, axis=1))
    assert_array_equal(p.sum(axis=2), 1)
    bagging.set_params(estimator=KNeighborsClassifier(3)).fit(X[KNOWN], y)
    assert any(len(member.classes_) < 4 for member in bagging.estimators_)
    assert_allclose(committee_proba(bagging, X).mean(axis=1), bagging.predict_proba(X))


@pytest.mark.parametrize("measure", MEASURES)
def test_a_query_takes_the_rows_of_most_disagreement(measure):
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(7, max_depth=3, random_state=0))
    learner = ActiveLearner(forest, QueryByCommittee(measure), n_queries=6, random_state=0).fit(X, Y)
    scores = np.array([by_hand(measure, row) for row in committee_proba(learner.estimator_, X)])
    assert_allclose(learner.score_samples(X), scores, atol=1e-12)
    assert_allclose(scores[learner.query()], np.sort(scores[30:])[::-1][:6], atol=1e-12)


def test_a_committee_of_networks():
    nets = [(str(seed), NetClassifier(max_epochs=2, random_state=seed)) for seed in range(3)]
    X32 = X.astype(np.float32)
    learner = ActiveLearner(VotingClassifier(nets, voting="soft"), QueryByCommittee("kl")).fit(X32, Y)
    assert len(learner.query()) == 1
    assert committee_proba(learner.estimator_, X32).shape == (60, 3, 3)


# Bootstrap


def test_a_bootstrap_committee_is_trained_on_rows_drawn_with_replacement():
    class Watched(GaussianNB):
        def fit(self, X, y, sample_weight=None):
            seen.append((X, y, sample_weight))
            return super().fit(X, y, sample_weight)

    weight = np.arange(60.0) + 1
    seen = []
    strategy = QueryByCommittee("kl", n_members=4)
    learner = ActiveLearner(Watched(), strategy, n_queries=5, random_state=0)
    learner.fit(X, Y, sample_weight=weight)
    del seen[:]
    rows = learner.query()
    assert len(seen) == 4
    members = []
    for sample, y, own in seen:
        drawn = (own - 1).astype(int)  # the weight of a row tells which it is
        assert_array_equal(sample, X[drawn])
        assert_array_equal(y, TRUTH[drawn])
        assert len(set(drawn)) < 30
        members.append(GaussianNB().fit(sample, y, own).predict_proba(X))
    scores = np.array([by_hand("kl", row) for row in np.stack(members, axis=1)])
    assert_allclose(scores[rows], np.sort(scores[30:])[::-1][:5])
    learner.teach(rows, TRUTH[rows])
    assert not set(rows) & set(learner.query())
    with pytest.raises(TypeError, match=r"n_members=4 is trained for a query"):
        learner.score_samples(X)


@pytest.mark.parametrize(
    "classifier",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        SelfTrainingClassifier(GaussianNB()),
        NetClassifier(max_epochs=1),
        RandomForestClassifier(3),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_any_classifier_makes_a_bootstrap_committee(classifier):
    y = np.where(np.arange(60) < 30, (X[:, 0] > 0).astype(int), -1)
    strategy = RandomSubset(15, QueryByCommittee("consensus_entropy", n_members=2))
    learner = ActiveLearner(classifier, strategy, n_queries=3, random_state=0).fit(X.astype(np.float32), y)
    assert_array_equal(learner.query(), learner.query())


def test_members_may_miss_the_rarest_class():
    y = np.array(["a"] * 9 + ["b"] * 9 + ["c"], object)
    learner = ActiveLearner(GaussianNB(), QueryByCommittee("kl", n_members=9), random_state=0)
    learner.fit(X, [*y, *[None] * 41])
    assert learner.query(n_queries=41).min() == 19
    y[1:9] = y[9:18] = "b"  # a sample of one class is drawn again
    learner.fit(X, [*y[:18], *[None] * 42])
    assert len(learner.query()) == 1


def test_a_bootstrap_committee_outside_a_learner_needs_labels():
    classifier, strategy = (
        GaussianNB().fit(X[KNOWN], TRUTH[KNOWN]),
        QueryByCommittee(n_members=3, random_state=0),
    )
    assert strategy.fit(X).query(X, Y, 4, estimator=classifier).min() >= 30
    with pytest.raises(ValueError, match="no row is labelled; give y"):
        strategy.query(X, estimator=classifier)


def test_refusals():
    frozen = FrozenEstimator(GaussianNB().fit(X, TRUTH))
    for strategy, classifier, message in [
        (
            QueryByCommittee(),
            LogisticRegression(),
            "QueryByCommittee.* members and LogisticRegression has none",
        ),
        (QueryByCommittee(n_members=3), frozen, "not trained again"),
        (QueryByCommittee(n_members=3), make_pipeline(StandardScaler(), frozen), "not trained again"),
        (QueryByCommittee(n_members=3), LinearSVC(), "predict_proba"),
    ]:
        with pytest.raises(TypeError, match=message):
            ActiveLearner(classifier, strategy).fit(X, Y)
    with pytest.raises(ValueError, match="n_members"):
        QueryByCommittee(n_members=1).fit(X)
