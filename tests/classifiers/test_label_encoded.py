"""Labels as 0, 1, ..., k - 1 and back."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelPropagation, SelfTrainingClassifier

from skal import ActiveLearner
from skal.classifiers import LabelEncodedClassifier
from skal.strategies import UncertaintySampling

from ..networks import tiny_vaal, tiny_wasserstein

X, CODES = load_iris(return_X_y=True)
WORDS = np.array(["a", "b", "c"])[CODES]


class Column(LogisticRegression):
    """Predicts a column, as catboost's does for more than two classes."""

    def fit(self, X, y):
        assert y.dtype == np.intp  # torch takes no other integers for classes
        return super().fit(X, y)

    def predict(self, X):
        return super().predict(X)[:, None]


def test_a_column_of_codes_becomes_labels():
    clf = LabelEncodedClassifier(Column(tol=0.1)).fit(X, WORDS)
    assert_array_equal(clf.predict(X), LogisticRegression(tol=0.1).fit(X, WORDS).predict(X))
    assert clf.score(X, WORDS) > 0.9
    y = np.where(np.arange(150) % 5 == 0, WORDS.astype(object), None)
    learner = ActiveLearner(LabelEncodedClassifier(Column(tol=0.1)), UncertaintySampling()).fit(X, y)
    assert learner.predict(X).shape == (150,)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
def test_missing_labels_are_refused(missing):
    y = WORDS.astype(object)
    y[[3, 5]] = missing
    with pytest.raises(ValueError, match=r"y has no label at \[3, 5\].*learns from labelled rows alone"):
        LabelEncodedClassifier(LogisticRegression()).fit(X, y)


def test_labels_of_several_kinds_are_refused():
    y = WORDS.astype(object)
    y[3] = 7
    with pytest.raises(ValueError, match="labels are of several kinds"):
        LabelEncodedClassifier(LogisticRegression()).fit(X, y)


@pytest.mark.parametrize(
    "classifier",
    [
        tiny_wasserstein(),
        make_pipeline(StandardScaler(), tiny_vaal()),
        SelfTrainingClassifier(LogisticRegression()),
        LabelPropagation(),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
@pytest.mark.parametrize("labels", [CODES, CODES.astype(float), CODES.astype(object), WORDS.astype(object)])
def test_the_marker_is_no_class_of_a_classifier_that_learns_from_unlabelled_rows(classifier, labels):
    y = labels.copy()
    y[20:] = -1
    with pytest.raises(
        ValueError, match=r"y has -1, which marks an unlabelled row for (W|V|S|LabelP)\w+, and Label"
    ):
        LabelEncodedClassifier(classifier).fit(X, y)


def test_minus_one_is_a_class_like_any_other_elsewhere():
    clf = LabelEncodedClassifier(LogisticRegression(tol=0.1)).fit(X, CODES - 1)
    assert clf.classes_.tolist() == [-1, 0, 1]
