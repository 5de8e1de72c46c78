"""What a campaign is begun or opened again with, and what is refused before anything is written."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner
from skal.campaign import Campaign
from skal.campaign.identity import check_identity, identity
from skal.classifiers import ACGANClassifier
from skal.strategies import RandomSampling

from .common import TRUTH, X, begun, learner


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": [0, 0]}, "each once"),
        ({"n_annotators_per_row": 0}, "n_annotators_per_row=0"),
        ({"lease_seconds": 0}, "lease_seconds=0"),
        ({"annotators": ["a", ""]}, "name"),
        ({"items": ["one"]}, "items has 1"),
        ({"training": "later"}, "training='later'"),
        ({"consensus": "vote"}, "consensus='vote'"),
    ],
)
def test_bad_parameters_leave_nothing(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        begun(tmp_path / "c", **change)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("estimator", "pool", "message"),
    [
        (Ridge(), X, "is a regressor"),
        (
            make_pipeline(TfidfVectorizer(), LogisticRegression()),
            pd.DataFrame({"text": ["a b", "c"]}),
            "one text per row",
        ),
        (ACGANClassifier(checkpoint="file"), X, "belongs to one training"),
    ],
    ids=["regressor", "table of texts", "checkpoint"],
)
def test_a_classifier_that_no_training_takes_leaves_nothing(tmp_path, estimator, pool, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Campaign(tmp_path / "c", ActiveLearner(estimator, RandomSampling()), pool)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("classes", "unlabeled", "message"),
    [
        ([-1, 1], None, "-1 marks the rows"),
        (["a", None], None, "None marks the rows"),
        (["a", float("nan")], None, "nan marks the rows"),
        ([0.0, float("nan")], None, "cannot be labels"),
        (["?", "a"], "?", r"'\?' marks the rows"),
        ([0, 1, 2], 0, "0 marks the rows"),
        (["a", 1], None, "several kinds"),
        ([1.5, 2.5], None, "continuous"),
        ([], None, "one or more"),
        (["a"], None, "two or more"),
        (["a", "b\nc"], None, "printable"),
    ],
)
def test_classes_that_no_training_takes_leave_nothing(tmp_path, classes, unlabeled, message):
    for given, own in ((classes, None), (None, classes)):
        with pytest.raises(ValueError, match=message):
            Campaign(tmp_path / "c", learner(unlabeled=unlabeled, classes=own), X, classes=given)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    "classes", [[-1, 1], np.array(["b", "a"]), range(3), [True, False], [0.0, 1.0], [2**60, 1]]
)
def test_classes_that_a_training_takes(tmp_path, classes):
    marker = -9 if -1 in classes else None
    with Campaign(
        tmp_path / "c", learner(unlabeled=marker), X, classes=classes, training="foreground"
    ) as campaign:
        assert campaign.classes == list(classes)
        for label in campaign.classes:
            campaign.answer("anna", campaign.next("anna"), label)
        campaign.train()
        assert campaign.progress().failure is None
        assert campaign.learner().predict(X[:1]).shape == (1,)


def test_learners_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match="fitted already"):
        Campaign(tmp_path / "c", learner().fit(X, TRUTH), X)
    with pytest.raises(TypeError, match="LogisticRegression"):
        Campaign(tmp_path / "c", LogisticRegression(), X)
    with pytest.raises(ValueError, match="the learner has classes"):
        Campaign(tmp_path / "c", learner(classes=[0, 1]), X, classes=[0, 2])
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("pool", [np.arange(5.0), np.empty((0, 2)), "text"])
def test_pools_that_are_refused(tmp_path, pool):
    with pytest.raises((ValueError, TypeError)):
        Campaign(tmp_path / "c", learner(), pool)
    assert not (tmp_path / "c").exists()


def test_another_learner_or_pool_is_refused(tmp_path):
    items = [f"{i}.png" for i in range(60)]
    begun(tmp_path, items=items).close()
    with pytest.raises(ValueError, match=r"other parameters: estimator\.C"):
        Campaign.open(tmp_path, X, learner(RandomSampling()).set_params(estimator__C=2.0))
    with pytest.raises(ValueError, match="not the pool"):
        Campaign.open(tmp_path, X + 1)
    with pytest.raises(ValueError, match="59 rows"):
        Campaign.open(tmp_path, X[:59])
    with pytest.raises(ValueError, match="items are not those"):
        Campaign.open(tmp_path, X, items=items[::-1])
    with pytest.raises(ValueError, match="holds a campaign already"):
        begun(tmp_path)
    with Campaign.open(tmp_path, X, learner(RandomSampling()), items=items, training=None) as campaign:
        assert campaign.items == items


@pytest.mark.parametrize("index", ["none", "moved", "strings"])
def test_the_rows_under_another_index_are_refused(tmp_path, index):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=np.arange(60)[::-1])
    begun_over(tmp_path, frame).close()
    others = {
        "none": frame.reset_index(drop=True),
        "moved": frame.set_axis(np.roll(frame.index, 1)),
        "strings": frame.set_axis(frame.index.astype(str)),
    }
    with pytest.raises(ValueError, match="another index"):
        Campaign.open(tmp_path, others[index])
    Campaign.open(tmp_path, frame, training=None).close()


def test_an_index_that_was_not_written_down_is_taken(tmp_path):
    """As campaigns of before have it."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=np.arange(60)[::-1])
    then = identity(frame)
    del then["ids_in_order"]
    check_identity(then, frame.reset_index(drop=True), None)


def test_an_index_that_counts_the_rows_is_none(tmp_path):
    pandas = pytest.importorskip("pandas")
    begun_over(tmp_path, pandas.DataFrame(X)).close()
    Campaign.open(tmp_path, pandas.DataFrame(X, index=list(range(60))), training=None).close()


def begun_over(folder, pool):
    return Campaign(folder, learner(), pool, classes=[0, 1], training=None)


def test_a_relative_folder_is_the_same_one_wherever_the_process_goes(tmp_path, monkeypatch):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "other")
    begun("c").answer("zoe", [7, 8], [1, 1]).close()
    monkeypatch.chdir(tmp_path / "one")
    with begun("c") as begins, Campaign.open("c", X, training="foreground") as opens:
        monkeypatch.chdir(tmp_path / "other")
        assert begins.path == opens.path == tmp_path / "one" / "c"
        begins.answer("anna", 0, 1).close()
        opens.answer("anna", 1, 0).train()
        assert np.flatnonzero(begins.answer("anna", 2, 1).labels() >= 0).tolist() == [0, 1, 2]
        assert not (tmp_path / "other" / "c" / "models").exists()
    with Campaign.open("c") as other:
        assert np.flatnonzero(other.labels() >= 0).tolist() == [7, 8]
