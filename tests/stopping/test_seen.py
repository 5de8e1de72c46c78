"""Criteria in files: they go on the next morning as if there had been no night."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_equal
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.exceptions import ModelFileError
from skal.stopping import ClassificationChange, ExpectedGain, MaximumUtility, StabilizingPredictions
from skal.stopping.seen import Seen
from skal.strategies import UncertaintySampling
from skal.training.files import read_file, write_file

from .common import Scripted

X, Y = load_iris(return_X_y=True)
LABELS = {
    "integers": Y,
    "floats": Y.astype(float),
    "texts": np.array(["setosa", "versicolor", "é"])[Y],
    "objects": np.array(["setosa", "versicolor", "é"], dtype=object)[Y],
    "booleans": Y == 1,
}


def new_learner(labels):
    learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), random_state=0)
    first = [0, 50, 100]
    return learner.fit(X, np.full(len(X), None)).teach(first, labels[first])


def next_round(criterion, learner, labels):
    rows = learner.query(n_queries=4)
    return criterion.update(learner.teach(rows, labels[rows]))


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: StabilizingPredictions(threshold=0.05, random_state=0),
        lambda: ClassificationChange(n_rows=40),  # drawn at random, once
        lambda: ExpectedGain(n_rows=None),
        lambda: MaximumUtility(statistic="mean"),
    ],
    ids=["StabilizingPredictions", "ClassificationChange", "ExpectedGain", "MaximumUtility"],
)
def test_a_night_changes_nothing(tmp_path, make, kind):
    learner, labels = new_learner(LABELS[kind]), LABELS[kind]
    without = make().update(learner)
    with_nights = without
    for _ in range(3):
        with_nights.save(tmp_path / "criterion")
        with_nights = type(without).load(tmp_path / "criterion")
        rows = learner.query(n_queries=4)
        learner.teach(rows, labels[rows])
        without.update(learner)
        with_nights.update(learner)
        assert_equal(vars(with_nights.report_), vars(without.report_))
    assert_equal(with_nights.history_, without.history_)
    assert with_nights.get_params() == without.get_params()
    assert with_nights.should_stop_ == without.should_stop_


def test_before_the_first_round_and_after_a_single_class(tmp_path):
    ClassificationChange(n_rounds=2).save(tmp_path / "criterion")
    criterion = ClassificationChange.load(tmp_path / "criterion")
    assert criterion.n_rounds == 2
    assert not criterion.should_stop_
    learner = Scripted().after(1, ["a", "b"])  # one label is of one class
    criterion.update(learner).save(tmp_path / "criterion")
    criterion = ClassificationChange.load(tmp_path / "criterion").update(learner.after(4, ["a", "b"]))
    assert criterion.report_.is_first
    assert criterion.history_["n_labeled"].tolist() == [1, 4]


def test_rows_that_were_given_are_given_again(tmp_path):
    learner, rows = Scripted(), np.array([[0.0], [2.0]])
    ClassificationChange().update(learner.after(4, list("aaa")), rows).save(tmp_path / "criterion")
    criterion = ClassificationChange.load(tmp_path / "criterion")
    with pytest.raises(ValueError, match="No rows were given, and some before"):
        criterion.update(learner.after(5, list("bba")))
    assert criterion.update(learner.after(5, list("bba")), rows).history_["value"][-1] == 0.5


def test_parameters_that_a_file_cannot_have_are_given_again(tmp_path):
    criterion = MaximumUtility(
        UncertaintySampling("margin"), threshold=0.5, random_state=np.random.RandomState(0)
    )
    criterion.update(new_learner(Y)).save(tmp_path / "criterion")
    with pytest.raises(TypeError, match=r"without the parameters \['criterion', 'random_state'\]"):
        MaximumUtility.load(tmp_path / "criterion")
    loaded = MaximumUtility.load(
        tmp_path / "criterion", criterion=UncertaintySampling("margin"), random_state=0, threshold=0.25
    )
    assert loaded.threshold == 0.25
    assert_equal(loaded.history_, criterion.history_)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "criterion"
    ExpectedGain().save(path)
    with pytest.raises(TypeError, match=r"ExpectedGain, not StabilizingPredictions; use ExpectedGain\.load"):
        StabilizingPredictions.load(path)
    write_file(path, {}, {"estimator": "VAE"})
    with pytest.raises(ModelFileError, match="holds no stopping criterion"):
        ExpectedGain.load(path)
    path.write_bytes(b"no file of skal")
    with pytest.raises(ModelFileError):
        ExpectedGain.load(path)
    with pytest.raises(FileNotFoundError):
        ExpectedGain.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        ExpectedGain().save(tmp_path / "nowhere" / "criterion")


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": ((3, 0.1), (3, 0.2), (9, 0.3))},
        {"rounds": ((-1, 0.1),)},
        {"rounds": ((3, 1),)},
        {"rounds": ((3.0, 0.1),)},
        {"rounds": ((True, 0.1),)},
        {"rounds": 3},
        {"rounds": {}},
        {"rounds": np.array([])},
        {"rows": torch.tensor([0.0, 1.0])},
        {"rows": torch.tensor([1, 0])},
        {"rows": torch.tensor([0, 0])},
        {"rows": torch.tensor([-1, 0])},
        {"rows": torch.tensor([0])},
        {"rows": torch.tensor([], dtype=torch.int64)},
        {"rows": torch.tensor(3)},
        {"codes": torch.tensor([[0, 1]], dtype=torch.int32)},
        {"codes": torch.tensor([0], dtype=torch.int32)},
        {"codes": torch.tensor([0, 2], dtype=torch.int32)},
        {"codes": torch.tensor([0, -1], dtype=torch.int32)},
        {"codes": torch.tensor([0.0, 1.0])},
        {"classes": "ab"},
        {"classes": np.array([["a", "b"]])},
        {"classes": np.array([["a"], ["b", "c"]], dtype=object)},
        {"is_first": 1},
        {"n_left": -1},
        {"n_left": 1.5},
        {"unseen": ["c"]},
        {"unseen": (None,)},
        {"changes": [(("a", "b"), 1.5)]},
        {"changes": [("ab", 1)]},
        {"changes": [(("a", "b", "c"), 1)]},
        {"changes": [(["a", "b"], 1)]},
        {"changes": None},
        {"more": 1},
    ],
    ids=str,
)
def test_what_no_criterion_has_seen_is_refused(tmp_path, change):
    path = tmp_path / "criterion"
    learner = Scripted()
    ClassificationChange().update(learner.after(4, ["a", "b"])).update(learner.after(6, ["b", "a"])).save(
        path
    )
    tensors, content = read_file(path)
    (name,) = change
    if name in ("rows", "codes"):
        tensors |= change
    else:
        content["seen"] |= change
    write_file(path, tensors, content)
    with pytest.raises(ModelFileError, match="malformed"):
        ClassificationChange.load(path)


def test_rounds_of_another_measure_are_not_mixed(tmp_path):
    path = tmp_path / "criterion"
    MaximumUtility(n_rounds=2).update(new_learner(Y)).save(path)
    assert MaximumUtility.load(path, threshold=0.2, n_rounds=1, random_state=1).history_["value"].shape == (
        1,
    )
    for params in ({"statistic": "mean"}, {"n_rows": 10}, {"criterion": UncertaintySampling("margin")}):
        with pytest.raises(ValueError, match=r"has rounds of MaximumUtility\(.*\), not of MaximumUtility\("):
            MaximumUtility.load(path, **params)


class Counting(ClassificationChange):
    """Keeps a number that no file would have."""

    def _value(self, look):
        self.n_looks_ = getattr(self, "n_looks_", 0) + 1
        return 1 / self.n_looks_


def test_what_would_be_lost_is_not_saved(tmp_path):
    criterion = Counting()
    criterion.save(tmp_path / "criterion")
    criterion.update(new_learner(Y))
    with pytest.raises(TypeError, match=r"n_looks_.*would not be saved"):
        criterion.save(tmp_path / "criterion")
    assert not Counting.load(tmp_path / "criterion").should_stop_


def test_many_rows(tmp_path):
    n_rows = 2_000_000
    seen = Seen(
        rounds=((5, 0.5),),
        rows=np.arange(n_rows),
        predicted=np.array(["versicolor", "é"])[np.arange(n_rows) % 2],
    )
    criterion = ClassificationChange(n_rows=None)
    criterion._seen = seen
    criterion.save(tmp_path / "criterion")
    assert (tmp_path / "criterion").stat().st_size < 12.1 * n_rows
    again = ClassificationChange.load(tmp_path / "criterion")._seen
    assert (again.rows == seen.rows).all()
    assert (again.predicted == seen.predicted).all()


def test_invalid_parameters_in_a_file(tmp_path):
    path = tmp_path / "criterion"
    ClassificationChange().save(path)
    _, content = read_file(path)
    for params in ({"threshold": -1.0}, {"n_rounds": 0}, {"other": 1}):
        write_file(path, {}, {**content, "params": {**content["params"], **params}})
        with pytest.raises(ModelFileError, match="malformed"):
            ClassificationChange.load(path)
