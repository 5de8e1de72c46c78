"""DropQuery row by row, with masks that belong to the rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import nn

from skal import ActiveLearner
from skal.access import embed, linear_head
from skal.classifiers import CNNClassifier, NetClassifier
from skal.strategies import DropQuery, RandomSubset, drop_query

from ..networks import DIGITS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 6)).astype(np.float32)
TRUTH = np.digitize(X[:, 0] + X[:, 1] + 0.3 * RNG.normal(size=600), [-0.7, 0.7])
Y = np.where(np.arange(600) < 30, TRUTH, -1)


def by_hand(learner, seed, n_masks, rate):
    """How many predictions change, for each row by itself."""
    weights, intercepts = linear_head(learner.estimator_)
    h = embed(learner.estimator_, X).astype(float)
    changes = np.zeros(len(X), dtype=int)
    for row in range(len(X)):
        part, place = divmod(row, drop_query._TOGETHER)
        rng = np.random.default_rng([seed, part])
        for _ in range(n_masks):
            kept = rng.random((drop_query._TOGETHER, h.shape[1]), dtype=np.float32)[place] >= rate
            dropped = weights @ (h[row] * kept) / (1 - rate) + intercepts
            changes[row] += dropped.argmax() != (weights @ h[row] + intercepts).argmax()
    return changes


def test_half_of_an_even_number_of_predictions_is_not_enough():
    learner = ActiveLearner(LogisticRegression(), DropQuery(2, dropout=0.5), n_queries=5, random_state=0).fit(
        X, Y
    )
    changes = by_hand(learner, learner.strategy_._seed, 2, 0.5)
    assert (changes[learner.query()] == 2).all()
    assert learner.strategy_.query_report_.n_uncertain == (changes[30:] == 2).sum() > 5


@pytest.mark.parametrize("n_queries", [5, 200])
@pytest.mark.parametrize("n_known", [30, 400])
def test_the_rows_are_uncertain_and_of_different_clusters(n_queries, n_known):
    y = np.where(np.arange(600) < n_known, TRUTH, -1)
    learner = ActiveLearner(
        LogisticRegression(), DropQuery(dropout=0.5), n_queries=n_queries, random_state=0
    ).fit(X, y)
    rows = learner.query()
    changes = by_hand(learner, learner.strategy_._seed, 3, 0.5)
    report, left = learner.strategy_.query_report_, changes[n_known:]
    least = min(2, np.sort(left)[-n_queries])
    assert report.n_changes == least
    assert report.n_uncertain == (left >= least).sum()
    assert (changes[rows] >= least).all()
    assert 0 < (left >= 2).sum() < len(left)
    assert (least == 2) == (n_queries == 5)


def test_a_row_has_its_masks_whatever_else_is_asked_about():
    classifier = LogisticRegression().fit(X[:30], TRUTH[:30])
    strategy = DropQuery(random_state=3).fit(X)
    seen = []

    def watch(self, query, rows, embedding, places, original=DropQuery._changes):
        changes = original(self, query, rows, embedding, places)
        seen.append(dict(zip(rows.tolist(), changes.tolist(), strict=True)))
        return changes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DropQuery, "_changes", watch)
        strategy.query(X, n_queries=3, estimator=classifier)
        strategy.query(X, np.where(np.arange(600) % 3, 0, -1), n_queries=3, estimator=classifier)
    assert len(seen[0]) == 600
    assert len(seen[1]) == 200
    assert {row: seen[0][row] for row in seen[1]} == seen[1]
    assert len(set(seen[0].values())) == 4


def blobs():
    """Three clusters that change to the other class without their first number, and rows that do not."""
    rng = np.random.default_rng(1)
    unsure = np.repeat([[0.1, 0, 0], [0.1, 9, 0], [0.1, 0, 9]], [30, 20, 10], axis=0)
    rows = np.concatenate([unsure + 0.01 * rng.normal(size=unsure.shape), np.tile([-9.0, 0, 0], (40, 1))])
    return np.concatenate([[[-9.0, 0, 0], [9.0, 0, 0]], rows])


class Head(GaussianNB):
    """Rows are their own embedding, of which the first number, less a little, decides."""

    def embed(self, X):
        return X

    def linear_head(self):
        return [[-1.0, 0, 0], [1.0, 0, 0]], [0.02, -0.02]

    def predict_proba(self, X):
        return np.eye(2)[(np.asarray(X)[:, 0] > 0.02).astype(int)]


def test_each_cluster_gives_its_middle_and_pending_rows_have_theirs():
    rows = blobs()
    y = np.full(len(rows), -1)
    y[:2] = 0, 1
    learner = ActiveLearner(Head(), DropQuery(5), n_queries=3, random_state=0).fit(rows, y)
    chosen = learner.query()
    assert (chosen < 62).all()
    groups = np.digitize(chosen, [32, 52])
    assert groups.tolist() == [0, 1, 2]  # the largest first
    again = learner.query(n_queries=2, pending=chosen[:1])
    assert sorted(np.digitize(again, [32, 52])) == [1, 2]


def test_few_candidates_and_images():
    learner = ActiveLearner(
        LogisticRegression(), RandomSubset(40, DropQuery()), n_queries=7, random_state=0
    ).fit(X, Y)
    rows = learner.query()
    assert_array_equal(learner.query(), rows)
    assert len(set(rows)) == 7
    labels = np.where(np.arange(40) < 20, np.arange(40) % 3, -1)
    images = ActiveLearner(CNNClassifier("lenet", max_epochs=1), DropQuery(), n_queries=4, random_state=0)
    assert len(images.fit(DIGITS[:40].astype("float32"), labels).query()) == 4


class Turned(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(6, 3)

    def forward(self, X):
        return -self.last(X)


def test_refusals():
    with pytest.raises(TypeError, match=r"DropQuery\(\) needs .* penultimate embeddings and GaussianNB"):
        ActiveLearner(GaussianNB(), DropQuery()).fit(X, Y)
    learner = ActiveLearner(NetClassifier(Turned, max_epochs=5, random_state=0), DropQuery()).fit(X, Y)
    with pytest.raises(TypeError, match=r"last torch\.nn\.Linear here is not that\. End"):
        learner.query()
    for params in ({"n_masks": 0}, {"dropout": 1.0}, {"max_iter": 0}):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of DropQuery"):
            DropQuery(**params).fit(X)
    assert_allclose(DropQuery().dropout, 0.75)
