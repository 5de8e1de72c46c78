"""What a stopping criterion has measured."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError

from skal.plotting import StoppingDisplay
from skal.stopping import MaximumUtility, StabilizingPredictions
from tests.simulation.common import X, Y, learner


def test_the_display_shows_values_means_and_the_threshold():
    stopping = StabilizingPredictions(threshold=0.001, n_rounds=2)
    criterion = learner(stopping=stopping, budget=60).fit(X, Y).stopping_
    display = StoppingDisplay.from_criterion(criterion)
    n_labeled, values = criterion.history_.values()
    assert_allclose(display.values_.get_xydata(), np.column_stack([n_labeled, values]))
    assert_allclose(display.mean_.get_xdata(), n_labeled)
    assert_allclose(display.mean_.get_ydata(), [np.nan, *(values[1:] + values[:-1]) / 2])
    assert_allclose(display.threshold_.get_ydata(), 0.001)
    assert display.ax_.get_yscale() == "log"
    with pytest.raises(NotFittedError):
        StoppingDisplay.from_criterion(stopping)


def test_where_it_is_expected_to_stop():
    values = np.array([0.4, 0.2, 0.1])
    display = StoppingDisplay(np.array([10, 20, 30]), values, threshold=0.0, labels_left=45).plot()
    assert_allclose(display.end_.get_xdata(), 75)
    assert display.end_.get_label() == "stops at about 75"
    assert display.ax_.get_yscale() == "linear"
    ended = StoppingDisplay(np.array([10, 20, 30]), values, threshold=0.2, labels_left=0.0).plot()
    assert ended.end_.get_label() == "has stopped at 30"
    again = StoppingDisplay(np.array([10, 20, 30]), values, threshold=0.1, labels_left=np.nan)
    assert again.plot(ax=display.ax_).end_ is None
    assert again.ax_ is display.ax_


def test_an_end_beyond_the_pool_is_not_drawn():
    criterion = learner(stopping=MaximumUtility(threshold=1e-9), budget=60).fit(X, Y).stopping_
    assert criterion.labels_left_ > criterion.report_.n_left
    display = StoppingDisplay.from_criterion(criterion)
    assert display.end_ is None
    assert display.ax_.get_xlim()[1] < 100
    # A mean of one round is what was measured, and needs no name of its own.
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["each round", "threshold"]
