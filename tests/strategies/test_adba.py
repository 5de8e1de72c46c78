"""ADBA, against the geometry of a ball, a plane and a line."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from skal import ActiveLearner
from skal.classifiers import BoundarySVC
from skal.strategies import ADBA
from skal.strategies.lines import find_crossings

from ..networks import generator_states, tiny_vae

RNG = np.random.default_rng(0)
X = RNG.normal([3.0, -1.0, 0.0, 2.0], [1.0, 5.0, 0.2, 1.0], size=(80, 4))
Y = (X @ [1.0, 0.3, 2.0, 0.0] > 2.5).astype(int)


def with_hyperplane(w, b):
    """A classifier with the given decision values."""
    classifier = LogisticRegression().fit(np.vstack([w, -np.asarray(w)]), [1, 0])
    classifier.coef_, classifier.intercept_ = np.array([w], dtype=float), np.array([float(b)])
    return classifier


@st.composite
def geometries(draw):
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    d = draw(st.integers(1, 5))
    return (
        rng.normal(size=(draw(st.integers(2, 12)), d)) * 3 + rng.normal(size=d),
        rng.normal(size=d),
        rng.normal(),
    )


@given(geometries(), st.integers(2, 12))
def test_lines(geometry, n_points):
    codes, w, b = geometry
    strategy = ADBA(n_points=n_points, n_candidates=None).fit(codes)
    lines = strategy.synthesize(2, estimator=with_hyperplane(w, b))
    report = strategy.query_report_
    distances = np.abs(codes @ w + b) / np.linalg.norm(w)
    assert_array_equal(report.rows, np.argsort(distances, kind="stable")[:2])
    assert_allclose(report.distances, distances[report.rows], atol=1e-9)
    assert_allclose(report.points, codes[report.rows])
    assert lines.shape == (2, n_points, codes.shape[1])
    center, radius = (
        codes.mean(axis=0),
        np.linalg.norm(codes - codes.mean(axis=0), axis=1).max(),
    )
    # From sphere to sphere, evenly, along the normal and towards the second class, through the row.
    assert_allclose(np.linalg.norm(lines[:, [0, -1]] - center, axis=2), radius, atol=1e-6)
    steps = np.diff(lines, axis=1)
    assert_allclose(steps, steps[:, :1] * np.ones((n_points - 1, 1)), atol=1e-9)
    normal = w / np.linalg.norm(w)
    assert_allclose(steps[:, 0], np.linalg.norm(steps[:, 0], axis=1)[:, None] * normal, atol=1e-9)
    from_row = lines - codes[report.rows][:, None]
    assert_allclose(from_row, (from_row @ normal)[..., None] * normal, atol=1e-8)


def test_a_smaller_ball():
    codes = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    strategy = ADBA(radius=2.0, n_points=3, n_candidates=None).fit(codes)
    lines = strategy.synthesize(2, estimator=with_hyperplane([0.0, 1.0], -2.9))
    assert_array_equal(strategy.query_report_.rows, [0, 1])  # rows 3 and 4 lie outside
    assert_allclose(lines[0], [[0, -2], [0, 0], [0, 2]])
    assert_allclose(lines[1], [[1, -(3**0.5)], [1, 0], [1, 3**0.5]], atol=1e-12)
    with pytest.raises(ValueError, match="all rows of the pool are farther"):
        ADBA(radius=0.5).fit(codes[3:])


@pytest.mark.parametrize(
    "classifier",
    [MLPClassifier((8,), max_iter=2000, random_state=0), make_pipeline(Normalizer(), LogisticRegression())],
    ids=str,
)
def test_other_classifiers_are_refused(classifier):
    with pytest.raises(ValueError, match=r"not linear in the rows.*use a linear classifier of two classes"):
        ADBA().fit(X).synthesize(estimator=classifier.fit(X, Y))


def test_refusals():
    with pytest.raises(ValueError, match="has 3 classes; ADBA needs a linear classifier of two"):
        ADBA().fit(X).synthesize(estimator=LinearSVC().fit(X, np.arange(80) % 3))
    with pytest.raises(ValueError, match="the same for all rows"):
        ADBA().fit(X).synthesize(estimator=with_hyperplane(np.zeros(4), 1.0))
    with pytest.raises(TypeError, match=r"needs a classifier with a gradient.*kernel='rbf'"):
        ADBA().fit(X).synthesize(estimator=SVC().fit(X, Y))
    with pytest.raises(ValueError, match="takes latent codes of shape"):
        ADBA().fit(X.reshape(80, 2, 2))
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        ADBA(tiny_vae()).fit(X)


def test_candidates_are_drawn():
    classifier = LinearSVC().fit(X, Y)
    strategy = ADBA(n_candidates=5, random_state=0).fit(X)
    rows = {
        strategy.synthesize(5, estimator=classifier, random_state=seed) is None
        or tuple(sorted(strategy.query_report_.rows))
        for seed in range(4)
    }
    assert len(rows) == 4
    strategy.synthesize(7, estimator=classifier)  # never fewer than are asked for
    assert len(set(strategy.query_report_.rows)) == 7
    assert len(strategy.synthesize(100, estimator=classifier)) == 80


@pytest.mark.parametrize("classes", [[0, 1], [1, 2], ["cat", "dog"]])
def test_label_points(classes):
    strategy = ADBA().fit(X)
    lines = RNG.normal(size=(4, 5, 4))
    a, b = classes
    points, labels = strategy.label_points(lines, [1.5, np.nan, 3.0, 0.0], [a, b, b, a], classes)
    assert_array_equal(points, lines.reshape(20, 4))
    expected = [[a, a, b, b, b], [b, b, b, b, b], [b, b, b, b, a], [a, b, b, b, b]]
    assert_array_equal(labels.reshape(4, 5), expected)


@pytest.mark.parametrize(
    ("crossings", "first", "classes", "message"),
    [
        ([1.0], [0, 1], [0, 1], "must be"),
        ([1.0, 4.5], [0, 1], [0, 1], r"lie in \[0, 4\]"),
        ([1.0, -0.1], [0, 1], [0, 1], r"lie in \[0, 4\]"),
        ([1.0, 1.0], [0, 2], [0, 1], "one of them for each line"),
        ([1.0, 1.0], [0, 1], [0, 1, 2], "two classes"),
    ],
)
def test_bad_answers(crossings, first, classes, message):
    with pytest.raises(ValueError, match=message):
        ADBA().fit(X).label_points(np.zeros((2, 5, 4)), crossings, first, classes)


def test_the_crossing_of_a_known_plane_is_found():
    strategy = ADBA(n_points=101, n_candidates=None).fit(X)
    truth, guess = with_hyperplane([1.0, 0.4, 0.0, 0.0], -2.0), with_hyperplane([1.0, 0.0, 0.0, 0.0], -3.0)
    lines = strategy.synthesize(6, estimator=guess)
    crossings, first = find_crossings(truth.predict(lines.reshape(-1, 4)).reshape(6, 101), np.array([0, 1]))
    values = (lines @ [1.0, 0.4, 0.0, 0.0]) - 2.0
    exact = -values[:, 0] / (values[:, 1] - values[:, 0])  # where the line meets the plane, in points
    inside = (exact > 0) & (exact < 100)
    assert inside.any()
    assert np.abs(crossings - exact)[inside].max() <= 0.5
    assert np.isnan(crossings[~inside]).all()
    assert_array_equal(first, (values[:, 0] > 0).astype(int))
    points, labels, _ = strategy.annotate(lines, truth.predict, [0, 1])
    assert_array_equal(labels, truth.predict(points))


def test_declined_lines_are_left_out():
    strategy = ADBA(n_points=3).fit(X)
    lines = strategy.synthesize(3, estimator=LinearSVC().fit(X, Y))
    answers = np.array([0, 1, 1, -1, -1, -1, -1, 0, -1])
    points, labels, params = strategy.annotate(lines, lambda codes: answers, [0, 1])
    assert params == {}
    assert_array_equal(points, lines[[0, 2]].reshape(6, 4))
    assert_array_equal(labels, [0, 1, 1, 0, 0, 0])
    with pytest.raises(ValueError, match="annotator answered 2"):
        strategy.annotate(lines, lambda codes: answers * 2, [0, 1])


def test_a_row_between_two_samples_may_still_be_asked():
    """With answers="boundary" samples are rows and crossings, and no points of one line."""
    codes = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [2.0, 3.0]])
    learner = ActiveLearner(BoundarySVC(alpha=0.01), ADBA(answers="boundary"), random_state=0)
    learner.fit(codes, [-1, -1, -1, 0, 1]).extend(codes[[0, 2]], [0, 1]).synthesize()
    assert_array_equal(learner.strategy_.query_report_.rows, [1])


def test_annotators_see_what_the_decoder_makes_of_the_codes():
    vae = tiny_vae().fit(X)
    strategy = ADBA(FrozenEstimator(vae), n_points=3, random_state=0)
    codes = vae.transform(X)
    strategy = clone(strategy).fit(codes)
    lines = strategy.synthesize(2, estimator=LinearSVC().fit(codes, Y))
    assert_allclose(strategy.show(lines), vae.decode(lines.reshape(6, 2)).reshape(2, 3, 4))
    pca = PCA(2).fit(X)
    assert_allclose(
        ADBA(FrozenEstimator(pca)).show(lines), pca.inverse_transform(lines.reshape(6, 2)).reshape(2, 3, 4)
    )
    assert ADBA().show(lines) is lines


def test_rows_are_shown_as_lines_are():
    pca = PCA(2).fit(X)
    strategy, codes = ADBA(FrozenEstimator(pca)), pca.transform(X)
    assert_allclose(strategy.show(codes[:3]), pca.inverse_transform(codes[:3]))
    assert_allclose(strategy.show(codes[:3, None])[:, 0], strategy.show(codes[:3]))


@pytest.mark.parametrize("fitted", [tiny_vae(), PCA(2)], ids=["VAE", "PCA"])
def test_a_pool_that_is_no_codes_of_the_decoder_is_refused(fitted):
    class Untrained(LinearSVC):
        def fit(self, X, y):
            raise AssertionError

    strategy = ADBA(FrozenEstimator(fitted.fit(X)))
    message = r"(?s)X has 4 features, and the decoder makes no image.* give decoder.transform\(X\).*says: .*2"
    with pytest.raises(ValueError, match=message):
        strategy.fit(X)
    with pytest.raises(ValueError, match=message):
        ActiveLearner(Untrained(), strategy).fit(X, Y)


def test_nothing_is_changed_and_everything_repeats():
    classifier, pool = LinearSVC(random_state=0).fit(X, Y), X.copy()
    states, coef = generator_states(), classifier.coef_.copy()
    strategy = ADBA(n_candidates=20, random_state=0).fit(X)
    lines = strategy.synthesize(4, estimator=classifier)
    assert generator_states() == states
    assert_array_equal(X, pool)
    assert_array_equal(classifier.coef_, coef)
    for again in (strategy, clone(strategy).fit(X), pickle.loads(pickle.dumps(strategy))):
        assert_array_equal(again.synthesize(4, estimator=classifier), lines)


def test_frames():
    frame = pd.DataFrame(X, columns=list("abcd"))
    classifier = LinearSVC(random_state=0)
    strategy = ADBA(random_state=0).fit(frame)
    lines = strategy.synthesize(2, estimator=classifier.fit(frame, Y))
    assert_allclose(lines, ADBA(random_state=0).fit(X).synthesize(2, estimator=classifier.fit(X, Y)))
    points, labels = strategy.label_points(lines, [1.0, 2.0], [0, 0], [0, 1])
    assert list(points.columns) == list("abcd")
    assert len(points) == len(labels) == 22


def lines_through(offset, dtype, n_candidates=None, n_rounds=12, answers="points"):
    """Rows through which the lines of a learner go, three in a round, and the learner."""
    codes = np.random.default_rng(1).normal(size=(44, 6))
    y = np.full(len(codes), -1)
    truth = (codes @ np.arange(1.0, codes.shape[1] + 1) > 0).astype(int)
    first = np.r_[np.flatnonzero(truth == 0)[:4], np.flatnonzero(truth == 1)[:4]]
    y[first] = truth[first]
    codes = codes + offset
    oracle = LogisticRegression().fit(codes, truth)
    strategy = ADBA(n_points=5, n_candidates=n_candidates, answers=answers)
    classifier = LogisticRegression(max_iter=2000) if answers == "points" else BoundarySVC(alpha=0.01)
    learner = ActiveLearner(classifier, strategy, n_queries=3, random_state=0)
    learner.fit(codes.astype(dtype), y)
    rows = []
    for _ in range(n_rounds):
        lines = learner.synthesize()
        rows.append(learner.strategy_.query_report_.rows)
        if n_candidates is None:
            left = np.setdiff1d(np.arange(len(codes)), np.r_[first, np.concatenate(rows[:-1] or [[]])])
            distances = np.abs(learner.decision_function(codes[left].astype(dtype)))
            assert_array_equal(rows[-1], left[np.argsort(distances)[:3]])
        assert_array_equal(learner.synthesize(), lines)
        new, labels, params = learner.strategy_.annotate(lines, oracle.predict, [0, 1])
        learner.extend(new, labels, **params)
    return np.concatenate(rows), first, learner


@pytest.mark.parametrize("answers", ["points", "boundary"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_candidates", [None, 6])
@pytest.mark.parametrize("offset", [0, 30])
def test_lines_go_through_unlabelled_rows_once(answers, dtype, n_candidates, offset):
    rows, first, learner = lines_through(offset, dtype, n_candidates, answers=answers)
    assert_array_equal(np.sort(np.r_[rows, first]), np.arange(44))
    with pytest.raises(ValueError, match="No row is left to draw a line through: of the 44 rows"):
        learner.synthesize()


@pytest.mark.parametrize("offset", [1e7, 1e9])
def test_an_offset_of_the_codes_changes_no_rows(offset):
    asked = []
    for codes in (X, X + offset):
        classifier = make_pipeline(StandardScaler(), LogisticRegression())
        learner = ActiveLearner(classifier, ADBA(n_candidates=None), n_queries=5, random_state=0)
        learner.fit(codes, np.where(np.arange(80) % 10 == 0, Y, -1))
        for _ in range(5):
            lines = learner.synthesize()
            asked.append(learner.strategy_.query_report_.rows)
            answers = learner.predict(lines[:, 0])
            learner.extend(*learner.strategy_.label_points(lines, [5.5] * 5, answers, [0, 1]))
    assert_array_equal(asked[:5], asked[5:])
    assert len({*np.ravel(asked[5:])}) == 25


@pytest.mark.parametrize("answers", ["points", "boundary"])
def test_a_line_that_was_declined_may_be_asked_again(answers):
    *_, learner = lines_through(0, np.float64, n_rounds=1, answers=answers)
    lines = learner.synthesize()
    _, labels, _ = learner.strategy_.annotate(lines, lambda points: np.full(len(points), -1), [0, 1])
    assert len(labels) == 0
    assert_array_equal(learner.synthesize(), lines)
