"""Learners whose classifier and strategy read the columns of a table are written, not trained again."""

import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomTreesEmbedding
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skal import ActiveLearner
from skal.exceptions import ModelFileError
from skal.strategies import TypiClust, UncertaintySampling
from skal.training.files import read_file, write_file
from tests.learner.common import X, Y


def plan(classifier, cold_start):
    return ActiveLearner(
        classifier, UncertaintySampling(), cold_start=cold_start, n_queries=5, random_state=0
    )


SELECTED = [make_column_selector(dtype_include="number"), make_column_selector("b")]


@pytest.mark.parametrize("chosen", [(["a"], ["b"]), SELECTED], ids=["named", "selected"])
def test_tables_with_imputed_and_coded_columns_are_written(tmp_path, monkeypatch, chosen):
    """NumPy's types, its numbers where their type is a parameter, and slices are parts of them."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 3, "x", "y")})
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer([("numbers", numbers, chosen[0]), ("words", OneHotEncoder(), chosen[1])])
    classifier = make_pipeline(columns, LogisticRegression(max_iter=1000))
    planned = plan(classifier, TypiClust(clone(columns)))
    for labels in (np.full(150, -1), Y):
        fitted = clone(planned).fit(frame, labels)
        fitted.save(tmp_path)
        with monkeypatch.context() as trained:
            trained.setattr(LogisticRegression, "fit", lambda *_, **__: pytest.fail("it was trained again"))
            assert_array_equal(ActiveLearner.load(tmp_path, frame, planned).query(), fitted.query())


def test_without_a_classifier_a_part_that_cannot_be_written_is_named(tmp_path):
    planned = plan(LogisticRegression(), TypiClust(RandomTreesEmbedding(3)))
    with pytest.raises(TypeError, match=r"cold_start\.encoder_"):
        clone(planned).fit(X, np.full(150, -1)).save(tmp_path)


@pytest.fixture
def skops(monkeypatch):
    """A skops that trusts everything when it writes, as an older one may, and trees no more when it reads."""
    module = pytest.importorskip("skops.io")
    monkeypatch.setattr(module, "get_untrusted_types", lambda file: [])
    return lambda: monkeypatch.setattr(
        module, "get_untrusted_types", lambda file: ["sklearn.tree._tree.Tree"]
    )


def test_a_classifier_that_skops_no_longer_trusts_is_trained_again(tmp_path, skops):
    planned = plan(DecisionTreeClassifier(max_depth=3, random_state=0), None)
    fitted = clone(planned).fit(X, Y).teach([51], [1])
    fitted.save(tmp_path)
    assert any(map(zipfile.is_zipfile, tmp_path.iterdir())), "skops wrote nothing"
    skops()
    with pytest.warns(
        UserWarning, match=r"Tree'\], which the installed version of skops.*All labels are there"
    ):
        loaded = ActiveLearner.load(tmp_path, X, planned)
    assert_array_equal(loaded.labels_, fitted.labels_)
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert_array_equal(loaded.query(), fitted.query())
    assert_array_equal(loaded.undo().query(), fitted.undo().query())


class Leaves(TransformerMixin, BaseEstimator):
    """A transformer with a tree."""

    def fit(self, X, y=None):
        self.tree_ = DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, X[:, 0])
        return self

    def transform(self, X):
        return self.tree_.predict(X)[:, None]


def test_another_part_that_skops_no_longer_trusts_is_named(tmp_path, skops):
    planned = plan(LogisticRegression(max_iter=1000), TypiClust(Leaves()))
    clone(planned).fit(X, np.full(150, -1)).save(tmp_path)
    skops()
    with pytest.raises(ModelFileError, match=r"Tree'\], which the installed version of skops does not know"):
        ActiveLearner.load(tmp_path, X, planned)


CATEGORIES = plan(HistGradientBoostingClassifier(max_iter=5), None)


@pytest.fixture
def saved(tmp_path):
    """A table with a category, whose learner is in `tmp_path`."""
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": X[:, 0], "c": pd.Categorical(np.where(X[:, 1] > 3, "x", "y"))})
    clone(CATEGORIES).fit(table, Y).save(tmp_path)
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table.astype({"c": str}),
            "column 'c' was category and is (str|object). .* dtype={'c': 'category'}",
        ),
        (lambda table: table.astype({"a": "float32"}), "column 'a' was float64 and is float32"),
        (lambda table: table[["c", "a"]], r"in another order. Give X\[\['a', 'c'\]\]"),
        (lambda table: table.rename(columns={"a": "b"}), "columns lack 'a' and have the new 'b'"),
        (lambda table: table.drop(columns="c"), "columns lack 'c'. Give"),
        (lambda table: table.assign(d=1), "columns have the new 'd'"),
        (lambda table: table.iloc[::-1].reset_index(drop=True), "rows have changed or are in another order"),
    ],
    ids=["text", "narrow", "swapped", "renamed", "fewer", "more", "rows"],
)
def test_a_table_with_other_columns_is_told_before_any_training(
    tmp_path, saved, monkeypatch, change, message
):
    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(ValueError, match=f"X is not the pool .*{message}") as refused:
        ActiveLearner.load(tmp_path, change(saved), CATEGORIES)
    assert not isinstance(refused.value, ModelFileError)


@pytest.mark.parametrize(("then", "now"), [("str", "string[python]"), ("string[python]", "str")])
def test_texts_are_texts_whatever_pandas_calls_them(tmp_path, then, now):
    pd = pytest.importorskip("pandas", minversion="3")
    texts = pd.DataFrame({"text": [f"number {row}" for row in range(len(X))]})
    planned = plan(FrozenEstimator(DummyClassifier().fit(texts, Y)), None)
    clone(planned).fit(texts.astype(then), Y).save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, texts.astype(now), planned)
    assert_array_equal(loaded.labels_, Y)


@pytest.mark.parametrize(
    ("then", "now"), [("int64", "int32"), ("int64", "Int64"), ("float", "Sparse[float64]")]
)
def test_numbers_of_the_same_kind_are_the_same(tmp_path, then, now):
    table = pytest.importorskip("pandas").DataFrame({"a": np.arange(150) % 7}).astype(then)
    planned = plan(LogisticRegression(max_iter=1000), None)
    clone(planned).fit(table, Y).save(tmp_path)
    assert_array_equal(ActiveLearner.load(tmp_path, table.astype(now), planned).labels_, Y)


def test_a_table_of_polars_with_other_types(tmp_path):
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({"a": X[:, 0], "b": np.arange(150)})
    planned = plan(LogisticRegression(max_iter=1000), None)
    clone(planned).fit(table, Y).save(tmp_path)
    with pytest.raises(ValueError, match="column 'b' was Int64 and is Int32"):
        ActiveLearner.load(tmp_path, table.cast({"b": pl.Int32}), planned)


def test_a_training_on_load_that_fails_does_not_blame_the_file(tmp_path, saved, monkeypatch):
    """Files of before lack the types of columns."""
    tensors, whole = read_file(tmp_path / "learner.skal")
    del whole["columns"]
    write_file(tmp_path / "learner.skal", tensors, whole)
    assert len(ActiveLearner.load(tmp_path, saved, CATEGORIES).query()) == 5
    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", lambda *_: float("y"))
    with pytest.raises(ValueError, match=r"which is intact: could not convert.*types of then") as refused:
        ActiveLearner.load(tmp_path, saved, CATEGORIES)
    assert not isinstance(refused.value, ModelFileError)


@pytest.mark.parametrize("columns", [1, [1], [["'a'"]], [["'a'", 1]]], ids=str)
def test_columns_that_are_none(tmp_path, saved, columns):
    tensors, whole = read_file(tmp_path / "learner.skal")
    write_file(tmp_path / "learner.skal", tensors, {**whole, "columns": columns})
    with pytest.raises(ModelFileError, match="holds no learner"):
        ActiveLearner.load(tmp_path, saved, CATEGORIES)
