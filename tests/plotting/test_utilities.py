"""Utilities over a plane."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.plotting import UtilityDisplay
from skal.strategies import RandomSampling, UncertaintySampling

X, TRUTH = make_blobs(60, centers=3, random_state=0)
NAMES = np.array(["a", "b", "c"])[TRUTH]
Y = np.where(np.arange(60) < 12, TRUTH, -1)


def fitted(X=X, y=Y, strategy=None, classifier=None):
    return ActiveLearner(
        classifier or LogisticRegression(), strategy or UncertaintySampling(), random_state=0
    ).fit(X, y)


def test_the_plane_has_what_the_learner_says():
    learner = fitted()
    display = UtilityDisplay.from_learner(learner, grid_resolution=15, eps=0.25, cmap="Reds")
    points = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    assert_allclose(points.min(axis=0), X.min(axis=0) - 0.25)
    assert_allclose(points.max(axis=0), X.max(axis=0) + 0.25)
    assert_allclose(display.utility.ravel(), learner.score_samples(points))
    assert_array_equal(display.predicted.ravel(), learner.predict(points))
    assert display.xx0[0, 0] < display.xx0[0, 1]
    assert_allclose(display.boundary_.levels, [0.5, 1.5])
    assert display.surface_.get_cmap().name == "Reds"
    assert_allclose(display.labeled_.get_offsets(), X[:12])
    assert_array_equal(display.labeled_.get_array(), Y[:12])
    assert_allclose(display.pool_.get_offsets(), X[12:])


@pytest.mark.parametrize("n_classes", [10, 12, 30])
def test_each_class_has_its_colour(n_classes):
    y = np.where(np.arange(60) < 2 * n_classes, np.arange(60) % n_classes, -1)
    display = UtilityDisplay.from_learner(fitted(y=y), grid_resolution=3)
    display.figure_.canvas.draw()
    assert len(np.unique(display.labeled_.get_facecolors(), axis=0)) == n_classes


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_and_names_of_classes(library):
    frames = pytest.importorskip(library)
    frame = frames.DataFrame({"length": X[:, 0], "width": X[:, 1]})
    partial = NAMES.astype(object)
    partial[12:] = None
    learner = fitted(frame, partial)
    display = UtilityDisplay.from_learner(learner, grid_resolution=5)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("length", "width")
    assert_array_equal(display.labeled_.get_array(), TRUTH[:12])
    plain = UtilityDisplay.from_learner(fitted(), grid_resolution=5)
    assert_allclose(display.utility, plain.utility)
    assert_array_equal(display.predicted, plain.predicted)


def test_other_rows_and_a_class_that_is_new():
    learner = fitted(X, np.where(Y == 2, -1, Y))
    learner.teach([np.flatnonzero(Y == 2)[0]], [2], refit=False)
    display = UtilityDisplay.from_learner(learner, grid_resolution=5)
    assert sorted(set(display.labeled_.get_array())) == [0, 1, 2]
    others = UtilityDisplay.from_learner(learner, X[:5] + 100, grid_resolution=5, ax=display.ax_)
    assert others.ax_ is display.ax_
    assert (others.codes == -1).all()
    assert others.xx0.min() > 90
    assert others.boundary_ is None or others.predicted.min() < others.predicted.max()


def test_bad_input():
    with pytest.raises(NotFittedError):
        UtilityDisplay.from_learner(ActiveLearner(LogisticRegression(), UncertaintySampling()))
    with pytest.raises(TypeError, match="RandomSampling scores no rows"):
        UtilityDisplay.from_learner(fitted(strategy=RandomSampling()))
    with pytest.raises(ValueError, match=r"Rows of shape \(3,\) were given, and a plane has two features"):
        UtilityDisplay.from_learner(fitted(np.c_[X, X[:, 0]]))
    with pytest.raises(ValueError, match="grid_resolution=1 was given"):
        UtilityDisplay.from_learner(fitted(), grid_resolution=1)
