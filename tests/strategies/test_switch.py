"""Switch: which strategy answers, and that its answer is the one that it would give alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from skal import ActiveLearner
from skal.strategies import (
    DGAL,
    ClassBalanced,
    CoreSet,
    ProbCover,
    QueryStrategy,
    RandomSampling,
    RandomSubset,
    Switch,
    TypiClust,
    UncertaintySampling,
)

X = np.random.default_rng(0).normal(size=(90, 3))
TRUTH = (X[:, 0] > 0).astype(int)
NOBODY = np.full(90, -1)


class First(QueryStrategy):
    """The first candidates, in the order of the pool."""

    def _query(self, query):
        query.report.update(rows=query.candidates.rows)
        return query.candidates.rows[: query.n_queries]


class Last(First):
    """The last candidates, for a classifier with probabilities."""

    requires = ("predict_proba",)

    def _query(self, query):
        return query.candidates.rows[-query.n_queries :]


class Reaching(First):
    """Says that a row is reached by the rows before it, as far as `radius`."""

    tells_unreached = True
    radius = 10

    def _query(self, query):
        reached = np.concatenate([query.labels.rows, query.pending])[:, np.newaxis] + np.arange(self.radius)
        query.report.update(n_unreached=len(np.setdiff1d(query.candidates.rows, reached)))
        return super()._query(query)


class Silent(First):
    tells_unreached = True


def test_a_strategy_that_promises_a_report_has_to_make_it():
    message = r"Silent has tells_unreached=True and reported no n_unreached, by which when='covered' decides"
    with pytest.raises(RuntimeError, match=message):
        Switch(Silent(), Last(), "covered").fit(X).query(X, estimator=LogisticRegression().fit(X, TRUTH))


def learner(strategy, y=NOBODY, **params):
    return ActiveLearner(LogisticRegression(), strategy, n_queries=4, random_state=0, **params).fit(X, y)


def stage(fitted):
    return fitted.strategy_.query_report_.stage


def test_a_number_of_labels():
    fitted = learner(Switch(First(), Last(), 9))
    for n_labeled in (0, 4, 8):
        rows = fitted.query()
        assert_array_equal(rows, np.arange(n_labeled, n_labeled + 4))
        assert stage(fitted) == "first"
        assert fitted.strategy_.query_report_.rows[0] == n_labeled
        fitted.teach(rows, TRUTH[rows])
    assert_array_equal(fitted.query(), [86, 87, 88, 89])
    assert fitted.strategy_.query_report_ == {"stage": "then"}
    fitted.forget(np.arange(4))
    assert_array_equal(fitted.query(), np.arange(4))
    assert_array_equal(fitted.query(X[:30] + 1), np.arange(4))  # the labels of the other pool count
    fitted.extend(X[:1], [0])
    assert_array_equal(fitted.query(), [86, 87, 88, 89])  # and so do those of samples
    assert_array_equal(fitted.query(X[:30] + 1), [26, 27, 28, 29])
    assert not hasattr(fitted, "score_samples")


def test_until_each_class_has_a_label():
    fitted = learner(Switch(First(), Last(), "classes"), classes=[0, 1, 2])
    assert_array_equal(fitted.query(), [0, 1, 2, 3])
    fitted.teach([0, 1], [0, 1])
    assert_array_equal(fitted.query(), [2, 3, 4, 5])
    fitted.extend(X[:1], [2])  # a sample has the third
    assert_array_equal(fitted.query(), [86, 87, 88, 89])
    assert_array_equal(fitted.query(X[:30] + 1), [26, 27, 28, 29])
    fitted.forget([1])
    assert_array_equal(fitted.query(), [1, 2, 3, 4])
    nobody_said = learner(Switch(First(), Last(), "classes")).teach([0, 1], [0, 1])
    assert_array_equal(nobody_said.query(), [86, 87, 88, 89])


def test_the_default_is_fifty_typical_rows_and_then_margins():
    fitted = learner(Switch(), np.where(np.arange(90) < 49, TRUTH, -1))
    fitted.query()
    assert "n_clusters" in fitted.strategy_.query_report_
    fitted.teach([49], TRUTH[[49]])
    alone = learner(UncertaintySampling(), fitted.y_)
    assert_array_equal(fitted.query(), alone.query())


def test_without_a_second_class_the_first_strategy_goes_on():
    fitted = learner(Switch(First(), Last(), 2), np.where(np.arange(90) < 5, 1, -1))
    assert_array_equal(fitted.query(), [5, 6, 7, 8])
    assert_array_equal(fitted.teach([5], [0]).query(), [86, 87, 88, 89])
    fitted = learner(Switch(Last(), First(), 2))
    with pytest.raises(NotFittedError, match="Last needs a fitted classifier"):
        fitted.query()
    fitted.teach([5, 6], [1, 1])
    assert_array_equal(fitted.query(), [0, 1, 2, 3])  # which needs no classifier


def test_a_classifier_of_one_class_lets_the_first_strategy_go_on_outside_a_learner():
    one = GaussianNB().fit(X[:3], [0, 0, 0])
    strategy = Switch(First(), Last(), 2, random_state=0).fit(X)
    y = np.where(np.arange(90) < 5, 0, -1)
    assert_array_equal(strategy.query(X, y, 2, estimator=one), [5, 6])
    assert strategy.query_report_.stage == "first"


def test_a_subset_asks_for_a_classifier_when_the_stage_does():
    fitted = learner(RandomSubset(90, RandomSubset(90, Switch(First(), Last(), 9))))
    assert_array_equal(fitted.query(), [0, 1, 2, 3])
    assert_array_equal(fitted.query(X[:30] + 1), [0, 1, 2, 3])
    fitted.teach(np.arange(10), TRUTH[:10])
    assert_array_equal(fitted.query(), [86, 87, 88, 89])
    with pytest.raises(NotFittedError, match="Last needs a fitted classifier"):
        learner(RandomSubset(90, Switch(Last(), First(), 9))).query()
    with pytest.raises(NotFittedError, match="RandomSubset needs a fitted classifier"):
        learner(RandomSubset(90)).query()


@pytest.mark.parametrize(("when", "n_first"), [("covered", 20), (0.8, 4), (np.float32(0.8), 4), (0.5, 0)])
def test_a_share_of_rows_that_are_reached(when, n_first):
    labeled = np.arange(0, 50, 10)  # they reach 50 rows, of which 5 are no candidates
    fitted = learner(Switch(Reaching(), Last(), when), np.where(np.isin(np.arange(90), labeled), TRUTH, -1))
    for row in (50, 60, 70, 80):
        n_left = 90 - row
        goes_on = n_left > (0 if when == "covered" else (1 - when) * 90)
        fitted.query(pending=[89])
        assert stage(fitted) == ("first" if goes_on else "then")
        fitted.teach([row], TRUTH[[row]])
    fitted.query()
    assert stage(fitted) == "then"
    assert_array_equal(fitted.query(pending=[89]), [85, 86, 87, 88])
    assert fitted.strategy_.query_report_ == {"stage": "then"}


@pytest.mark.parametrize("share", [0.05 * i for i in range(1, 20)] + [0.9, 0.8, 0.6, 0.7])
def test_a_share_that_is_reached_exactly(share):
    share = round(share, 2)
    n_seen = 20
    n_labeled = round(share * n_seen)
    y = np.where(np.arange(n_seen) < n_labeled, np.arange(n_seen) % 2, -1)

    class Alone(Reaching):
        radius = 1

    for when, expected in ((share, "then"), (np.nextafter(share, 1), "first")):
        plan = ActiveLearner(LogisticRegression(), Switch(Alone(), Last(), when), random_state=0)
        fitted = plan.fit(X[:n_seen], y)
        fitted.query(n_queries=1)
        assert stage(fitted) == (expected if n_labeled > 1 else "first")


def test_pending_rows_are_reached_too():
    fitted = learner(Switch(Reaching(), Last(), 0.65), np.where(np.arange(90) < 2, np.arange(90), -1))
    fitted.query(pending=np.arange(11, 51))  # 30 of 90 rows are left
    assert stage(fitted) == "then"
    fitted.query(pending=np.arange(11, 48))
    assert stage(fitted) == "first"


@pytest.mark.parametrize(
    "first", [ProbCover("input", radius=1.5), DGAL(PCA(2), criterion=RandomSampling())], ids=str
)
def test_covering_strategies_say_when_they_are_done(first):
    fitted = learner(Switch(first, Last(), "covered"))
    stages = []
    while len(stages) < 15:
        rows = fitted.query(exclude=[3])
        stages.append(stage(fitted))
        fitted.teach(rows, TRUTH[rows])
    n_first = stages.count("first")
    assert 1 <= n_first <= 12
    assert stages == ["first"] * n_first + ["then"] * (15 - n_first)


def test_the_answer_is_the_one_that_the_strategy_gives_alone():
    classifier = LogisticRegression().fit(np.round(X), TRUTH)  # many rows have equal margins
    y = np.where(np.arange(90) < 20, TRUTH, -1)
    alone = RandomSampling(random_state=3).fit(X).query(X, y, 9)
    for when in (20, "covered", lambda query: len(query.labels.rows) == 20):
        strategy = Switch(ProbCover("input", radius=99.0), RandomSampling(), when, random_state=3).fit(X)
        assert_array_equal(strategy.query(X, y, 9, estimator=classifier), alone)


def test_a_function_of_the_query_decides():
    seen = []

    def when(query):
        seen.append(query)
        return len(query.pending) > 0

    fitted = learner(Switch(First(), First(), when), np.where(np.arange(90) < 5, TRUTH, -1))
    assert_array_equal(fitted.query(), [5, 6, 7, 8])
    assert stage(fitted) == "first"
    assert_array_equal(fitted.query(pending=[5]), [6, 7, 8, 9])
    assert stage(fitted) == "then"
    assert seen[0].estimator is fitted.estimator_


def test_both_are_prepared_for_other_and_longer_pools(tmp_path):
    strategy = Switch(ProbCover(PCA(2), radius=0.5), CoreSet(PCA(2)), 8)
    fitted = learner(strategy)
    rows = fitted.query()
    assert_array_equal(fitted.query(X + 1).shape, (4,))
    assert_array_equal(fitted.query(), rows)
    fitted.teach(rows, TRUTH[rows]).save(tmp_path)
    loaded = ActiveLearner.load(tmp_path, X, ActiveLearner(**fitted.get_params(deep=False)))
    assert_array_equal(loaded.query(), fitted.query())
    fitted.grow(np.concatenate([X, X + 50]))
    assert fitted.query(n_queries=50).max() >= 90
    rows = np.arange(20)
    fitted.teach(rows, TRUTH[rows], overwrite=True)
    assert fitted.query(n_queries=9).max() >= 90
    assert stage(fitted) == "then"


def test_a_criterion_of_another_strategy():
    fitted = learner(ClassBalanced(Switch(First(), Last(), 9)), np.where(np.arange(90) < 9, TRUTH, -1))
    assert fitted.query().max() == 89


def test_refusals_before_any_training():
    with pytest.raises(TypeError, match="predict_proba and LinearSVC has none"):
        ActiveLearner(LinearSVC(), Switch(First(), Last())).fit(X, NOBODY)
    for when in (0.5, "covered"):
        with pytest.raises(ValueError, match="CoreSet does not report which rows it has not reached"):
            learner(Switch(CoreSet("input"), when=when))
    for when in (0, 1.5, "later", None):
        with pytest.raises(ValueError, match="'when' parameter of Switch"):
            learner(Switch(when=when))
    with pytest.raises(ValueError, match="'first' parameter of Switch"):
        learner(Switch("typical"))
    with pytest.raises(ValueError, match=r"cold_start=Switch.* needs a classifier itself"):
        learner(RandomSampling(), cold_start=Switch())
    with pytest.raises(ValueError, match="NaN"):
        ActiveLearner(LogisticRegression(), Switch(TypiClust("input"))).fit(
            np.where(X > 2, np.nan, X), NOBODY
        )
