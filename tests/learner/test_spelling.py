"""Dates and times that name rows, and tables that are extended, come back as they were."""

import datetime
import decimal
import json
import uuid
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner
from skal.exceptions import ModelFileError
from skal.learner.spelling import spelled, unspelled
from skal.strategies import RandomSampling
from skal.training.files import read_file

N = 12
NUMBERS = np.random.default_rng(0).normal(size=(N, 2))
Y = np.array([0, 1, *[-1] * (N - 2)])
pd = pytest.importorskip("pandas")
DAYS = pd.date_range("2020-10-24 23:30", periods=N, freq="h")  # in which clocks are set back
INDEXES = {
    "zone": DAYS.tz_localize("UTC").tz_convert("Europe/Berlin"),
    "offset": DAYS.tz_localize(datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
    "seconds": DAYS.as_unit("s").tz_localize("UTC"),
    "periods": pd.period_range("2020", periods=N, freq="W-WED"),
    "several levels": pd.MultiIndex.from_product([["a", "b"], DAYS[: N // 2].tz_localize("UTC")]),
    "a missing date": pd.DatetimeIndex([*DAYS[1:].tz_localize("UTC"), pd.NaT]),
}
IDS = {
    "moments": DAYS.to_pydatetime().tolist(),
    "moments of a zone": DAYS.tz_localize(datetime.UTC).to_pydatetime().tolist(),
    "stamps": list(DAYS),
    "dates": [datetime.date(2020, 1, 1 + day) for day in range(N)],
    "decimals": [decimal.Decimal(f"{i}.10") for i in range(N)],
    "keys": [uuid.UUID(int=i) for i in range(N)],
}


def saved(tmp_path, X, classifier=None, new=None, **params):
    """A learner and the same from a folder."""
    planned = ActiveLearner(classifier or LogisticRegression(), RandomSampling(), n_queries=3, random_state=0)
    fitted = ActiveLearner(**planned.get_params(deep=False)).fit(X, Y, **params)
    fitted.teach(fitted.query(), [0, 1, 1])
    if new is not None:
        fitted.extend(new, [0, 1])
    fitted.save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, X, planned)
    assert_array_equal(loaded.labels_, fitted.labels_)
    assert_array_equal(loaded.refit().query(), fitted.refit().query())
    loaded.save(tmp_path)
    return fitted, ActiveLearner.load(tmp_path, X, planned)


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_any_index_names_rows(tmp_path, index):
    frame = pd.DataFrame(NUMBERS, columns=["a", "b"], index=index)
    fitted, loaded = saved(tmp_path, frame, new=frame[:2])
    assert list(map(repr, loaded.ids_)) == list(map(repr, fitted.ids_))
    pd.testing.assert_frame_equal(loaded._state.extensions[0].X, frame[:2], check_freq=False)
    loaded.teach(index[5:6], [1], overwrite=True)
    assert loaded.labels_[5] == 1


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_any_ids_name_rows(tmp_path, ids):
    _, loaded = saved(tmp_path, NUMBERS, ids=ids)
    assert loaded.ids_.tolist() == ids
    assert list(map(type, loaded.ids_)) == list(map(type, ids))


def test_series_of_texts_are_extended(tmp_path):
    pl = pytest.importorskip("polars")
    texts = [f"word{i % 2} word{i % 3}" for i in range(N)]
    classifier = make_pipeline(CountVectorizer(), LogisticRegression())
    for X in (pd.Series(texts, name="text"), pd.Series(texts, dtype=object), pl.Series("text", texts)):
        fitted, loaded = saved(tmp_path, X, classifier, X[:2])
        own, other = fitted._state.extensions[0].X, loaded._state.extensions[0].X
        assert type(own) is type(other)
        assert own.name == other.name
        assert own.equals(other)


def columns_of_many_kinds():
    return {
        "a": NUMBERS[:, 0],
        "b": NUMBERS[:, 1],
        "word": ["x", None] * (N // 2),
        "when": DAYS.tz_localize("UTC"),
    }


def test_frames_of_many_kinds_of_columns_are_extended(tmp_path):
    classifier = make_pipeline(
        ColumnTransformer([("numbers", "passthrough", ["a", "b"])]), LogisticRegression()
    )
    frame = pd.DataFrame(columns_of_many_kinds()).assign(
        size=pd.Categorical(["small", "large"] * (N // 2), ["small", "large", "huge"], ordered=True),
        number=pd.array([1, None] * (N // 2), "Int64"),
        is_so=pd.array([True, None] * (N // 2), "boolean"),
        said=pd.array(["yes", None] * (N // 2), "string"),
        month=pd.period_range("2020", periods=N, freq="M"),
    )
    _, loaded = saved(tmp_path, frame, classifier, frame[:2])
    pd.testing.assert_frame_equal(loaded._state.extensions[0].X, frame[:2], check_freq=False)


def test_frames_of_polars_are_extended(tmp_path):
    pl = pytest.importorskip("polars")
    classifier = make_pipeline(
        ColumnTransformer([("numbers", "passthrough", ["a", "b"])]), LogisticRegression()
    )
    columns = {**columns_of_many_kinds(), "when": DAYS.to_pydatetime().tolist()}
    frame = pl.DataFrame(columns, strict=False).with_columns(
        size=pl.Series(["small", "large"] * (N // 2), dtype=pl.Enum(["small", "large", "huge"])),
        many=pl.Series([[1, 2], None] * (N // 2)),
    )
    _, loaded = saved(tmp_path, frame, classifier, frame[:2])
    own = loaded._state.extensions[0].X
    assert own.equals(frame[:2])
    assert own.schema == frame.schema


def test_a_damaged_frame_of_polars_is_named(tmp_path):
    pytest.importorskip("polars")
    from skal.learner.reader import Reader

    name = f"{'0' * 16}-0.skal"
    (tmp_path / name).write_bytes(b"ARROW1\0\0damaged ARROW1")
    with pytest.raises(ModelFileError, match="holds no frame of polars"):
        Reader(tmp_path, [{"polars": name}], {}, {}).get(["node", 0])


@pytest.mark.parametrize(
    ("params", "remedy"),
    [
        ({"X": pd.DataFrame(NUMBERS, columns=["a", "b"], index=pd.interval_range(0, N))}, "Name the rows by"),
        ({"X": pd.DataFrame({"a": NUMBERS[:, 0], "b": [range(3)] * N}), "is_extended": True}, "Give extend"),
    ],
)
def test_what_cannot_be_saved_says_what_to_do(tmp_path, params, remedy):
    X = params["X"]
    classifier = make_pipeline(ColumnTransformer([("numbers", "passthrough", ["a"])]), LogisticRegression())
    with pytest.raises(TypeError, match="cannot be saved") as caught:
        saved(tmp_path, X, classifier, X[:2] if params.get("is_extended") else None)
    assert any(remedy in note for note in caught.value.__notes__)


def test_what_is_not_the_same_again_is_not_spelled():
    berlin = datetime.datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert spelled(berlin) is None  # in ISO 8601 it has an offset and no zone
    assert spelled(pd.Timestamp(berlin)) is not None
    for zone in ("dateutil//etc/localtime", "/etc/localtime", "Nowhere"):
        with pytest.raises((LookupError, ValueError)):
            unspelled("Timestamp", 0, "s", zone)


def test_many_names_need_no_text_each(tmp_path):
    """A file has far fewer texts than numbers."""
    index = pd.date_range("2020", periods=1000, freq="min", tz="Europe/Berlin")
    sizes = []
    for names in (
        index,
        pd.MultiIndex.from_product([range(2), index[:500]]),
        index.tz_localize(None).to_period("min"),
    ):
        frame = pd.DataFrame(np.arange(2000.0).reshape(-1, 2), columns=["a", "b"], index=names)
        planned = ActiveLearner(LogisticRegression(), RandomSampling(), random_state=0)
        fitted = ActiveLearner(**planned.get_params(deep=False)).fit(frame, [0, 1, *[-1] * 998])
        fitted.save(tmp_path)
        loaded = ActiveLearner.load(tmp_path, frame, planned)
        assert list(map(repr, loaded.ids_)) == list(map(repr, fitted.ids_))
        sizes.append(len(json.dumps(read_file(tmp_path / "learner.skal")[1]["nodes"], default=str)))
    assert max(sizes) < 6000
