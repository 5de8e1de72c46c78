import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.strategies import LearningLoss, RandomSubset

from ..networks import tiny_learning_loss

X = np.random.default_rng(0).normal(size=(40, 4))
TRUTH = (X[:, 0] > 0).astype(int)
Y = np.where(np.arange(40) < 20, TRUTH, -1)


@pytest.mark.parametrize("scaled", [False, True])
def test_rows_of_the_largest_predicted_loss_come_first(scaled):
    classifier = tiny_learning_loss(max_epochs=2)
    classifier = make_pipeline(StandardScaler(), classifier) if scaled else classifier
    learner = ActiveLearner(classifier, LearningLoss(), n_queries=5, random_state=0).fit(X, Y)
    fitted = learner.estimator_[-1] if scaled else learner.estimator_
    inside = learner.estimator_[0].transform(X) if scaled else X
    losses = fitted.predicted_loss(inside)
    assert_array_equal(learner.score_samples(X), losses)
    assert_array_equal(learner.query(), 20 + np.argsort(-losses[20:])[:5])
    rows = learner.query()
    assert len(learner.teach(rows, TRUTH[rows]).query()) == 5


def test_it_wraps_and_is_wrapped():
    fitted = tiny_learning_loss(max_epochs=2).fit(X[:20], TRUTH[:20])
    learner = ActiveLearner(FrozenEstimator(fitted), RandomSubset(15, LearningLoss()), n_queries=15)
    assert len(set(learner.fit(X, Y).query())) == 15


def test_another_classifier_is_refused_with_the_remedy():
    for classifier in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(
            TypeError, match=r"LearningLoss\(\) needs .* prediction of its loss .*LossClassifier"
        ):
            ActiveLearner(classifier, LearningLoss()).fit(X, Y)
