"""Tables come in another order the next day, with new rows among the old ones."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.exceptions import PoolWarning
from skal.strategies import UncertaintySampling
from tests.learner.common import X, Y

pd = pytest.importorskip("pandas")

NAMES = np.array([f"flower {row}" for row in range(150)])
FRAME = pd.DataFrame(X, index=NAMES, columns=list("abcd"))
PLAN = ActiveLearner(LogisticRegression(tol=0.1), UncertaintySampling(), n_queries=5, random_state=0)


@pytest.mark.parametrize("kind", ["frame", "shuffled", "counted"])
def test_the_table_of_the_next_day_has_new_rows_and_another_order(tmp_path, kind):
    frame = FRAME if kind != "counted" else FRAME.reset_index(drop=True)
    first, today = frame.iloc[:120], frame
    if kind != "frame":
        today = frame.sample(frac=1, random_state=0)
    fitted = clone(PLAN).fit(first, Y[:120])
    expected = clone(PLAN).fit(first, Y[:120])
    rest = today.index[~today.index.isin(first.index)]
    expected.grow(pd.concat([first, frame.loc[rest]]))
    fitted.save(tmp_path)
    if kind == "counted":  # which of them were there before, a longer index that counts does not say
        with pytest.raises(
            ValueError,
            match=r"\(150, 4\) was given instead of DataFrame with shape \(120",
        ):
            ActiveLearner.load(tmp_path, frame, PLAN)
        loaded = ActiveLearner.load(tmp_path, first, PLAN)
    else:
        with pytest.warns(PoolWarning, match=r"all rows of the saved pool and 30 more\. learner\.grow\(X\)"):
            loaded = ActiveLearner.load(tmp_path, today, PLAN)
    assert_array_equal(loaded.query(), fitted.query())
    if kind == "frame":
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
