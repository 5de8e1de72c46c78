"""Tables come in another order the next day, with new rows among the old ones."""

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner, SimulatedLearner
from skal.exceptions import ModelFileError, PoolWarning
from skal.strategies import CostAware, UncertaintySampling
from skal.training.files import read_file, write_file
from tests.learner.common import X, Y

pd = pytest.importorskip("pandas")

NAMES = np.array([f"flower {row}" for row in range(150)])
FRAME = pd.DataFrame(X, index=NAMES, columns=list("abcd"))
PLAN = ActiveLearner(LogisticRegression(tol=0.1), UncertaintySampling(), n_queries=5, random_state=0)


@pytest.mark.parametrize("kind", ["named", "named, shuffled", "counted", "counted, shuffled"])
def test_the_table_of_the_next_day_has_new_rows_and_another_order(tmp_path, kind):
    frame = FRAME if kind.startswith("named") else FRAME.reset_index(drop=True)
    first, today = frame.iloc[:120], frame
    if kind.endswith("shuffled"):
        today = frame.sample(frac=1, random_state=0)
    fitted = clone(PLAN).fit(first, Y[:120])
    expected = clone(PLAN).fit(first, Y[:120])
    rest = today.index[~today.index.isin(first.index)]
    expected.grow(pd.concat([first, frame.loc[rest]]))
    fitted.save(tmp_path)
    with pytest.warns(PoolWarning, match=r"all rows of the saved pool and 30 more\..*with grow"):
        loaded = ActiveLearner.load(tmp_path, today, PLAN)
    assert_array_equal(loaded.query(), fitted.query())
    if not kind.endswith("shuffled"):
        loaded.grow(today)
    else:
        with pytest.warns(PoolWarning, match="rows of before in another order"):
            loaded.grow(today)
    pd.testing.assert_frame_equal(loaded.X_, expected.X_, check_names=False)
    assert_array_equal(loaded.ids_, expected.ids_)
    assert_array_equal(loaded.labels_, expected.labels_)
    assert_array_equal(loaded.query(), expected.query())
    assert_array_equal(loaded.ids_[:120], first.index)


def test_labels_of_new_rows_go_to_them_wherever_they_stand():
    today = FRAME.iloc[::-1]  # rows 149 to 120 are new
    fitted = clone(PLAN).fit(FRAME.iloc[:120], Y[:120])
    said = np.arange(30) % 3
    with pytest.warns(PoolWarning):
        fitted.grow(today, said)
    assert_array_equal(fitted.labels_[fitted.positions(NAMES[:119:-1])], said)
    assert_array_equal(fitted.labels_[:120], Y[:120])


def test_a_table_without_some_rows_is_another_pool(tmp_path):
    fitted = clone(PLAN).fit(FRAME, Y)
    fitted.save(tmp_path)
    with pytest.raises(ValueError, match="other ids"):
        ActiveLearner.load(tmp_path, FRAME.iloc[:149], PLAN)
    with pytest.raises(ValueError, match="first 150 rows are not those of before"):
        fitted.grow(pd.concat([FRAME.iloc[:100], FRAME.iloc[:60].set_axis(range(60))]))


@pytest.mark.parametrize(
    "names", [NAMES, NAMES.astype(object), np.arange(150)[::-1]], ids=["texts", "objects", "ints"]
)
def test_an_index_with_repeated_names_hinders_those_alone(names):
    repeated = names.copy()
    repeated[[140, 141]] = repeated[[3, 4]]
    fitted = clone(PLAN).fit(FRAME.set_axis(repeated), Y)
    fitted.forget(pd.Index(names[[10, 20]]))
    assert_array_equal(fitted.labels_[[10, 20]], [-1, -1])
    with pytest.raises(ValueError, match="belong to several rows") as refused:
        fitted.positions(repeated[[10, 3]])
    assert repr(names[3].item() if names.dtype.kind == "i" else str(names[3])) in str(refused.value)
    assert repr(str(names[4])) not in str(refused.value), "only what was asked for is named"
    assert_array_equal(fitted.query(FRAME.set_axis(repeated)), fitted.query())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            X.astype(np.float32),
            r"ndarray of float32 with shape \(150, 4\) was given instead of ndarray of float64",
        ),
        (X[:149], r"ndarray of float64 with shape \(149, 4\) was given"),
        (X[::-1], "as before, but rows have changed or are in another order"),
        (pd.DataFrame(X), r"DataFrame with shape \(150, 4\) was given instead of ndarray"),
    ],
    ids=["type", "rows", "order", "container"],
)
def test_another_pool_is_told_from_the_saved_one(tmp_path, given, message):
    clone(PLAN).fit(X, Y).save(tmp_path)
    with pytest.raises(ValueError, match=message):
        ActiveLearner.load(tmp_path, given, PLAN)


