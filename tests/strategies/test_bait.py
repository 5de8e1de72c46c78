"""BAIT over the rounds of a learner against the trace of whole matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skal import ActiveLearner
from skal.access import embed
from skal.classifiers import NetClassifier
from skal.strategies import BAIT, RandomSubset, bait

from ..selection.test_fisher import information, naive_bait, trace

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
TRUTH = np.digitize(X[:, 0] + 0.5 * RNG.normal(size=40), [-0.5, 0.5])


def labels(n_known):
    return np.where(np.arange(40) < n_known, TRUTH, -1)


def exact_information(h, p):
    """Without 1 - p, which is lost in rounding where p is nearly one."""
    both = np.outer(p, p) - np.diag(p**2)
    return np.kron(np.outer(h, h), np.diag(both.sum(axis=1)) - both)


def each_row(learner, rows=X):
    h, p = embed(learner.estimator_, rows).astype(float), learner.predict_proba(rows)
    return np.stack([information(*row) for row in zip(h, p, strict=True)])


def check(learner, rows, before, seen, penalty=1.0, oversampling=2.0, extra=0.0, skipped=()):
    each = each_row(learner)
    known = each[before].sum(axis=0) + extra + penalty * np.eye(each.shape[1])
    total = each[seen].mean(axis=0)
    candidates = np.setdiff1d(seen, [*before, *skipped])
    assert_array_equal(rows, naive_bait(known, each, total, len(rows), candidates, oversampling))
    report = learner.strategy_.query_report_
    assert_allclose(report.objective, trace(known, each, rows, total), rtol=1e-6)
    assert report.n_candidates == len(candidates)


@pytest.mark.parametrize("n_known", [8, 25])  # with most rows to look at, and with few
def test_the_picks_of_whole_matrices(n_known):
    learner = ActiveLearner(LogisticRegression(), BAIT(0.3), n_queries=4, random_state=0).fit(
        X, labels(n_known)
    )
    rows = learner.query()
    check(learner, rows, np.arange(n_known), np.arange(40), 0.3)
    pending = rows[:2]
    again = learner.query(pending=pending, exclude=rows[2:3])
    seen = np.setdiff1d(np.arange(40), rows[2])
    check(learner, again, np.append(np.arange(n_known), pending), seen, 0.3)
    # The label of a skipped row will never come.
    check(learner, learner.skip(pending).query(), np.arange(n_known), np.arange(40), 0.3, skipped=pending)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("scale", [1e5, 1e9, 1e60])
def test_features_that_nobody_has_scaled(scale):
    learner = ActiveLearner(LogisticRegression(), BAIT(), n_queries=4, random_state=0).fit(
        X * scale, labels(10)
    )
    p = learner.predict_proba(X * scale)
    each = np.stack([exact_information(*row) for row in zip(X, p, strict=True)])  # of scaled ones
    penalty = max(scale**-2, 1e-6 * each.trace(axis1=1, axis2=2).max())
    known, total = each[:10].sum(axis=0) + penalty * np.eye(9), each.mean(axis=0)
    rows, naive = learner.query(), naive_bait(known, each, total, 4, np.arange(10, 40), 2.0)
    left = trace(known, each, rows, total)
    assert_allclose(left, trace(known, each, naive, total), rtol=1e-4)
    assert_allclose(learner.strategy_.query_report_.objective, left, rtol=1e-4)


def test_labelled_rows_of_elsewhere_count():
    learner = ActiveLearner(LogisticRegression(), BAIT(oversampling=1), n_queries=3, random_state=0)
    learner.fit(X, labels(10)).extend(X[20:24] + 3, TRUTH[20:24])
    extra = each_row(learner, X[20:24] + 3).sum(axis=0)
    check(learner, learner.query(), np.arange(10), np.arange(40), oversampling=1, extra=extra)


def test_a_network_with_two_classes():
    network = NetClassifier(module_params={"hidden": (4,)}, max_epochs=5, lr=0.02, random_state=0)
    learner = ActiveLearner(network, BAIT(), n_queries=3, random_state=0)
    learner.fit(X.astype(np.float32), np.minimum(labels(10), 1))
    each = each_row(learner, X.astype(np.float32))
    known, total = each[:10].sum(axis=0) + np.eye(8), each.mean(axis=0)
    rows = learner.query()
    naive = naive_bait(known, each, total, 3, np.arange(10, 40), 2.0)
    assert_allclose(trace(known, each, rows, total), trace(known, each, naive, total), rtol=1e-6)


def test_candidates_are_drawn_where_they_are_too_many(monkeypatch):
    monkeypatch.setattr(bait, "_MOST_NUMBERS", 12 * 2 * 9)
    learner = ActiveLearner(LogisticRegression(), BAIT(), n_queries=5, random_state=0).fit(X, labels(10))
    rows = learner.query()
    assert learner.strategy_.query_report_.n_candidates == 12
    assert_array_equal(learner.query(), rows)
    assert rows.min() >= 10
    assert len(learner.query(n_queries=20)) == 20
    assert learner.strategy_.query_report_.n_candidates == 20


def test_refusals(monkeypatch):
    with pytest.raises(TypeError, match=r"BAIT\(\) needs .* penultimate embeddings and GaussianNB"):
        ActiveLearner(GaussianNB(), BAIT()).fit(X, labels(10))
    for params in ({"regularization": 0}, {"oversampling": 0.9}):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of BAIT"):
            BAIT(**params).fit(X)
    classifier = LogisticRegression().fit(X, TRUTH)
    with pytest.raises(ValueError, match="squares overflow; scale"):
        BAIT().fit(X).query(X * 1e160, estimator=classifier)
    monkeypatch.setattr(bait, "_MOST_SIDES", 8)
    learner = ActiveLearner(LogisticRegression(), RandomSubset(10, BAIT())).fit(X, labels(10))
    with pytest.raises(
        ValueError, match="3 embedded features and 3 classes, and their product may be at most 8; reduce"
    ):
        learner.query()
