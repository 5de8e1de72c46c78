"""The histories of several learners: a dict, and a table."""

import copy
import pickle
import sys

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal

from skal import simulate
from skal.plotting import ClassCountsDisplay
from skal.simulation import Histories, labels_needed
from skal.simulation.histories import NamedHistory, stack
from skal.stopping import StabilizingPredictions
from skal.strategies import RandomSampling
from tests.simulation.common import X, Y, learner

SHORT = {
    "n_labeled": np.array([2, 4]),
    "score": np.array([0.5, 0.75]),
    "class_counts": np.array([[1, 1], [2, 2]]),
}
LONG = {
    "n_labeled": np.array([2, 4, 6]),
    "score": np.array([0.25, 0.5, 1.0]),
    "class_counts": np.array([[1, 1], [1, 3], [2, 4]]),
}


def test_repeats_of_unequal_length_are_padded():
    found = stack([SHORT, LONG])
    assert_array_equal(found["n_labeled"], [[2, 4, np.nan], [2, 4, 6]])
    assert_array_equal(found["score"], [[0.5, 0.75, np.nan], [0.25, 0.5, 1]])
    assert_array_equal(found["class_counts"][0], [[1, 1], [2, 2], [np.nan, np.nan]])
    assert_array_equal(labels_needed(found, 0.7), [4, 6])
    assert_array_equal(labels_needed(found, 0.9), [np.nan, 6])
    assert stack([LONG, LONG])["n_labeled"].dtype.kind == "i"


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_has_a_row_for_each_round_that_there_was(library):
    pytest.importorskip(library)
    other = {"n_labeled": np.array([[3]]), "cost": np.array([[9.5]])}
    frame = Histories({"a": stack([SHORT, LONG]), "b": other}).to_frame(library)
    assert type(frame).__module__.partition(".")[0] == library
    columns = {name: np.asarray(frame[name]).tolist() for name in frame.columns}
    assert columns["learner"] == ["a"] * 5 + ["b"]
    assert columns["repeat"] == [0, 0, 1, 1, 1, 0]
    assert columns["round"] == [0, 1, 0, 1, 2, 0]
    assert columns["n_labeled"] == [2, 4, 2, 4, 6, 3]
    assert_array_equal(columns["score"], [0.5, 0.75, 0.25, 0.5, 1, np.nan])
    assert_array_equal(columns["cost"], [np.nan] * 5 + [9.5])
    assert_array_equal(columns["class_counts_1"], [1, 2, 1, 3, 4, np.nan])
    assert len(columns) == 8
    assert frame["n_labeled"].to_numpy().dtype.kind == "i"


def test_a_frame_is_of_the_library_that_sklearn_is_told():
    pytest.importorskip("polars")
    histories = Histories({"a": LONG})
    assert type(histories.to_frame()).__module__.startswith("pandas")
    with sklearn.config_context(transform_output="polars"):
        assert type(histories.to_frame()).__module__.startswith("polars")
    with pytest.raises(ValueError, match="library='arrow' was given"):
        histories.to_frame("arrow")


def test_a_library_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"needs polars.*library='pandas'"):
        Histories({"a": LONG}).to_frame("polars")


def test_histories_are_a_dict():
    histories = Histories({"a": LONG, "b": SHORT})
    assert histories == {"a": LONG, "b": SHORT}
    copy = pickle.loads(pickle.dumps(histories))
    assert type(copy) is Histories
    assert copy.to_frame().equals(histories.to_frame())
    assert Histories(Histories({"a": LONG}) | {"b": SHORT}).to_frame().equals(histories.to_frame())


def test_a_simulation_that_ends_early():
    stopping = StabilizingPredictions(threshold=0.1, n_rounds=1)
    learners = {"early": learner(RandomSampling(), budget=30, stopping=stopping)}
    histories = simulate(learners, X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2], n_repeats=4, random_state=0)
    assert type(histories) is Histories
    lasts = np.nanmax(histories["early"]["n_labeled"], axis=1)
    assert lasts.min() < lasts.max()
    frame = histories.to_frame()
    assert_array_equal(frame.groupby("repeat")["n_labeled"].max(), lasts)
    assert not frame.drop(columns="query_entropy").isna().to_numpy().any()
    assert_array_equal(frame.filter(like="class_counts").sum(axis=1), frame["n_labeled"])
    assert frame["class_counts_0"].dtype.kind == "i"


@pytest.mark.parametrize("n_repeats", [None, 2])
def test_the_names_of_classes_are_those_of_columns_and_legends(n_repeats):
    names = np.array(["class 0", "class 10", "class 2"])[Y]
    if n_repeats is None:
        histories = Histories({"a": learner(RandomSampling()).fit(X, names).history_})
    else:
        histories = simulate({"a": learner(RandomSampling())}, X, names, n_repeats=n_repeats, random_state=0)
    for found in (histories, pickle.loads(pickle.dumps(histories)), Histories(histories | {"b": SHORT})):
        history = found["a"]
        assert isinstance(history, dict)
        assert history.classes == ["class 0", "class 10", "class 2"]
        frame = found.to_frame()
        of_a = frame[frame["learner"] == "a"]
        for place, name in enumerate(history.classes):
            assert_array_equal(of_a[f"class_counts_{name}"], history["class_counts"][..., place].ravel())
    assert frame["class_counts_1"].tolist()[-2:] == [1, 2], "of a plain dict, as older versions pickled it"
    pytest.importorskip("matplotlib")
    assert ClassCountsDisplay.from_history(histories["a"]).classes == histories["a"].classes
    assert ClassCountsDisplay.from_history(dict(histories["a"])).classes == [0, 1, 2]
    assert ClassCountsDisplay.from_history(histories["a"], classes=["x", "y", "z"]).classes == ["x", "y", "z"]


def test_names_that_do_not_tell_the_classes_are_no_columns():
    for classes in ([1, "1"], ["a"], None):
        assert "class_counts_0" in Histories({"a": NamedHistory(SHORT, classes)}).to_frame()


def test_copies_of_a_history_know_its_classes():
    history = NamedHistory({"n_labeled": np.arange(3)}, ["cat", "dog"])
    for each in (copy.copy(history), copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert type(each) is NamedHistory
        assert each.classes == ["cat", "dog"]
        assert_array_equal(each["n_labeled"], [0, 1, 2])
    assert type(history.copy()) is type(history | {}) is dict
    io = pytest.importorskip("skops.io")
    data = io.dumps(history)
    assert_array_equal(io.loads(data, trusted=io.get_untrusted_types(data=data))["n_labeled"], [0, 1, 2])
