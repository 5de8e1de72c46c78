"""SimulatedLearner, simulate and the learning-curve display."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import entropy
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skal import ActiveLearner, SimulatedLearner, simulate
from skal.metrics import FeatureStatistics, GenerationScorer
from skal.plotting import LearningCurveDisplay
from skal.simulation import labels_needed
from skal.strategies import CoreSet, RandomSampling, UncertaintySampling

mpl.use("Agg")
X, Y = load_iris(return_X_y=True)


def learner(strategy=None, **params):
    defaults = {"n_initial": 6, "n_queries": 4, "budget": 19, "random_state": 0}
    simulated = SimulatedLearner(LogisticRegression(max_iter=1000), strategy or UncertaintySampling())
    return simulated.set_params(**defaults | params)


def test_history_is_that_of_the_loop_done_by_hand():
    simulated = learner().fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
    pool, oracle, history = X[::2], Y[::2], simulated.history_
    assert_array_equal(history["n_labeled"], [6, 10, 14, 18, 19])

    rows = simulated.labeled_rows_
    assert len(set(rows)) == 19
    y = np.full(75, -1)
    y[rows[:6]] = oracle[rows[:6]]
    by_hand = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), random_state=0).fit(
        pool, y
    )
    for i, n in enumerate(history["n_labeled"]):
        assert_allclose(history["score"][i], accuracy_score(Y[1::2], by_hand.predict(X[1::2])))
        assert_array_equal(history["class_counts"][i], np.bincount(oracle[rows[:n]], minlength=3))
        if i + 1 < len(history["n_labeled"]):
            queried = by_hand.query(n_queries=history["n_labeled"][i + 1] - n)
            assert_array_equal(queried, rows[n : history["n_labeled"][i + 1]])
            entropies = entropy(by_hand.predict_proba(pool[queried]), axis=1)
            assert_allclose(history["query_entropy"][i + 1], entropies.mean())
            by_hand.teach(queried, oracle[queried])
    assert_allclose(simulated.predict_proba(X), by_hand.predict_proba(X))
    assert np.isnan(history["query_entropy"][0])
    assert history["query_time"][0] == 0
    assert (history["query_time"][1:] > 0).all()
    assert (history["fit_time"] > 0).all()


def test_every_array_of_the_history_is_equally_long():
    history = learner(scoring=["accuracy", "f1_macro"], validation_fraction=0.2).fit(X, Y).history_
    assert {len(values) for values in history.values()} == {5}
    assert {"score_accuracy", "score_f1_macro"} <= set(history)
    assert "score" not in learner().fit(X, Y).history_
    svm = SimulatedLearner(LinearSVC(), RandomSampling(), budget=30, random_state=0).fit(X, Y)
    assert np.isnan(svm.history_["query_entropy"]).all()


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


def test_validation_rows_are_never_queried():
    fitted = learner(validation_fraction=0.3, budget=1000).fit(X, Y)
    assert len(fitted.pool_rows_) == 105
    assert fitted.history_["n_labeled"][-1] == 105
    assert_array_equal(fitted.X_, X[fitted.pool_rows_])
    assert_array_equal(fitted.y_, Y[fitted.pool_rows_])
    with pytest.raises(ValueError, match="give one of them"):
        learner(validation_fraction=0.3).fit(X, Y, X_val=X, y_val=Y)
    with pytest.raises(ValueError, match="Give both"):
        learner().fit(X, Y, X_val=X)


def test_initial_labels():
    first = learner(n_initial=3, initial="one_per_class").fit(X, Y)
    assert_array_equal(first.history_["class_counts"][0], [1, 1, 1])
    rare = np.zeros(150, dtype=int)
    rare[77] = 1
    for seed in range(5):
        assert_array_equal(learner(random_state=seed).fit(X, rare).history_["class_counts"][0], [5, 1])
    assert_array_equal(
        learner(CoreSet("input")).fit(X, Y).labeled_rows_[:6],
        learner(RandomSampling()).fit(X, Y).labeled_rows_[:6],
    )
    with pytest.raises(ValueError, match="cannot hold one of each of 3 classes"):
        learner(n_initial=2, initial="one_per_class").fit(X, Y)
    cold = learner(CoreSet("input"), n_initial=0).fit(X, Y, X_val=X, y_val=Y)
    assert np.isnan(cold.history_["score"][0])
    assert cold.history_["n_labeled"][0] == 0


def test_the_oracle_must_be_complete_and_of_several_classes():
    with pytest.raises(ValueError, match="1 unlabelled rows"):
        learner().fit(X, np.where(np.arange(150) == 7, -1, Y))
    with pytest.raises(ValueError, match="only one class"):
        learner().fit(X, np.zeros(150, dtype=int))


def test_string_labels_and_frames():
    names = np.array(["a", "b", "c"])
    frame = pd.DataFrame(X, columns=list("wxyz"))
    fitted = learner(validation_fraction=0.2).fit(frame, pd.Series(names[Y]))
    assert_array_equal(fitted.labeled_rows_, learner(validation_fraction=0.2).fit(X, Y).labeled_rows_)
    assert set(fitted.predict(frame)) <= set(names)


def test_grid_search_separates_strategies():
    X8, y8 = load_digits(return_X_y=True)
    simulated = SimulatedLearner(
        LogisticRegression(max_iter=200), UncertaintySampling(), n_initial=20, budget=100, random_state=0
    )
    grid = {"strategy__measure": ["margin", "least_confidence", "entropy"], "n_queries": [10, 40]}
    search = GridSearchCV(simulated, grid, cv=2).fit(X8[:900] / 16, y8[:900])
    assert len(set(search.cv_results_["mean_test_score"].round(6))) == 6
    worst = search.cv_results_["mean_test_score"].min()
    assert search.best_score_ > worst


def test_validation_rows_and_weights_are_routed():
    weight = np.random.default_rng(0).uniform(0.5, 2, size=75)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = LogisticRegression(max_iter=1000)
        classifier.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        routed = learner(estimator=classifier).set_fit_request(X_val=True, y_val=True)
        search = GridSearchCV(routed, {"n_queries": [4]}, cv=2)
        search.fit(X[::2], Y[::2], sample_weight=weight, X_val=X[1:100:2], y_val=Y[1:100:2])
        assert "score" in search.best_estimator_.history_
        alone = learner().fit(X[::2], Y[::2], X_val=X[1:100:2], y_val=Y[1:100:2])
        assert (search.best_estimator_.history_["score"] != alone.history_["score"]).any()


def test_simulate_shares_initial_labels_and_does_not_depend_on_n_jobs():
    learners = {"random": learner(RandomSampling()), "core set": learner(CoreSet("input"))}
    one = simulate(learners, X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2], n_repeats=3, random_state=0)
    two = simulate(
        learners, X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2], n_repeats=3, random_state=0, n_jobs=2
    )
    for name in learners:
        assert_array_equal(one[name]["score"], two[name]["score"])
        assert one[name]["class_counts"].shape == (3, 5, 3)
    assert_array_equal(one["random"]["score"][:, 0], one["core set"]["score"][:, 0])
    assert len(set(one["random"]["score"][:, 0])) > 1
    with pytest.raises(ValueError, match="same strategy class"):
        simulate([learner(), learner()], X, Y)


def test_labels_needed():
    history = {
        "n_labeled": np.array([[1, 2, 3]] * 3),
        "score": np.array([[0.1, 0.9, 0.2], [0.9, 0.1, 0.1], [0.1] * 3]),
    }
    assert_array_equal(labels_needed(history, 0.9), [2, 1, np.nan])
    assert_array_equal(labels_needed({"n_labeled": np.arange(3), "score": np.arange(3)}, 2), [2])


def test_display_shows_mean_and_band_of_several_strategies():
    rng = np.random.default_rng(0)
    histories = {
        name: {"n_labeled": np.tile([10, 20, 30], (4, 1)), "score": rng.uniform(size=(4, 3))}
        for name in ("a", "b")
    }
    display = LearningCurveDisplay.from_history(histories, band="min_max")
    for name, history in histories.items():
        assert_allclose(display.lines_[name].get_ydata(), history["score"].mean(axis=0))
        low, high = display.bands_[name].get_paths()[0].get_extents().intervaly
        assert_allclose([low, high], [history["score"].min(), history["score"].max()])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["a", "b"]

    single = LearningCurveDisplay.from_history(
        {key: value[0] for key, value in histories["a"].items()}, ax=display.ax_
    )
    assert single.ax_ is display.ax_
    assert not single.bands_
    with pytest.raises(ValueError, match="has no 'query_time'"):
        LearningCurveDisplay.from_history(histories, metric="query_time")
    with pytest.raises(ValueError, match="band="):
        LearningCurveDisplay.from_history(histories, band="iqr")
    mpl.pyplot.close("all")


@pytest.fixture
def callback():
    return pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")


def test_scoring_monitor_and_progress_bar(callback, capsys):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    watched = (
        learner()
        .set_callbacks(monitor, callback.ProgressBar())
        .fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
    )
    log = [entry for entry in monitor.get_logs().data if entry["task_name"] == "round"]
    assert_allclose([entry["accuracy"] for entry in log], watched.history_["score"])
    assert "SimulatedLearner" in capsys.readouterr().out


@pytest.mark.usefixtures("callback")
def test_a_callback_can_stop_the_loop():
    class Stop:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            return context.task_name == "round" and fitted_estimator.score(X, Y) > 0

    assert_array_equal(learner().set_callbacks(Stop()).fit(X, Y).history_["n_labeled"], [6])