@pytest.mark.parametrize("kind", ["array", "memory map", "list", "sparse", "dict"])
def test_new_rows_at_the_end_of_a_pool_without_names(tmp_path, kind):
    words = [f"a{a:.0f} b{b:.0f}" for a, b in X[:, :2]]
    np.save(tmp_path / "rows.npy", X)
    today = {
        "array": X,
        "memory map": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "list": words,
        "sparse": sparse.csr_array(X),
        "dict": [{"a": a, "b": b} for a, b in X[:, :2]],
    }[kind]
    reader = {"list": CountVectorizer(), "dict": DictVectorizer()}.get(kind, "passthrough")
    planned = clone(PLAN).set_params(estimator=make_pipeline(reader, LogisticRegression(tol=0.1)))
    fitted = clone(planned).fit(today[:120], Y[:120])
    fitted.save(tmp_path / "learner")
    with pytest.warns(PoolWarning, match="and 30 more"):
        loaded = ActiveLearner.load(tmp_path / "learner", today, planned)
    assert_array_equal(loaded.query(), fitted.query())
    assert_array_equal(loaded.grow(today).query(), fitted.grow(today).query())
    with pytest.raises(ValueError, match="is not the pool"):
        ActiveLearner.load(tmp_path / "learner", today[30:], planned)


def test_another_pool_with_more_rows_is_no_pool_in_another_order(tmp_path):
    clone(PLAN).fit(X[:120], Y[:120]).save(tmp_path)
    with pytest.raises(ValueError, match="of its 150 rows, neither the first 120 nor"):
        ActiveLearner.load(tmp_path, X[::-1], PLAN)


IDS = {"words": NAMES, "numbers": np.arange(150)[::-1], "none": None}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("named", ["positions", "names"])
def test_labels_come_in_the_order_of_their_rows(kind, named):
    ids = IDS[kind]
    fitted = clone(PLAN).fit(X, Y, ids=ids)
    rows = fitted.query()
    names = pd.Index(rows if ids is None else ids[rows])
    said = pd.Series([0, 1, 2, 1, 0], index=names)
    given = rows if named == "positions" else names
    with pytest.raises(ValueError, match=r"in another order.*teach\(y.index, y\)"):
        clone(fitted).fit(X, Y, ids=ids).teach(given, said.iloc[::-1])
    weights = pd.Series(np.ones(5), index=names[::-1])
    with pytest.raises(ValueError, match="weights have an index"):
        clone(fitted).fit(X, Y, ids=ids).teach(given, said, sample_weight=weights)
    for order in (slice(None), slice(None, None, -1)):
        again = clone(fitted).fit(X, Y, ids=ids)
        again.teach(said.index[order], said.iloc[order])
        assert again.labels_[rows].tolist() == [0, 1, 2, 1, 0]
    if kind == "numbers" and named == "positions":
        with pytest.raises(ValueError, match="may be ids or positions; the ids at these positions are"):
            clone(fitted).fit(X, Y, ids=ids).teach(rows, said.set_axis(rows))
    else:
        clone(fitted).fit(X, Y, ids=ids).teach(given, said.set_axis(rows))
    for y in (said, said.to_numpy(), said.reset_index(drop=True), said.set_axis(list("abcde"))):
        again = clone(fitted).fit(X, Y, ids=ids).teach(given, y)
        assert again.labels_[rows].tolist() == [0, 1, 2, 1, 0]


