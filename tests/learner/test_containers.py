"""Faults that users of active learning libraries reported about their containers, tried on a learner."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.validation import _num_samples
from torch.utils.data import TensorDataset

from skal import ActiveLearner, SimulatedLearner
from skal.generators import VAE
from skal.pool import as_pool
from skal.strategies import (
    BADGE,
    DGAL,
    SEALS,
    CoreSet,
    ExpectedErrorReduction,
    RandomSampling,
    RandomSubset,
    Switch,
    UncertaintySampling,
)
from tests.properties.strategies import STRATEGIES, NearestMean

X, TRUTH = load_iris(return_X_y=True)
NAMES = list("abcd")
Y = np.where(np.arange(150) % 10 == 0, TRUTH, -1)
TEXTS = [f"{['red', 'green', 'blue'][label]} thing number {row}" for row, label in enumerate(TRUTH)]


def logistic():
    return LogisticRegression(tol=0.1)


def learner(classifier=None, strategy=None, **params):
    return ActiveLearner(
        classifier or logistic(), strategy or UncertaintySampling(), n_queries=5, random_state=0, **params
    )


EXPECTED = learner().fit(X, Y).query()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(X, columns=NAMES).convert_dtypes(),
        pd.DataFrame(X, columns=NAMES).astype("Float64"),
        pd.DataFrame(X, columns=NAMES, index=np.arange(150)[::-1]),
        pd.DataFrame(X, columns=NAMES, index=pd.date_range("2020", periods=150)),
        pd.DataFrame(X, columns=NAMES, index=np.zeros(150, dtype=int)),
        pd.DataFrame(X, columns=pd.Index(NAMES, dtype="string")),
        pl.DataFrame(X, schema=NAMES),
    ],
    ids=["converted", "nullable", "index turned", "index of dates", "index repeated", "names", "polars"],
)
def test_rows_are_positions_whatever_the_frame(frame):
    fitted = learner().fit(frame, Y)
    rows = fitted.query(frame)
    assert_array_equal(rows, EXPECTED)
    fitted.teach(rows, TRUTH[rows])
    assert_array_equal(fitted.y_[rows], TRUTH[rows])
    assert_array_equal(
        learner(strategy=CoreSet("input")).fit(frame, Y).query(frame),
        learner(strategy=CoreSet("input")).fit(X, Y).query(X),
    )


def test_tensors():
    tensor = torch.tensor(X, requires_grad=True)
    fitted = learner().fit(tensor, Y)
    assert_array_equal(fitted.query(tensor), EXPECTED)
    assert_array_equal(fitted.query(X), EXPECTED)
    assert_array_equal(fitted.predict_proba(tensor), fitted.predict_proba(X))
    assert_array_equal(learner().fit(X, torch.tensor(Y)).query(), EXPECTED)
    fitted.teach(torch.tensor(EXPECTED), torch.tensor(TRUTH[EXPECTED]))
    assert_array_equal(fitted.y_[EXPECTED], TRUTH[EXPECTED])


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_encoders_and_scalers_may_return_frames(output):
    def pca():
        return PCA(2).set_output(transform=output)

    for strategy in (CoreSet, DGAL, lambda encoder: SEALS(encoder, n_neighbors=5)):
        got = learner(strategy=strategy(pca())).fit(X, Y).query()
        assert_array_equal(got, learner(strategy=strategy(PCA(2))).fit(X, Y).query())
    scaled = make_pipeline(StandardScaler().set_output(transform=output), logistic())
    same = make_pipeline(StandardScaler(), logistic())
    for strategy in (UncertaintySampling(), CoreSet("classifier"), BADGE()):
        assert_array_equal(
            learner(scaled, strategy).fit(X, Y).query(), learner(same, strategy).fit(X, Y).query()
        )


def test_encoders_may_return_sparse_rows():
    vectorizer = TfidfVectorizer()
    dense = make_pipeline(TfidfVectorizer(), FunctionTransformer(lambda rows: rows.toarray()))
    classifier = make_pipeline(TfidfVectorizer(), logistic())
    got, expected = (
        learner(classifier, CoreSet(encoder)).fit(TEXTS, Y).query() for encoder in (vectorizer, dense)
    )
    assert_array_equal(got, expected)


def test_images_are_flat_for_encoders_that_take_rows():
    pixels, digits = load_digits(return_X_y=True)
    pixels, digits = pixels[:300] / 16, np.where(np.arange(300) < 50, digits[:300], -1)
    images = pixels.reshape(-1, 1, 8, 8)
    classifier = make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), logistic())
    for encoder in (PCA(10), make_pipeline(StandardScaler(), PCA(5)), FrozenEstimator(PCA(10).fit(pixels))):
        for strategy in (DGAL, CoreSet):
            got = learner(classifier, strategy(encoder)).fit(images, digits)
            same = learner(classifier, strategy(encoder)).fit(pixels, digits)
            assert_array_equal(got.query(), same.query())
            assert_array_equal(got.query(images[100:]), same.query(pixels[100:]))
    kept = FunctionTransformer(lambda X: X[:, 0, ::2, ::2].reshape(len(X), -1))
    assert len(learner(classifier, CoreSet(kept)).fit(images, digits).query()) == 5
    assert learner(classifier, CoreSet(VAE(max_epochs=1, n_latent=2))).fit(images, digits).query().shape == (
        5,
    )


def test_sparse_rows_in_any_order_of_their_entries():
    rng = np.random.default_rng(0)
    matrix = sparse.csr_array(np.where(rng.random((150, 30)) < 0.2, rng.random((150, 30)), 0.0))
    turned = matrix.copy()
    for start, stop in zip(turned.indptr, turned.indptr[1:], strict=False):
        turned.indices[start:stop] = turned.indices[start:stop][::-1].copy()
        turned.data[start:stop] = turned.data[start:stop][::-1].copy()
    turned.has_sorted_indices = False
    fitted = learner().fit(matrix, Y)
    assert_array_equal(fitted.query(turned), fitted.query())
    assert_array_equal(fitted.query(matrix.tocsc()), fitted.query())
    assert_array_equal(learner().fit(turned, Y).query(), fitted.query())


class TestCategories:
    frame = pd.DataFrame({"size": X[:, 0], "kind": pd.Categorical(np.where(X[:, 2] > 3, "long", "short"))})

    def booster(self):
        return HistGradientBoostingClassifier(
            categorical_features="from_dtype", min_samples_leaf=2, random_state=0
        )

    def test_codes_do_not_depend_on_the_rows_taken(self):
        fitted = learner(self.booster()).fit(self.frame, Y)
        assert_array_equal(fitted.query(self.frame), fitted.query())
        assert fitted.score(self.frame, TRUTH) > 0.5
        assert list(fitted.estimator_.predict(self.frame[:3])) == list(fitted.predict(self.frame)[:3])

    def test_extensions_are_cast_to_the_categories(self):
        fitted = learner(self.booster()).fit(self.frame, Y)
        fitted.extend(pd.DataFrame({"size": [5, 6], "kind": ["short", "long"]}), [0, 2])
        assert fitted._state.extensions[0].X.dtypes.equals(self.frame.dtypes)
        with pytest.raises(ValueError, match=r"'kind' is .* instead of category"):
            fitted.extend(pd.DataFrame({"size": [5.0], "kind": ["unknown"]}), [0])
        assert len(fitted._state.extensions) == 1

    def test_numbers_of_categories_are_not_read_as_words(self):
        with pytest.raises(TypeError, match=r"columns \['kind'\] hold no numbers.*embedding="):
            learner(self.booster(), CoreSet("input")).fit(self.frame, Y)


class TestSchemas:
    frame = pl.DataFrame({"a": X[:, 0], "n": np.arange(150, dtype=np.int16), "kind": ["x", "y", "z"] * 50})

    def classifier(self):
        columns = ColumnTransformer(
            [
                ("numbers", "passthrough", ["a", "n"]),
                # Dense, as scikit-learn 1.7 cannot set sparse columns beside those of polars.
                ("kind", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]),
            ]
        )
        return make_pipeline(columns, StandardScaler(with_mean=False), logistic())

    def test_polars_rows_are_cast_on_extend(self):
        fitted = learner(self.classifier()).fit(self.frame, Y)
        new = pl.DataFrame({"a": [5, 6], "n": [1, 2], "kind": pl.Series(["x", "new"], dtype=pl.Categorical)})
        fitted.extend(new, [0, 1])
        assert fitted._state.extensions[0].X.schema == self.frame.schema
        for wrong, message in (
            (new.with_columns(pl.lit("five").alias("a")), "'a' is String instead of Float64"),
            (new.select("n", "a", "kind"), "same order"),
        ):
            with pytest.raises(ValueError, match=message):
                fitted.extend(wrong, [0, 1])

    def test_wider_numbers_stay_numbers(self):
        fitted = learner(self.classifier()).fit(self.frame, Y)
        fitted.extend(pl.DataFrame({"a": [5.5], "n": [1.5], "kind": ["x"]}), [1])
        assert fitted._state.extensions[0].X["n"].dtype == pl.Float64
        assert fitted.score(self.frame, TRUTH) > 0.5


def test_a_table_with_holes_and_words():
    holes = pd.DataFrame(np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X), columns=NAMES)
    holes["kind"] = np.where(TRUTH > 0, "tall", None)
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), NAMES),
            (
                "kind",
                make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder()),
                ["kind"],
            ),
        ]
    )
    classifier = make_pipeline(columns, logistic())
    for strategy in (RandomSampling(), UncertaintySampling(), BADGE(), CoreSet(), DGAL(columns)):
        fitted = learner(classifier, strategy).fit(holes, Y)
        rows = fitted.query()
        assert not (Y[rows] >= 0).any()
        assert fitted.teach(rows, TRUTH[rows]).score(holes, TRUTH) > 0.8
    simulated = SimulatedLearner(classifier, UncertaintySampling(), n_initial=10, budget=20, random_state=0)
    assert simulated.fit(holes, TRUTH).score(holes, TRUTH) > 0.8


def test_the_classifier_refuses_holes_itself_and_nothing_is_prepared():
    class Unfitted(PCA):
        def fit(self, X, y=None):
            raise AssertionError("the strategy was prepared")

    holes = np.where(np.arange(600).reshape(150, 4) == 5, np.nan, X)
    with pytest.raises(ValueError, match="NaN") as caught:
        learner(strategy=CoreSet(Unfitted())).fit(holes, Y)
    assert caught.value.__notes__ == ["The classifier was tried on row 1 of the pool, which has NaN."]
    with pytest.raises(ValueError, match=r"codes with NaN or infinity.*SimpleImputer"):
        learner(HistGradientBoostingClassifier(), CoreSet(StandardScaler())).fit(holes, Y)


@pytest.mark.parametrize("numbers", [[1.0, 2.0], np.arange(3), pd.Series([1, 2]), pl.Series([1.5])], ids=str)
def test_a_single_dimension_of_numbers_is_refused(numbers):
    with pytest.raises(ValueError, match=r"[Ee]xpected .*2|2-dimensional"):
        learner().fit(numbers, np.full(len(numbers), -1))


def test_texts():
    classifier = make_pipeline(TfidfVectorizer(), logistic())
    fitted = learner(classifier).fit(TEXTS, Y)
    for same in (
        TEXTS.copy(),
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS),
    ):
        assert_array_equal(fitted.query(same), fitted.query())
    rows = fitted.query()
    fitted.teach(rows, TRUTH[rows]).extend(["a red thing", "a blue one"], [0, 2])
    assert fitted.score(TEXTS, TRUTH) > 0.95
    assert fitted.predict(["very red"]) == [0]
    around = Switch(CoreSet("input"), UncertaintySampling(), when=50), RandomSubset(9, CoreSet("input"))
    for strategy in (CoreSet("input"), *around):
        with pytest.raises(TypeError, match=r"CoreSet reads rows as numbers, .* are texts.*embedding="):
            learner(classifier, strategy).fit(TEXTS, Y)
    with pytest.raises(ValueError, match="fitted on rows with 4 features, and its rows are texts"):
        learner().fit(X, Y).query(TEXTS)
    with pytest.raises(ValueError, match="could not convert string to float") as caught:
        learner(classifier, CoreSet(PCA(2))).fit(TEXTS, Y)
    assert "PCA was given a pool to encode, and its rows are texts" in caught.value.__notes__[0]


class Indifferent(ClassifierMixin, BaseEstimator):
    """Takes rows of any kind."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((_num_samples(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]


