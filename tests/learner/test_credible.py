"""Whether a state can be that of a learner: those of learners are, and those of forged files are refused."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skal import ActiveLearner
from skal.exceptions import ModelFileError
from skal.learner.credible import check_state
from skal.learner.ids import Ids
from skal.learner.record import Entry, are_entries, now
from skal.pool import as_pool
from skal.strategies import RandomSampling
from skal.training.files import read_file, write_file
from tests.learner.common import X, Y, logistic

PLAN = ActiveLearner(logistic(), RandomSampling(), n_queries=3, random_state=0)
ENTRY = Entry("label", np.array([3, 4]), np.array([0, 1]), 1, now(), None)


def learner():
    """With all that a state may hold, and two answers that were not trained on."""
    ids = [f"flower {row}" for row in range(150)]
    fitted = clone(PLAN).fit(X[:120], Y[:120], ids=ids[:120]).skip([55])
    fitted.extend(X[:2] + 1, [0, 1], keys=["a", 5]).teach([51], [1], sample_weight=[2.0])
    rows = fitted.audit(3)
    fitted.teach(rows[:1], [1], audit=True).grow(X, ids=ids[120:])
    return fitted.teach([140], [2], refit=False).forget(extension=["a"], refit=False)


STATE = learner()._state


def test_the_state_of_a_learner():
    check_state(STATE, STATE.pool)
    assert len(STATE.basis["labels"]) < len(STATE.pool)


@pytest.mark.parametrize(
    "changes",
    [
        {"pool": as_pool(X)},
        {"labels": None},
        {"labels": STATE.basis["labels"]},
        {"labels": replace(STATE.labels, codes=STATE.labels.codes.astype(np.int64))},
        {"labels": replace(STATE.labels, codes=STATE.labels.codes + 5)},
        {"labels": replace(STATE.labels, classes=[0, 1, 2])},
        {"params": None},
        {"params": {}},
        {"params": {"sample_weight": np.ones(120)}},
        {"params": {"sample_weight": 1.0}},
        {"per_row": ["sample_weight"]},
        {"per_row": frozenset()},
        {"others": {"boundary": 1}},
        {"ids": "flowers"},
        {"ids": Ids(STATE.ids.names[:3])},
        {"audit": [51]},
        {"audit": np.array([150])},
        {"skipped": np.array([True])},
        {"draws": None},
        {"arrivals": ((151, 0),)},
        {"extensions": list(STATE.extensions)},
        {"extensions": (X,)},
        {"extensions": (replace(STATE.extensions[0], y=1),)},
        {"extensions": (replace(STATE.extensions[0], keys=[5]),)},
        {"extensions": (replace(STATE.extensions[0], X=X[:2]),)},
        {"extensions": (replace(STATE.extensions[0], params=None),)},
        {"known": [0, 1]},
        {"estimator": "logistic"},
        {"failure": 1},
        {"strategy": None},
        {"cold_start": "random"},
        {"basis": [STATE.labels]},
        {"basis": {"round": 1}},
        {"basis": {**STATE.basis, "labels": 3}},
        {"basis": {**STATE.basis, "labels": replace(STATE.labels, codes=np.append(STATE.labels.codes, 1))}},
        {"basis": {**STATE.basis, "params": {}}},
        {"basis": {**STATE.basis, "audit": None}},
        {"basis": {**STATE.basis, "extensions": ({},)}},
        {"round": "1"},
        {"record": list(STATE.record)},
        {"record": (*STATE.record[:-1], ENTRY._replace(round="1"))},
        {"before": replace(STATE.before, round=None)},
        {"before": replace(STATE.before, before=STATE.before)},
        {"before": {}},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_states_that_no_learner_has(changes):
    with pytest.raises((ModelFileError, ValueError, TypeError)):
        check_state(replace(STATE, **changes), STATE.pool)


def test_parameters_with_a_value_per_row_as_fit_leaves_them():
    fitted = clone(PLAN).fit(X, Y, sample_weight=np.ones(150))
    check_state(fitted._state, fitted._state.pool)
    assert fitted._state.per_row == {"sample_weight"}


@pytest.mark.parametrize("attributes", [[], [["_names", 3]], [["_names", None]]], ids=str)
def test_ids_that_are_none(tmp_path, attributes):
    learner().save(tmp_path)
    tensors, whole = read_file(tmp_path / "learner.skal")
    whole["nodes"][whole["ids"][1]]["object"][1] = attributes
    write_file(tmp_path / "learner.skal", tensors, whole)
    with pytest.raises(ModelFileError):
        ActiveLearner.load(tmp_path, X, clone(PLAN))


def test_no_state():
    for value in (None, STATE.record, "state"):
        with pytest.raises(ModelFileError, match="no state of a learner"):
            check_state(value, STATE.pool)


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "say"},
        {"action": []},
        {"rows": None},
        {"rows": [3, 4]},
        {"rows": np.array([3, 5])},
        {"rows": np.array([-2, 3])},
        {"rows": np.array([0.5, 3])},
        {"rows": np.array([[3, 4]])},
        {"labels": 1},
        {"labels": np.array([1])},
        {"round": None},
        {"time": "2020-01-01"},
        {"keys": ["a", "b"]},
        {"keys": np.array(["a"], dtype=object)},
    ],
    ids=str,
)
def test_entries_that_are_none(changes):
    assert are_entries((ENTRY,), 5)
    assert not are_entries((ENTRY._replace(**changes),), 5)
    assert not are_entries((tuple(ENTRY),), 5)


@pytest.mark.parametrize("value", [1, "x", [], None, ["known", "pool"], ["known", "estimator"]], ids=str)
def test_forged_entries_of_a_file_are_refused(tmp_path, value):
    fitted = learner()
    fitted.save(tmp_path)
    tensors, whole = read_file(tmp_path / "learner.skal")
    loaded = ActiveLearner.load(tmp_path, X, clone(PLAN))
    assert_array_equal(loaded.record_["row"], fitted.record_["row"])
    nodes = whole["nodes"]
    at = next(i for i, node in enumerate(nodes) if "entry" in node)
    for field, given in enumerate(Entry._fields):
        if (value, given) in ((1, "round"), (None, "labels"), (None, "keys")):
            continue
        entry = list(nodes[at]["entry"])
        entry[field] = value
        forged = [*nodes[:at], {"entry": entry}, *nodes[at + 1 :]]
        write_file(tmp_path / "learner.skal", tensors, {**whole, "nodes": forged})
        with pytest.raises(ModelFileError):
            ActiveLearner.load(tmp_path, X, clone(PLAN))