@pytest.mark.parametrize("kind", IDS)
def test_errors_name_rows_by_their_ids(kind):
    ids = IDS[kind]
    fitted = clone(PLAN).set_params(classes=[0, 1, 2]).fit(X, Y, ids=ids)
    row = fitted.query()[:1]
    told = re.escape(f"rows {row.tolist()}" + ("" if ids is None else f" (ids {ids[row].tolist()})"))
    with pytest.raises(ValueError, match=f"labels \\[7\\] of {told} are not in"):
        fitted.teach(row, [7])
    with pytest.raises(ValueError, match=f"{told} have no label to forget"):
        fitted.forget(row)
    with pytest.raises(ValueError, match=f"{told} are not skipped"):
        fitted.unskip(row)
    fitted.teach(row, [1])
    with pytest.raises(ValueError, match=f"{told} are labelled already"):
        fitted.teach(row, [2])
    with pytest.raises(ValueError, match=f"{told} belong to training"):
        fitted.teach(row, [1], audit=True)
    with pytest.raises(ValueError, match=f"{told} are labelled; forget"):
        fitted.skip(row)


def test_labels_by_the_index_of_a_shuffled_frame():
    """Whose names are positions of other rows."""
    frame = pd.DataFrame(X, columns=list("abcd")).sample(frac=1, random_state=0)
    fitted = clone(PLAN).fit(frame, np.full(150, -1))
    said = pd.Series(np.arange(150) % 3, index=frame.index)
    with pytest.raises(ValueError, match="in another order"):
        fitted.teach(frame.index, said.sort_index())
    fitted.teach(frame.index, said)
    assert_array_equal(fitted.labels_, said)


def test_values_of_new_rows_come_in_their_order():
    weight = np.ones(150)
    fitted = clone(PLAN).fit(FRAME.iloc[:120], Y[:120], sample_weight=weight[:120])
    said, weights = (
        pd.Series(np.arange(30) % 3, index=NAMES[120:]),
        pd.Series(weight[120:], index=NAMES[120:]),
    )
    with pytest.raises(ValueError, match="labels have an index"):
        fitted.grow(FRAME, said.iloc[::-1], sample_weight=weights)
    with pytest.raises(ValueError, match="values of sample_weight have an index"):
        fitted.grow(FRAME, said, sample_weight=weights.iloc[::-1])
    assert len(fitted.labels_) == 120
    with pytest.warns(PoolWarning):
        fitted.grow(FRAME.iloc[::-1], said.iloc[::-1], sample_weight=weights.iloc[::-1])
    assert_array_equal(pd.Series(fitted.labels_, index=fitted.ids_)[NAMES[120:]], said)


def test_values_of_fit_and_extend_come_in_the_order_of_their_rows():
    said = pd.Series(Y, index=NAMES)
    with pytest.raises(ValueError, match="labels have an index"):
        clone(PLAN).fit(X, said.iloc[::-1], ids=NAMES)
    with pytest.raises(ValueError, match="values of sample_weight have an index"):
        clone(PLAN).fit(FRAME, Y, sample_weight=pd.Series(np.ones(150), index=NAMES[::-1]))
    with pytest.raises(ValueError, match="labels have an index"):
        clone(PLAN).fit(FRAME, Y).extend(FRAME.iloc[:2], pd.Series([0, 1], index=NAMES[[1, 0]]))


def test_an_order_is_told_where_names_repeat():
    repeated = FRAME.set_axis([*NAMES[:149], NAMES[0]])
    with pytest.raises(ValueError, match="labels have an index"):
        clone(PLAN).fit(repeated, pd.Series(Y, index=repeated.index).iloc[::-1])
    first = repeated.iloc[:140]
    fitted = clone(PLAN).fit(first, Y[:140])
    with pytest.raises(ValueError, match=r"\['flower 0'\] belong to several rows"):
        fitted.grow(repeated.iloc[::-1])
    assert len(fitted.grow(repeated).labels_) == 150  # at the end they need no names
    counted = clone(PLAN).fit(FRAME.iloc[:100].reset_index(drop=True), Y[:100])
    assert len(counted.grow(repeated.iloc[:100].set_axis(["a"] * 100)).labels_) == 100


