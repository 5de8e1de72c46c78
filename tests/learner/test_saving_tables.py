"""Learners whose classifier and strategy read the columns of a table are written, not trained again."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomTreesEmbedding
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skal import ActiveLearner
from skal.strategies import TypiClust, UncertaintySampling
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
