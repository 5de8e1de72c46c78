"""Labels out of a campaign and into it, and a learner in words."""

import csv
import json

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import skal.strategies
from skal import ActiveLearner
from skal.campaign import Campaign
from skal.campaign.background import Foreground
from skal.campaign.description import describe, differences, given, restore
from skal.classifiers import LinearClassifier
from skal.exceptions import JournalError
from skal.strategies import DGAL, QueryByCommittee, UncertaintySampling

from .common import Clock, X, begun, learner


@pytest.fixture
def campaign(tmp_path):
    with Campaign(
        tmp_path / "c",
        learner(),
        X,
        classes=["cat", "dog"],
        n_annotators_per_row=2,
        training=None,
        clock=Clock(0.0),
    ) as campaign:
        campaign.answer("anna", [5, 3], ["cat", "dog"], seconds=[1.5, 2]).answer(
            "bob", [5, 3], ["cat", "cat"]
        )
        yield campaign.skip("cleo", 9)


def written(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_an_import_is_recorded_where_its_training_cannot_begin(tmp_path, monkeypatch):
    def fails(place):
        raise OSError("no space is left")

    with begun(tmp_path / "c", retrain_every=2) as campaign:
        with monkeypatch.context() as patch:
            patch.setattr(Foreground, "wake", fails)
            assert campaign.import_labels(told(tmp_path, "row,label\n1,0\n2,1\n")).n_new == 2
        campaign.next("anna")
        assert campaign.progress().by_model[-1]["n_labeled"] == 2


def test_csv(campaign, tmp_path):
    campaign.export(tmp_path / "labels.csv")
    assert written(tmp_path / "labels.csv") == [
        {"row": "3", "label": "", "probability": "0.5", "n_answers": "2"},
        {"row": "5", "label": "cat", "probability": "1.0", "n_answers": "2"},
    ]
    campaign.export(tmp_path / "answers.csv", what="answers")
    lines = written(tmp_path / "answers.csv")
    assert [line["annotator"] for line in lines] == ["anna", "anna", "bob", "bob", "cleo"]
    assert lines[0] == {
        "row": "5", "annotator": "anna", "action": "answer", "label": "cat", "seconds": "1.5",
        "time": "1970-01-01T00:00:00.000Z", "model": "0", "holds": "True",
    }  # fmt: skip
    assert lines[4]["label"] == lines[4]["seconds"] == ""


def test_json_lines(campaign, tmp_path):
    campaign.export(tmp_path / "answers.jsonl", what="answers")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert lines[1]["label"] == "dog"
    assert lines[4] == {
        "row": 9, "annotator": "cleo", "action": "skip", "label": None, "seconds": None,
        "time": "1970-01-01T00:00:00.000Z", "model": 0, "holds": True,
    }  # fmt: skip


@pytest.mark.parametrize("what", ["labels", "answers"])
def test_parquet(campaign, tmp_path, what):
    polars = pytest.importorskip("polars")
    campaign.export(tmp_path / "a.parquet", what=what)
    campaign.export(tmp_path / "a.jsonl", what=what)
    assert (
        polars.read_parquet(tmp_path / "a.parquet").rows() == polars.read_ndjson(tmp_path / "a.jsonl").rows()
    )


def test_parquet_by_pandas(campaign, tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("skal.campaign.exporting.find_spec", lambda name: None if name == "polars" else name)
    campaign.export(tmp_path / "a.parquet")
    assert pandas.read_parquet(tmp_path / "a.parquet")["label"].tolist() == [None, "cat"]


def test_export_refuses(campaign, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="must end with one of"):
        campaign.export(tmp_path / "labels.xlsx")
    with pytest.raises(ValueError, match="what='rows'"):
        campaign.export(what="rows")
    monkeypatch.setattr("skal.campaign.exporting.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install polars"):
        campaign.export(tmp_path / "a.parquet")
    assert list(tmp_path.glob("*.parquet")) == []
    with Campaign.open(campaign.path) as other, pytest.raises(ValueError, match="without its pool"):
        other.export()


def test_rows_and_labels(campaign):
    rows, y = campaign.export()
    np.testing.assert_array_equal(rows, X[[5]])
    assert y.tolist() == ["cat"]
    LogisticRegression().fit(X[:2], [*y.tolist(), "dog"])


def told(tmp_path, text, **params):
    path = tmp_path / "given.csv"
    path.write_text(text, encoding=params.pop("encoding", "utf-8"))
    return path


def test_import_lists_conflicts(campaign, tmp_path):
    path = told(tmp_path, "row,label,annotator\n5,cat,anna\n3,cat,anna\n7,dog,\n8,,anna\n3,dog,dora\n")
    report = campaign.import_labels(path)
    assert (report.n_new, report.n_same) == (2, 1)
    assert report.conflicts == [(3, 3, "anna", "dog", "cat")]
    assert "line 3: row 3 is 'dog' to anna, and 'cat' here" in str(report)
    assert campaign.labels()[[3, 7]].tolist() == ["dog", "dog"]
    report = campaign.import_labels(path, overwrite=True)
    assert (report.n_new, report.n_same, report.conflicts) == (1, 3, [])
    assert campaign.labels()[3] == "cat"
    assert set(campaign.annotators) == {"anna", "bob", "cleo", "import", "dora"}
    assert campaign.answers()["action"][-1] == "import"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,label\n1,cat\n2,cta\n", "'cta' in line 3"),
        ("row,label\n1,cat\n60,cat\n", "'60' in line 3"),
        ("row,label\n1,cat\nx,cat\n", "'x' in line 3"),
        ("row,label\n1,cat\n-1,cat\n", "'-1' in line 3"),
        ("row,label\n1,cat\n1,dog\n", "Lines 2 and 3 give row 1 two labels"),
        ("id,label\n1,cat\n", r"not \['row'\]"),
        ("", "not"),
    ],
)
def test_import_takes_all_or_nothing(campaign, tmp_path, text, message):
    n_before = len(campaign.answers()["row"])
    with pytest.raises(ValueError, match=message):
        campaign.import_labels(told(tmp_path, text))
    assert len(campaign.answers()["row"]) == n_before


