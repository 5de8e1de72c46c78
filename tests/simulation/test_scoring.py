"""What a simulated learner is scored by: on validation rows, or by scorers that do without rows."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skal import simulate
from skal.metrics import FeatureStatistics, GenerationScorer
from skal.model_selection import labeled_scorer
from skal.strategies import RandomSampling
from tests.simulation.common import X, Y, learner


class Normal(GaussianNB):
    """A classifier that generates."""

    def sample(self, y, random_state=None):
        codes = np.searchsorted(self.classes_, y)
        return np.random.default_rng(random_state).normal(self.theta_[codes], np.sqrt(self.var_[codes]))


def generation_scorer():
    return GenerationScorer(
        FeatureStatistics().update(X), classifier=GaussianNB().fit(X, Y), n_samples=60, random_state=0
    )


GENERATED = ["frechet_distance", "classifier_inception_score", "gan_test_accuracy"]


def test_generation_metrics_are_recorded_each_round():
    scorer = generation_scorer()
    fitted = learner(estimator=Normal(), scoring=scorer).fit(X, Y)
    history = fitted.history_
    assert set(history) == set(learner().fit(X, Y).history_) | {f"score_{name}" for name in GENERATED}
    by_hand = scorer(fitted.estimator_)
    for name in GENERATED:
        assert history[f"score_{name}"].shape == (5,)
        assert history[f"score_{name}"][-1] == by_hand[name]
    assert len(set(history["score_frechet_distance"])) == 5
    validated = learner(estimator=Normal(), scoring=scorer, validation_fraction=0.3).fit(X, Y)
    plain = learner(estimator=Normal(), validation_fraction=0.3).fit(X, Y)
    assert_array_equal(validated.history_["score_accuracy"], plain.history_["score"])


def test_scorers_that_do_without_rows_are_asked_without_them():
    scoring = {"accuracy": "accuracy", "labels": lambda estimator, X=None, y=None: (estimator.y_ >= 0).sum()}
    history = learner(scoring=scoring).fit(X, Y).history_
    assert_array_equal(history["score_labels"], history["n_labeled"])
    assert "score_accuracy" not in history
    assert "score_accuracy" in learner(scoring=scoring, validation_fraction=0.2).fit(X, Y).history_
    with sklearn.config_context(enable_metadata_routing=True):
        routed = learner(scoring=scoring).fit(X, Y).history_
    assert_array_equal(routed["score_labels"], history["n_labeled"])
    assert "score" not in learner(scoring="accuracy").fit(X, Y).history_


@pytest.mark.parametrize(
    "scoring", [None, "accuracy", ["accuracy"], {"mine": "accuracy"}, generation_scorer()]
)
def test_rounds_without_a_classifier_have_nan(scoring):
    cold = learner(
        RandomSampling(), estimator=Normal(), n_initial=0, n_queries=1, budget=12, scoring=scoring
    ).fit(X, Y, X_val=X, y_val=Y)
    scores = {name: values for name, values in cold.history_.items() if name.startswith("score")}
    assert scores
    for name, values in scores.items():
        assert np.isnan(values[0])
        # A generator needs two classes, a classifier's score one label.
        assert np.isnan(values[1]) == any(name.endswith(metric) for metric in GENERATED)
        assert np.isfinite(values[-1])


def test_generation_metrics_in_searches_and_repeats():
    generator = learner(RandomSampling(), estimator=Normal(), scoring=generation_scorer(), budget=14)
    search = GridSearchCV(generator, {"n_queries": [4, 8]}, cv=2, refit=False).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    search = GridSearchCV(
        Normal(), {"var_smoothing": [1e-9, 1.0]}, scoring=generation_scorer(), refit="gan_test_accuracy", cv=2
    ).fit(X, Y)
    assert search.best_params_ == {"var_smoothing": 1e-9}
    histories = simulate([generator], X, Y, n_repeats=2, random_state=0)
    assert histories["RandomSampling"]["score_gan_test_accuracy"].shape == (2, 3)


@pytest.mark.parametrize("scoring", ["f1", ["accuracy", "recall"], {"mine": make_scorer(f1_score)}], ids=str)
def test_a_positive_class_that_is_to_be_told_is_asked_for_before_any_training(monkeypatch, scoring):
    names = np.where(Y == 0, "fraud", "ok")
    monkeypatch.setattr(LogisticRegression, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(ValueError, match=r"make_scorer\((f1|recall)_score, pos_label='fraud'\)"):
        learner(scoring=scoring).fit(X, names, X_val=X, y_val=names)


@pytest.mark.parametrize(
    "scoring",
    [
        "neg_log_loss",
        ["accuracy", "neg_log_loss"],
        {"mine": get_scorer("neg_log_loss")},
        labeled_scorer("neg_log_loss"),
    ],
    ids=["name", "list", "dict", "of the labelled rows"],
)
def test_probabilities_that_a_classifier_lacks_are_asked_for_before_any_training(scoring, monkeypatch):
    monkeypatch.setattr(LinearSVC, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(
        TypeError, match="scoring='neg_log_loss' needs a classifier with predict_proba and LinearSVC"
    ):
        learner(RandomSampling(), estimator=LinearSVC(), scoring=scoring).fit(X, Y, X_val=X, y_val=Y)


def test_metrics_of_the_user_are_not_tried_before():
    n_seen = []
    metric = make_scorer(lambda y, predicted: n_seen.append(len(y)) or 0.5)
    fitted = learner(scoring=metric).fit(X, Y, X_val=X, y_val=Y)
    assert len(n_seen) == len(fitted.history_["score"])


@pytest.mark.parametrize(
    ("estimator", "scoring", "error", "message"),
    [
        (LogisticRegression(), generation_scorer(), TypeError, "LogisticRegression has none"),
        (LogisticRegression(), {"g": generation_scorer()}, TypeError, "needs a classifier with sample"),
        (make_pipeline(StandardScaler(), Normal()), generation_scorer(), TypeError, "no pipeline around it"),
        (Normal(), "acuracy", ValueError, "acuracy"),
        (Normal(), accuracy_score, ValueError, "make_scorer"),
        (Normal(), {"a": 3}, ValueError, r"scoring\['a'\]=3"),
    ],
)
def test_bad_scorers_are_refused_before_any_training(estimator, scoring, error, message, monkeypatch):
    for classifier in (Normal, LogisticRegression):
        monkeypatch.setattr(classifier, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(error, match=message):
        learner(estimator=estimator, scoring=scoring).fit(X, Y)


@pytest.mark.parametrize("answer", [None, "0.9", np.zeros(2), [1, 2], 1j, {"mine": None}])
def test_a_scorer_must_return_a_number(answer):
    with pytest.raises(TypeError, match="must return a number"):
        learner(scoring=lambda estimator, X, y: answer).fit(X, Y, X_val=X, y_val=Y)
