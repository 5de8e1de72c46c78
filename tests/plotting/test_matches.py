"""Synthetic images above their matches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.utils import Bunch

from skal.plotting import MatchesDisplay

IMAGES = np.arange(20.0).reshape(5, 4)
REPORT = Bunch(
    synthetic=IMAGES[:2] + 0.5, rows=np.array([[3, -1], [1, 0]]), entropy_after=np.array([0.6, 0.5])
)


def test_matches_lie_below_their_images():
    display = MatchesDisplay.from_report(REPORT, IMAGES, ["a", "b", "c", "d", "e"], image_shape=(2, 2))
    assert display.axes_.shape == (3, 2)
    assert_allclose(display.matches[0, 0], IMAGES[3].reshape(2, 2))
    assert np.isnan(display.matches[0, 1]).all()
    assert display.titles == [["0.60", "0.50"], ["d / 3", "b / 1"], ["", "a / 0"]]
    shown = display.axes_[1, 1].images[0].get_array()
    assert_allclose(shown, IMAGES[1].reshape(2, 2) / 15)
    with pytest.raises(ValueError, match=r"image_shape=\(3, 2\) was given"):
        MatchesDisplay.from_report(REPORT, IMAGES, image_shape=(3, 2))


@pytest.mark.parametrize("n_channels", [1, 3, 4])
def test_channels(n_channels):
    images = np.arange(20.0 * n_channels).reshape(5, n_channels, 2, 2)
    display = MatchesDisplay.from_report(Bunch(**{**REPORT, "synthetic": images[:2]}), images)
    shown = display.axes_[0, 1].images[0].get_array()
    assert_allclose(np.squeeze(shown), np.squeeze(np.moveaxis(images[1] / images[3].max(), 0, -1)))
