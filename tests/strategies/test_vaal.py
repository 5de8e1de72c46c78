import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.strategies import VAAL, RandomSubset

from ..networks import tiny_vaal

# Half of the rows of one side are labelled, and none of the other: D(x) of the two sides is to be 3/4 and 0.
X, SIDE = make_blobs(80, centers=[[-5] * 4, [5] * 4], random_state=0)
TRUTH = np.arange(80) // 2 % 2
Y = np.where((SIDE == 0) & (np.arange(80) % 2 == 0), TRUTH, -1)
CLASSIFIER = tiny_vaal(
    max_epochs=1,
    vae_epochs=30,
    vae_batch_size=16,
    vae_lr=5e-3,
    discriminator_lr=5e-3,
    vae_params={"hidden": (16,)},
    discriminator_params={"hidden": (16,)},
)


@pytest.mark.parametrize("scaled", [False, True])
def test_rows_unlike_the_labelled_ones_come_first(scaled):
    classifier = make_pipeline(StandardScaler(), CLASSIFIER) if scaled else CLASSIFIER
    learner = ActiveLearner(classifier, VAAL(), n_queries=40, random_state=0).fit(X, Y)
    rows = learner.query()
    assert (SIDE[rows] == 1).all()
    fitted = learner.estimator_[-1] if scaled else learner.estimator_
    inside = learner.estimator_[0].transform(X) if scaled else X
    scores = -fitted.labeled_proba(inside)
    assert_array_equal(learner.score_samples(X), scores)
    assert scores[SIDE == 1].min() > scores[SIDE == 0].max() + 0.3
    assert (np.diff(scores[rows]) <= 0).all()
    # With labels on both sides it wants rows of both.
    scores = learner.teach(rows[:20], TRUTH[rows[:20]]).score_samples(X)
    assert abs(scores[SIDE == 1].mean() - scores[SIDE == 0].mean()) < 0.2


def test_words_as_labels_and_samples_from_elsewhere():
    names = np.array(["cat", "dog"], dtype=object)
    y = np.array([names[code] if code >= 0 else None for code in Y])
    learner = ActiveLearner(tiny_vaal(max_epochs=2), VAAL(), n_queries=3, random_state=0).fit(X, y)
    learner.extend(X[:2] + 100, ["cat", "bird"])
    assert learner.classes_.tolist() == ["bird", "cat", "dog"]
    rows = learner.query()
    learner.teach(rows, names[TRUTH[rows]])
    assert learner.score(X, y) >= 0


def test_it_wraps_and_is_wrapped():
    fitted = CLASSIFIER.fit(X, Y)
    frozen = ActiveLearner(FrozenEstimator(fitted), VAAL(), n_queries=5).fit(X, Y)
    assert (SIDE[frozen.query()] == 1).all()
    subset = ActiveLearner(FrozenEstimator(fitted), RandomSubset(30, VAAL()), n_queries=5).fit(X, Y)
    assert (SIDE[subset.query()] == 1).all()


def test_another_classifier_is_refused_with_the_remedy():
    for classifier in (LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        with pytest.raises(TypeError, match=r"VAAL\(\) needs .* discriminator .* Use skal.*VAALClassifier"):
            ActiveLearner(classifier, VAAL()).fit(X, Y)
