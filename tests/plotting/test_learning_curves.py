"""Displays of learning curves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skal.evaluation import paired_tests_by_labels
from skal.plotting import LearningCurveDisplay
from tests.evaluation.common import history, noisy


def test_display_shows_mean_and_band_of_several_strategies():
    rng = np.random.default_rng(0)
    histories = {
        name: {"n_labeled": np.tile([10, 20, 30], (4, 1)), "score": rng.uniform(size=(4, 3))}
        for name in ("a", "b")
    }
    display = LearningCurveDisplay.from_history(histories, band="min_max")
    for name, each in histories.items():
        assert_allclose(display.lines_[name].get_ydata(), each["score"].mean(axis=0))
        low, high = display.bands_[name].get_paths()[0].get_extents().intervaly
        assert_allclose([low, high], [each["score"].min(), each["score"].max()])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["a", "b"]

    single = LearningCurveDisplay.from_history(
        {key: value[0] for key, value in histories["a"].items()}, ax=display.ax_
    )
    assert single.ax_ is display.ax_
    assert not single.bands_
    with pytest.raises(ValueError, match="has no 'query_time'"):
        LearningCurveDisplay.from_history(histories, metric="query_time")
    with pytest.raises(ValueError, match="band="):
        LearningCurveDisplay.from_history(histories, band="iqr")


def test_the_legend_says_what_band_and_points_are():
    histories = {"a": noisy(1, 0.02), "random": noisy(2)}

    def title(**params):
        display = LearningCurveDisplay.from_history(histories, **params)
        return display.ax_.get_legend().get_title().get_text()

    assert title() == "band: standard deviation"
    assert title(band="min_max") == "band: lowest to highest"
    assert title(baseline="random", level=0.5) == "band: standard deviation\ndots: p < 0.5 by Holm"
    assert title(baseline="random", level=0.5, band=None) == "dots: p < 0.5 by Holm"
    assert title(band=None) == ""


def test_marks_are_where_the_corrected_tests_say():
    histories = {"a": noisy(1, 0.02), "random": noisy(2), "b": noisy(3, 0.06), "c": noisy(4)}
    display = LearningCurveDisplay.from_history(histories, baseline="random")
    tests = paired_tests_by_labels(histories, baseline="random")
    is_marked = np.array([each.adjusted < 0.05 for each in tests.values()])
    assert is_marked[:, 1].any()
    assert not is_marked.all(axis=0).any()
    for i, name in enumerate("abc"):
        expected = [
            (number, histories[name]["score"][:, r].mean())
            for r, number in enumerate(tests)
            if is_marked[r, i]
        ]
        assert (name in display.marks_) == bool(expected)
        if expected:
            assert_allclose(display.marks_[name].get_offsets(), expected)
    more = display.plot(level=0.9).marks_
    assert len(more["a"].get_offsets()) > is_marked[:, 0].sum()
    assert "random" not in more
    assert not LearningCurveDisplay.from_history(histories).marks_
    with pytest.raises(ValueError, match="baseline='none' was given"):
        LearningCurveDisplay.from_history(histories, baseline="none")
    with pytest.raises(ValueError, match="One history was given"):
        LearningCurveDisplay.from_history(histories["random"], baseline="random")


def test_repeats_that_ended_early_leave_the_mean_to_the_others():
    early = history([[0.25, 0.5, np.nan], [0.75, 0.5, 1.0], [np.nan, 0.5, 0.5]])
    early["n_labeled"] = np.array([[10, 20, np.nan], [10, 20, 30], [10, 20, 30]])
    display = LearningCurveDisplay.from_history({"early": early}, band="min_max")
    assert_allclose(display.lines_["early"].get_xydata(), [[10, 0.5], [20, 0.5], [30, 0.75]])
    assert_allclose(display.bands_["early"].get_paths()[0].get_extents().intervaly, [0.25, 1])
