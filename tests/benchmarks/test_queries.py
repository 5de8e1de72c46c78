"""Whole queries of a learner, beside what they cannot do without and beside scikit-activeml."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.strategies import BADGE, CoreSet, KMedian, RandomSampling, RandomSubset, UncertaintySampling

from .timing import in_turns, report

N_ROWS, N_LABELED, N_QUERIES = 60_000, 1_000, 100


@pytest.fixture(scope="module", params=[np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def pool(request, mnist):
    images, labels = mnist
    X = (images.reshape(N_ROWS, -1) / 255).astype(request.param)
    y = labels.astype(np.int64)
    y[N_LABELED:] = -1
    return X, y


def test_margin(benchmark, pool):
    """60,000 x 784 rows and a fitted logistic regression: the query and `predict_proba` alone."""
    X, y = pool
    learner = ActiveLearner(
        LogisticRegression(max_iter=50, tol=0.1), UncertaintySampling(), n_queries=N_QUERIES
    )
    learner.fit(X, y)
    contestants = {
        "predict_proba alone": lambda: learner.estimator_.predict_proba(X),
        "learner.query(X)": lambda: learner.query(X),
    }
    try:
        from skactiveml.classifier import SklearnClassifier
        from skactiveml.pool import UncertaintySampling as Peer
    except ImportError:
        pass
    else:
        classifier = SklearnClassifier(learner.estimator_, classes=np.arange(10), missing_label=-1)
        classifier.fit(X[:N_LABELED], y[:N_LABELED])
        peer = Peer(method="margin_sampling", missing_label=-1, random_state=0)
        contestants["scikit-activeml"] = lambda: peer.query(
            X, y, classifier, fit_clf=False, batch_size=N_QUERIES
        )
    try:
        from modAL.uncertainty import margin_sampling
    except ImportError:
        pass
    else:
        contestants["modAL"] = lambda: margin_sampling(learner.estimator_, X, n_instances=N_QUERIES)
    report(benchmark, f"margin, {X.dtype}", in_turns(contestants, rounds=25))
    benchmark.pedantic(lambda: learner.query(X), rounds=5)


@pytest.mark.parametrize(
    "strategy",
    [RandomSampling(), RandomSubset(1_000), UncertaintySampling(), CoreSet(), BADGE(), KMedian()],
    ids=lambda strategy: type(strategy).__name__,
)
def test_every_strategy(benchmark, strategy, mnist):
    """60,000 x 50 rows, 1,000 labelled, 100 queries: the first query and the next one."""
    from sklearn.decomposition import PCA

    images, labels = mnist
    X = PCA(50, random_state=0).fit_transform(images.reshape(N_ROWS, -1) / np.float32(255))
    y = labels.astype(np.int64)
    y[N_LABELED:] = -1
    learner = ActiveLearner(
        LogisticRegression(max_iter=100), strategy, n_queries=N_QUERIES, random_state=0
    ).fit(X, y)
    learner.query(X)
    benchmark.pedantic(lambda: learner.query(X), rounds=5)
