"""What a learner knows: swapped whole, and what a strategy is told of it."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from skal import ActiveLearner
from skal.pool import as_pool
from skal.strategies import CoreSet, QueryStrategy, RandomSampling
from tests.learner.common import TRUTH, X, Y, learner

KNOWN = np.flatnonzero(Y >= 0)
NAMES = np.array(["setosa", "versicolor", "virginica"], dtype=object)


class Listening(QueryStrategy):
    """Takes the first candidates, and keeps what it was asked in the report."""

    def _query(self, query):
        query.report.update(query=query)
        return query.candidates.rows[: query.n_queries]


def asked(fitted, *args):
    fitted.query(*args)
    return fitted.strategy_.query_report_["query"]


def test_a_query_holds_what_the_learner_knows():
    fitted = learner(strategy=Listening()).fit(X, Y)
    query = asked(fitted)
    assert query.pool.X is X
    assert_array_equal(query.labels.codes, Y)
    assert_array_equal(query.labels.classes, [0, 1, 2])
    assert_array_equal(query.labels.rows, KNOWN)
    assert_array_equal(query.labeled, Y >= 0)
    assert_array_equal(query.candidates.rows, np.setdiff1d(np.arange(150), KNOWN))
    assert query.estimator is fitted.estimator_
    assert (query.n_queries, len(query.pending), query.outside) == (5, 0, ())


def test_the_training_set_is_what_the_classifier_was_fitted_on():
    weight = np.linspace(1, 2, 150)
    fitted = learner(strategy=Listening()).fit(X, Y, sample_weight=weight)
    fitted.teach([1, 2], TRUTH[[1, 2]]).extend(X[:2] + 0.5, [0, 0], sample_weight=[7.0, 8.0])
    rows = np.union1d(KNOWN, [1, 2])
    training = asked(fitted).training()
    assert_array_equal(training.X, np.vstack([X[rows], X[:2] + 0.5]))
    assert_array_equal(training.y, np.append(TRUTH[rows], [0, 0]))
    assert_array_equal(training.params["sample_weight"], np.append(weight[rows], [7.0, 8.0]))
    again = LogisticRegression(tol=0.1).fit(training.X, training.y, **training.params)
    assert_array_equal(again.coef_, fitted.estimator_.coef_)


def test_extensions_add_up():
    fitted = learner(strategy=Listening()).fit(X, Y).extend(X[:1] + 1, [0]).extend(X[:2] + 2, [1, 2])
    assert_array_equal(np.vstack([each.pool.X for each in asked(fitted).outside]), [*X[:1] + 1, *X[:2] + 2])
    assert_array_equal(asked(fitted).training().y[-3:], [0, 1, 2])


def test_the_training_set_of_a_semi_supervised_classifier_has_all_rows():
    classifier = SelfTrainingClassifier(LogisticRegression(tol=0.1))
    training = asked(learner(estimator=classifier, strategy=Listening()).fit(X, Y)).training()
    assert training.X is X
    assert_array_equal(training.y, Y)
    names = np.where(Y < 0, None, NAMES[Y])
    training = asked(learner(estimator=classifier, strategy=Listening()).fit(X, names)).training()
    assert_array_equal(training.y, np.where(Y < 0, -1, names))


def test_the_training_set_of_before_a_pool_grew_has_no_copy_of_it():
    state = learner().fit(X[:120], Y[:120], sample_weight=np.arange(120.0))._state
    grown = replace(state, pool=as_pool(X))
    training = grown.training_set(with_unlabeled=True)
    assert np.shares_memory(training.X, X)
    assert_array_equal(training.X, X[:120])
    training = grown.training_set(with_unlabeled=False)
    assert_array_equal(training.X, X[KNOWN[KNOWN < 120]])
    assert_array_equal(training.params["sample_weight"], KNOWN[KNOWN < 120])


@pytest.mark.parametrize("names", [None, NAMES], ids=["numbers", "strings"])
def test_labelled_rows_outside_the_pool_are_told(names):
    def named(codes):
        return codes if names is None else names[codes]

    two = np.where(Y == 1, -1, Y)  # the middle class comes with the extension alone
    y = two if names is None else np.where(two < 0, None, names[two])
    fitted = learner(strategy=Listening()).fit(X, y)
    fitted.extend(X[[0, 60]] + 1, named(np.array([0, 1])))
    query = asked(fitted)
    assert_array_equal(query.labels.classes, named(np.arange(3)))
    assert_array_equal(query.labels.codes, two)
    ((pool, rows, codes),) = query.outside
    assert_array_equal(pool.take(rows), X[[0, 60]] + 1)
    assert_array_equal(codes, [0, 1])
    other = asked(fitted, X + 5)
    assert_array_equal(other.pool.X, X + 5)
    assert_array_equal(other.candidates.rows, np.arange(150))
    assert_array_equal(other.labels.codes, np.full(150, -1))
    assert_array_equal(other.labels.classes, query.labels.classes)
    pool, rows, codes = other.outside[1]
    assert pool is query.pool
    assert_array_equal(rows, np.flatnonzero(two >= 0))
    assert_array_equal(codes, two[rows])
    assert fitted.classes_.tolist() == named(np.arange(3)).tolist()


def test_no_classifier_guides_a_strategy_until_two_classes_are_known():
    fitted = learner(strategy=Listening()).fit(X, np.where(np.arange(150) < 3, 1, -1))
    assert asked(fitted).estimator is None
    assert_array_equal(fitted.predict(X), np.ones(150))
    assert asked(fitted.extend(X[:1], [0])).estimator is fitted.estimator_


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_a_refit_that_fails_the_old_classifier_guides(error):
    class Failing(LogisticRegression):
        def fit(self, X, y):
            if len(y) > len(KNOWN):
                raise error("no")
            return super().fit(X, y)

    fitted = learner(estimator=Failing(tol=0.1)).fit(X, Y)
    before, rows = fitted.estimator_, fitted.query()
    for change in (
        lambda: fitted.teach(rows, TRUTH[rows]),
        lambda: fitted.extend(X[:1], TRUTH[:1]),
        lambda: fitted.extend(X[:1], [7]),
    ):
        with pytest.raises(error, match="no"):
            change()
        assert fitted.estimator_ is before
        assert not np.isin(fitted.query(), rows).any()
    assert_array_equal(fitted.y_[rows], TRUTH[rows])


def test_a_change_makes_a_new_state():
    fitted = learner().fit(X, Y)
    before = fitted._state
    labels = before.labels.codes.copy()
    fitted.teach([1], [0])
    assert fitted._state is not before
    assert_array_equal(before.labels.codes, labels)
    assert before.n_labeled == 15
    assert fitted._state.n_labeled == 16
    assert fitted.extend(X[:2], [0, 1])._state.n_labeled == 18
    assert fitted._state.strategy is before.strategy


def test_learner_and_strategy_share_one_pool_also_after_pickling(tmp_path):
    mapped = np.memmap(tmp_path / "pool.dat", dtype=float, mode="w+", shape=(5000, 40))
    mapped[:] = np.random.default_rng(0).normal(size=mapped.shape)
    y = np.where(np.arange(5000) < 20, mapped[:, 0] > 0, -1)
    fitted = ActiveLearner(LogisticRegression(), CoreSet("input"), n_queries=5).fit(mapped, y)
    rows = fitted.query()
    data = pickle.dumps(fitted)
    assert len(data) < mapped.nbytes / 10
    copy = pickle.loads(data)
    assert copy.strategy_._pool is copy._state.pool
    assert_array_equal(copy.query(), rows)
    assert_array_equal(copy.query(mapped), rows)


def test_unfitted_learners_have_no_attributes_of_fitted_ones():
    fresh = learner(strategy=RandomSampling())
    for name in ("X_", "y_", "strategy_", "estimator_"):
        with pytest.raises(AttributeError, match="ActiveLearner has no"):
            getattr(fresh, name)
    assert not hasattr(fresh.fit(X, np.full(150, -1)), "estimator_")