def test_ids_beside_an_index_that_says_something_else(tmp_path):
    """The index of a table of yesterday's choice, say, where the ids are a column."""
    for index in ([f"other {row}" for row in range(150)], np.random.default_rng(0).permutation(150)):
        frame = FRAME.set_axis(index)
        fitted = clone(PLAN).fit(frame.iloc[:120], Y[:120], ids=NAMES[:120])
        fitted.save(tmp_path)
        for today in (frame.iloc[:120], frame):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PoolWarning)
                loaded = ActiveLearner.load(tmp_path, today, PLAN)
            assert_array_equal(loaded.query(), fitted.query())
            assert_array_equal(loaded.ids_, NAMES[:120])
        assert_array_equal(loaded.grow(frame, ids=NAMES[120:]).X_.index, frame.index)
        with pytest.raises(ValueError, match=r"grow\(X_pool\)"):
            fitted.query(frame)


def test_a_name_that_is_not_a_number(tmp_path):
    frame = FRAME.set_axis([np.nan, *np.arange(149) / 2])
    fitted = clone(PLAN).fit(frame, Y)
    fitted.save(tmp_path)
    assert_array_equal(ActiveLearner.load(tmp_path, frame, PLAN).query(), fitted.query(frame.copy()))


@pytest.mark.parametrize("names", [["a", "a\0", "a\0\0"], [b"a", b"a\0", b"a\0\0"]], ids=["texts", "bytes"])
@pytest.mark.parametrize("is_index", [True, False])
def test_names_that_differ_in_what_numpy_drops(tmp_path, names, is_index):
    names = [*names, *NAMES[3:]]
    pool, ids = (FRAME.set_axis(pd.Index(names, dtype=object)), None) if is_index else (X, names)
    fitted = clone(PLAN).fit(pool, Y, ids=ids)
    for row in range(3):
        fitted.teach(names[row : row + 1], [row], overwrite=True)
        fitted.teach(names[row], [row], overwrite=True)
    assert_array_equal(fitted.labels_[:3], [0, 1, 2])
    fitted.save(tmp_path)
    assert ActiveLearner.load(tmp_path, pool, PLAN).ids_.tolist() == names


@pytest.mark.parametrize("row", [NAMES[0] + "\0", [NAMES[0] + "\0"], np.array([NAMES[0] + "\0"], object)])
def test_a_name_with_more_at_its_end_is_another_one(row):
    for pool, ids in ((FRAME, None), (X, NAMES), (X, NAMES.tolist())):
        fitted = clone(PLAN).fit(pool, Y, ids=ids)
        with pytest.raises(ValueError, match="are those of no row"):
            fitted.teach(row, [1], overwrite=True)


@pytest.mark.parametrize("kind", ["named", "shuffled", "array"])
def test_a_pool_with_new_rows_is_asked_after_it_was_taken_in(kind):
    today = {"named": FRAME, "shuffled": FRAME.sample(frac=1, random_state=0), "array": X}[kind]
    fitted = clone(PLAN).fit(X[:120] if kind == "array" else FRAME.iloc[:120], Y[:120])
    with pytest.raises(ValueError, match=r"the rows of the pool of fit and 30 more.*grow\(X_pool\)"):
        fitted.query(today)
    assert (
        len(fitted.query(np.asarray(today)[::-1] if kind == "array" else today.set_axis(range(150)) + 1)) == 5
    )


@pytest.mark.parametrize("n_rows", [10**15, 151, 0, -5])
def test_a_forged_number_of_rows_takes_no_memory(tmp_path, n_rows):
    clone(PLAN).fit(FRAME.reset_index(drop=True), Y).save(tmp_path)
    tensors, content = read_file(tmp_path / "learner.skal")
    write_file(tmp_path / "learner.skal", tensors, {**content, "n_rows": n_rows})
    shuffled = FRAME.reset_index(drop=True).sample(frac=1, random_state=0)
    with pytest.raises((ValueError, ModelFileError), match=r"is not the pool|holds no learner"):
        ActiveLearner.load(tmp_path, shuffled, PLAN)


