"""The main job on real data: MNIST, where SKAL_DATA has it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner, SimulatedLearner, simulate
from skal.strategies import RandomSampling, UncertaintySampling


@pytest.fixture(scope="module")
def digits(mnist):
    """The digits 5 and 7, as two-class experiments use them: 8,000 rows for the pool, the rest for validation."""
    images, labels = mnist
    chosen = np.isin(labels, (5, 7))
    X, y = (images[chosen].reshape(-1, 784) / 255).astype(np.float32), labels[chosen].astype(int)
    return X[:8000], y[:8000], X[8000:], y[8000:]


def test_margin_needs_fewer_labels_than_random(digits):
    X, y, X_val, y_val = digits
    learners = [
        SimulatedLearner(LogisticRegression(max_iter=300), strategy, n_initial=20, n_queries=20, budget=200)
        for strategy in (RandomSampling(), UncertaintySampling())
    ]
    histories = simulate(learners, X, y, X_val=X_val, y_val=y_val, n_repeats=3, random_state=0)
    random, margin = histories["RandomSampling"], histories["UncertaintySampling"]
    assert margin["score"][:, -1].mean() > random["score"][:, -1].mean() + 0.003
    # The rows that are queried are those in doubt.
    assert np.nanmean(margin["query_entropy"]) > 2 * np.nanmean(random["query_entropy"])


def test_a_memory_map_is_queried_where_it_lies(digits, tmp_path):
    X, y = digits[:2]
    partial = np.where(np.arange(len(y)) < 50, y, -1)
    np.save(tmp_path / "pool.npy", X)
    pool = np.load(tmp_path / "pool.npy", mmap_mode="r")
    learners = [
        ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=20, random_state=0).fit(
            rows, partial
        )
        for rows in (X, pool)
    ]
    assert learners[1].X_ is pool
    assert_array_equal(learners[0].query(), learners[1].query(pool))
