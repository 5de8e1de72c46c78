"""What a strategy is asked."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skal.labels import Labels
from skal.pool import Candidates, as_pool
from skal.strategies import Query
from skal.strategies.query import Samples

POOL = as_pool(np.arange(10.0).reshape(5, 2))
LABELS = Labels.of([0, -1, 1, -1, -1])


def test_candidates_are_the_unlabelled_rows():
    query = Query(pool=POOL, labels=LABELS, n_queries=2)
    assert_array_equal(query.candidates.rows, [1, 3, 4])
    assert len(query.candidates) == 3
    assert_array_equal(query.labeled, [True, False, True, False, False])
    assert query.labeled is query.labeled
    assert query.estimator is query.rng is query.training is None
    assert query.outside == ()
    assert len(query.pending) == 0
    assert query.report == {}
    given = Query(pool=POOL, labels=LABELS, n_queries=1, candidates=Candidates(np.array([4])))
    assert_array_equal(given.candidates.rows, [4])
    everything = Query(pool=POOL, labels=Labels.none(5), n_queries=1)
    assert_array_equal(everything.candidates.rows, np.arange(5))
    assert not everything.labeled.any()


def test_labels_outside_the_pool_are_labels():
    query = Query(pool=POOL, labels=LABELS, n_queries=2)
    assert query.n_labels == 2
    others = Samples(POOL, np.arange(3), np.zeros(3, dtype=np.int32))
    assert replace(query, outside=(others, others)).n_labels == 8
    partial = Query(
        pool=POOL, labels=Labels(np.array([-1, 1, -1, 1, -1]), np.array(["a", "b", "c"])), n_queries=1
    )
    assert partial.unseen == ["a", "c"]
    assert replace(partial, outside=(others,)).unseen == ["c"]


def test_a_restricted_query_differs_in_candidates_and_report():
    query = Query(
        pool=POOL, labels=LABELS, n_queries=2, estimator="classifier", rng="rng", outside=("other",)
    )
    query.report.update(rows=1)
    inner = query.restricted_to(np.array([1, 4]))
    inner.report.update(rows=2, more=3)
    assert query.report == {"rows": 1}
    assert inner.report == {"rows": 2, "more": 3}
    assert_array_equal(inner.candidates.rows, [1, 4])
    assert_array_equal(query.candidates.rows, [1, 3, 4])
    for name in ("pool", "labels", "n_queries", "estimator", "rng", "outside", "pending", "training"):
        assert getattr(inner, name) is getattr(query, name)


def test_queries_share_no_report_and_cannot_be_changed():
    first, second = (Query(pool=POOL, labels=LABELS, n_queries=1) for _ in range(2))
    assert first.report is not second.report
    assert first != second
    with pytest.raises(FrozenInstanceError):
        first.n_queries = 2
