import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.access import critic_scores_and_log_proba
from skal.strategies import WAAL

from ..networks import Discriminating, tiny_wasserstein


class Given(ClassifierMixin, BaseEstimator):
    """Rows are what it answers: the probabilities, and in the last column the critic."""

    def fit(self, X, y):
        self.classes_ = np.arange(X.shape[1] - 1)
        return self

    def predict_proba(self, X):
        return X[:, :-1]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def critic_scores(self, X):
        return X[:, -1]


P = np.random.default_rng(0).dirichlet(np.full(4, 0.3), size=50)
P[:3] = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4]
G = np.random.default_rng(1).random(50)
X = np.column_stack([P, G])
Y = np.where(np.arange(50) < 10, np.arange(50) % 4, -1)


def scores_of(strategy, rows=X, y=Y):
    return ActiveLearner(Given(), strategy, random_state=0).fit(rows, y).score_samples(rows)


def bounds(normalize=False):
    """The losses of the worst label, their sum and their Euclidean norm, label by label."""
    worst, total, norm = [], [], []
    for row in P:
        losses = [-np.log(p) if p > 0 else -np.log(np.finfo(np.float64).tiny) for p in row]
        worst.append(max(losses))
        total.append(sum(losses) / (4 if normalize else 1))
        norm.append((sum(loss**2 for loss in losses) / (4 if normalize else 1)) ** 0.5)
    return np.array(worst), np.array(total), np.array(norm)


@pytest.mark.parametrize("normalize", [False, True])
def test_bounds(normalize):
    worst, total, norm = bounds(normalize)
    for mixture in (0.0, 0.5, 1.0):
        for coefficient in (0.0, 5.0):
            for bound, first in (("worst_case", worst), ("l2", norm)):
                strategy = WAAL(coefficient, mixture=mixture, bound=bound, normalize=normalize)
                expected = mixture * first + (1 - mixture) * total - coefficient * G
                assert_allclose(scores_of(strategy), -expected, rtol=1e-12)  # the smallest of it is wanted


def test_logarithm_of_zero():
    float32 = X.astype(np.float32)
    scores = scores_of(WAAL(0.0, mixture=1.0), float32)
    assert_allclose(scores[:2], np.log(np.finfo(np.float32).tiny), rtol=1e-6)
    assert_allclose(scores_of(WAAL(0.0, mixture=1.0))[:2], -708.396, atol=1e-3)
    tiny = np.array([[1 - 1e-200, 1e-200, 0.0], [1.0, 0.0, 0.0]])
    assert_array_equal(np.argsort(scores_of(WAAL(0.0), tiny, np.array([0, 1]))), [1, 0])


def test_what_is_asked_for():
    # The example below Eq. 10: of two rows the one whose least confidence is higher, unless the critic weighs more.
    rows = np.array([[0.4, 0.6, 0.0], [0.3, 0.7, 0.5], [0.5, 0.5, 0.0], [0.01, 0.99, 1.0]])
    y = np.full(4, -1)
    fitted = Given().fit(rows, y)
    orders = {
        coefficient: WAAL(coefficient, random_state=0).fit(rows).query(rows, y, 4, estimator=fitted).tolist()
        for coefficient in (0.0, 1.0, 10.0)
    }
    assert orders == {0.0: [2, 0, 1, 3], 1.0: [1, 2, 0, 3], 10.0: [3, 1, 2, 0]}


@pytest.mark.parametrize("scaled", [False, True])
def test_with_its_classifier(scaled):
    rows, side = make_blobs(80, centers=[[-3] * 4, [3] * 4], random_state=0)
    y = np.where((side == 0) & (np.arange(80) % 4 > 0), np.arange(80) // 4 % 2, -1)
    classifier = tiny_wasserstein(batch_size=16, critic_lr=1.0, lr=1e-3, n_queries=40)
    model = make_pipeline(StandardScaler(), classifier) if scaled else classifier
    learner = ActiveLearner(model, WAAL(1e4), n_queries=40, random_state=0).fit(rows, y)
    assert (side[learner.query()] == 1).all()  # all that the critic wants
    fitted = learner.estimator_[-1] if scaled else learner.estimator_
    inside = learner.estimator_[0].transform(rows) if scaled else rows
    losses = -np.log(fitted.predict_proba(inside))
    expected = 1e4 * fitted.critic_scores(inside) - (losses.max(1) + losses.sum(1)) / 2
    assert_allclose(learner.score_samples(rows), expected, rtol=1e-6)
    # One pass serves both.
    passes = []
    fitted.module_.register_forward_hook(lambda _, inputs, output: passes.append(len(output)))
    learner.score_samples(rows)
    assert sum(passes) == 80


def test_any_classifier_with_both_methods():
    rows, y = make_blobs(40, centers=2, random_state=0)
    classifier = Discriminating().fit(rows, y)
    scores, log_probabilities = critic_scores_and_log_proba(classifier, rows, rows=[5, 2])
    assert_array_equal(scores, classifier.predict_proba(rows)[[5, 2], 1])
    assert_allclose(log_probabilities, classifier.predict_log_proba(rows)[[5, 2]])


def test_another_classifier_is_refused_with_the_remedy():
    for classifier in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(TypeError, match=r"WAAL\(\) needs .* critic .* Use skal.*WassersteinClassifier"):
            ActiveLearner(classifier, WAAL()).fit(X, Y)


@pytest.mark.parametrize("params", [{"mixture": 1.5}, {"coefficient": -1.0}, {"bound": "l1"}])
def test_bad_parameters(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of WAAL"):
        ActiveLearner(Given(), WAAL(**params)).fit(X, Y)
