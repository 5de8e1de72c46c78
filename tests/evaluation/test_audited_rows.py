"""Audits of a pool that has grown, and of rows that somebody drew himself."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.naive_bayes import GaussianNB

from skal import UNLABELED, ActiveLearner, RowState
from skal.evaluation import Risk, audit_report, lure_weights
from skal.evaluation.intervals import weighted_interval
from skal.strategies import RandomSampling
from tests.learner.common import TRUTH, X, Y


class Right(ClassifierMixin, BaseEstimator):
    """Of the second column; the first is for training."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return X[:, 1].astype(int)


def grown(n_first, n_later, n_old, n_new, seed=0, how="uniform"):
    """A pool of easy rows, to which hard ones come between two draws of an audit; and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=n_old + n_new)
    is_right = rng.random(n_old + n_new) < np.where(np.arange(n_old + n_new) < n_old, 0.95, 0.2)
    rows = np.column_stack([truth, np.where(is_right, truth, 1 - truth)]).astype(float)
    y = np.full(len(truth), UNLABELED)
    y[:2] = truth[:2] = 0, 1
    learner = ActiveLearner(Right(), RandomSampling(), random_state=seed).fit(rows[:n_old], y[:n_old])
    for n, pool in ((n_first, rows[:n_old]), (n_later, rows)):
        if len(pool) > len(learner.X_):
            learner.grow(pool)
        if n:
            drawn = learner.audit(n, how=how)
            learner.teach(drawn, truth[drawn], audit=True)
    return learner, truth


def test_parts_of_a_pool_that_grew_count_by_their_sizes():
    learner, truth = grown(60, 60, 400, 600)
    sample = learner.audit_sample_
    assert sample["n_rows"].tolist() == [400] * 60 + [1000] * 60
    rows = np.sort(sample["row"])
    is_right = learner.predict(learner.X_[rows]) == truth[rows]
    is_new = rows >= 400
    assert 20 < is_new.sum() < 60
    expected = (400 * is_right[~is_new].mean() + 600 * is_right[is_new].mean()) / 1000
    report = audit_report(learner)
    assert report.score == pytest.approx(expected)
    assert (report.n_population, report.n_unseen, report.n_labeled) == (1000, 0, 120)
    variance = 0.0
    for part, share in ((~is_new, 0.4), (is_new, 0.6)):  # half a row more is right, and half a row wrong
        smoothed = (is_right[part].sum() + 0.5) / (part.sum() + 1)
        variance += share**2 * smoothed * (1 - smoothed) / part.sum()
    effective_n = 1 / (0.4**2 / (~is_new).sum() + 0.6**2 / is_new.sum())
    assert (report.low, report.high) == pytest.approx(
        weighted_interval(Risk(expected, variance), 120, effective_n)
    )
    taken = np.setdiff1d(np.arange(2, 1000), rows)[:500]
    learner.teach(taken, truth[taken])
    later = audit_report(learner)
    assert (later.score, later.n_population) == (report.score, 1000), (
        "what is trained on later changes nothing"
    )
    weights = np.where(is_new, 600 / is_new.sum(), 400 / (~is_new).sum())
    macro = audit_report(learner, scoring="f1_macro")
    score = f1_score(truth[rows], learner.predict(learner.X_[rows]), average="macro", sample_weight=weights)
    assert macro.score == pytest.approx(score)
    assert macro.low < score < macro.high
    skipped = sample["row"][sample["row"] >= 400][:3]
    learner.forget(skipped).skip(skipped)
    kept = np.setdiff1d(rows, skipped)
    is_right, is_new = learner.predict(learner.X_[kept]) == truth[kept], kept >= 400
    n_labelable = 600 * is_new.sum() / (is_new.sum() + 3)
    expected = (400 * is_right[~is_new].mean() + n_labelable * is_right[is_new].mean()) / (400 + n_labelable)
    assert audit_report(learner).score == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(10))
def test_a_pool_that_grew_and_is_all_right_has_an_interval(seed):
    """In some the shares of the parts add up to a little less than one."""
    rng = np.random.default_rng(seed)
    truth = np.arange(250) % 2
    pool, y = np.column_stack([truth, truth]).astype(float), np.where(np.arange(250) < 2, truth, UNLABELED)
    ends = 60 + np.cumsum(rng.integers(20, 60, 3))
    learner = ActiveLearner(Right(), RandomSampling(), random_state=seed).fit(pool[: ends[0]], y[: ends[0]])
    for end in ends:
        rows = learner.grow(pool[:end]).audit(20) if end > ends[0] else learner.audit(20)
        learner.teach(rows, truth[rows], audit=True)
    report = audit_report(learner)
    assert report.score == pytest.approx(1)
    assert 0.8 < report.low < 1 == report.high


def test_rows_that_are_all_wrong_leave_the_others_unknown():
    X, truth = np.repeat([-3.0, 3.0, -0.2], [40, 40, 20])[:, np.newaxis], np.repeat([0, 1], [40, 60])
    y = np.where(np.isin(np.arange(100), [0, 40]), truth, UNLABELED)
    learner = ActiveLearner(LogisticRegression(), RandomSampling(), random_state=12).fit(X, y)
    rows = learner.audit(4, how="active")
    assert (rows >= 80).all()  # of equal expected loss
    report = audit_report(learner.teach(rows, truth[rows], audit=True))
    assert report.low + 0.2 < report.score < report.high - 0.2
    rows = learner.audit(94, how="active")
    report = audit_report(learner.teach(rows, truth[rows], audit=True))
    assert report.score == pytest.approx(78 / 98)
    assert report.low == report.score == report.high, "all rows are known"


def test_rows_that_came_after_the_draws_are_told():
    learner, truth = grown(60, 0, 400, 600)
    report = audit_report(learner)
    assert (report.n_population, report.n_unseen) == (398, 600)
    assert "600 rows came after the draws and are not in the estimate; audit(n, how='uniform') draws" in str(
        report
    )
    assert audit_report(learner).score > 0.8
    rows = learner.audit(60)
    new = rows[rows >= 400]
    learner = learner.teach(new, truth[new], audit=True)
    report = audit_report(learner)
    assert (report.n_unseen, report.n_pending) == (0, 60 - len(new)), "old ones are pending, and not unseen"
    learner.skip(np.setdiff1d(np.arange(400, 1000), rows))
    assert audit_report(learner).n_unseen == 0


def test_rows_that_somebody_drew_himself_before_the_pool_grew():
    learner, truth = grown(0, 0, 400, 600)
    own = np.arange(100, 160)
    learner.teach(own, truth[own], audit=True)
    report = audit_report(learner)
    assert (report.n_labeled, report.n_unseen) == (60, 600)
    assert learner.pool_sizes_.tolist() == [400, 1000]
    more = np.arange(500, 530)
    learner.teach(more, truth[more], audit=True)
    is_right = learner.predict(learner.X_) == truth
    expected = (400 * is_right[own].mean() + 600 * is_right[more].mean()) / 1000
    assert audit_report(learner).score == pytest.approx(expected)


def test_rows_that_were_skipped_before_the_draws_have_no_weight():
    learner, truth = grown(0, 0, 400, 600)
    learner.skip(np.arange(10, 350))
    rows = learner.audit(200)
    learner.teach(rows, truth[rows], audit=True)
    is_right = learner.predict(learner.X_) == truth
    left = np.setdiff1d(np.arange(2, 1000), np.arange(10, 350))
    assert audit_report(learner).score == is_right[rows].mean()
    learner, truth = grown(0, 0, 400, 600)
    learner.skip(np.arange(10, 350))
    for start, stop in ((0, 400), (400, 1000)):
        own = left[(left >= start) & (left < stop)]
        learner.teach(own, truth[own], audit=True)
    n_old = np.count_nonzero(left < 400)
    expected = (
        60 * is_right[left[:n_old]].mean() + 600 * is_right[left[n_old:]].mean()
    ) / 660  # 2 are trained on
    assert audit_report(learner).score == pytest.approx(expected)


def test_rows_drawn_by_expected_loss_count_since_the_pool_grew():
    learner = ActiveLearner(GaussianNB(), RandomSampling(), random_state=0).fit(X[:140], Y[:140])
    rows = learner.audit(20, how="active")
    learner.teach(rows, TRUTH[rows], audit=True).grow(X)
    before = audit_report(learner)
    assert (before.n_labeled, before.n_unseen) == (20, 10)
    assert "audit(n, how='active')" in str(before)
    more = learner.audit(15, how="active")
    assert audit_report(learner).n_unseen == 10, "none of them is labelled"
    learner.teach(more, TRUTH[more], audit=True)
    report = audit_report(learner)
    sample = {name: values[20:] for name, values in learner.audit_sample_.items()}
    wrong = learner.predict(X[more]) != TRUTH[more]
    weights = lure_weights(sample["probability"], sample["n_left"])
    assert report.score == pytest.approx(1 - weights @ wrong / 15)
    assert (report.n_labeled, report.n_unseen) == (15, 0)


def test_an_old_pending_row_hides_no_draws_since_the_pool_grew():
    learner = ActiveLearner(GaussianNB(), RandomSampling(), random_state=0).fit(X[:140], Y[:140])
    old = learner.audit(5, how="active")
    learner.teach(old[1:], TRUTH[old[1:]], audit=True).grow(X)
    rows = learner.audit(10, how="active")
    learner.teach(rows, TRUTH[rows], audit=True)
    report = audit_report(learner)
    assert (report.n_labeled, report.n_pending, report.n_unseen) == (10, 1, 0)
    assert report.n_population == 150 - 14 - 5


def test_draws_for_the_present_classifier_stand_alone_once_one_is_labelled():
    learner = ActiveLearner(GaussianNB(), RandomSampling(), random_state=0).fit(X, Y)
    old = learner.audit(20, how="active")
    learner.teach(old, TRUTH[old], audit=True)
    taught = learner.query(n_queries=7)
    learner.teach(taught, TRUTH[taught])
    rows = learner.audit(10, how="active")
    before = audit_report(learner)
    assert (before.n_labeled, before.n_learned_since) == (20, 7)
    learner.teach(rows, TRUTH[rows], audit=True)
    report = audit_report(learner)
    sample = {name: values[20:] for name, values in learner.audit_sample_.items()}
    weights = lure_weights(sample["probability"], sample["n_left"])
    assert report.score == pytest.approx(1 - weights @ (learner.predict(X[rows]) != TRUTH[rows]) / 10)
    assert (report.n_labeled, report.n_learned_since) == (10, 0)
    assert report.n_population == 135 - 20 - 7
    assert report.share_taken == pytest.approx(42 / 150)
    assert "Biased" not in str(report)


@pytest.mark.parametrize("how", ["uniform", "active"])
@pytest.mark.parametrize("seed", range(15))
def test_rows_that_leave_the_audit_are_counted_once(seed, how):
    """Whatever becomes of rows, each draw is from those that are left and those drawn before that are still out."""
    rng = np.random.default_rng(seed)
    learner = ActiveLearner(GaussianNB(), RandomSampling(), random_state=seed).fit(X, Y)
    drawn_from, out = [], set()

    def draw(n):
        left = np.count_nonzero(learner.row_states_ == RowState.UNLABELED)
        rows = learner.audit(n, how=how).tolist()
        drawn_from.extend([left + len(out)] * n)
        out.update(rows)
        return rows

    def some(rows, n):
        return rng.permutation(np.asarray(rows, dtype=int))[:n]

    for _ in range(8):
        match rng.integers(5):
            case 0:
                draw(4)
            case 1:
                rows = some(learner.audit_pending_, 3)
                learner.teach(rows, TRUTH[rows], audit=True)
            case 2:  # a labelled one is to be labelled again, a pending one leaves
                rows = some([*learner.audit_, *learner.audit_pending_], 4)
                out -= set(np.intersect1d(rows, learner.audit_pending_).tolist())
                learner.forget(rows)
            case 3 if how == "uniform":
                rows = some([*learner.audit_, *learner.audit_pending_], 2)
                out -= set(rows.tolist())
                learner.teach(rows, TRUTH[rows], overwrite=True)
            case _:
                learner.skip(some(np.flatnonzero(learner.row_states_ == RowState.UNLABELED), 3))
    rows = draw(3)
    learner.teach(pending := learner.audit_pending_, TRUTH[pending], audit=True)
    report = audit_report(learner, how=how, cv=None)
    assert report.n_population == drawn_from[-1]
    assert set(rows) <= out
    share = 1 - np.mean(drawn_from) / len(X)
    assert abs(report.share_taken - share) < 0.2, "except for skipped rows, which nobody chose"
    if not (learner.record_["action"] == "skip").any():
        assert report.share_taken == pytest.approx(share)


def test_a_scorer_of_a_pool_that_grew_takes_weights():
    learner, _ = grown(60, 60, 400, 600)
    with pytest.raises(TypeError, match="takes no sample_weight; give a scorer that does"):
        audit_report(learner, scoring=lambda learner, X, y: 1.0)
    few, _ = grown(100, 4, 300, 3000)
    report = audit_report(few, scoring="f1_macro")
    assert 0 < report.score < 1
    assert np.isnan([report.low, report.high]).all(), "a handful of rows is no sample of a part"
    assert "(no interval from so few audited rows, or from so few of a part that came later), of" in str(
        report
    )


@pytest.mark.parametrize(("n_first", "n_later"), [(60, 60), (100, 25), (10, 110)])
def test_the_interval_of_a_pool_that_grew_covers_in_nine_of_ten_runs(n_first, n_later):
    covered, errors = [], []
    for seed in range(200):
        learner, truth = grown(n_first, n_later, 300, 300, seed)
        report = audit_report(learner, cv=None)
        true = np.mean(learner.predict(learner.X_) == truth)
        covered.append(report.low <= true <= report.high)
        errors.append(report.score - true)
    assert np.mean(covered) >= 0.9
    assert abs(np.mean(errors)) < 3 * np.std(errors) / np.sqrt(200)


def test_a_growth_between_draws_outlives_the_night(tmp_path):
    learner, _ = grown(60, 60, 400, 600)
    learner.save(tmp_path)
    again = ActiveLearner.load(tmp_path, learner.X_, ActiveLearner(Right(), RandomSampling(), random_state=0))
    told = [replace(audit_report(each, cv=None), naive=0.0) for each in (again, learner)]  # NaN is no NaN
    assert told[0] == told[1]
