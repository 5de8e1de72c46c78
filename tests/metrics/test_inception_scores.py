"""The inception score against the published program."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

import skal.metrics.inception_scores
from skal.metrics import inception_score

from .conftest import FAKES, X


def literal_inception(probabilities, n_splits):
    """Salimans et al.'s program, in float64."""
    size = len(probabilities) // n_splits
    scores = []
    for i in range(n_splits):
        part = probabilities[i * size : (i + 1) * size]
        divergence = part * (np.log(part) - np.log(part.mean(axis=0, keepdims=True)))
        scores.append(np.exp(divergence.sum(axis=1).mean()))
    return np.mean(scores), np.std(scores)


@pytest.mark.parametrize("n_splits", [1, 10])
def test_inception_score_is_that_of_the_published_program(judge, n_splits):
    probabilities = judge.predict_proba(FAKES[:1790])
    result = inception_score(probabilities, n_splits=n_splits, shuffle=False)
    assert_allclose((result.mean, result.std), literal_inception(probabilities, n_splits), rtol=1e-9)
    assert (result.n_samples, result.n_splits, result.name) == (1790, n_splits, "inception score")
    judged = inception_score(FAKES[:1790], judge, n_splits=n_splits, shuffle=False)
    assert_allclose(judged.mean, result.mean, rtol=1e-9)
    assert judged.name == "classifier inception score"
    assert float(inception_score(FAKES[:1790], judge.predict_proba, n_splits=1)) == pytest.approx(
        literal_inception(probabilities, 1)[0]
    )


@given(st.integers(2, 7), st.integers(0, 100))
def test_inception_score_lies_between_one_and_the_number_of_classes(n_classes, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(n_classes, 0.3), size=60)
    assert 1 <= inception_score(probabilities, n_splits=3, random_state=seed).mean <= n_classes
    assert inception_score(np.tile(probabilities[:1], (60, 1)), n_splits=3).mean == pytest.approx(1)
    certain = np.tile(np.eye(n_classes), (30, 1))
    assert inception_score(certain, n_splits=1).mean == pytest.approx(n_classes)


def test_shuffling_undoes_an_order_by_class(monkeypatch):
    by_class = np.repeat(np.eye(10), 200, axis=0)
    assert inception_score(by_class, shuffle=False).mean == pytest.approx(1)
    first = inception_score(by_class, random_state=0)
    assert first.mean > 9
    assert first.std < 0.3
    monkeypatch.setattr(skal.metrics.inception_scores, "BLOCK_BYTES", 7 * 80)
    streamed = inception_score(by_class, random_state=0)
    assert_allclose((streamed.mean, streamed.std), (first.mean, first.std))


def test_refusals_of_the_inception_score(judge):
    with pytest.raises(ValueError, match="9 rows cannot make n_splits=10"):
        inception_score(X[:9], judge)
    with pytest.raises(ValueError, match="n_splits=0 was given"):
        inception_score(X, judge, n_splits=0)
    with pytest.raises(ValueError, match="at least two classes"):
        inception_score(np.ones((20, 1)))
    with pytest.raises(ValueError, match=r"shape \(5, 10\) .* came back for 20 rows"):
        inception_score(X[:20], lambda block: judge.predict_proba(block)[:5])
    for wrong in (np.full((20, 3), 0.5), np.tile([1.5, -0.5], (20, 1)), np.full((20, 2), np.nan)):
        with pytest.raises(ValueError, match="give class probabilities"):
            inception_score(wrong)
    with pytest.raises(TypeError, match="predict_proba"):
        inception_score(X, "judge")
    with pytest.raises(TypeError, match=r"rows such as \['a'\]; give rows of numbers"):
        inception_score([["a"]])
    with pytest.raises(NotFittedError):
        inception_score(X, LogisticRegression())
