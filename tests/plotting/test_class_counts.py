"""Labels of each class by round."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skal.plotting import ClassCountsDisplay

COUNTS = np.array([[[1, 1, 0], [3, 1, 2], [4, 2, 4]], [[0, 1, 1], [3, 3, 0], [np.nan] * 3]])
HISTORY = {"n_labeled": np.array([[2, 6, 10], [2, 6, np.nan]]), "class_counts": COUNTS}


def heights(display):
    """The top of each area over the last round."""
    return [area.get_paths()[0].get_extents().y1 for area in display.areas_]


def test_areas_are_the_means_over_the_repeats_that_go_on():
    display = ClassCountsDisplay.from_history(HISTORY)
    assert_allclose(display.counts, [[0.5, 1, 0.5], [3, 2, 1], [4, 2, 4]])
    assert_allclose(display.n_labeled, [2, 6, 10])
    assert_allclose(heights(display), [4, 6, 10])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["2", "1", "0"]
    single = ClassCountsDisplay.from_history(
        {key: values[0] for key, values in HISTORY.items()}, ax=display.ax_, alpha=0.5
    )
    assert single.ax_ is display.ax_
    assert_allclose(single.counts, COUNTS[0])
    assert single.areas_[0].get_alpha() == 0.5


def test_shares_and_names():
    display = ClassCountsDisplay.from_history(HISTORY, shares=True, classes=["a", "b", "c"])
    assert_allclose(heights(display)[-1], 1)
    assert_allclose(heights(display)[0], 0.5)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["c", "b", "a"]
    assert display.ax_.get_ylabel() == "Share of the labels"
    with pytest.raises(ValueError, match="2 names of classes were given, and the history counts labels of 3"):
        ClassCountsDisplay.from_history(HISTORY, classes=["a", "b"])


def test_several_histories():
    with pytest.raises(ValueError, match=r"give one of them, such as histories\['random'\]"):
        ClassCountsDisplay.from_history({"random": HISTORY, "margin": HISTORY})


def test_many_classes_have_colours_of_their_own():
    counts = np.ones((2, 25))
    display = ClassCountsDisplay.from_history({"n_labeled": np.array([25, 50]), "class_counts": counts})
    assert len({tuple(area.get_facecolor()[0]) for area in display.areas_}) == 25


def test_a_history_without_class_counts():
    with pytest.raises(
        ValueError, match=r"no 'class_counts'; it has \['n_labeled'\]. Give the history_ of a"
    ):
        ClassCountsDisplay.from_history({"n_labeled": HISTORY["n_labeled"]})