def test_an_index_that_only_counts_is_no_order():
    frame = FRAME.set_axis(np.arange(150) * 10 + 50)
    fitted = clone(PLAN).fit(frame, Y)
    fitted.teach([0], pd.Series([1]), overwrite=True)  # of the label's own index says nothing
    assert fitted.labels_[0] == 1
    with pytest.raises(ValueError, match="may be ids or positions"):
        fitted.teach([0, 7], pd.Series([1, 1], index=[0, 7]), overwrite=True)


def test_another_table_with_the_same_repeated_names_is_another_pool():
    names = np.repeat(np.arange(75), 2)
    fitted = clone(PLAN).fit(FRAME.set_axis(names), np.where(np.arange(150) % 25, -1, Y))
    other = (FRAME + 1).set_axis(names[::-1])
    assert len(fitted.query(other)) == 5


@pytest.mark.parametrize("kind", ["repeated", "missing", "NA", "dates", "given"])
def test_the_pool_in_another_order_is_refused_where_names_do_not_tell_each_row(kind):
    names = {
        "repeated": np.repeat([f"r{i}" for i in range(75)], 2),
        "missing": [*NAMES[:149], None],
        "NA": pd.Index([*NAMES[:149], pd.NA], dtype=object),
        "dates": pd.to_datetime([*pd.date_range("2026-01-01", periods=149), None]),
        "given": NAMES,
    }[kind]
    frame = FRAME.set_axis(names)
    ids = np.arange(1000, 1150) if kind == "given" else None
    fitted = clone(PLAN).fit(frame, np.where(np.arange(150) % 25, -1, Y), ids=ids)
    order = np.random.default_rng(0).permutation(150)
    with pytest.raises(ValueError, match="another order"):
        fitted.query(frame.iloc[order])
    with pytest.raises(ValueError, match="another order"):
        clone(PLAN).fit(frame, pd.Series(Y, index=frame.index).iloc[order], ids=ids)
    assert_array_equal(fitted.query(frame), fitted.query())
    assert len(fitted.query(FRAME.iloc[order].set_axis(frame.index))) == 5


