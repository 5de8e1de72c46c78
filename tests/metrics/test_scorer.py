"""A scorer measures what the functions measure."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skal.metrics.scorer
from skal.metrics import (
    FeatureStatistics,
    GenerationScorer,
    frechet_distance,
    gan_test_score,
    inception_score,
)

from .conftest import Normal, X, Y


def test_scorer_measures_what_the_functions_measure(judge, monkeypatch):
    monkeypatch.setattr(skal.metrics.scorer, "_BLOCK_ROWS", 128)
    asked = []

    class Recorded(Normal):
        def sample(self, y, random_state=None):
            rows = super().sample(y, random_state)
            asked.append((rows, y))
            return rows

    generator = Recorded().fit(X, Y)
    reference = FeatureStatistics(judge).update(X)
    scorer = GenerationScorer(reference, classifier=judge, n_samples=505, n_splits=1, random_state=3)
    scores = scorer(generator, X, Y)
    rows, labels = map(np.concatenate, zip(*asked, strict=True))
    assert [len(y) for _, y in asked] == [128, 128, 128, 121]
    assert len(np.unique(rows, axis=0)) == 505
    assert set(np.bincount(labels)) == {50, 51}
    expected = {
        "accuracy": generator.score(X, Y),
        "classifier_frechet_distance": frechet_distance(X, rows, judge).distance,
        "classifier_inception_score": inception_score(rows, judge, n_splits=1).mean,
        "gan_test_accuracy": gan_test_score(judge, rows, labels).accuracy,
    }
    assert list(scores) == list(expected)
    assert_allclose([scores[name] for name in expected], list(expected.values()), rtol=1e-6)
    again = scorer(generator)
    assert again == {name: scores[name] for name in list(scores)[1:]}
    assert deepcopy(scorer) is scorer
    assert pickle.loads(pickle.dumps(scorer))(generator) == again
    other = GenerationScorer(judge=lambda rows: np.tile([0.5, 0.5], (len(rows), 1)), n_samples=20)
    assert other(generator) == {"inception_score": pytest.approx(1)}


def test_refusals_of_the_scorer(judge):
    with pytest.raises(ValueError, match="Nothing to measure by"):
        GenerationScorer()
    with pytest.raises(TypeError, match="FeatureStatistics"):
        GenerationScorer(X)
    with pytest.raises(ValueError, match="at least 2"):
        GenerationScorer(FeatureStatistics())
    with pytest.raises(TypeError, match="not fitted"):
        GenerationScorer(classifier=clone(judge))
    with pytest.raises(ValueError, match="cannot make n_splits=10"):
        GenerationScorer(classifier=judge, n_samples=9)
    with pytest.raises(ValueError, match="n_samples=1 "):
        GenerationScorer(FeatureStatistics().update(X), n_samples=1)
    scorer = GenerationScorer(classifier=judge, n_samples=20, n_splits=1)
    with pytest.raises(TypeError, match="Pipeline has no sample"):
        scorer(make_pipeline(StandardScaler(), Normal()).fit(X, Y))
    with pytest.raises(ValueError, match=r"\[11\] are unknown"):
        scorer(Normal().fit(X, Y + 2 * (Y == 9)))
    generator = Normal().fit(X, Y)
    generator.sample = lambda y, random_state: X[:3]
    with pytest.raises(ValueError, match="given 20 labels and made 3 rows"):
        scorer(generator)
