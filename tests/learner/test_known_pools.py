"""The pool of `fit` given again in another form, and pools that are nearly that one."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.exceptions import PoolWarning
from skal.generators import AutoEncoder
from skal.pool import as_pool
from skal.strategies import BADGE, DGAL, SEALS, CoreSet, RandomSampling, RandomSubset, UncertaintySampling

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(2.0, (80, 6)).astype(float)
X = RNG.normal(size=(80, 6))
FRAME = pd.DataFrame(COUNTS, columns=list("abcdef"))
Y = np.where(np.arange(80) < 12, np.arange(80) % 3, -1)
NAMES = {
    "words": pd.DataFrame({"word": ["red", None, "blue", "red"] * 20, "size": np.arange(80)}),
    "tokens": [["a", "b"], ["c"]] * 40,
}


def unsorted():
    rows = sparse.csr_array(COUNTS)
    for row in range(80):
        span = slice(*rows.indptr[row : row + 2])
        rows.indices[span], rows.data[span] = rows.indices[span][::-1].copy(), rows.data[span][::-1].copy()
    rows.has_sorted_indices = rows.has_canonical_format = False
    return rows


def learner(strategy=None, classifier=None):
    strategy = UncertaintySampling() if strategy is None else strategy
    return ActiveLearner(classifier or GaussianNB(), strategy, n_queries=5, random_state=0)


def net():
    return NetClassifier(max_epochs=1, device="cpu")


FORMS = {
    "another index": (FRAME, FRAME.set_index(RNG.permutation(80))),
    "columns of integers": (FRAME, FRAME.astype({"a": int, "b": "Int64", "c": object})),
    "columns of floats": (FRAME.astype(int), FRAME),
    "nullable columns": (FRAME.convert_dtypes(), FRAME),
    "columns of categories": (FRAME, FRAME.astype({"d": "category"})),
    "narrower columns": (FRAME + 0.1, (FRAME + 0.1).astype(np.float32)),
    "polars": (FRAME, pl.DataFrame(COUNTS, schema=list("abcdef"))),
    "polars with other types": (
        pl.DataFrame(COUNTS, schema=list("abcdef")),
        pl.DataFrame(COUNTS, schema=list("abcdef")).cast({"a": pl.Int8}),
    ),
    "integers": (COUNTS, COUNTS.astype(np.int64)),
    "bytes": (COUNTS, COUNTS.astype(np.uint8)),
    "floats": (COUNTS.astype(np.int64), COUNTS),
    "float32": (X, X.astype(np.float32)),
    "float16": (X, X.astype(np.float16)),
    "big-endian, by columns": (X, np.asfortranarray(X.astype(">f8"))),
    "lists": (X, X.tolist()),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_stored_rows_are_used_where_the_same_values_come_in_another_form(form):
    fitted, given = FORMS[form]
    strategy = learner(CoreSet("input")).fit(fitted, Y)
    rows = strategy.query()
    pool = strategy._pool(strategy._state, given)
    assert pool is strategy._state.pool
    assert pool.X is fitted
    assert_array_equal(strategy.query(given), rows)
    strategy.teach(rows, np.zeros(5, int))
    assert not len(np.intersect1d(strategy.query(given), rows))


SPARSE = {
    "CSR": lambda: sparse.csr_array(COUNTS),
    "unsorted CSR": unsorted,
    "COO": lambda: sparse.coo_array(COUNTS),
    "CSR of integers": lambda: sparse.csr_array(COUNTS.astype(int)),
    "float32": lambda: sparse.csr_array(COUNTS.astype(np.float32)),
    "dense": lambda: COUNTS,
    "frame": lambda: pd.DataFrame(COUNTS),
}


@pytest.mark.parametrize("given", SPARSE)
@pytest.mark.parametrize("fitted", SPARSE)
def test_sparse_and_dense_rows_are_the_same(fitted, given):
    fitted = learner(classifier=LogisticRegression()).fit(SPARSE[fitted](), Y)
    assert fitted._pool(fitted._state, SPARSE[given]()) is fitted._state.pool
    if given != "frame":
        assert_array_equal(fitted.query(SPARSE[given]()), fitted.query())


@pytest.mark.parametrize("rest", [-1, 0], ids=["half labelled", "all labelled"])
def test_rows_that_a_solver_sorted_in_place_are_unchanged(rest):
    rows = unsorted()
    fitted = learner(CoreSet("input"), SVC()).fit(rows, np.where(Y < 0, rest, Y))
    assert not rows.has_sorted_indices or rest == 0
    expected = fitted.query() if rest else None
    fitted.predict(rows)
    SVC().fit(rows, np.arange(80) % 2)
    rows.sort_indices()
    if rest:
        assert_array_equal(fitted.query(), expected)
        assert_array_equal(fitted.query(rows), expected)
        assert_array_equal(fitted.query(unsorted()), expected)
    rows.data[7] += 1
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query()


def test_duplicate_entries_that_were_summed_in_place_are_unchanged():
    double = sparse.csr_array((np.ones(160), np.tile([0, 0], 80), np.arange(0, 161, 2)), shape=(80, 6))
    fitted = learner(RandomSampling(), LogisticRegression()).fit(double, Y)
    double.sum_duplicates()
    assert len(fitted.query(double)) == 5
    double.data[3] = 7
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query()


def test_a_rounded_number_may_be_no_entry():
    tiny = unsorted()
    tiny.data[2] = 1e-60
    narrow = tiny.astype(np.float32)
    narrow.eliminate_zeros()
    fitted = learner(RandomSampling(), LogisticRegression()).fit(tiny, Y)
    assert fitted._pool(fitted._state, narrow) is fitted._state.pool


def test_an_empty_matrix_is_known():
    fitted = learner(RandomSampling(), LogisticRegression()).fit(sparse.csr_array((80, 6)), Y)
    assert fitted._pool(fitted._state, np.zeros((80, 6))) is fitted._state.pool
    assert fitted._pool(fitted._state, sparse.csr_array((80, 6))) is fitted._state.pool


@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_words_are_the_same_in_any_type_of_column(dtype):
    strategy = RandomSampling(random_state=0).fit(NAMES["words"])
    same = NAMES["words"].astype({"word": dtype})
    assert_array_equal(strategy.query(same, Y, 5), strategy.query(NAMES["words"], Y, 5))
    assert strategy._recognized(same, None) is strategy._pool
    texts = NAMES["words"]["word"]
    strategy.fit(texts)
    assert strategy._recognized(texts.astype(dtype), None) is strategy._pool


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: make_pipeline("passthrough", each)])
@pytest.mark.parametrize(
    ("classifier", "strategy"),
    [
        (net, UncertaintySampling),
        (LogisticRegression, lambda: DGAL(AutoEncoder(max_epochs=1, device="cpu"))),
        (LogisticRegression, lambda: RandomSubset(20, CoreSet(AutoEncoder(max_epochs=1, device="cpu")))),
    ],
    ids=["classifier", "encoder", "encoder of a criterion"],
)
def test_integers_and_floats_are_different_pools_for_networks(wrap, classifier, strategy):
    fitted = learner(strategy(), wrap(classifier())).fit(COUNTS, Y)
    with pytest.warns(PoolWarning, match="0 rows differ.*whose floats are other rows for a network"):
        assert len(fitted.query(COUNTS.astype(np.int64), 80)) == 80
    assert fitted._pool(fitted._state, COUNTS.astype(np.float32)) is fitted._state.pool


def test_numbers_behind_a_scaler_are_the_same_for_networks():
    fitted = learner(classifier=make_pipeline(StandardScaler(), net())).fit(COUNTS, Y)
    assert fitted._pool(fitted._state, COUNTS.astype(np.int64)) is fitted._state.pool


def test_a_strategy_alone_asks_its_classifier_about_the_numbers():
    strategy = UncertaintySampling(random_state=0).fit(COUNTS)
    network = net().fit(COUNTS, np.arange(80) % 3)
    with pytest.warns(PoolWarning, match="network"):
        strategy.query(COUNTS.astype(np.int64), Y, 5, estimator=network)
    plain = GaussianNB().fit(COUNTS, np.arange(80) % 3)
    assert_array_equal(
        strategy.query(COUNTS.astype(np.int64), Y, 5, estimator=plain),
        strategy.query(COUNTS, Y, 5, estimator=plain),
    )


def test_arrays_of_a_mapping_have_numbers_of_their_own():
    import torch

    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.out = torch.nn.Linear(6, 3)

        def forward(self, rows, mask):
            return self.out(rows.float() * mask.float())

    pool = {"rows": COUNTS.astype(np.float32), "mask": np.ones((80, 6), dtype=np.int64)}
    raw = NeuralNetClassifier(
        Sum, criterion=torch.nn.CrossEntropyLoss, max_epochs=1, train_split=None, verbose=0
    )
    fitted = learner(RandomSampling(), raw).fit(pool, Y)
    assert (
        fitted._pool(fitted._state, {name: part.copy() for name, part in pool.items()}) is fitted._state.pool
    )
    with pytest.warns(PoolWarning, match="other numbers"):
        assert len(fitted.query({**pool, "mask": np.ones((80, 6))}, 80)) == 80


def edited(rows):
    rows = np.array(rows)
    rows[[3, 50]] += 1
    return rows


NEAR = {
    "two rows": (X, edited(X), "2 of 80 rows"),
    "two rows of a frame": (FRAME, pd.DataFrame(edited(FRAME), columns=FRAME.columns), "2 of 80 rows"),
    "two rows of CSR": (sparse.csr_array(COUNTS), sparse.csr_array(edited(COUNTS)), "2 of 80 rows"),
    "wider than fitted": (X.astype(np.float32), X, "80 of 80 rows"),
    "written with few digits": (X, X.round(6), "80 of 80 rows"),
    "integers that were floats": (COUNTS + 1e-9, COUNTS.astype(int), "of 80 rows"),
}


@pytest.mark.parametrize("near", NEAR)
def test_a_pool_that_is_nearly_the_same_is_another_one_and_said_to_be(near):
    fitted_on, given, how_many = NEAR[near]
    fitted = learner(CoreSet("input"), LogisticRegression()).fit(fitted_on, Y)
    with pytest.warns(
        PoolWarning, match=f"{how_many} of a sample differ.*the positions refer to it"
    ) as caught:
        rows = fitted.query(given, 80)
    assert len(rows) == 80  # labelled ones too: it is another pool
    assert caught[0].filename == __file__


def test_a_score_is_that_of_its_row_in_any_pool():
    fitted = learner().fit(X, Y)
    assert_array_equal(fitted.score_samples(edited(X))[4:50], fitted.score_samples(X)[4:50])


def test_a_pool_is_remarkable_for_those_who_know_another_one():
    pool = as_pool(edited(X))
    with pytest.warns(PoolWarning):
        RandomSampling().fit(X).query(pool)
    assert len(RandomSampling().fit(pool).query(pool)) == 1


def test_a_pool_that_is_refused_needs_no_warning():
    holes = X.copy()
    holes[7, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        learner(CoreSet("input"), LogisticRegression()).fit(X, Y).query(holes)


def test_rows_that_are_not_in_the_sample_are_said_to_differ(monkeypatch):
    monkeypatch.setattr("skal.pool.base._SAMPLED_ROWS", 4)
    other = X.copy()
    other[1] += 1
    with pytest.warns(
        PoolWarning, match="0 of 4 rows of a sample differ from those of the pool of fit, and others do"
    ):
        learner().fit(X, Y).query(other)


@pytest.mark.parametrize("other", [X + 1, X[::-1], X[:70], X[:, ::-1], X * 1.01], ids=range(5))
def test_pools_that_are_clearly_others_are_answered_in_silence(other):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(learner().fit(X, Y).query(other)) == 5


SHORTENED = {
    "array": X,
    "frame": FRAME,
    "CSR": sparse.csr_array(COUNTS),
    "other floats": X.astype(np.float32),
}


@pytest.mark.parametrize("kind", SHORTENED)
@pytest.mark.parametrize("with_skipped", [False, True], ids=["labelled", "labelled and skipped"])
def test_the_pool_without_its_labelled_rows_is_another_one_and_said_to_be(kind, with_skipped):
    pool = SHORTENED[kind]
    fitted = learner(CoreSet("input"), LogisticRegression(tol=0.1)).fit(pool, Y).teach([40, 77], [0, 1])
    gone = fitted.labels_ != -1
    if with_skipped:
        fitted.skip([3 + 12, 50])
        gone[[15, 50]] = True
    left = np.flatnonzero(~gone)
    rest = as_pool(pool).take(left)
    with pytest.warns(
        PoolWarning, match=r"without its labelled rows.*positions in X_pool.*query\(\)"
    ) as caught:
        fitted.query(rest)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.query(as_pool(pool).take(left[1:]))  # another number of rows
        fitted.query(as_pool(pool).take(np.flatnonzero(gone)[::-1]))
        fitted.query(as_pool(pool).take(np.arange(len(left))))  # as many, and others


def test_texts_and_mappings_are_compared_row_by_row():
    texts = list(map(str, range(80)))
    for pool, near in (
        (texts, [*texts[:-1], "other"]),
        ({"a": X, "b": COUNTS}, {"a": X, "b": edited(COUNTS)}),
        (NAMES["words"], NAMES["words"].assign(size=np.r_[5, np.arange(1, 80)])),
    ):
        with pytest.warns(PoolWarning, match="[12] of 80 rows"):
            RandomSampling(random_state=0).fit(pool).query(near)


@pytest.mark.parametrize(
    "strategy", [BADGE(), SEALS(PCA(2)), DGAL(PCA(2))], ids=lambda each: type(each).__name__
)
def test_another_pool_is_answered_as_if_it_had_no_labels_in_the_pool_of_fit(strategy):
    fitted = learner(strategy, LogisticRegression()).fit(X, Y)
    rows = fitted.query(X + 5)
    with pytest.warns(PoolWarning, match="2 of 80"):
        near = fitted.query(edited(X))
    assert len(rows) == len(near) == 5
    assert_array_equal(fitted.query(X.copy()), fitted.query())
