"""Where strategies compare rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils import get_tags

from skal import ActiveLearner
from skal.labels import Labels
from skal.pool import as_pool
from skal.strategies import (
    SEALS,
    ContrastiveAL,
    CoreSet,
    DensityWeighted,
    DiffusionSampling,
    DiscriminativeAL,
    EmbeddingStrategy,
    KMedian,
    MaxHerding,
    ProbCover,
    Query,
    RandomSubset,
    Switch,
    TypiClust,
)
from skal.strategies.embedding import _layout, are_few, newly_labeled
from skal.utils.threads import Kept

X = np.random.default_rng(0).normal(size=(30, 4))
Y = (X[:, 0] > 0).astype(int)
LINEAR = LogisticRegression().fit(X, Y)
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
PARTLY = np.where(np.arange(30) < 10, Y, -1)
FOREST = RandomForestClassifier(2, random_state=0).fit(X, Y)


class Embedding(EmbeddingStrategy):
    """The first candidates; what is tested is `_embed`."""

    def _query(self, query):
        return query.candidates.rows[: query.n_queries]


def embedded(embedding, X=X, estimator=None, rows=None):
    strategy = Embedding(embedding, random_state=0).fit(X)
    pool = as_pool(X)
    query = Query(pool=pool, labels=Labels.none(len(pool)), n_queries=1, estimator=estimator)
    return strategy._embed(query, rows)


@pytest.mark.parametrize(
    ("embedding", "estimator", "expected", "stays"),
    [
        ("input", None, X, True),
        ("input", PIPELINE, X, True),
        ("auto", None, X, True),
        ("auto", FOREST, X, True),  # it has no embedding
        ("auto", LINEAR, X, True),
        ("auto", PIPELINE, StandardScaler().fit_transform(X), False),
        ("classifier", LINEAR, X, True),
        ("classifier", PIPELINE, StandardScaler().fit_transform(X), False),
    ],
)
def test_what_is_compared(embedding, estimator, expected, stays):
    for rows in (None, np.array([7, 2])):
        found, same = embedded(embedding, estimator=estimator, rows=rows)
        assert_array_equal(found, expected if rows is None else expected[rows])
        assert same is (stays and rows is None)


@pytest.mark.parametrize("embedding", ["input", "classifier"])
def test_bytes_become_floats_unless_a_strategy_keeps_them(embedding):
    pool = as_pool(np.abs(10 * X).astype(np.uint8))
    strategy = Embedding(embedding, random_state=0).fit(pool.X)
    query = Query(pool=pool, labels=Labels.none(len(pool)), n_queries=1, estimator=LINEAR)
    floats, stays = strategy._embed(query)
    assert floats.dtype == np.float32
    assert not stays
    kept, stays = strategy._embed(query, keep_integers=True)
    assert np.shares_memory(kept, pool.X)
    assert stays
    assert_array_equal(kept, floats)


class Untrained(HistGradientBoostingClassifier):
    """It takes NaN and has no embedding; what a strategy refuses must be refused before this is fitted."""

    def fit(self, X, y):
        raise AssertionError("it was trained")


@pytest.mark.parametrize("embedding", ["auto", "input"])
@pytest.mark.parametrize("make", [CoreSet, KMedian, ProbCover, DiffusionSampling, DiscriminativeAL, SEALS])
def test_nan_that_only_the_classifier_takes(make, embedding):
    bad = X.copy()
    bad[20, 1] = np.nan
    strategy = make(embedding=embedding)
    for outer in (strategy, RandomSubset(5, strategy), Switch(strategy)):
        with pytest.raises(ValueError, match=rf"^Input X contains NaN.\n{make.__name__} does not accept"):
            ActiveLearner(Untrained(), outer, random_state=0).fit(bad, PARTLY)
    if embedding == "auto":
        trees = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2).fit(bad, Y)
        with pytest.raises(ValueError, match=rf"NaN.\n{make.__name__} does not accept"):
            strategy.fit(bad).query(bad, PARTLY, estimator=trees)


def test_nan_and_infinity_in_a_table_name_the_strategy_and_what_to_give():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(X, columns=["age", "b", "c", "d"])
    for flaw in (np.nan, np.inf):
        bad = table.copy()
        bad.loc[20, "age"] = flaw
        with pytest.raises(ValueError, match=r"(?s)X\['age'\] contains .*CoreSet does not accept") as refused:
            ActiveLearner(Untrained(), CoreSet("input"), random_state=0).fit(bad, PARTLY)
        assert (
            "embedding=make_pipeline(SimpleImputer(), StandardScaler())" in str(refused.value)
        ) == np.isnan(flaw)
    bad.loc[20, "age"] = np.nan
    filled = CoreSet(make_pipeline(SimpleImputer(), StandardScaler()))
    classifier = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2)
    assert len(ActiveLearner(classifier, filled, n_queries=3, random_state=0).fit(bad, PARTLY).query()) == 3


def test_only_the_pool_itself_stays():
    """Other rows in its memory, or its rows in another memory, may be others at the next query."""
    for function in (
        lambda X: X[:, :2],
        lambda X: X[::-1],
        lambda X: X.copy(),
        lambda X: X.astype(np.float32),
    ):
        view = make_pipeline(FunctionTransformer(function), LogisticRegression()).fit(X, Y)
        found, stays = embedded("classifier", estimator=view)
        assert_array_equal(found, function(X))
        assert not stays
    square = X[:4]
    transposed = make_pipeline(FunctionTransformer(np.transpose), LogisticRegression()).fit(square, Y[:4])
    assert not embedded("classifier", square, transposed)[1]
    same = make_pipeline(FunctionTransformer(), LogisticRegression()).fit(X, Y)
    assert embedded("classifier", estimator=same)[1]
    assert not embedded("input", csr_array(X))[1]
    columns = np.asfortranarray(X)  # of which the first ones are contiguous, as the whole is
    first = make_pipeline(FunctionTransformer(lambda X: X[:, :2]), LogisticRegression()).fit(columns, Y)
    assert not embedded("classifier", columns, first)[1]
    assert _layout(X) == _layout(X[:]) != _layout(X.view(np.int64))


def test_images_and_sparse_rows_are_flat_and_dense():
    images = X.reshape(30, 1, 2, 2)
    assert_array_equal(embedded("input", images)[0], X)
    assert_array_equal(embedded("input", csr_array(X), rows=np.array([3, 1]))[0], X[[3, 1]])


def test_a_transformer_is_fitted_once_and_its_rows_are_in_single_precision():
    strategy = Embedding(GaussianRandomProjection(3), random_state=0).fit(X)
    found, stays = embedded(GaussianRandomProjection(3))
    assert stays
    assert found.dtype == strategy._encoded.dtype == np.float32
    assert_array_equal(found, strategy.encoder_.transform(X).astype(np.float32))
    assert_array_equal(embedded(GaussianRandomProjection(3), rows=np.array([5, 0]))[0], found[[5, 0]])
    other = Embedding(GaussianRandomProjection(3), random_state=1).fit(X)
    assert not np.array_equal(other.encoder_.components_, strategy.encoder_.components_)
    prepared = strategy.prepared_for(as_pool(X + 1))
    assert prepared.encoder_ is strategy.encoder_
    assert_array_equal(prepared._encoded, strategy.encoder_.transform(X + 1).astype(np.float32))
    assert_array_equal(strategy._encoded, found)
    pca = FrozenEstimator(PCA(2).fit(X[:20]))
    assert_array_equal(embedded(pca)[0], pca.transform(X).astype(np.float32))


def test_requirements_and_tags():
    assert Embedding("classifier").requires == ("embed",)
    assert Embedding("auto").requires == Embedding("input").requires == Embedding(PCA()).requires == ()
    assert get_tags(Embedding()).input_tags.sparse
    assert get_tags(Embedding(TruncatedSVD())).input_tags.sparse
    assert not get_tags(Embedding(FunctionTransformer(validate=True))).input_tags.sparse
    for embedding in ("pixels", None, LogisticRegression()):
        with pytest.raises(ValueError, match="'embedding' parameter of Embedding"):
            Embedding(embedding).fit(X)


def test_newly_labeled():
    kept = Kept()
    known, new = newly_labeled(kept, np.array([1, 4]))
    assert known is None
    assert_array_equal(new, [1, 4])
    kept.value = np.array([1, 4]), "distances"
    known, new = newly_labeled(kept, np.array([0, 1, 4, 9]))
    assert known == "distances"
    assert_array_equal(new, [0, 9])
    assert newly_labeled(kept, np.array([1, 4]))[0] == "distances"
    known, new = newly_labeled(kept, np.array([1, 9]))  # the label of row 4 was taken back
    assert known is None
    assert_array_equal(new, [1, 9])


@pytest.mark.parametrize(
    ("strategy", "params"),
    [
        (ProbCover("input", radius=0.3), {"radius": 1.0}),
        (MaxHerding("input"), {"bandwidth": 0.1}),
        (DensityWeighted(embedding="input"), {"similarity": "euclidean"}),
    ],
)
def test_parameters_that_are_set_after_a_query_are_those_of_the_next(strategy, params):
    fitted, other = (clone(strategy).set_params(random_state=0).fit(X) for _ in range(2))
    fitted.query(X, PARTLY, n_queries=3, estimator=LINEAR)
    rows = [
        each.set_params(**params).query(X, PARTLY, n_queries=8, estimator=LINEAR) for each in (fitted, other)
    ]
    assert_array_equal(*rows)


@pytest.mark.parametrize(("n_rows", "few"), [(0, True), (14, True), (15, False), (16, False), (30, False)])
def test_few_rows_are_less_than_half(n_rows, few):
    assert are_few(np.arange(n_rows), as_pool(X)) is few


@pytest.mark.parametrize(
    "strategy",
    [
        CoreSet,
        KMedian,
        SEALS,
        TypiClust,
        MaxHerding,
        ProbCover,
        ContrastiveAL,
        DensityWeighted,
        DiffusionSampling,
        DiscriminativeAL,
    ],
)
def test_half_precision_is_kept_and_gives_the_rows_of_the_same_numbers(strategy):
    # Their squares are beyond float16.
    encodings = FunctionTransformer(half), FunctionTransformer(lambda X: half(X).astype(np.float32))
    fitted = [strategy(embedding=each, random_state=0).fit(X) for each in encodings]
    kept = [each._encoded.dtype for each in fitted if hasattr(each, "_encoded")]
    assert not kept or kept == [np.float16, np.float32]
    assert_array_equal(*(each.query(X, PARTLY, n_queries=5, estimator=LINEAR) for each in fitted))


def test_half_precision_is_saved_and_loaded(tmp_path):
    learner = ActiveLearner(LINEAR, CoreSet(FunctionTransformer(half)), n_queries=5, random_state=0).fit(
        X, PARTLY
    )
    learner.save(tmp_path / "folder")
    loaded = ActiveLearner.load(tmp_path / "folder", X, learner)
    assert loaded.strategy_._encoded.dtype == np.float16
    assert_array_equal(loaded.query(), learner.query())


def half(X):
    return (300 * X).astype(np.float16)
