"""An id has one text, in all files."""

import datetime
import json

import numpy as np
import pytest

from skal.campaign import Campaign
from skal.campaign.naming import id_texts
from skal.learner.ids import Ids

from .common import X, learner

pandas = pytest.importorskip("pandas")

INDEXES = {
    "dates": pandas.date_range("2020-01-01", periods=4),
    "hours": pandas.date_range("2020-01-01", periods=4, freq="h"),
    "time zone": pandas.date_range("2020-01-01", periods=4, tz="UTC"),
    "days": pandas.Index([datetime.date(2020, 1, day) for day in range(1, 5)]),
    "periods": pandas.period_range("2020-01", periods=4, freq="M"),
    "times": pandas.to_timedelta([1, 2, 3, 4], unit="h"),
    "levels": pandas.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1), ("b", 2)]),
    "levels with dates": pandas.MultiIndex.from_product([["a", "b"], pandas.date_range("2020", periods=2)]),
    "mixed": pandas.Index([1, "2", "b", 2.5], dtype=object),
    "floats": pandas.Index([1.5, 2.0, 3.0, 4.0]),
    "numbers": pandas.Index([2**53 + 1, 2**53, 5, 6]),
    "texts": pandas.Index(["01", "1", "\u00e9", "a,b"]),
}


@pytest.mark.parametrize("name", INDEXES)
def test_ids_are_the_same_in_all_files_and_come_back(name, tmp_path):
    frame = pandas.DataFrame(X[:4], index=INDEXES[name])
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        campaign.answer("anna", [0, 1, 3], [0, 1, 0])
        for ending in ("csv", "jsonl"):
            campaign.export(tmp_path / f"out.{ending}")
        found = [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        texts = id_texts(Ids(INDEXES[name]))
        assert [str(each) for each in found] == [texts[0], texts[1], texts[3]]
        report = campaign.import_labels(tmp_path / "out.csv", row="id", default_annotator="anna")
        assert (report.n_new, report.n_same) == (0, 3)


def test_parquet_has_the_texts_too(tmp_path):
    polars = pytest.importorskip("polars")
    frame = pandas.DataFrame(X[:4], index=INDEXES["periods"])
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        campaign.answer("anna", [0, 3], [0, 1]).export(tmp_path / "out.parquet")
    assert polars.read_parquet(tmp_path / "out.parquet")["id"].to_list() == ["2020-01", "2020-04"]


def test_different_ids_with_one_text_are_refused(tmp_path):
    frame = pandas.DataFrame(X[:4], index=pandas.Index([1, "1", 2, "b"], dtype=object))
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        campaign.answer("anna", [0, 3], [0, 1])
        with pytest.raises(ValueError, match="ids 1 and '1' are the same in a file"):
            campaign.export(tmp_path / "out.csv")
        path = tmp_path / "given.csv"
        path.write_text("id,label\n1,0\n")
        with pytest.raises(ValueError, match="'1' is the id of several rows"):
            campaign.import_labels(path)
    with Campaign.open(tmp_path / "c") as campaign:
        campaign.export(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("0,0,")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_dates_does_not_matter(unit):
    dates = np.array(["2020-01-01", "2020-01-01T03:00:30"], dtype=f"datetime64[{unit}]")
    assert id_texts(Ids(dates)) == ["2020-01-01", "2020-01-01T03:00:30"]
