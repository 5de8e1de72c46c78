"""What classifiers predict, as positions in their classes."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal.classifiers import LabelEncodedClassifier, NetClassifier
from skal.pool import as_pool
from skal.strategies.predicted import predicted_codes

X = np.random.default_rng(0).normal(size=(40, 2))
Y = np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
ROWS = np.array([7, 3, 30])


class Column(ClassifierMixin, BaseEstimator):
    """Its classes are in no order, and its predictions, which are not the most probable class, a column."""

    def fit(self, X, y):
        self.classes_ = np.array(["c", "a", "b"])
        return self

    def predict_proba(self, X):
        return np.full((len(X), 3), [0.6, 0.2, 0.2])

    def predict(self, X):
        return np.where(np.asarray(X)[:, :1] > 0, "a", "b")


@pytest.mark.parametrize(
    "classifier",
    [
        GaussianNB(),
        Column(),
        LabelEncodedClassifier(GaussianNB()),
        make_pipeline(StandardScaler(), GaussianNB()),
        NetClassifier(max_epochs=1, random_state=0),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_positions_are_those_of_what_is_predicted(classifier):
    classifier.fit(X, Y)
    found = predicted_codes(classifier, as_pool(X), ROWS)
    assert_array_equal(np.asarray(classifier.classes_)[found], np.ravel(classifier.predict(X[ROWS])))
    assert len(predicted_codes(classifier, as_pool(X), ROWS[:0])) == 0


def test_a_stray_number_is_no_class():
    class Stray(GaussianNB):
        def predict(self, X):
            return super().predict(X) + 1

    with pytest.raises(
        ValueError, match=r"Stray\.predict returned 2, which is not one of its classes_, \[0, 1\]"
    ):
        predicted_codes(Stray().fit(X, (X[:, 0] > 1).astype(int)), as_pool(X), np.arange(40))


def test_a_tuned_threshold():
    classifier = FixedThresholdClassifier(GaussianNB(), threshold=0.01).fit(X, X[:, 0] > 1)
    found = predicted_codes(classifier, as_pool(X), np.arange(40))
    assert_array_equal(found, classifier.predict(X).astype(int))
    assert found.sum() > classifier.predict_proba(X).argmax(axis=1).sum()


def test_without_a_method_or_classes_it_is_the_most_probable_class():
    class Bare(BaseEstimator):
        def fit(self, X, y):
            self.fitted_ = True
            return self

        def predict_proba(self, X):
            return np.full((len(X), 3), [0.2, 0.2, 0.6])

    assert_array_equal(predicted_codes(Bare().fit(X, Y), as_pool(X), ROWS), 2)


@pytest.mark.parametrize("label", ["d", "A", 3, None])
def test_what_is_predicted_must_be_a_class(label):
    class Stray(Column):
        def predict(self, X):
            return np.array(["a", "c", label], dtype=object)

    with pytest.raises(
        ValueError,
        match=rf"Stray\.predict returned {label!r}, which is not one of its classes_, \['c', 'a', 'b'\]",
    ):
        predicted_codes(Stray().fit(X, Y), as_pool(X), ROWS)
