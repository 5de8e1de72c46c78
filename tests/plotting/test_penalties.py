"""The penalty matrix as a picture."""

import numpy as np
from numpy.testing import assert_allclose

from skal.evaluation import penalty_matrix
from skal.plotting import PenaltyMatrixDisplay
from tests.evaluation.common import noisy

EXPERIMENTS = {str(i): {"a": noisy(2 * i), "b": noisy(2 * i + 1, 0.06)} for i in range(1, 4)}


def test_the_picture_shows_the_matrix_and_the_means():
    display = PenaltyMatrixDisplay.from_experiments(EXPERIMENTS, between=(20, 30))
    expected = penalty_matrix(EXPERIMENTS, between=(20, 30))
    values = np.vstack([expected.penalties, expected.penalties.mean(axis=0)])
    assert values[1, 0] > 0
    assert_allclose(display.im_.get_array(), values)
    assert display.im_.get_clim() == (0, 3)
    for (row, column), value in np.ndenumerate(values):
        text = display.text_[row, column]
        assert text is None if row == column else text.get_text() == f"{value:.2f}"
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["a", "b", "mean"]
    again = PenaltyMatrixDisplay.from_matrix(expected, ax=display.ax_, cmap="Blues")
    assert again.ax_ is display.ax_
    assert again.im_.get_cmap().name == "Blues"
