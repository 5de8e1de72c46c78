"""The images and texts of a query in a strip."""

from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.plotting import QueryDisplay
from skal.strategies import QueryStrategy

GRAY = np.arange(12 * 20, dtype=np.uint8).reshape(12, 4, 5)
COLOUR = np.random.default_rng(0).integers(256, size=(12, 3, 6, 5)).astype(np.uint8)
TEXTS = [f"text {i}: " + "some words " * 5 * i for i in range(12)]


class NoQuery(QueryStrategy):
    """A strategy that nobody may ask."""

    def _query(self, query):
        raise AssertionError("a query")


@pytest.fixture
def learner():
    fitted = ActiveLearner(LogisticRegression(), NoQuery())
    return fitted.fit(GRAY.reshape(12, -1), ["cat", "dog", "$x$", *[None] * 9]).skip([7])


def drawn(display):
    return [axis.images[0].get_array() for axis in display.axes_.flat if axis.images]


def test_names_labels_and_guesses(learner):
    display = QueryDisplay.from_learner(learner, [5, 2, 7], image_shape=(4, 5))
    assert display.titles == ["1: row 5", "2: row 2\n$x$", "3: row 7\nskipped"]
    assert display.axes_.shape == (1, 3)
    assert_array_equal(drawn(display)[0], GRAY[5] / 255)
    guess = learner.predict(GRAY.reshape(12, -1)[5:6])[0]
    display = QueryDisplay.from_learner(learner, [5, 2], GRAY, predict=True, notes=[0.12345, "most"])
    assert display.titles == [f"1: row 5\n{guess}?\n0.123", "2: row 2\n$x$\nmost"]
    display = QueryDisplay.from_learner(learner, [5, 2, 7], GRAY, notes=[12345, None, np.float32(0.5)])
    assert display.titles == ["1: row 5\n12345", "2: row 2\n$x$", "3: row 7\nskipped\n0.5"]
    named = ActiveLearner(LogisticRegression(), NoQuery())
    named.fit(GRAY.reshape(12, -1), [0, 1, *[-1] * 10], ids=[f"{'long ' * 8}{i}" for i in range(12)])
    display = QueryDisplay.from_learner(named, [f"{'long ' * 8}3"], GRAY)
    assert display.titles == ["1: long long long lon…"]
    assert_array_equal(drawn(display)[0], GRAY[3] / 255)
    display.figure_.canvas.draw()


def test_images_of_every_kind(learner, tmp_path):
    last = np.moveaxis(COLOUR, 1, -1)
    tensors = torch.utils.data.TensorDataset(torch.tensor(COLOUR), torch.zeros(12))
    flat = COLOUR.reshape(12, -1)
    for items, shape in (
        (COLOUR, None),
        (last, None),
        (tensors, None),
        (list(last), None),
        (flat, (3, 6, 5)),
    ):
        display = QueryDisplay.from_learner(learner, [4, 9], items, image_shape=shape)
        for image, row in zip(drawn(display), (4, 9), strict=True):
            assert_array_equal(image, last[row] / 255)
    image_module = pytest.importorskip("PIL.Image")
    files = [tmp_path / f"{i}.PNG" for i in range(12)]
    for row in (4, 9):  # the others are not even there
        image_module.fromarray(last[row]).save(files[row])
    for items in (files, [str(file) for file in files]):
        assert_array_equal(drawn(QueryDisplay.from_learner(learner, [9], items))[0], last[9] / 255)
    deep = np.arange(256).reshape(16, 16)
    for dtype, scale, ending in ((np.uint16, 257, "png"), (np.float32, 1 / 255, "tif")):
        files = [tmp_path / f"{i}.{ending}" for i in range(12)]
        image_module.fromarray((deep * scale).astype(dtype)).save(files[4])
        assert_array_equal(drawn(QueryDisplay.from_learner(learner, [4], files))[0], deep / 255)


def test_images_share_one_scale(learner):
    shares = np.full((12, 4, 5), 0.5)
    assert_array_equal(drawn(QueryDisplay.from_learner(learner, [4], shares))[0], shares[4])
    numbers = np.full((12, 4, 5), -1.0) + 0.5 * np.arange(12)[:, None, None]
    first, second = drawn(QueryDisplay.from_learner(learner, [0, 4], numbers))
    assert_array_equal(first, np.zeros((4, 5)))
    assert_array_equal(second, np.ones((4, 5)))
    mixed = [GRAY[0], *shares[1:, :3]]  # photos of several sizes
    first, second = drawn(QueryDisplay.from_learner(learner, [0, 4], mixed))
    assert_array_equal(first, GRAY[0] / 255)
    assert_array_equal(second, shares[4, :3])
    low = drawn(QueryDisplay.from_learner(learner, [0, 4], numbers - 3))
    assert_array_equal(low[0], np.zeros((4, 5)))


