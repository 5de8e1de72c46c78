import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import entropy
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner, SimulatedLearner
from skal.strategies import ALCG

from ..networks import tiny_acgan

X, TRUTH = load_digits(return_X_y=True)
X, TRUTH = X[:200], TRUTH[:200]
Y = np.where(np.arange(200) < 40, TRUTH, -1)


def certainty(criterion, probabilities):
    """Equations 6 to 8."""
    ordered = np.sort(probabilities, axis=1)
    return {
        "most_confidence": ordered[:, -1],
        "large_margin": ordered[:, -1] - ordered[:, -2],
        "least_entropy": -entropy(probabilities, axis=1),
    }[criterion]


@pytest.mark.parametrize("criterion", ["most_confidence", "large_margin", "least_entropy"])
def test_the_most_certain_rows_come_first(criterion):
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    learner = ActiveLearner(classifier, ALCG(criterion), n_queries=12, random_state=0).fit(X, Y)
    rows = learner.query()
    probabilities = learner.predict_proba(X)
    expected = certainty(criterion, probabilities)
    unlabelled = np.arange(40, 200)
    assert_array_equal(rows, unlabelled[np.argsort(-expected[unlabelled])[:12]])
    scores = learner.score_samples(X)
    shift = 0 if criterion == "least_entropy" else 1
    np.testing.assert_allclose(scores + shift, expected, atol=1e-12)
    report = learner.strategy_.query_report_
    assert_array_equal(report.classes, np.arange(10))
    assert_array_equal(report.counts, np.bincount(probabilities[rows].argmax(1), minlength=10))
    assert report.counts.sum() == 12


class Given(ClassifierMixin, BaseEstimator):
    """Its rows are its probabilities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return X

    def predict(self, X):
        return self.classes_[X.argmax(1)]


@pytest.mark.parametrize("criterion", ["most_confidence", "large_margin", "least_entropy"])
def test_certain_rows_keep_their_order_where_the_largest_probability_rounds_to_one(criterion):
    small = 10.0 ** -np.array([9, 20, 12, 30, 15], dtype=np.float32)
    pool = np.stack([np.ones(5, np.float32), small, small / 2], axis=1)
    pool = pool[:, [1, 0, 2]]
    assert (pool.max(1) == 1).all()
    strategy = ALCG(criterion, random_state=0).fit(pool)
    rows = strategy.query(pool, n_queries=5, estimator=Given().fit(pool, np.array(["a", "b", "c", "a", "a"])))
    assert_array_equal(rows, [3, 1, 4, 2, 0])
    assert strategy.query_report_.classes.tolist() == ["a", "b", "c"]
    assert strategy.query_report_.counts.tolist() == [0, 5, 0]


def test_each_row_is_asked_about_once():
    class Counting(Given):
        def predict_proba(self, X):
            asked.append(len(X))
            return X

    asked, pool = [], np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    ALCG(random_state=0).fit(pool).query(pool, n_queries=5, estimator=Counting().fit(pool, np.arange(20) % 3))
    assert sum(asked) == 20


def test_with_the_classifier_of_the_paper():
    classifier = tiny_acgan(n_iter=20)
    learner = SimulatedLearner(classifier, ALCG(), n_initial=30, n_queries=10, budget=50, random_state=0)
    search = GridSearchCV(
        learner, {"strategy__criterion": ["most_confidence", "least_entropy"]}, cv=2, error_score="raise"
    )
    search.fit(X, TRUTH)
    best = search.best_estimator_
    assert best.history_["n_labeled"].tolist() == [30, 40, 50]
    assert best.estimator_.sample([3, 4]).shape == (2, 64)


def test_a_criterion_that_is_none():
    with pytest.raises(ValueError, match="'criterion' parameter of ALCG"):
        ALCG("random").fit(X)
