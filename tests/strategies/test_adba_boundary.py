"""ADBA with `answers="boundary"`: the rows with their classes, and points where the class changes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skal import ActiveLearner
from skal.classifiers import BoundarySVC
from skal.pool import as_pool
from skal.strategies import ADBA, RandomSampling

from .test_adba import RNG, X, Y, with_hyperplane


@pytest.mark.parametrize("classes", [[0, 1], ["cat", "dog"]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_label_boundary(classes, dtype):
    strategy = ADBA(n_points=5).fit(X.astype(dtype))
    a, b = classes
    starts, along, rows = RNG.normal(size=(3, 4, 4))
    lines = starts[:, None] + np.arange(5)[:, None] * along[:, None]
    new, labels, boundary = strategy.label_boundary(lines, [1.5, np.nan, 0.25, 4.0], rows, [a, b, b, a])
    assert new.dtype == dtype
    assert_allclose(new[:4], rows, rtol=1e-5)
    crossings = starts[[0, 2, 3]] + np.array([[1.5], [0.25], [4.0]]) * along[[0, 2, 3]]
    assert_allclose(new[4:], crossings, rtol=1e-4, atol=1e-6)
    assert_array_equal(labels, [a, b, b, a, a, b, a])
    assert_array_equal(boundary, [False] * 4 + [True] * 3)
    for points, known in ((rows[:3], [a, b, b, a]), (rows, [a, b, b]), (rows[:, :3], [a, b, b, a])):
        with pytest.raises(ValueError, match=r"for 4 lines of 4 features; give the code of the row"):
            strategy.label_boundary(lines, [1.5, np.nan, 0.25, 4.0], points, known)
    for known, both in (([a, b, "c", a], None), ([a, b, b, a], [a, "c"])):
        with pytest.raises(ValueError, match="two classes, and one of them for each line in labels"):
            strategy.label_boundary(lines, [1.5, np.nan, 0.25, 4.0], rows, known, both)
    with pytest.raises(ValueError, match=r"lie in \[0, 4\]"):
        strategy.label_boundary(lines, [1.5, np.nan, 0.25, 4.1], rows, [a, b, b, a])


def test_lines_whose_row_is_declined_are_left_out():
    strategy = ADBA(n_points=3, answers="boundary").fit(X)
    lines = strategy.synthesize(4, estimator=LinearSVC().fit(X, Y))
    answers = iter([np.array([0, 1, 1, -1, -1, -1, 0, 0, 1, 1, 1, 1]), np.array([1, 0, -1, 1])])
    new, labels, params = strategy.annotate(lines, lambda codes: next(answers), [0, 1])
    rows = strategy.query_report_.points
    assert_allclose(new, np.stack([rows[0], rows[3], lines[0, :2].mean(axis=0)]))
    assert_array_equal(labels, [1, 1, 1])
    assert_array_equal(params["boundary"], [False, False, True])


def test_boundaries_of_a_known_plane_are_learned():
    """An annotator who sees fine lines tells the plane, from which the classifier deviates by no more than a step."""
    truth = with_hyperplane([1.0, 0.4, 0.0, 0.0], -2.0)
    y = np.full(len(X), -1)
    y[:8] = truth.predict(X[:8])
    strategy = ADBA(n_points=1001, n_candidates=None, answers="boundary")
    learner = ActiveLearner(BoundarySVC(alpha=1e-3), strategy, n_queries=6, random_state=0).fit(X, y)
    before = learner.score(X, truth.predict(X))
    for _ in range(3):
        lines = learner.synthesize()
        new, labels, params = learner.strategy_.annotate(lines, truth.predict, learner.classes_)
        is_point = params["boundary"]
        assert_array_equal(new[:6], X[learner.strategy_.query_report_.rows])
        assert_array_equal(labels[:6], truth.predict(new[:6]))
        step = np.linalg.norm(lines[0, 1] - lines[0, 0])
        assert np.abs(truth.decision_function(new[is_point])).max() < 2 * step
        learner.extend(new, labels, **params)
    assert is_point.sum() > 0
    assert learner.score(X, truth.predict(X)) > max(before, 0.95)
    normal = learner.estimator_.coef_[0] / np.linalg.norm(learner.estimator_.coef_)
    assert normal @ [1.0, 0.4, 0.0, 0.0] / np.hypot(1.0, 0.4) > 0.98


def test_lines_of_another_synthesis_have_no_known_rows():
    learner = ActiveLearner(BoundarySVC(), ADBA(answers="boundary"), random_state=0).fit(X, Y)
    y = np.where(np.arange(80) < 20, Y, -1)
    lines = learner.fit(X, y).synthesize(2)
    learner.synthesize(3)
    with pytest.raises(ValueError, match=r"2 lines were given, which are not those of the latest synthesis"):
        learner.strategy_.annotate(lines, lambda points: np.arange(len(points)) % 2, [0, 1])
    with pytest.raises(ValueError, match=r"2 lines were given, which are not those of the latest synthesis"):
        learner.fit(X, y).strategy_.annotate(lines, lambda points: np.arange(len(points)) % 2, [0, 1])


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 1, 4), (2, 4), (3, 5, 4)])
def test_bad_lines(shape):
    lines, strategy = np.zeros(shape), ADBA(answers="boundary").fit(X)
    message = r"must be \(n_lines, n_points, 4\), with two points or more, and \(n_lines,\)"
    with pytest.raises(ValueError, match=message):
        strategy.label_points(lines, [0.0, 0.0], [0, 1], [0, 1])
    with pytest.raises(ValueError, match=message):
        strategy.label_boundary(lines, [0.0, 0.0], lines[:, 0], [0, 1])


def test_the_classifier_must_learn_boundaries():
    strategy = ADBA(answers="boundary")
    with pytest.raises(
        TypeError, match=r"come with \['boundary'\], and LogisticRegression.fit takes no such"
    ):
        ActiveLearner(LogisticRegression(), strategy).fit(X, Y)
    pipeline = make_pipeline(StandardScaler(), BoundarySVC())
    with pytest.raises(ValueError, match="does not accept the boundary parameter"):
        ActiveLearner(pipeline, strategy).fit(X, Y)
    y = np.where(np.arange(80) < 20, Y, -1)
    with config_context(enable_metadata_routing=True):
        learner = ActiveLearner(pipeline, strategy, random_state=0).fit(X, y)
        points, labels, params = learner.strategy_.annotate(
            learner.synthesize(3), lambda codes: (np.arange(len(codes)) % 11 > 4).astype(int), [0, 1]
        )
        learner.extend(points, labels, **params)
        rows, is_point = np.r_[X[:20], points], np.r_[np.zeros(20, dtype=bool), params["boundary"]]
        expected = pipeline.fit(rows, np.r_[y[:20], labels], boundary=is_point)
    assert is_point.sum() == 3
    assert_allclose(learner.estimator_[-1].coef_, expected[-1].coef_, rtol=1e-6)


@pytest.mark.parametrize(
    "boundary", [[0, 1], [0.0, 1.0], ["no", "yes"], [True], [[False], [True]], [None, True]]
)
def test_boundaries_that_are_no_masks_are_not_recorded(boundary):
    y = np.where(np.arange(80) < 20, Y, -1)
    learner = ActiveLearner(BoundarySVC(), ADBA(answers="boundary"), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"fit parameters \['boundary'\] were given with new samples"):
        learner.extend(X[:2] + 1, [0, 1], boundary=boundary)
    assert len(learner.extension_keys_) == 0


def test_a_kind_of_fit_parameter_that_is_not_kept_is_named():
    y = np.where(np.arange(80) < 20, Y, -1)
    learner = ActiveLearner(BoundarySVC(), ADBA(answers="boundary"), random_state=0).fit(X, y)
    message = r"boundary is integers of shape \(2,\), and the learner has True or False of shape \(80,\)"
    with pytest.raises(ValueError, match=message):
        learner.extend(X[:2] + 1, [0, 1], boundary=[0, 1])
    weighted = ActiveLearner(LogisticRegression(), RandomSampling()).fit(X, y, sample_weight=np.ones(80))
    with pytest.raises(ValueError, match="sample_weight"):
        weighted.extend(X[:2] + 1, [0, 1], sample_weight=["a", "b"])


def test_fit_parameters_in_place_of_keys():
    y = np.where(np.arange(80) < 20, Y, -1)
    learner = ActiveLearner(BoundarySVC(), ADBA(answers="boundary", n_points=5), random_state=0).fit(X, y)
    lines = learner.synthesize(2)
    answers = learner.strategy_.label_boundary(
        lines, [1.5, 2.0], learner.strategy_.query_report_.points, [0, 1]
    )
    for third in (answers[2], {"boundary": answers[2]}):
        with pytest.raises(
            ValueError, match=r"name them: extend\(X, y, boundary=...\), or extend\(X, y, \*\*p"
        ):
            learner.extend(*answers[:2], third)
    assert len(learner.extension_keys_) == 0


def test_boundaries_belong_to_a_learner_that_has_had_such_a_strategy(tmp_path):
    y = np.where(np.arange(80) < 20, Y, -1)
    learner = ActiveLearner(BoundarySVC(), ADBA(), random_state=0).fit(X, y).extend(X[:1] + 2, [0])
    with pytest.raises(ValueError, match=r"fit parameters \['boundary'\] were given with new samples"):
        learner.extend(X[:2] + 1, [0, 1], boundary=[False, True])
    learner.use(ADBA(answers="boundary")).extend(X[:2] + 1, [0, 1], boundary=[False, True])
    expected = BoundarySVC().fit(
        np.r_[X[:20], X[:1] + 2, X[:2] + 1], np.r_[y[:20], 0, 0, 1], boundary=np.arange(23) == 22
    )
    assert_allclose(learner.estimator_.coef_, expected.coef_, rtol=1e-6)
    before = learner.undo().estimator_.coef_
    assert_allclose(before, BoundarySVC().fit(np.r_[X[:20], X[:1] + 2], np.r_[y[:20], 0]).coef_, rtol=1e-6)
    learner.extend(X[:2] + 1, [0, 1], boundary=[False, True])

    # With another strategy they stay, and what comes without is on no boundary.
    learner.use(RandomSampling())
    learner.save(tmp_path)
    learner = ActiveLearner.load(tmp_path, X, learner)
    learner.extend(X[2:3] + 1, [0]).grow(np.r_[X, X[:1] + 3], [1])
    expected = BoundarySVC().fit(
        np.r_[X[:20], X[:1] + 3, X[:1] + 2, X[:3] + 1],
        np.r_[y[:20], 1, 0, 0, 1, 0],
        boundary=np.arange(25) == 23,
    )
    assert_allclose(learner.estimator_.coef_, expected.coef_, rtol=1e-6)


def test_no_boundary_is_none_given():
    y = np.where(np.arange(80) < 20, Y, -1)
    learner = ActiveLearner(BoundarySVC(), ADBA(answers="boundary"), random_state=0)
    learner.fit(X, y, boundary=None).extend(X[:2] + 1, [0, 1], boundary=[False, True])
    learner.extend(X[2:3] + 1, [0], boundary=None)
    boundary = np.arange(23) == 21
    expected = BoundarySVC().fit(np.r_[X[:20], X[:3] + 1], np.r_[y[:20], 0, 1, 0], boundary=boundary)
    assert_allclose(learner.estimator_.coef_, expected.coef_, rtol=1e-6)


def test_the_rows_of_another_pool_are_on_no_boundary():
    y = np.where(np.arange(80) < 20, Y, -1)
    learner = ActiveLearner(BoundarySVC(), ADBA(answers="boundary"), random_state=0).fit(X, y)
    params = learner._state.params_of(as_pool(X + 1), np.arange(3))
    assert_array_equal(params["boundary"], [False] * 3)


def test_samples_and_rows_without_boundary_are_on_none():
    y = np.where(np.arange(80) < 20, Y, -1)
    learner = ActiveLearner(BoundarySVC(), ADBA(answers="boundary"), n_queries=3, random_state=0).fit(X, y)
    new, labels, params = learner.strategy_.annotate(
        learner.synthesize(), with_hyperplane([1, 0.4, 0, 0], -2).predict, [0, 1]
    )
    learner.extend(new, labels, **params).extend(X[:1] + 1, [0]).grow(np.r_[X, X[:2] + 0.1], [1, -1])
    expected = BoundarySVC().fit(
        np.r_[X[:20], X[:1] + 0.1, new, X[:1] + 1],
        np.r_[y[:20], 1, labels, 0],
        boundary=np.r_[np.zeros(21, dtype=bool), params["boundary"], False],
    )
    assert_allclose(learner.estimator_.coef_, expected.coef_, rtol=1e-6)
    assert params["boundary"].any()