def test_import_of_other_encodings(campaign, tmp_path):
    assert campaign.import_labels(told(tmp_path, "row,label\n1,cat\n", encoding="utf-8-sig")).n_new == 1
    (tmp_path / "bad.csv").write_bytes(b"row,label\n2,c\xe4t\n")
    with pytest.raises(ValueError, match="UTF-8"):
        campaign.import_labels(tmp_path / "bad.csv")


def test_import_of_numbers_where_any_label_is_welcome(tmp_path):
    with begun(tmp_path / "c", classes=None) as campaign:
        assert campaign.import_labels(told(tmp_path, "row,label\n1,4\n2,7\n")).n_new == 2
        assert campaign.classes == [4, 7]
        assert (
            campaign.import_labels(told(tmp_path, "nr,what\n1,4\n3,4\n"), row="nr", label="what").n_same == 1
        )
        assert campaign.labels()[:4].tolist() == [-1, 4, 7, 4]


@pytest.mark.parametrize("label", ["--1", "-", "1.5x"])
def test_a_label_that_is_almost_a_number_is_a_text(tmp_path, label):
    with begun(tmp_path / "c", classes=None) as campaign:
        campaign.import_labels(told(tmp_path, f"row,label\n1,{label}\n2,7\n"))
        assert campaign.classes == [label, "7"]


@pytest.mark.parametrize(
    ("classes", "texts"),
    [
        ([0, 1], ["0.0", "1."]),
        ([0.0, 1.0], ["0", "-0"]),
        ([True, False], ["1", "0.0"]),
        ([2**53, 1], ["1.0", "1"]),
    ],
)
def test_a_number_that_equals_a_class_is_that_class(tmp_path, classes, texts):
    with begun(tmp_path / "c", classes=classes) as campaign:
        campaign.import_labels(told(tmp_path, f"row,label\n1,{texts[0]}\n2,{texts[1]}\n"))
        assert campaign.labels()[[1, 2]].tolist() == [float(text) for text in texts]
        for wrong in (str(2**53 + 1), "0.5", "1_0", "nan", " 1"):
            with pytest.raises(ValueError, match="not among the classes"):
                campaign.import_labels(told(tmp_path, f"row,label\n3,{wrong}\n"))


