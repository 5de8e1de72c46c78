"""SimulatedLearner: the loop, its history, its initial labels and its validation rows."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC

from skal import ActiveLearner, SimulatedLearner, simulate
from skal.strategies import CoreSet, RandomSampling, UncertaintySampling
from tests.simulation.common import X, Y, learner


class Untouched(LogisticRegression):
    """Must not be trained."""

    def fit(self, X, y):
        raise AssertionError("nothing is to be trained")


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
    assert_array_equal(
        learner(n_initial=12, initial="balanced").fit(X, Y).history_["class_counts"][0], [4, 4, 4]
    )
    with pytest.raises(ValueError, match="cannot hold one of each of 3 classes"):
        learner(n_initial=2, initial="one_per_class").fit(X, Y)
    cold = learner(CoreSet("input"), n_initial=0).fit(X, Y, X_val=X, y_val=Y)
    assert np.isnan(cold.history_["score"][0])
    assert cold.history_["n_labeled"][0] == 0


def test_named_initial_rows():
    rows = [149, 3, 77, 52]
    simulated = learner(initial=rows).fit(X, Y)
    assert_array_equal(simulated.labeled_rows_[:4], rows)
    assert_array_equal(simulated.history_["n_labeled"], [4, 8, 12, 16, 19])
    assert_array_equal(clone(simulated).fit(X, Y).labeled_rows_, simulated.labeled_rows_)
    histories = simulate({"named": simulated}, X, Y, n_repeats=2, random_state=0)
    assert_array_equal(histories["named"]["class_counts"][:, 0], [[1, 2, 1]] * 2)
    # With rows held out, they are still positions in X.
    split = learner(validation_fraction=0.3)
    kept = split.fit(X, Y).pool_rows_[[50, 9, 100]]
    named = split.set_params(initial=kept).fit(X, Y)
    assert_array_equal(named.pool_rows_[named.labeled_rows_[:3]], kept)


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        ([0, 150], r"initial=\[0, 150\] was given: .*150"),
        ([3, 3], "more than once|twice"),
        ([0.5, 1.0], "dtype float64.*integer positions"),
        (np.arange(20), "initial names 20 rows, and the budget is 19; raise the budget"),
        ("some", "'initial' parameter"),
        (UncertaintySampling(), r"initial=UncertaintySampling\(\) needs a classifier.*TypiClust"),
        (CoreSet("nonsense"), "'embedding' parameter"),
    ],
    ids=str,
)
def test_initial_rows_that_cannot_be_had(initial, message):
    with pytest.raises(ValueError, match=message):
        learner(initial=initial).fit(X, Y)


@pytest.mark.parametrize("initial", ["random", "balanced", CoreSet("input")], ids=str)
def test_more_initial_labels_than_the_budget(initial):
    with pytest.raises(
        ValueError, match="n_initial=20 and budget=19 were given; the budget counts the initial"
    ):
        learner(n_initial=20, initial=initial).fit(X, Y)
    named = learner(n_initial=20, initial=[0, 75]).fit(X, Y)
    assert named.history_["n_labeled"][0] == 2, "n_initial does not count where rows are named"


def test_initial_rows_are_not_held_out():
    held_out = np.setdiff1d(np.arange(150), learner(validation_fraction=0.3).fit(X, Y).pool_rows_)
    with pytest.raises(
        ValueError, match=f"names 2 rows that validation_fraction holds out .*{held_out[1]}.*X_val"
    ):
        learner(validation_fraction=0.3, initial=held_out[[1, 0]]).fit(X, Y)


def test_a_strategy_chooses_the_initial_rows():
    simulated = learner(RandomSampling(), initial=CoreSet("input"), n_initial=7).fit(X, Y)
    by_hand = ActiveLearner(LogisticRegression(), CoreSet("input"), random_state=0).fit(X, np.full(150, -1))
    assert_array_equal(simulated.labeled_rows_[:7], by_hand.query(n_queries=7))
    assert simulated.history_["n_labeled"][0] == 7
    cold = learner(RandomSampling(), initial=CoreSet("input"), n_initial=0).fit(X, Y)
    assert cold.history_["n_labeled"][0] == 0
    grid = GridSearchCV(simulated, {"initial": ["random", "balanced", CoreSet("input")]}, cv=2)
    assert grid.fit(X, Y).best_score_ > 0.5


def test_the_oracle_must_be_complete_and_of_several_classes():
    with pytest.raises(ValueError, match="1 unlabelled rows"):
        learner().fit(X, np.where(np.arange(150) == 7, -1, Y))
    with pytest.raises(ValueError, match="only one class"):
        learner().fit(X, np.zeros(150, dtype=int))


@pytest.mark.parametrize("initial", ["random", "balanced", "one_per_class", RandomSampling()], ids=str)
def test_validation_rows_leave_two_classes(initial):
    labels = np.repeat(["often", "rare"], [98, 2])
    simulated = learner(initial=initial, validation_fraction=0.9, estimator=Untouched())
    with pytest.raises(
        ValueError,
        match=r"validation_fraction=0\.9 leaves 10 rows in the pool, all of class 'often'; at least two",
    ):
        simulated.fit(X[:100], labels)


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
