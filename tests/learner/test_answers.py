"""What an annotator says is never lost: answers are recorded first, and the classifier is trained on them second."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.strategies import CoreSet, KMedian, RandomSampling, RandomSubset, UncertaintySampling
from tests.learner.common import TRUTH, X, Y, learner, logistic
from tests.networks import Discriminating
from tests.properties.strategies import STRATEGIES


class Failing(LogisticRegression):
    """A classifier whose training raises what the test wants."""

    raising = None

    def fit(self, X, y, sample_weight=None):
        if Failing.raising is not None:
            raise Failing.raising
        return super().fit(X, y, sample_weight)


@pytest.fixture
def failing(monkeypatch):
    def fail_with(error):
        monkeypatch.setattr(Failing, "raising", error)

    fail_with(None)
    return learner(estimator=Failing(tol=0.1)).fit(X, Y), fail_with


@pytest.mark.parametrize("error", [RuntimeError("singular"), KeyboardInterrupt(), MemoryError()], ids=repr)
@pytest.mark.parametrize("verb", ["teach", "forget", "extend"])
def test_a_refit_that_fails_loses_no_answer(failing, error, verb):
    fitted, fail_with = failing
    before = fitted.estimator_
    fail_with(error)
    answers = {"teach": ([3, 61], TRUTH[[3, 61]]), "forget": ([0],), "extend": (X[:2] + 1, [0, 1])}
    with pytest.raises(type(error)) as caught:
        getattr(fitted, verb)(*answers[verb])
    assert "The answers are recorded" in caught.value.__notes__[0]
    assert "refit()" in caught.value.__notes__[0]
    assert fitted.estimator_ is before
    assert fitted._state.n_labeled == (Y >= 0).sum() + {"teach": 2, "forget": -1, "extend": 2}[verb]
    fitted.query()
    fail_with(None)
    assert fitted.refit().estimator_ is not before
    twin = learner(estimator=logistic()).fit(X, fitted.y_)
    if verb == "extend":
        twin.extend(X[:2] + 1, [0, 1])
    assert_array_equal(fitted.predict_proba(X), twin.predict_proba(X))


def test_the_same_answer_again_trains_what_was_not_trained(failing):
    fitted, fail_with = failing
    before = fitted.estimator_
    fail_with(ValueError("singular"))
    with pytest.raises(ValueError, match="singular"):
        fitted.teach([3, 61], TRUTH[[3, 61]])
    with pytest.raises(ValueError, match="singular"):
        fitted.teach([3, 61], TRUTH[[3, 61]])
    fail_with(None)
    trained = fitted.teach([3, 61], TRUTH[[3, 61]]).estimator_
    assert trained is not before
    assert fitted.teach([3], TRUTH[[3]]).estimator_ is trained
    assert fitted.undo().estimator_ is trained
    fitted.forget([3, 61])
    assert_array_equal(fitted.y_, Y)


def test_labels_can_be_recorded_without_training():
    fitted = learner().fit(X, Y)
    before = fitted.estimator_
    fitted.teach([3, 61], TRUTH[[3, 61]], refit=False)
    assert fitted.estimator_ is before
    assert not np.isin([3, 61], fitted.query(n_queries=100)).any()
    assert_array_equal(
        fitted.refit().predict_proba(X), learner().fit(X, Y).teach([3, 61], TRUTH[[3, 61]]).predict_proba(X)
    )


def test_nothing_is_nothing():
    fitted = learner().fit(X, Y)
    state = fitted._state
    fitted.teach([], [])
    fitted.forget([])
    assert fitted._state is state


def test_a_typo_is_corrected_and_the_same_answer_is_no_error():
    fitted = learner().fit(X, Y).teach([3, 61], [1, 1])
    state = fitted._state
    assert fitted.teach([3], [1])._state.labels is state.labels
    state = fitted._state
    with pytest.raises(
        ValueError, match=r"rows \[3\] are labelled already, as \[1\]. overwrite=True corrects"
    ):
        fitted.teach([3, 5], [0, 0])
    assert fitted._state is state
    fitted.teach([3, 5], [0, 0], overwrite=True)
    expected = Y.copy()
    expected[[3, 5, 61]] = 0, 0, 1
    assert_array_equal(fitted.y_, expected)
    assert_array_equal(fitted.predict_proba(X), learner().fit(X, expected).predict_proba(X))


def test_labels_are_withdrawn():
    fitted = learner().fit(X, Y).teach([3, 61], TRUTH[[3, 61]])
    assert_array_equal(fitted.forget([61, 3]).y_, Y)
    assert_array_equal(fitted.predict_proba(X), learner().fit(X, Y).predict_proba(X))
    with pytest.raises(ValueError, match=r"rows \[3\] have no label to forget"):
        fitted.forget([0, 3])
    everything = np.flatnonzero(Y >= 0)
    with pytest.raises(AttributeError):
        fitted.forget(everything).estimator_  # noqa: B018
    assert (fitted.y_ == -1).all()


def test_the_last_step_is_taken_back_with_its_classifier():
    fitted = learner().fit(X, Y)
    with pytest.raises(ValueError, match="no answer to take back"):
        fitted.undo()
    for step in (
        lambda: fitted.teach([3], [2]),
        lambda: fitted.forget([0]),
        lambda: fitted.skip([4]),
        lambda: fitted.extend(X[:1] + 1, [0]),
    ):
        before, asked = fitted.estimator_, fitted.query(n_queries=9)
        step()
        fitted.undo()
        assert fitted.estimator_ is before
        assert_array_equal(fitted.y_, Y)
        assert_array_equal(fitted.query(n_queries=9), asked)
        with pytest.raises(ValueError, match="only the last one can be, and once"):
            fitted.undo()


def test_skipping():
    fitted = learner().fit(X, Y).skip([3, 61]).skip([3])
    assert_array_equal(fitted.skipped_, [3, 61])
    assert_array_equal(fitted.y_, Y)
    with pytest.raises(ValueError, match=r"rows \[0\] are labelled; forget"):
        fitted.skip([5, 0])
    with pytest.raises(ValueError, match=r"rows \[5\] are not skipped"):
        fitted.unskip([3, 5])
    assert_array_equal(fitted.skipped_, [3, 61])
    assert_array_equal(fitted.unskip([3]).skipped_, [61])
    state = fitted._state
    assert fitted.skip([61]).skip([]).unskip([])._state.skipped is state.skipped
    assert_array_equal(fitted.teach([61], [1]).skipped_, [])
    assert fitted.y_[61] == 1


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_what_is_skipped_pending_or_excluded_is_not_offered(strategy):
    """Ten rounds in which four of ten answers are skipped, on a pool that is offered whole at the end."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(150, 100, replace=False))
    y = np.where(np.isin(np.arange(100), [0, 40, 80]), TRUTH[rows], -1)
    classifier = Discriminating(tol=0.1)
    fitted = ActiveLearner(classifier, clone(strategy), n_queries=6, random_state=0).fit(X[rows], y)
    skipped, labeled = [], [0, 40, 80]
    for _ in range(10):
        asked = fitted.query()
        again = fitted.query(n_queries=3, pending=asked[:4], exclude=asked[4:])
        assert not np.isin(np.r_[asked, again], skipped + labeled).any()
        assert not np.isin(again, asked).any()
        fitted.skip(asked[:2])
        fitted.teach(asked[2:], TRUTH[rows][asked[2:]])
        skipped.extend(asked[:2])
        labeled.extend(asked[2:])
    with pytest.warns(UserWarning, match="were asked for"):
        left = fitted.query(n_queries=100)
    assert_array_equal(np.sort(left), np.setdiff1d(np.arange(100), skipped + labeled))
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).query(), fitted.query())