@pytest.mark.parametrize(
    "container",
    [
        [None] * 30,
        [b"bytes"] * 30,
        [["a", str(row)] for row in range(30)],
        [[row, "x"] for row in range(30)],
        [{row} for row in range(30)],
        [np.arange(row + 1) for row in range(30)],
        [pd.Series([1, 2])] * 30,
        [datetime.date(2020, 1, 1 + row) for row in range(30)],
        [[] for _ in range(30)],
        [[[row], [1, 2]] for row in range(30)],
        tuple("abcdefghij" * 3),
        {"a": list(range(30)), "b": [str(row) for row in range(30)]},
        np.arange(60).astype("datetime64[D]").reshape(30, 2),
        np.zeros((30, 2), dtype=bool),
        np.arange(60.0).reshape(30, 2).astype(">f8"),
        np.array([f"t{row}" for row in range(30)], dtype=np.dtypes.StringDType()),
        pd.DataFrame(index=range(30)),
        pd.DataFrame(np.eye(30, 2), columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
        pd.Series(pd.date_range("2020", periods=30)),
        pd.Categorical(list("abc") * 10),
        pd.Index([f"t{row}" for row in range(30)]),
        pd.array([f"t{row}" for row in range(30)], dtype="string"),
        pl.DataFrame({"a": [{"x": row} for row in range(30)]}),
        pl.Series([[row] for row in range(30)]),
    ],
    ids=lambda container: type(container).__name__,
)
def test_odd_containers(container):
    y = np.where(np.arange(30) < 6, np.arange(30) % 2, -1)
    for strategy in (RandomSampling(), UncertaintySampling()):
        fitted = learner(Indifferent(), strategy).fit(container, y)
        rows = fitted.query(container)
        assert_array_equal(pickle.loads(pickle.dumps(fitted)).query(), rows)
        fitted.teach(rows, rows % 2).extend(as_pool(container).take(slice(2)), [0, 1])
        assert fitted.score(container, np.arange(30) % 2) == 0.5
        assert len(fitted.query(as_pool(container).take(slice(10, 20)))) == 5


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ("a text", "single object of type str"),
        (np.array(3.0), "single object of type ndarray"),
        (iter([[1.0]]), "single object of type list_iterator"),
        (pl.LazyFrame({"a": [1.0]}), "LazyFrame, what collect"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "rows was given"),
        ({}, "at least one array"),
        ([], "0 sample"),
    ],
    ids=["text", "number", "iterator", "lazy frame", "two lengths", "no array", "no row"],
)
def test_what_holds_no_rows(container, message):
    with pytest.raises(ValueError, match=message):
        learner(Indifferent(), RandomSampling()).fit(container, [-1, -1])


