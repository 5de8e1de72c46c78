"""A query is a pure function: several threads that ask one learner get what one thread gets.

``HYPOTHESIS_PROFILE=thorough`` asks a hundred times in each thread, and a thousand times where networks once kept
what they had recorded in a shared place.
"""

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from torch import nn

from skal import ActiveLearner
from skal.classifiers import LinearClassifier, NetClassifier
from skal.strategies import (
    ADBA,
    ALCG,
    ASAL,
    BADGE,
    BALD,
    DGAL,
    GAAL,
    SEALS,
    VAAL,
    WAAL,
    CoreSet,
    DeepFool,
    KMedian,
    LearningLoss,
    RandomSampling,
    RandomSubset,
    SynthesisStrategy,
    UncertaintySampling,
)
from tests import THOROUGH
from tests.networks import (
    generator_states,
    tiny_acgan,
    tiny_gan,
    tiny_learning_loss,
    tiny_vaal,
    tiny_wasserstein,
)

N_ROWS = 2000 if THOROUGH else 500
X = np.random.default_rng(0).normal(size=(N_ROWS, 6)).astype(np.float32)
TRUTH = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int)
Y = np.where(np.arange(N_ROWS) < 40, TRUTH, -1)

N_THREADS = 8


class Module(nn.Module):
    """What users of skorch write."""

    def __init__(self):
        super().__init__()
        self.hidden, self.dropout, self.out = nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 2)

    def forward(self, X):
        return self.out(self.dropout(self.hidden(X).relu()))


def net():
    return NetClassifier(module_params={"hidden": (8,), "dropout": 0.5}, max_epochs=2)


def raw_net():
    return NeuralNetClassifier(
        Module, max_epochs=2, train_split=None, verbose=0, criterion=nn.CrossEntropyLoss, batch_size=64
    )


CASES = [
    (RandomSampling(), net(), 100),
    (UncertaintySampling(), net(), 100),
    (UncertaintySampling("entropy"), raw_net(), 100),
    (CoreSet(), net(), 1000),
    (CoreSet(), raw_net(), 100),
    (CoreSet("input"), net(), 1000),
    (KMedian(max_iter=2), net(), 100),
    (BADGE(), net(), 1000),
    (BADGE(), raw_net(), 100),
    (RandomSubset(200, CoreSet()), net(), 100),
    (DGAL(PCA(2), n_candidates=100), net(), 100),
    (SEALS(n_neighbors=5), net(), 100),
    (SEALS(PCA(2), n_neighbors=5), net(), 100),
    (ASAL(tiny_gan(), n_steps=2), net(), 100),
    (ASAL(tiny_gan(), "classifier", n_steps=2), net(), 100),
    (ALCG(), tiny_acgan(n_iter=4), 100),
    (BADGE(), tiny_acgan(n_iter=4), 100),
    (BALD(2), net(), 100),
    (BALD(2), raw_net(), 100),
    (RandomSubset(100, DeepFool(2)), net(), 100),
    (LearningLoss(), tiny_learning_loss(max_epochs=2), 1000),
    (VAAL(), tiny_vaal(max_epochs=2), 100),
    (WAAL(), tiny_wasserstein(max_epochs=2), 1000),
    (GAAL(tiny_gan(), n_steps=2), net(), 100),
    (ADBA(), LogisticRegression(), 100),
]


CASE_NAMES = [
    f"{type(strategy).__name__}-{type(classifier).__name__}-{i}"
    for i, (strategy, classifier, _) in enumerate(CASES)
]