@pytest.mark.parametrize("name", ["pending", "exclude"])
def test_bad_positions_are_refused(name):
    fitted = learner().fit(X, Y)
    with pytest.raises(ValueError, match=r"rows \[150\] are out of range"):
        fitted.query(**{name: [150]})
    with pytest.raises(ValueError, match="1-D array of integer positions"):
        fitted.query(**{name: [True]})


def test_positions_of_another_pool_are_those_of_that_pool():
    fitted = ActiveLearner(LogisticRegression(tol=0.1), UncertaintySampling(), n_queries=3).fit(X, Y)
    other = X[:30] + 1
    first = fitted.query(other)
    assert_array_equal(fitted.skip([3]).query(other), first)
    assert not np.isin(fitted.query(other, pending=first[:1], exclude=first[1:]), first).any()


@pytest.mark.parametrize("strategy", [CoreSet("input"), RandomSampling()], ids=str)
def test_before_any_label(strategy):
    fitted = ActiveLearner(LogisticRegression(), strategy, n_queries=4, random_state=0).fit(
        X, np.full(150, -1)
    )
    first = fitted.query()
    assert not np.isin(fitted.query(pending=first), first).any()
    assert not np.isin(fitted.skip(first).query(), first).any()


# Few rows of the pool are embedded alone, most of them all together.
@pytest.mark.parametrize("n_rows", [60, 400])
@pytest.mark.parametrize("n_labels", [0, 20])
def test_half_a_batch_of_core_set_is_pending(n_labels, n_rows):
    pool = np.random.default_rng(0).normal(size=(400, 3))
    y = np.where(np.arange(400) < n_labels, (pool[:, 0] > 0).astype(int), -1)
    fitted = ActiveLearner(LogisticRegression(), CoreSet("input"), n_queries=10, random_state=0).fit(pool, y)
    exclude = np.arange(n_rows, 400)
    both = fitted.query(n_queries=20, exclude=exclude)
    for _ in range(2):
        assert_array_equal(fitted.query(exclude=exclude), both[:10])
        assert_array_equal(fitted.query(pending=both[:10], exclude=exclude), both[10:])
    assert_array_equal(fitted.skip(both[:10]).query(exclude=exclude), both[10:])


