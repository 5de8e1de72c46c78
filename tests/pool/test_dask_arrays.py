"""Arrays of dask as pools: rows in any order, identity, refusals, and whole queries without a cluster."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skal import ActiveLearner
from skal.pool import as_pool
from skal.pool.dask_arrays import DaskPool
from skal.strategies import (
    BADGE,
    DGAL,
    SEALS,
    ClassBalanced,
    ContrastiveAL,
    CoreSet,
    CostAware,
    DensityWeighted,
    KMedian,
    QueryByCommittee,
    RandomSubset,
    UncertaintySampling,
)
from tests.pool.kinds import COUNTS, TRUTH, Y

da = pytest.importorskip("dask.array")
STRATEGIES = [
    UncertaintySampling(),
    QueryByCommittee(),
    QueryByCommittee(n_members=2),
    BADGE(),
    CoreSet(),
    KMedian(max_iter=1),
    DGAL(PCA(2)),
    SEALS(PCA(2)),
    RandomSubset(50),
    ContrastiveAL(),
    DensityWeighted(),
    ClassBalanced(),
    CostAware(cost=lambda block: np.ones(len(block))),
]
X = np.arange(200.0).reshape(50, 2, 2)


def chunked(values=X, rows=8):
    return da.from_array(values, chunks=(rows, *(1,) * (values.ndim - 1)))


def test_rows_are_computed_in_any_order():
    pool = as_pool(chunked())
    assert (len(pool), pool.row_shape, pool.row_bytes) == (50, (2, 2), 32)
    assert_array_equal(pool.chunk_ends, [8, 16, 24, 32, 40, 48, 50])
    for rows in ([3], [49, 0, 7, 7], [10, 9, 8], np.arange(50)[::-1], []):
        assert_array_equal(pool.take(np.array(rows, dtype=np.intp)), X[np.array(rows, dtype=int)])
    assert_array_equal(pool.take(slice(4, 9)), X[4:9])
    assert_array_equal(pool.dense(), X)
    assert_array_equal(pool.whole(), X)
    blocks = [block for block, _ in pool.blocks([4, 2, 40], max_bytes=64)]
    assert_array_equal(np.concatenate(blocks), X[[4, 2, 40]])
    grown = pool.stack([X[:1]])
    assert_array_equal(grown.compute(), [*X, X[0]])
    assert grown.chunks[0][-1] == 1


def test_it_is_known_by_its_name():
    array = chunked()
    pool = as_pool(array)
    assert pool.same_as(as_pool(X))
    assert as_pool(X).same_as(pool)
    assert pool.same_as(as_pool(array + 0.0))
    assert not pool.same_as(as_pool(array + 1))
    pool.watch(1 << 20)
    copy = pickle.loads(pickle.dumps(pool))
    assert copy.is_unchanged()

    def fail(block):
        raise AssertionError("rows were computed")

    lazy = as_pool(array.map_blocks(fail, meta=np.empty((0, 2, 2))))
    assert lazy.same_as(as_pool(lazy.X))


def test_empty_chunks_are_passed_over():
    pool = as_pool(chunked()[np.arange(50) % 8 < 3])
    gaps = as_pool(da.concatenate([chunked()[:0], chunked()[:5], chunked()[:0], chunked()[5:9]]))
    assert_array_equal(gaps.chunk_ends, [5, 8, 9])
    assert [len(block) for block, _ in pool.blocks(max_bytes=1)] == [1] * len(pool)
    learner = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=3, random_state=0)
    rows = da.concatenate([da.from_array(COUNTS[:0], chunks=(1, 5)), da.from_array(COUNTS, chunks=(30, 5))])
    assert_array_equal(learner.fit(rows, Y).query(), learner.fit(COUNTS, Y).query())


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (da.zeros(9, chunks=3), "reshape"),
        (da.zeros((9, 2), chunks=3)[da.zeros(9, chunks=3) > 0], "compute_chunk_sizes"),
        (da.zeros((9, 2), chunks=3)[:, da.zeros(2, chunks=1) > 0], "compute_chunk_sizes"),
        (da.ma.masked_equal(da.zeros((9, 2), chunks=3), 1), "MaskedArray"),
        (da.zeros((0, 2), chunks=3), "0 sample"),
    ],
)
def test_what_is_no_pool_is_refused(values, match):
    with pytest.raises((TypeError, ValueError), match=match):
        ActiveLearner(LogisticRegression(), UncertaintySampling()).fit(values, np.full(9, -1)[: len(Y)])


def test_flaws_are_found_for_those_who_read_and_only_for_them():
    holes = da.from_array(np.where(COUNTS == 2, np.nan, COUNTS), chunks=(16, 3))
    huge = da.from_array(np.where(COUNTS == 2, 1e300, COUNTS), chunks=(16, 3))
    assert (as_pool(holes).flaw, as_pool(huge).flaw) == ("NaN", None)
    assert "1e+300" in as_pool(huge).overflow
    for values in (holes, huge):
        with pytest.raises(ValueError, match=r"NaN|1e\+300"):
            ActiveLearner(LogisticRegression(), CoreSet("input"), n_queries=2).fit(values, Y)


def test_inside_pipelines_that_keep_arrays_of_dask():
    pool = da.from_array(COUNTS, chunks=(16, 3))

    def steps():
        learner = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=5, random_state=0)
        return make_pipeline(FunctionTransformer(lambda rows: rows / 4), learner)

    ours, expected = steps().fit(pool, Y), steps().fit(COUNTS, Y)
    assert_array_equal(ours[-1].query(), expected[-1].query())
    assert_array_equal(ours.predict(pool), expected.predict(COUNTS))
    assert_array_equal(ours.score_samples(pool), expected.score_samples(COUNTS))
    assert ours.score(pool, TRUTH) == expected.score(COUNTS, TRUTH)


def test_a_learner_grows_saves_and_loads(tmp_path):
    pool = da.from_array(COUNTS[:100], chunks=(16, 3))
    learner = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=5, random_state=0)
    learner.fit(pool, Y[:100])
    grown = da.from_array(COUNTS, chunks=(32, 5))
    learner.grow(grown)
    plain = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=5, random_state=0)
    assert_array_equal(learner.query(), plain.fit(COUNTS, Y).query())
    learner.save(tmp_path / "learner")
    loaded = ActiveLearner.load(tmp_path / "learner", da.from_array(COUNTS, chunks=(50, 5)), plain)
    assert_array_equal(loaded.query(), learner.query())


def test_workers_are_sent_no_pool(monkeypatch):
    """A function of a block that held the pool would send its graph along, or ask the scheduler from a worker."""
    import cloudpickle

    sent = []

    def executed(self, function, shares):
        sent.append(cloudpickle.dumps(function))
        return own(self, function, shares)

    own = DaskPool.executed
    monkeypatch.setattr(DaskPool, "executed", executed)
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 40)
    pool = da.from_array(COUNTS, chunks=(40, 5))
    ensemble = BaggingClassifier(LogisticRegression(), n_estimators=2, random_state=0)
    y = np.where(Y > 1, -1, Y)
    for strategy in STRATEGIES:
        fitted = ActiveLearner(
            ensemble if "committee_proba" in strategy.requires else LogisticRegression(), strategy
        )
        fitted.set_params(n_queries=2, random_state=0).fit(pool, y).query()
    assert len(sent) > len(STRATEGIES)
    for function in sent:
        assert b"DaskPool" not in function
        assert b"HighLevelGraph" not in function
        assert len(function) < 30_000
