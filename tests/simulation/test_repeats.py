"""Several learners on shared initial labels, and what their histories tell."""

import re

import numpy as np
import pytest
from joblib import parallel_config
from joblib.parallel import ThreadingBackend
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skal import ActiveLearner, simulate
from skal.simulation import labels_needed
from skal.stopping import ExpectedGain
from skal.strategies import CoreSet, RandomSampling, UncertaintySampling
from tests.simulation.common import X, Y, learner


def test_simulate_shares_initial_labels():
    learners = {"random": learner(RandomSampling()), "core set": learner(CoreSet("input"))}
    found = simulate(learners, X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2], n_repeats=3, random_state=0)
    assert [history["class_counts"].shape for history in found.values()] == [(3, 5, 3)] * 2
    assert_array_equal(found["random"]["score"][:, 0], found["core set"]["score"][:, 0])
    assert len(set(found["random"]["score"][:, 0])) > 1
    with pytest.raises(ValueError, match="same strategy class"):
        simulate([learner(), learner()], X, Y)


def test_labels_needed():
    history = {
        "n_labeled": np.array([[1, 2, 3]] * 3),
        "score": np.array([[0.1, 0.9, 0.2], [0.9, 0.1, 0.1], [0.1] * 3]),
    }
    assert_array_equal(labels_needed(history, 0.9), [2, 1, np.nan])
    assert_array_equal(labels_needed({"n_labeled": np.arange(3), "score": np.arange(3)}, 2), [2])


@pytest.mark.parametrize("n_repeats", [0, -1, 2.5, True])
def test_a_number_of_repeats_that_is_none(n_repeats):
    with pytest.raises(ValueError, match=f"n_repeats={n_repeats} was given"):
        simulate([], X, Y, n_repeats=n_repeats)


@pytest.mark.parametrize(
    ("learners", "message"),
    [
        (learner(), "learners is of class SimulatedLearner; give a dict of names to learners, or a list"),
        (make_pipeline(learner()), "learners is of class Pipeline; give"),  # its steps can be iterated over
        (None, "learners is of class NoneType; give"),
        (
            {"a": LogisticRegression()},
            r"The learner 'a' is of class LogisticRegression; give SimulatedLearner\(",
        ),
        ([learner(), LogisticRegression()], "The learner 1 is of class LogisticRegression; give"),
        ({"a": ActiveLearner(LogisticRegression(), RandomSampling())}, "'a' is of class ActiveLearner; give"),
    ],
    ids=["one", "pipeline", "none", "classifier", "classifier in a list", "no simulation"],
)
def test_what_is_no_learner(learners, message):
    with pytest.raises(TypeError, match=message):
        simulate(learners, X, Y)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"n_queries": 0}, "n_queries"),
        ({"strategy": UncertaintySampling("nothing")}, "measure"),
        ({"estimator": LinearSVC()}, "needs a classifier with predict_proba"),
        (
            {"estimator": LinearSVC(), "strategy": RandomSampling(), "stopping": ExpectedGain()},
            "predict_proba",
        ),
        ({"scoring": "nothing"}, "scoring"),
        ({"initial": [0, 500]}, r"rows \[500\] are out of range"),
        ({"budget": 3, "n_initial": 3, "initial": range(5)}, "names 5 rows, and the budget is 3"),
        ({"validation_fraction": 0.3}, "X_val was given"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_what_a_later_learner_refuses_costs_no_run(bad, message):
    class Untrained(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            raise AssertionError("trained")

    learners = {"good": learner(estimator=Untrained()), "bad": learner(**bad)}
    with pytest.raises((TypeError, ValueError), match=message):
        simulate(learners, X, Y, X_val=X, y_val=Y, n_repeats=2)


def test_progress_is_told_run_by_run(capsys):
    learners = {"random": learner(RandomSampling()), "core set": learner(CoreSet("input"))}
    data = {"X_val": X[1::2], "y_val": Y[1::2], "n_repeats": 2, "random_state": 0}
    quiet = simulate(learners, X[::2], Y[::2], **data)
    assert capsys.readouterr().out == ""
    told = simulate(learners, X[::2], Y[::2], **data, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"[\d.]+ s\]", "]", line) for line in lines] == [
        f"[simulate {1 + 2 * i + repeat}/4, ] {name}, repeat {repeat}: 19 labels, score {score:.4g}"
        for i, name in enumerate(learners)
        for repeat, score in enumerate(quiet[name]["score"][:, -1])
    ]
    assert_array_equal(told["random"]["score"], quiet["random"]["score"])


class AtOnce(ThreadingBackend):
    """As joblib's "multiprocessing" and some of other packages."""

    supports_return_generator = False


def test_a_backend_that_gives_all_results_at_once():
    data = {"X_val": X[1::2], "y_val": Y[1::2], "n_repeats": 2, "random_state": 0}
    expected = simulate([learner()], X[::2], Y[::2], **data)
    with parallel_config(backend=AtOnce(), n_jobs=2):
        runs = [simulate([learner()], X[::2], Y[::2], **data, verbose=verbose) for verbose in (0, 1)]
    (name,) = expected
    for found in runs:
        assert_array_equal(found[name]["score"], expected[name]["score"])
