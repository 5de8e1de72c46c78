"""Lines and hyperplanes, against exact values and brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skal.classifiers import LinearClassifier
from skal.pool import as_pool
from skal.strategies.lines import answered_lines, distance_to_lines, find_crossings, hyperplane
from skal.strategies.query import Samples

RNG = np.random.default_rng(0)
X = RNG.normal([3.0, -1.0, 0.0, 2.0], [1.0, 5.0, 0.2, 1.0], size=(80, 4))
Y = (X @ [1.0, 0.3, 2.0, 0.0] > 2.5).astype(int)

CLASSIFIERS = [
    LogisticRegression(),
    LinearSVC(),
    RidgeClassifier(),
    SGDClassifier(random_state=0),
    SVC(kernel="linear"),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), PCA(2), LinearSVC()),
    FrozenEstimator(LogisticRegression().fit(X, Y)),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=str)
def test_hyperplane_of_linear_classifiers(classifier):
    w, b = hyperplane(classifier.fit(X, Y), X)
    assert_allclose(X @ w + b, classifier.decision_function(X), atol=1e-8)


def test_hyperplane_of_a_network():
    classifier = LinearClassifier(max_epochs=5, random_state=0).fit(X.astype(np.float32), Y)
    w, b = hyperplane(classifier, X)
    log_odds = np.diff(np.log(classifier.predict_proba(X.astype(np.float32))), axis=1)[:, 0]
    assert_allclose(X @ w + b, log_odds, atol=1e-4)


@given(st.integers(1, 9), st.lists(st.integers(-1, 1), min_size=1, max_size=9))
def test_crossings_contradict_the_fewest_answers(n_points, answers):
    answers = np.array(answers)
    (crossing,), (first,) = find_crossings(answers[None], np.array([0, 1]))
    positions = np.arange(len(answers))

    def wrong(crossing, first):
        labels = np.where(positions > crossing, 1 - first, first)
        return ((answers >= 0) & (labels != answers)).sum()

    everything = [(c, f) for f in (0, 1) for c in [np.nan, *(positions[:-1] + 0.5)]]
    assert wrong(crossing, first) == min(wrong(c, f) for c, f in everything)
    if len(set(answers[answers >= 0])) <= 1:
        assert np.isnan(crossing)


def samples(points):
    return Samples(as_pool(points), np.arange(len(points)), np.zeros(len(points), dtype=np.int32))


@given(st.integers(0, 10_000), st.integers(2, 5), st.lists(st.integers(2, 12), min_size=1, max_size=4))
def test_lines_are_found_among_their_points(seed, n_features, lengths):
    rng = np.random.default_rng(seed)
    ends = rng.normal(size=(len(lengths), 2, n_features))
    runs = [np.linspace(*pair, n) for pair, n in zip(ends, lengths, strict=True)]
    extensions = [samples(np.concatenate(runs[:2])), *(samples(run) for run in runs[2:])]
    lines = answered_lines(extensions, n_features)
    for run in runs:
        assert (np.abs(lines - run[[0, -1]]).sum(axis=(1, 2)) < 1e-12).sum() == 1
    assert len(lines) == len(runs) + (len(runs) > 1)  # and from the end of one to the beginning of the next


def test_no_lines_among_fewer_than_two_points():
    assert answered_lines([], 3).shape == (0, 2, 3)
    assert answered_lines([samples(np.ones((1, 3)))], 3).shape == (0, 2, 3)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 5))
def test_distance_to_lines(seed, n_features, n_lines):
    rng = np.random.default_rng(seed)
    rows, lines = rng.normal(size=(7, n_features)), rng.normal(size=(n_lines, 2, n_features))
    expected = [
        min(
            np.linalg.lstsq((end - start)[:, None], row - start, rcond=None)[1].sum() ** 0.5
            if n_features > 1
            else 0.0
            for start, end in lines
        )
        for row in rows
    ]
    assert_allclose(distance_to_lines(rows, lines), expected, atol=1e-6)


def test_distance_to_lines_far_from_the_origin():
    lines = np.array([[[0.0, 0.0], [1.0, 0.0]], [[0.0, 8.0], [1.0, 8.0]]]) + 1e9
    assert_allclose(distance_to_lines(np.array([[3.0, 3.0], [5.0, 6.0]]) + 1e9, lines), [3, 2])
