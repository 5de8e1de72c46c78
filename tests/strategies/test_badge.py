"""BADGE: the largest gradient first, and the same rows from a subset as from the whole pool."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal.selection import badge_kmeans_plusplus
from skal.strategies import BADGE

X = np.random.default_rng(0).normal(size=(40, 3))
TRUTH = np.digitize(X[:, 0], [-0.5, 0.5])


@pytest.mark.parametrize("n_labeled", [5, 30])  # most rows are candidates, or few are
@pytest.mark.parametrize(
    "classifier",
    [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())],
    ids=["linear", "pipeline"],
)
def test_rows_are_those_of_the_selector(classifier, n_labeled):
    classifier.fit(X, TRUTH)
    y = np.where(np.arange(40) < n_labeled, TRUTH, -1)
    rows = BADGE(random_state=3).fit(X).query(X, y, 6, estimator=classifier)
    embedding = X if isinstance(classifier, LogisticRegression) else classifier[:-1].transform(X)
    left = np.arange(n_labeled, 40)
    p = classifier.predict_proba(X)
    rng = np.random.default_rng([3, n_labeled])
    assert_array_equal(rows, left[badge_kmeans_plusplus(embedding[left], p[left], 6, rng)])
    gradients = (p - np.eye(3)[p.argmax(axis=1)])[:, :, None] * embedding[:, None]
    assert rows[0] == left[np.linalg.norm(gradients.reshape(40, -1), axis=1)[left].argmax()]
    assert BADGE().requires == ("predict_proba", "embed")