def test_import_by_ids(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=[f"r{i}" for i in range(60)])
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        assert campaign.import_labels(told(tmp_path, "row,label\nr7,1\n")).n_new == 1
        assert campaign.labels()[7] == 1
        campaign.export(tmp_path / "out.csv")
        assert written(tmp_path / "out.csv")[0]["id"] == "r7"


@pytest.fixture
def numbered(tmp_path):
    """A campaign whose rows have integers as ids, none of which is its position."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=np.roll(np.arange(60), 1))
    with Campaign(tmp_path / "c", learner(), frame, classes=["cat", "dog"], training=None) as campaign:
        yield campaign


def test_a_column_that_may_have_ids_or_positions_is_named(numbered, tmp_path):
    numbered.answer("anna", [1, 2], ["cat", "dog"]).export(tmp_path / "out.csv")
    before = numbered.labels().tolist()
    with pytest.raises(ValueError, match=r"positions or ids.*row='id'"):
        numbered.import_labels(tmp_path / "out.csv")
    with pytest.raises(ValueError, match=r"positions or ids.*row='row'"):
        numbered.import_labels(told(tmp_path, "row,label\n0,cat\n"))
    assert numbered.labels().tolist() == before
    assert numbered.import_labels(tmp_path / "out.csv", row="id", default_annotator="anna").n_same == 2
    assert numbered.import_labels(told(tmp_path, "row,label\n5,cat\n"), row="row").n_new == 1
    assert numbered.import_labels(told(tmp_path, "id,label\n6,cat\n")).n_new == 1
    assert np.flatnonzero(numbered.labels() == "cat").tolist() == [1, 6, 7]


def test_an_export_by_ids_is_imported_as_it_was(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=[f"r{i}" for i in range(60)])
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        campaign.answer("anna", [1, 2], [0, 1]).export(tmp_path / "out.csv")
        assert campaign.import_labels(tmp_path / "out.csv", default_annotator="anna").n_same == 2


def test_positions_as_an_index_need_no_name(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=list(range(60)))
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        assert campaign.import_labels(told(tmp_path, "row,label\n5,1\n")).n_new == 1
    with Campaign.open(tmp_path / "c", training=None) as campaign:
        assert campaign.import_labels(told(tmp_path, "row,label\n6,1\n")).n_new == 1
        assert np.flatnonzero(campaign.labels() == 1).tolist() == [5, 6]


def test_ids_are_refused_without_the_pool_that_has_them(numbered, tmp_path):
    pandas = pytest.importorskip("pandas")
    with Campaign.open(numbered.path, training=None) as campaign:
        for row in (None, "row"):
            with pytest.raises(ValueError, match=r"Campaign\.open\(folder, X\)"):
                campaign.import_labels(told(tmp_path, "row,label\n5,cat\n"), row=row)
        for rows in (pandas.Index([5]), ["a"], "a"):
            with pytest.raises(ValueError, match=r"Campaign\.open\(folder, X\)"):
                campaign.answer("bob", rows, "cat")
        assert campaign.answer("bob", 5, "cat").labels()[5] == "cat"


def test_an_id_of_several_rows_names_none(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=["a", "b", *["c"] * 58])
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        assert campaign.import_labels(told(tmp_path, "row,label\na,1\n")).n_new == 1
        with pytest.raises(ValueError, match="'c' is the id of several rows"):
            campaign.import_labels(told(tmp_path, "row,label\nb,1\nc,1\n"))
        campaign.answer("anna", 2, 1).export(tmp_path / "out.csv")
        assert [line["id"] for line in written(tmp_path / "out.csv")] == ["a", "c"]


def test_an_export_is_imported_as_it_was(campaign, tmp_path):
    campaign.export(tmp_path / "a.csv", what="answers")
    with Campaign(tmp_path / "d", learner(), X, classes=["cat", "dog"], training=None) as other:
        assert other.import_labels(tmp_path / "a.csv").n_new == 4
        assert other.labels().tolist() == campaign.labels().tolist()


def test_a_training_is_due_after_an_import(tmp_path):
    with begun(tmp_path / "c", retrain_every=3) as campaign:
        campaign.next("anna")
        campaign.import_labels(told(tmp_path, "row,label\n1,0\n2,1\n3,0\n"))
        assert campaign.progress().by_model[-1]["n_labeled"] == 3


LEARNERS = [
    learner(classes=[0, 1], unlabeled=-99),
    learner(unlabeled=float("nan")),
    ActiveLearner(make_pipeline(StandardScaler(), LogisticRegression(C=0.1)), DGAL(PCA(2), n_neighbors=3)),
    ActiveLearner(
        CalibratedClassifierCV(LogisticRegression(), cv=3),
        QueryByCommittee(LogisticRegression(C=np.float64(3.0)), n_members=3),
        classes=np.array(["a", "b"]),
    ),
    ActiveLearner(
        make_pipeline(
            make_column_transformer((StandardScaler(), [0, 1]), remainder="passthrough"), LinearClassifier()
        ),
        UncertaintySampling("margin"),
    ),
    ActiveLearner(
        make_pipeline(OneHotEncoder(dtype=np.float32), LogisticRegression()), UncertaintySampling("margin")
    ),
]


@pytest.mark.parametrize("plan", LEARNERS)
def test_a_learner_in_words_is_the_same_learner(plan):
    words = json.loads(json.dumps(describe(plan)))
    again = restore(words)
    assert list(given(words)) == []
    assert repr(again.get_params(deep=True).keys()) == repr(plan.get_params(deep=True).keys())
    assert json.dumps(describe(again)) == json.dumps(words)
    assert type(again.estimator) is type(plan.estimator)


def test_every_strategy_has_a_public_name():
    names = [name for name in skal.strategies.__all__ if isinstance(getattr(skal.strategies, name), type)]
    for name in names:
        kind = getattr(skal.strategies, name)
        if hasattr(kind, "get_params") and not getattr(kind, "__abstractmethods__", None):
            try:
                strategy = kind()
            except TypeError:
                continue
            assert describe(strategy)["estimator"] == f"skal.strategies.{name}"


@pytest.mark.parametrize(
    "part", [FunctionTransformer(func=lambda rows: rows), FrozenEstimator(PCA().fit(X)), object()]
)
def test_code_of_ones_own_is_to_be_given(part):
    words = describe(ActiveLearner(make_pipeline(part, LogisticRegression()), UncertaintySampling()))
    (where, _), *_ = given(words)
    assert where.startswith("estimator.steps[0][1]")
    with pytest.raises(ValueError, match=r"estimator\.steps.* can only be made by yours"):
        restore(words)


@pytest.mark.parametrize(
    "words",
    [
        {"estimator": "os.system", "params": {}},
        {"estimator": "subprocess.Popen", "params": {"args": {"value": "true"}}},
        {"estimator": "sklearn.utils._joblib.Parallel", "params": {}},
        {"estimator": "sklearn.os.system", "params": {}},
        {"estimator": "sklearn.base.clone", "params": {}},
        {"estimator": "skal.no_such_module.Thing", "params": {}},
        {"estimator": "skal.campaign.Campaign", "params": {}},
        {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"no_such": {"value": 1}}},
        {"value": {"!class": "os.system"}},
        {"eval": "1"},
        {"numpy": "ndarray"},
        {"numpy": "load"},
        {"numpy": "no_such"},
        {},
        [],
        "LogisticRegression",
        {"estimator": 3, "params": {}},
    ],
)
def test_a_forged_learner_runs_nothing(words, monkeypatch):
    import sys

    before = {name.partition(".")[0] for name in sys.modules}
    with pytest.raises(JournalError):
        restore(words)
    assert {name.partition(".")[0] for name in sys.modules} == before


def test_differences_are_named():
    one, other = describe(LEARNERS[2]), describe(LEARNERS[2])
    assert list(differences(one, other)) == []
    other["params"]["estimator"]["params"]["steps"]["list"][1]["tuple"][1]["params"]["C"] = {"value": 2}
    other["params"]["n_queries"] = {"value": 9}
    assert list(differences(one, other)) == ["estimator.steps[1][1].C", "n_queries"]
