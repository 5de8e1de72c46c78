"""The GAN-test against a classifier's own hits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.naive_bayes import GaussianNB

from skal.metrics import gan_test_score

from .conftest import FAKES, X, Y


def test_gan_test(judge):
    result = gan_test_score(judge, FAKES, Y[::-1])
    hits = judge.predict(FAKES) == Y[::-1]
    assert 0 < result.accuracy < 1
    assert_allclose(float(result), hits.mean())
    assert_array_equal(result.classes, np.arange(10))
    assert_allclose(result.class_accuracy, [hits[Y[::-1] == k].mean() for k in range(10)])
    assert_array_equal(result.class_counts, np.bincount(Y))
    assert result.n_samples == len(Y)
    names = np.array([f"digit {k}" for k in range(10)])
    named = GaussianNB().fit(X, names[Y])
    ones = gan_test_score(named, FAKES[Y[::-1] == 1], ["digit 1"] * (Y == 1).sum())
    assert ones.classes.tolist() == ["digit 1"]
    with pytest.raises(ValueError, match=r"\['digit 10'\] are unknown"):
        gan_test_score(named, FAKES[:2], ["digit 1", "digit 10"])
    with pytest.raises(ValueError, match="one label per row"):
        gan_test_score(judge, FAKES, Y[:-1])
    with pytest.raises(ValueError, match="unlabelled"):
        gan_test_score(judge, FAKES, np.full(len(FAKES), -1))
    with pytest.raises(TypeError, match="no predict"):
        gan_test_score(PCA(2), FAKES, Y)