@pytest.mark.parametrize(("strategy", "classifier", "n_queries"), CASES, ids=CASE_NAMES)
def test_threads_get_what_one_thread_gets(strategy, classifier, n_queries):
    learner = ActiveLearner(clone(classifier), clone(strategy), n_queries=5, random_state=0).fit(X, Y)
    ask = learner.synthesize if isinstance(strategy, SynthesisStrategy) else learner.query
    expected, probabilities = ask(), learner.predict_proba(X[:100])
    report = vars(learner.strategy_).get("query_report_", {})
    n_each = n_queries if THOROUGH else max(3, n_queries // 100)
    done, start = threading.Event(), threading.Barrier(N_THREADS + 1)

    def asks():
        start.wait()
        return [ask() for _ in range(n_each)]

    def predicts():
        start.wait()
        while True:
            assert_allclose(learner.predict_proba(X[:100]), probabilities, rtol=1e-6)
            if done.is_set():
                return

    with ThreadPoolExecutor(N_THREADS + 1) as threads:
        predicting = threads.submit(predicts)
        asking = [threads.submit(asks) for _ in range(N_THREADS)]
        try:
            for each in asking:
                for answer in each.result():
                    assert_array_equal(answer, expected)
        finally:
            done.set()
        predicting.result()
    assert vars(learner.strategy_).get("query_report_", {}).keys() == report.keys()


def run(strategy, classifier, seed):
    """What a learner asks first, and once that is labelled."""
    rows = slice(400)
    learner = ActiveLearner(clone(classifier), clone(strategy), n_queries=5, random_state=seed)
    learner.fit(X[rows], Y[rows])
    if isinstance(strategy, SynthesisStrategy):
        return learner.synthesize(), learner.teach(np.arange(40, 45), TRUTH[40:45]).synthesize()
    asked = learner.query()
    return asked, learner.teach(asked, TRUTH[asked]).query()


@pytest.mark.parametrize(("strategy", "classifier", "n_queries"), CASES, ids=CASE_NAMES)
def test_learners_side_by_side_do_not_disturb_each_other(strategy, classifier, n_queries):
    """As grid search and `simulate` run them with joblib's threads; generators and filters are as before then."""
    seeds = range(16 if THOROUGH else 3)
    expected = [run(strategy, classifier, seed) for seed in seeds]
    states, filters = generator_states(), list(warnings.filters)
    with parallel_config("threading", n_jobs=4):
        answers = Parallel()(delayed(run)(strategy, classifier, seed) for seed in seeds)
    assert_array_equal(answers, expected)
    assert generator_states() == states
    assert warnings.filters == filters


def test_what_several_threads_teach_is_recorded():
    """Learners are taught and asked at once: no answer is lost, and no row is asked for that was labelled before."""
    end = time.monotonic() + (60 if THOROUGH else 2)
    while time.monotonic() < end:
        teach_in_threads(end)


def teach_in_threads(end):
    """Teach a learner until its pool is nearly empty."""
    learner = ActiveLearner(
        LinearClassifier(max_epochs=2), UncertaintySampling(), n_queries=5, random_state=0
    )
    learner.fit(X, Y)

    def labels_what_it_is_asked(seed):
        rng = np.random.default_rng(seed)
        taught = []
        while time.monotonic() < end:
            known = np.flatnonzero(learner.y_ >= 0)
            if len(known) > len(X) - 20:
                break
            asked = learner.query()
            assert len(set(asked.tolist()) - set(known.tolist())) == len(asked) == 5
            rows = rng.choice(asked, 2, replace=False)
            learner.teach(rows, TRUTH[rows])  # perhaps what a faster thread has said already
            taught.extend(rows)
        return taught

    with ThreadPoolExecutor(4) as threads:
        taught = [row for rows in threads.map(labels_what_it_is_asked, range(4)) for row in rows]
    assert taught
    expected = Y.copy()
    expected[taught] = TRUTH[taught]
    assert_array_equal(learner.y_, expected)
    assert_array_equal(
        np.sort(np.unique(taught)), np.sort(np.unique(learner.record_["row"][(Y >= 0).sum() :]))
    )


def test_a_query_beside_teach_sees_the_old_or_the_new():
    """Every answer is that of some labels, and of the classifier trained on them or on those of the round before."""
    learner = ActiveLearner(
        LinearClassifier(max_epochs=2), UncertaintySampling(), n_queries=5, random_state=0
    )
    learner.fit(X, Y)
    expected = [learner.query().tolist()]
    twin = clone(learner).fit(X, Y)
    rounds = [np.arange(40 + 20 * i, 60 + 20 * i) for i in range(15)]
    for rows in rounds:
        expected.append(twin.teach(rows, TRUTH[rows], refit=False).query().tolist())
        expected.append(twin.refit().query().tolist())
    done = threading.Event()

    def asks():
        answers = [learner.query().tolist()]
        while not done.is_set():
            answers.append(learner.query().tolist())
        return answers

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(asks) for _ in range(4)]
        try:
            for rows in rounds:
                learner.teach(rows, TRUTH[rows])
        finally:
            done.set()
        for each in asking:
            positions = [expected.index(answer) for answer in each.result()]
            assert positions == sorted(positions)


def test_warnings_of_other_threads_stay():
    """No query swaps the filters of warnings of the whole process."""
    learner = ActiveLearner(net(), CoreSet(), n_queries=5, random_state=0).fit(X, Y)
    before = list(warnings.filters)
    with ThreadPoolExecutor(N_THREADS) as threads:
        for each in [threads.submit(learner.query) for _ in range(N_THREADS)]:
            each.result()
    assert warnings.filters == before