def test_utilities_of_rows_that_are_no_numbers():
    fitted = learner(make_pipeline(TfidfVectorizer(), logistic())).fit(TEXTS, Y)
    utility = fitted.score_samples(TEXTS)
    assert_array_equal(fitted.strategy_.utility(TEXTS, estimator=fitted.estimator_), utility)
    unlabeled = np.flatnonzero(Y < 0)
    assert set(fitted.query()) <= set(unlabeled[utility[unlabeled] >= np.sort(utility[unlabeled])[-5]])


def test_extensions_of_another_shape_or_kind_of_numbers_are_refused():
    images = np.random.default_rng(0).random((150, 3, 4, 4), dtype=np.float32)
    classifier = make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), logistic())
    fitted = learner(classifier).fit(images, Y)
    flat = images.reshape(150, -1)
    for wrong, message in (
        (np.moveaxis(images[:2], 1, -1), r"\(4, 4, 3\) were given, and those of the pool have \(3, 4, 4\)"),
        ((images[:2] * 255).astype(np.uint8), "Bytes .* the pool holds float32"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.extend(wrong, [0, 1])
    assert fitted._state.extensions == ()
    fitted.extend(flat[:2], [0, 1])

    def dataset(array):
        return TensorDataset(torch.tensor(array))

    lazy = learner(classifier).fit(dataset(images), Y)
    for wrong in (np.moveaxis(images[:2], 1, -1).copy(), (images[:2] * 255).astype(np.uint8)):
        for given in (wrong, dataset(wrong)):
            with pytest.raises(ValueError, match="pool"):
                lazy.extend(given, [0, 1])
    lazy.extend(dataset(images[:2]), [0, 1])


def test_samples_of_a_tensor_dataset_are_copied():
    pool, samples = torch.randn(30, 3), torch.ones(4, 3)
    fitted = ActiveLearner(LogisticRegression(), RandomSampling()).fit(
        TensorDataset(pool), [0, 1, *[-1] * 28]
    )
    before = fitted.extend(TensorDataset(samples), [0, 1, 0, 1]).estimator_.coef_
    samples *= 50
    assert_array_equal(fitted.refit().estimator_.coef_, before)


def needs_training(strategy):
    """Whether it trains the classifier again, which a frozen one refuses."""
    return isinstance(strategy, ExpectedErrorReduction)


@pytest.mark.parametrize("dtype", [">f8", np.longdouble], ids=str)
@pytest.mark.parametrize("strategy", [each for each in STRATEGIES if not needs_training(each)], ids=str)
def test_numbers_in_formats_that_torch_cannot_read(strategy, dtype):
    trained = FrozenEstimator(
        NearestMean().fit(X, TRUTH)
    )  # means in another format differ in their last bits
    expected = learner(trained, strategy).fit(X, Y).query()
    assert_array_equal(learner(trained, strategy).fit(X.astype(dtype), Y).query(), expected)
