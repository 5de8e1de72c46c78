"""Passes over a pool: the same answers however it is cut, whoever answers, and in whatever order."""

import mmap
import pickle
import threading
from itertools import pairwise

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn import config_context, get_config

from skal import ActiveLearner, show_progress
from skal.pool import as_pool, blockwise, executed
from skal.pool.lazy import LazyPool
from skal.pool.passes import plan
from skal.pool.rows import n_positions
from skal.strategies import UncertaintySampling
from skal.utils import progress, scratch
from tests.pool.kinds import COUNTS, TRUTH, Y


class Chunks(LazyPool):
    """Rows in chunks of given ends, which counts what is read."""

    def __init__(self, X, ends):
        super().__init__(X)
        self.ends, self.read_spans = np.array(ends), []

    @staticmethod
    def holds(X):
        return False

    @property
    def chunk_ends(self):
        return self.ends

    def take(self, rows):
        self.read_spans.append(rows)
        return self.X[rows]

    def stack(self, others):
        return np.concatenate([self.X, *others])

    def digest(self, max_bytes):
        return None


def bytes_of_blocks(n_rows):
    """The bytes of a row with which blocks have so many rows."""
    return 2**25 / (n_rows + 0.5)


@st.composite
def cuts(draw):
    n = draw(st.integers(1, 60))
    ends = sorted({*draw(st.lists(st.integers(1, n), max_size=6)), n})
    rows = draw(
        st.none()
        | st.lists(st.integers(0, n - 1), min_size=1, max_size=2 * n)
        | st.permutations(range(n))
        | st.lists(st.integers(0, n - 1), unique=True, min_size=max(1, n - 4)).map(sorted)
    )
    return n, ends, rows, draw(st.sampled_from([8, 40, 100, 10**6]))


@given(cuts(), st.booleans())
def test_each_wanted_row_is_answered_once(cut, is_lazy):
    n, ends, rows, block_bytes = cut
    X = np.arange(2.0 * n).reshape(n, 2)
    pool = Chunks(X, ends) if is_lazy else as_pool(X)
    wanted = None if rows is None else np.array(rows)
    row_bytes = bytes_of_blocks(block_bytes // 8)
    seen = []

    def function(block, part):
        assert_array_equal(block, X[part.rows])
        assert len(block) <= block_bytes // 8
        return block[part.keep, 0] / 2

    for answers, part in executed(function, pool, wanted, row_bytes=row_bytes):
        assert_array_equal(answers, part.positions)
        assert part.n_rows == len(answers)
        places = np.arange(n if rows is None else len(rows))[part.where]
        assert_array_equal(answers, places if rows is None else wanted[places])
        seen.extend(places.tolist())
    assert sorted(seen) == list(range(n if rows is None else len(rows)))
    assert_array_equal(
        blockwise(lambda block: block[:, 1], pool, wanted, row_bytes=row_bytes),
        X[slice(None) if rows is None else rows, 1],
    )


@given(cuts())
def test_a_chunk_is_read_once_and_neighbouring_small_ones_together(cut):
    n, ends, rows, block_bytes = cut
    pool = Chunks(np.zeros((n, 2)), ends)
    step = block_bytes // 8
    shares = plan(pool, None if rows is None else np.array(rows), row_bytes=bytes_of_blocks(step))
    starts = [0, *ends[:-1]]
    if rows is None:
        bounds = [(share.rows.start, share.rows.stop) for share in shares]
        assert [start for start, _ in bounds] == [0, *(stop for _, stop in bounds[:-1])]
        for start, stop in bounds:
            assert start in starts
            assert stop in ends
            assert stop - start <= step or ends[starts.index(start)] == stop
        for (start, middle), _ in pairwise(bounds):
            first = ends[starts.index(middle)]  # the chunk that follows would not have fitted
            assert first - start > step
    else:
        for share in shares:
            assert n_positions(share.rows) == sum(n_positions(part.rows) for part in share.parts)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_of_joblib_choose_the_same_rows(backend, tmp_path, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    X = np.tile(COUNTS, (4, 1)) + np.linspace(0, 1, 4 * len(COUNTS))[:, None]
    file = tmp_path / "X.npy"
    np.save(file, X)
    y, truth = np.tile(Y, 4), np.tile(TRUTH, 4)
    threads, own_score = set(), UncertaintySampling._score
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 50)

    def score(self, X, estimator):
        threads.add(threading.get_ident())
        return own_score(self, X, estimator)

    if backend == "threading":
        monkeypatch.setattr(UncertaintySampling, "_score", score)
    for pool in (X, np.load(file, mmap_mode="r")):
        learner = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=9, random_state=0)
        expected = learner.fit(pool, y).query()
        threads.clear()
        with joblib.parallel_config(backend, n_jobs=2):
            assert_array_equal(learner.query(), expected)
            scores = learner.score_samples(pool)
        assert threading.get_ident() not in threads  # others did it
        assert_array_equal(scores, learner.score_samples(pool))
        assert learner.score(pool, truth) > 0.5


