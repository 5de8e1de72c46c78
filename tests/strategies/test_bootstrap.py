"""Committees that are drawn with replacement from what a classifier was trained on."""

import numpy as np
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin

from skal.strategies.bootstrap import member_proba

PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])


class Fixed(ClassifierMixin, BaseEstimator):
    """A classifier whose classes are in the given order."""

    def fit(self, X, y):
        self.classes_ = np.array(y)
        return self

    def predict_proba(self, X):
        shares = PROBABILITIES[:, : len(self.classes_)]
        return shares / shares.sum(axis=1, keepdims=True)


def test_probabilities_are_those_of_the_classes_whatever_their_order():
    classes, X = np.array([0, 1, 2]), np.zeros((2, 1))
    assert_array_equal(member_proba(Fixed().fit(X, [0, 1, 2]), classes, X), PROBABILITIES)
    assert_array_equal(member_proba(Fixed().fit(X, [2, 0, 1]), classes, X), PROBABILITIES[:, [1, 2, 0]])
    few = Fixed().fit(X, [2, 1])
    expected = np.column_stack([np.zeros(2), few.predict_proba(X)[:, ::-1]])
    assert_array_equal(member_proba(few, classes, X), expected)