def test_tensors_that_are_being_trained_are_drawn(learner):
    class Made(torch.utils.data.Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, row):
            return torch.full((4, 5), 0.5, requires_grad=True)

    assert_array_equal(drawn(QueryDisplay.from_learner(learner, [4], Made()))[0], np.full((4, 5), 0.5))


def test_a_figure_is_drawn_anew(learner):
    figure = mpl.pyplot.figure()
    for rows in ([1, 2, 3], [4, 5]):
        display = QueryDisplay.from_learner(learner, rows, GRAY, figure=figure)
    assert figure.axes == display.axes_.ravel().tolist()


def test_words_of_several_lines_and_halves_of_pairs_are_titles():
    fitted = ActiveLearner(LogisticRegression(), NoQuery())
    fitted.fit(GRAY.reshape(12, -1), ["a\nb", "\ud800", *[None] * 10])
    display = QueryDisplay.from_learner(fitted, [0, 1], GRAY)
    assert display.titles == ["1: row 0\na b", "2: row 1\n?"]
    display.figure_.canvas.draw()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=repr)
def test_texts_that_are_missing_are_empty(learner, missing):
    texts = ["half of a pair \ud83d", missing, *TEXTS[2:]]
    display = QueryDisplay.from_learner(learner, [0, 1], texts)
    assert [axis.texts[0].get_text() for axis in display.axes_.flat] == ["half of a pair ?", ""]
    display.figure_.canvas.draw()


@pytest.mark.parametrize("container", [list, pd.Series, np.array])
def test_texts_are_wrapped_and_cut(learner, container):
    display = QueryDisplay.from_learner(learner, [0, 1, 11, 2], container(TEXTS), n_columns=2)
    assert display.axes_.shape == (2, 2)
    assert display.items == [TEXTS[0], TEXTS[1], TEXTS[11], TEXTS[2]]
    texts = [axis.texts[0].get_text() for axis in display.axes_.flat]
    assert texts[0] == "text 0:"
    assert max(map(len, texts[2].split("\n"))) <= 36
    assert texts[2].count("\n") == 6
    assert texts[2].endswith(" …")
    display.figure_.canvas.draw()


def test_rows_that_nobody_asked_for_are_not_read(learner):
    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, row):
            assert row in (3, 6)
            return torch.tensor(COLOUR[row])

    display = QueryDisplay.from_learner(learner, [6, 3, 1], Photos(), n_items=2)
    assert len(display.items) == 2


def test_nobody_guesses_before_the_first_answer():
    fitted = ActiveLearner(LogisticRegression(), NoQuery()).fit(GRAY.reshape(12, -1), [None] * 12)
    assert QueryDisplay.from_learner(fitted, [3], GRAY, predict=True).titles == ["1: row 3"]


def test_rows_that_are_left_out_are_told():
    many = np.zeros((41, 4), dtype=np.uint8)
    learner = ActiveLearner(LogisticRegression(), NoQuery()).fit(many, [0, 1, *[-1] * 39])
    draw = partial(QueryDisplay.from_learner, learner, image_shape=(2, 2))
    with pytest.warns(UserWarning, match=r"first 40 of 41 rows are drawn; n_items=41 draws all"):
        assert len(draw(np.arange(41)).items) == 40
    assert len(draw(np.arange(41), n_items=41).items) == 41
    assert len(draw(np.arange(40)).items) == 40


@pytest.mark.parametrize(
    ("rows", "items", "params", "message"),
    [
        ([], GRAY, {}, "No rows were given"),
        (None, GRAY, {}, "No rows were given"),
        ([1], GRAY, {"notes": 5}, "notes=5 was given for 1 rows"),
        ([1, 2], ["a", 3, *TEXTS[2:]], {}, "neither images nor texts"),
        ([12], GRAY, {}, "out of range"),
        (["a"], GRAY, {}, "not like those of the rows"),
        ([1], GRAY[:5], {}, "5 items were given, and the pool has 12 rows"),
        ([1], None, {}, r"shape \(20,\), with image_shape=None"),
        ([1], None, {"image_shape": (4, 4)}, r"with image_shape=\(4, 4\)"),
        ([1], np.zeros((12, 5, 4, 5)), {}, "neither images nor texts"),
        ([1], pd.DataFrame({"word": ["a"] * 12}), {}, "neither images nor texts"),
        ([1], [{"a": 1}] * 12, {}, "an item is a dict"),
        ([1], GRAY, {"notes": [1, 2]}, "2 notes were given for 1 rows"),
    ],
)
def test_what_cannot_be_drawn_is_refused(learner, rows, items, params, message):
    with pytest.raises(ValueError, match=message):
        QueryDisplay.from_learner(learner, rows, items, **params)


def test_a_strip_without_items_is_refused():
    with pytest.raises(ValueError, match="no items to draw"):
        QueryDisplay([], []).plot()
