"""Displays of learning curves."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skal.plotting import LearningCurveDisplay

mpl.use("Agg")


def test_display_shows_mean_and_band_of_several_strategies():
    rng = np.random.default_rng(0)
    histories = {
        name: {"n_labeled": np.tile([10, 20, 30], (4, 1)), "score": rng.uniform(size=(4, 3))}
        for name in ("a", "b")
    }
    display = LearningCurveDisplay.from_history(histories, band="min_max")
    for name, history in histories.items():
        assert_allclose(display.lines_[name].get_ydata(), history["score"].mean(axis=0))
        low, high = display.bands_[name].get_paths()[0].get_extents().intervaly
        assert_allclose([low, high], [history["score"].min(), history["score"].max()])
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
    mpl.pyplot.close("all")
