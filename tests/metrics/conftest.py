"""Rows to measure, and what judges them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier

X, Y = load_digits(return_X_y=True)
X = X / 16
FAKES = (X[::-1] + np.random.default_rng(0).normal(scale=0.2, size=X.shape)) * 0.9


@pytest.fixture(scope="session")
def judge():
    return MLPClassifier((16,), activation="tanh", max_iter=30, random_state=0, tol=1).fit(X, Y)


class Normal(GaussianNB):
    """A classifier that generates: naive Bayes, with a normal distribution a pixel and class."""

    def sample(self, y, random_state=None):
        codes = np.searchsorted(self.classes_, y)
        return np.random.default_rng(random_state).normal(self.theta_[codes], np.sqrt(self.var_[codes]))