@pytest.mark.parametrize("n_scores", [1, 2, 5])
@settings(max_examples=30)
@given(data=st.data())
def test_the_best_rows_do_not_depend_on_the_cut(n_scores, data):
    """A pool with few different scores: ties are broken by the position, whatever block it is in."""
    from skal.strategies.query import Labels, Query
    from skal.strategies.score import ScoreStrategy

    class First(ScoreStrategy):
        def _score(self, X, estimator):
            return X[:, 0]

    n = data.draw(st.integers(5, 60))
    X = np.array(data.draw(st.lists(st.integers(0, n_scores - 1), min_size=n, max_size=n)), float)[:, None]
    y = np.full(n, -1)
    y[data.draw(st.lists(st.integers(0, n - 1), max_size=3, unique=True))] = 1
    k = data.draw(st.integers(1, int((y < 0).sum())))
    strategy = First(random_state=data.draw(st.integers(0, 9))).fit(X)
    expected = strategy.query(X, y, k)
    scores = X[expected, 0]
    assert (np.diff(scores) <= 0).all()
    assert scores.min() >= np.sort(X[y < 0, 0])[-k]
    ends = sorted({*data.draw(st.lists(st.integers(1, n), max_size=6)), n})
    query = Query(
        pool=Chunks(X, ends),
        labels=Labels.of(y, n),
        n_queries=k,
        rng=np.random.default_rng([strategy._seed, int((y >= 0).sum())]),
    )
    assert_array_equal(strategy._query(query), expected)


@pytest.mark.parametrize(("n_labeled", "most_scored"), [(20, 200), (150, 50)])
def test_labelled_rows_are_not_scored_where_they_are_many(n_labeled, most_scored):
    from skal.strategies.score import ScoreStrategy

    class First(ScoreStrategy):
        n_scored = 0

        def _score(self, X, estimator):
            First.n_scored += len(X)
            return X[:, 0]

    X = np.random.default_rng(0).permutation(200)[:, None].astype(float)
    y = np.where(np.arange(200) % 200 < n_labeled, 1, -1)
    rows = First(random_state=0).fit(X).query(X, y, 5)
    free = np.flatnonzero(y < 0)
    assert_array_equal(rows, free[np.argsort(-X[free, 0])][:5])
    assert First.n_scored == most_scored


def test_equal_scores_are_chosen_uniformly():
    from skal.selection import Best

    counts = np.zeros(8)
    for key in range(4000):
        counts[Best.of(np.array([1.0, 0, 0, 0, 0, 0, 0, 0]), np.arange(8), 4, key).positions] += 1
    assert counts[0] == 4000
    expected = 4000 * 3 / 7
    assert (
        ((counts[1:] - expected) ** 2 / expected).sum()
    ) < 24  # chi-square with 6 degrees of freedom, p = 0.0005


def test_long_passes_are_reported(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    heard = []
    X = np.zeros((30, 2))
    with show_progress(lambda task: heard.append((task.n_done, task.n_all))):
        blockwise(lambda block: block[:, 0], X, row_bytes=bytes_of_blocks(10))
    assert heard == [(10, 30), (20, 30), (30, 30)]
    with show_progress():
        blockwise(lambda block: block[:, 0], X, row_bytes=bytes_of_blocks(10))
    assert "[skal] 30 of 30 rows in 0 s" in capsys.readouterr().err
    blockwise(lambda block: block[:, 0], X, row_bytes=bytes_of_blocks(10))
    assert capsys.readouterr().err == ""


def test_large_answers_are_in_a_file_that_goes_with_them(monkeypatch, tmp_path):
    monkeypatch.setattr(scratch, "MEMORY_BYTES", 100)
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    X = np.arange(60.0).reshape(30, 2)
    answers = blockwise(lambda block: block + 1, X, row_bytes=bytes_of_blocks(10))
    assert isinstance(answers.base, mmap.mmap)
    assert_array_equal(answers, X + 1)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(OSError, match="missing"):
        blockwise(lambda block: block + 1, X, row_bytes=bytes_of_blocks(10))


def test_a_full_disk_is_an_error(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch, "MEMORY_BYTES", 100)
    monkeypatch.setattr(scratch.os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match=r"GiB is to be kept .*No space left on device.* set TMPDIR"):
        scratch.scratch_empty((30, 2), float)


def test_workers_are_sent_what_is_in_a_temporary_file(monkeypatch):
    monkeypatch.setattr(scratch, "MEMORY_BYTES", 100)
    X = scratch.scratch_empty((30, 2), float)
    X[:] = np.arange(60.0).reshape(30, 2)
    with joblib.parallel_config("loky", n_jobs=2):
        sums = blockwise(lambda block: block.sum(axis=1), X, row_bytes=bytes_of_blocks(10))
    assert_array_equal(sums, X.sum(axis=1))
    assert_array_equal(pickle.loads(pickle.dumps(X)), X)


def test_workers_have_the_configuration_of_the_caller():
    X = np.zeros((30, 2))

    def configured(block):
        return np.full(len(block), get_config()["transform_output"] == "pandas")

    with joblib.parallel_config("threading", n_jobs=2), config_context(transform_output="pandas"):
        assert blockwise(configured, X, row_bytes=bytes_of_blocks(10)).all()


def test_a_listener_that_raises_ends_the_pass(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    ended = []

    def parts():
        try:
            yield from range(3)
        finally:
            ended.append(True)

    def listener(*_):
        raise RuntimeError("no more")

    with show_progress(listener), pytest.raises(RuntimeError) as error:
        list(progress.reported(parts(), 3, lambda part: 1))
    assert ended  # while the traceback is still there
    assert error.traceback


def test_backends_that_answer_in_lists_are_not_used():
    X = np.arange(60.0).reshape(30, 2)
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        assert_array_equal(blockwise(lambda block: block, X, row_bytes=bytes_of_blocks(10)), X)