@pytest.mark.parametrize(
    "strategy", [CoreSet("input"), KMedian("input"), RandomSubset(90, CoreSet("input"))], ids=str
)
def test_a_batch_keeps_away_from_what_is_pending(strategy):
    """Of four clusters, three have a pending row: the next row is of the fourth."""
    rng = np.random.default_rng(0)
    pool = np.repeat([[9.0, 0.0], [0.0, 9.0], [-9.0, 0.0], [0.0, -9.0]], 24, axis=0)
    pool += 0.01 * rng.normal(size=pool.shape)
    y = np.full(96, -1)
    y[:2] = 0, 1
    fitted = ActiveLearner(LogisticRegression(C=1e-6), strategy, random_state=0).fit(pool, y)
    for missing in (1, 2, 3):
        others = [first for first in (2, 24, 48, 72) if first // 24 != missing]
        (row,) = fitted.query(pending=others)
        assert row // 24 == missing


class Interrupting:
    """An augmentation during which somebody presses Ctrl-C, once there are more than so many labels."""

    def __init__(self, n_labels):
        self.n_labels = n_labels

    def __call__(self, rows):
        if len(rows) > self.n_labels:
            raise KeyboardInterrupt
        return rows


def test_an_interrupted_network_keeps_what_it_learned_and_says_so():
    network = NetClassifier(augment=Interrupting(0), random_state=0)
    with pytest.raises(KeyboardInterrupt):
        network.fit(X, TRUTH)
    assert network.predict(X).shape == (150,)

    class Stop(Callback):
        def on_epoch_end(self, net, **_):
            raise KeyboardInterrupt

    assert len(NetClassifier(callbacks=[Stop()]).fit(X, TRUTH).net_.history) == 1


def test_an_interrupted_network_does_not_replace_the_one_before():
    n_labels = int((Y >= 0).sum())
    fitted = learner(estimator=NetClassifier(augment=Interrupting(n_labels), max_epochs=2)).fit(X, Y)
    before = fitted.estimator_
    with pytest.raises(KeyboardInterrupt) as caught:
        fitted.teach([3, 61], TRUTH[[3, 61]])
    assert "The answers are recorded" in caught.value.__notes__[0]
    assert fitted.estimator_ is before
    assert_array_equal(fitted.y_[[3, 61]], TRUTH[[3, 61]])


@pytest.mark.parametrize(
    "classifier", [logistic(), NetClassifier(max_epochs=1)], ids=lambda each: type(each).__name__
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sample_that_the_classifier_refuses_is_not_recorded(classifier, value):
    fitted = learner(estimator=classifier).fit(X, Y)
    state = fitted._state
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        fitted.extend(np.full((1, 4), value), [1])
    assert fitted._state is state


class Keep(Callback):
    kept = b""

    def on_epoch_end(self, net, **_):
        Keep.kept = pickle.dumps(net)


def test_nets_pickle_in_training():
    NetClassifier(max_epochs=1, callbacks=[Keep()]).fit(X, TRUTH)
    assert pickle.loads(Keep.kept).history