@pytest.mark.parametrize(
    "first",
    [
        ["a", np.nan, "b"],
        pd.to_datetime(["2026-01-01", None, "2026-01-02"]),
        [0.5, np.nan, 1.5],
        pd.Index(["a", pd.NA, "b"], dtype=object),
        pd.Index(["a", None, "b"], dtype="string"),
        pd.Index([1, None, 2], dtype="Int64"),
    ],
    ids=["texts", "dates", "floats", "NA", "string", "Int64"],
)
def test_a_name_that_is_missing_is_where_it_was(tmp_path, first):
    names = pd.Index(first)
    frame, y = FRAME.iloc[[0, 60, 120]].set_axis(names), Y[[0, 60, 120]]
    fitted = clone(PLAN).fit(frame, pd.Series(y, index=names))
    fitted.save(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(ActiveLearner.load(tmp_path, frame, PLAN).labels_, y)
    with pytest.raises(ValueError, match="another order"):
        clone(PLAN).fit(frame, pd.Series(y, index=names[::-1]))


MISSING = {
    "texts": ["a", "b", "c", None, "e"],
    "floats": [0.5, 1.5, 2.5, np.nan, 4.5],
    "dates": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", None, "2026-01-05"]),
    "durations": pd.to_timedelta(["1h", "2h", "3h", None, "5h"]),
    "string": pd.Index(["a", "b", "c", pd.NA, "e"], dtype="string"),
    "Int64": pd.Index([1, 2, 3, None, 5], dtype="Int64"),
    "categories": pd.CategoricalIndex(["a", "b", "c", None, "e"]),
    "levels": pd.MultiIndex.from_arrays([list("aabba"), [1, 2, 1, np.nan, 3]]),
}


@pytest.mark.parametrize("names", MISSING.values(), ids=MISSING)
def test_a_name_that_is_missing_is_found_in_another_order(tmp_path, names):
    names, rows = pd.Index(names), [0, 30, 60, 90, 120]
    frame, y = FRAME.iloc[rows].set_axis(names), Y[rows]
    fitted = clone(PLAN).fit(frame, y)
    assert_array_equal(fitted.positions(names[::-1]), [4, 3, 2, 1, 0])
    fitted.save(tmp_path)
    assert_array_equal(ActiveLearner.load(tmp_path, frame, PLAN).X_, frame)
    with pytest.warns(PoolWarning, match="in another order"):
        assert_array_equal(ActiveLearner.load(tmp_path, frame[::-1], PLAN).X_, frame)
    with pytest.warns(PoolWarning, match="in another order"):
        grown = clone(PLAN).fit(frame[:4], y[:4]).grow(frame[::-1])
    assert_array_equal(grown.X_, frame)
    lacking = frame.iloc[[3, 1, 2]]
    with pytest.raises(ValueError, match="are missing") as raised:
        ActiveLearner.load(tmp_path, lacking, PLAN)
    assert not re.search("None|nan|NaT", str(raised.value))


def test_two_names_that_are_missing_are_those_of_two_rows(tmp_path):
    for names in ([0.5, np.nan, np.nan, 1.5], pd.Index(["a", np.nan, None, "b"], dtype=object)):
        frame = FRAME.iloc[[0, 60, 90, 120]].set_axis(names)
        fitted = clone(PLAN).fit(frame, Y[[0, 60, 90, 120]])
        assert_array_equal(fitted.positions(frame.index[[3, 0]]), [3, 0])
        with pytest.raises(ValueError, match=r"\[None\] belong to several rows"):
            fitted.positions(frame.index)
        fitted.save(tmp_path)
        assert_array_equal(ActiveLearner.load(tmp_path, frame, PLAN).X_, frame)
        with pytest.raises(ValueError, match="some belong to several rows"):
            ActiveLearner.load(tmp_path, frame[::-1], PLAN)


@pytest.mark.parametrize("ids", [["nan", "b"], [1, 2], [0.5, 1.5]], ids=["texts", "integers", "floats"])
def test_what_is_missing_is_no_name(ids):
    fitted = clone(PLAN).fit(X[:2], [0, 1], ids=np.array(ids))
    for missing in (None, np.nan):
        with pytest.raises(ValueError, match=r"(nan|None)\] are those of no row"):
            fitted.positions(pd.Index([ids[0], missing], dtype=object))


def test_weights_and_costs_in_another_order_are_refused():
    names = NAMES[:6][::-1]
    fitted = clone(PLAN).fit(FRAME, Y, sample_weight=np.ones(150))
    with pytest.raises(ValueError, match="values of sample_weight"):
        fitted.extend(FRAME.iloc[:6], Y[:6], sample_weight=pd.Series(np.ones(6), index=names))
    costly = CostAware(UncertaintySampling())
    with pytest.raises(ValueError, match="values of cost"):
        fitted.use(costly, cost=pd.Series(np.ones(150), index=NAMES[::-1]))
    simulated = SimulatedLearner(LogisticRegression(tol=0.1), UncertaintySampling(), random_state=0)
    with pytest.raises(ValueError, match="labels"):
        simulated.fit(FRAME, pd.Series(Y, index=NAMES[::-1]))
    with pytest.raises(ValueError, match="labels"):
        simulated.fit(FRAME, Y, X_val=FRAME.iloc[:6], y_val=pd.Series(Y[:6], index=names))


def test_a_repeated_date_is_that_of_several_rows_in_any_unit():
    names = pd.to_datetime(["2026-01-01", "2026-01-01", *["2026-02-01"] * 148])
    fitted = clone(PLAN).fit(FRAME.set_axis(names), Y)
    for unit in ("D", "s", "ns"):
        with pytest.raises(ValueError, match="several rows"):
            fitted.positions(np.array(["2026-01-01"], dtype=f"datetime64[{unit}]"))


def test_a_table_that_lacks_rows_is_told_which(tmp_path):
    clone(PLAN).fit(FRAME, Y).save(tmp_path)
    with pytest.raises(ValueError, match=r"\['flower 148', 'flower 149'\] are missing"):
        ActiveLearner.load(tmp_path, FRAME.iloc[:148], PLAN)
