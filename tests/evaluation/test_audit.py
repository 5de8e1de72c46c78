"""The report of an audit, against what the rows themselves say."""

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn import metrics
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.metrics import balanced_accuracy_score, f1_score, fbeta_score, make_scorer
from sklearn.naive_bayes import GaussianNB
from sklearn.semi_supervised import SelfTrainingClassifier

from skal import UNLABELED, ActiveLearner
from skal.evaluation import Risk, audit_report, binomial_interval, lure_estimate, lure_weights
from skal.evaluation.intervals import weighted_interval
from skal.model_selection import labeled_scorer
from skal.strategies import RandomSampling, UncertaintySampling
from tests.learner.common import TRUTH, X, Y, learner

DIGITS = load_digits(return_X_y=True)
FREE = np.flatnonzero(Y < 0)


def audited(n=60, how="uniform", truth=TRUTH, **params):
    fitted = learner(**params).fit(X, Y)
    rows = fitted.audit(n, how=how)
    return fitted.teach(rows, truth[rows], audit=True), rows


def test_uniform_rows_have_the_binomial_interval():
    fitted, rows = audited()
    n_right = int((fitted.predict(X[rows]) == TRUTH[rows]).sum())
    report = audit_report(fitted)
    assert float(report) == report.score == n_right / 60
    assert (report.low, report.high) == binomial_interval(n_right, 60)
    assert report.how == "uniform"
    assert report.scoring == "accuracy"
    assert (report.n_labeled, report.n_population, report.n_own) == (60, 135, 0)
    assert report.share_taken == pytest.approx(15 / 150)
    assert audit_report(fitted, confidence=0.5).low > report.low
    fitted.teach(np.setdiff1d(FREE, rows)[:9], [2] * 9)  # wrong labels
    later = audit_report(fitted)
    assert later.n_labeled == 60
    assert later.score < report.score
    assert later.share_taken == report.share_taken, "what was drawn before training is not touched by it"


def test_counts_of_what_became_of_the_rows():
    fitted, rows = audited(20)
    fitted.skip(more := fitted.audit(6)[:2])
    fitted.teach(rows[:3], TRUTH[rows[:3]], overwrite=True).teach([], [], audit=True)
    own = np.setdiff1d(FREE, np.concatenate([rows, fitted.audit_pending_, more]))[:5]
    fitted.teach(own, TRUTH[own], audit=True)
    report = audit_report(fitted)
    counted = rows[3:]
    assert report.n_labeled == 17
    assert (report.n_pending, report.n_skipped, report.n_withdrawn, report.n_own) == (4, 2, 3, 5)
    assert report.score == (fitted.predict(X[counted]) == TRUTH[counted]).mean()
    text = str(report)
    for words in (
        "Not labelled yet: 4.",
        "Skipped, and in no estimate: 2.",
        "Withdrawn: 3.",
        "Not drawn by audit: 5.",
        "10.0 %",
    ):
        assert words in text
    assert "say" not in str(replace(report, naive=np.nan))


def test_rows_that_somebody_drew_himself_count_if_there_are_no_others():
    fitted = learner().fit(X, Y).teach(FREE[::3], TRUTH[FREE[::3]], audit=True)
    report = audit_report(fitted)
    assert report.score == (fitted.predict(X[FREE[::3]]) == TRUTH[FREE[::3]]).mean()
    assert (report.n_labeled, report.n_own) == (45, 45)
    text = str(report)
    assert (
        ", of 45 rows, none of which audit drew: the interval holds only if they were chosen at random.\n"
        in text
    )
    assert "drawn uniformly" not in text
    assert "Not drawn" not in text
    with pytest.raises(ValueError, match="No row of the audit counts"):
        audit_report(fitted, how="active")


def test_the_rows_of_a_sparse_pool_are_counted():
    fitted = learner().fit(sparse.csr_array(X), Y).teach(FREE[::3], TRUTH[FREE[::3]], audit=True)
    assert (audit_report(fitted).n_labeled, audit_report(fitted).n_population) == (45, 135)


def test_active_rows_are_weighted_up_to_the_first_that_is_pending():
    fitted = learner().fit(X, Y)
    first = fitted.audit(30, how="active")
    second = fitted.audit(10, how="active")
    rows = np.concatenate([first, second])
    fitted.teach(rows[5:], TRUTH[rows[5:]], audit=True)
    with pytest.raises(ValueError, match="5 of them"):
        audit_report(fitted)
    fitted.teach(rows[:5], TRUTH[rows[:5]], audit=True)
    sample = fitted.audit_sample_
    wrong = fitted.predict(X[rows]) != TRUTH[rows]
    assert wrong.any()
    for n in (40, 33):
        if n < 40:
            fitted.forget(rows[[n, 36]])
        weights = lure_weights(sample["probability"][:n], sample["n_left"][:n])
        report = audit_report(fitted)
        assert report.score == pytest.approx(1 - weights @ wrong[:n] / n)
        assert report.low < report.score < report.high
        assert report.n_labeled == n
        assert report.n_population == 135
        assert report.share_taken == pytest.approx(15 / 150)
    assert report.n_pending == 2
    assert "by expected loss" in str(report)


def test_skipped_active_rows_are_left_out_of_both_means():
    fitted = learner().fit(X, Y)
    rows = fitted.audit(40, how="active")
    truth = np.where(rows % 3 == 0, (TRUTH[rows] + 1) % 3, TRUTH[rows])  # errors that nobody expects
    wrong = fitted.predict(X[rows]) != truth
    fitted.skip(rows[:4]).teach(rows[4:], truth[4:], audit=True)
    drawn = [fitted.audit_sample_[name] for name in ("probability", "n_left")]
    weights = lure_weights(*drawn)[4:]
    report = audit_report(fitted)
    share = weights @ wrong[4:] / weights.sum()
    assert report.score == pytest.approx(1 - share)
    residual = np.where(np.arange(40) < 4, 0, wrong - share) * 40 / weights.sum()  # of the ratio of two means
    risk = Risk(share, lure_estimate(residual, *drawn).variance)
    low, high = weighted_interval(risk, 36, weights.sum() ** 2 / (weights @ weights))
    assert_allclose([report.low, report.high], [1 - high, 1 - low])
    assert report.n_skipped == 4


def test_the_report_tells_what_was_learned_since_the_rows_were_drawn():
    fitted, rows = audited(20, "active")
    assert audit_report(fitted).n_learned_since == 0
    more = np.setdiff1d(FREE, rows)[:7]
    fitted.teach(more, TRUTH[more])
    report = audit_report(fitted)
    assert report.n_learned_since == 7
    assert "Biased: the classifier was taught 7 labels since the first draw by expected loss" in str(report)
    uniform = fitted.audit(20)
    fitted.teach(uniform, TRUTH[uniform], audit=True)
    fitted.teach(later := np.setdiff1d(fitted.query(), more)[:3], TRUTH[later])
    report = audit_report(fitted, how="uniform")
    assert report.n_learned_since == 0
    assert "Biased" not in str(report)


def test_rows_drawn_by_expected_loss_count_by_default_once_one_is_labelled():
    fitted, _ = audited(20)
    active = fitted.audit(5, how="active")
    assert audit_report(fitted).how == "uniform"
    fitted.teach(active[:1], TRUTH[active[:1]], audit=True)
    assert audit_report(fitted).how == "active"


def test_uniform_and_active_rows_are_two_estimates():
    fitted, uniform = audited(30)
    active = fitted.audit(20, how="active")
    with pytest.raises(ValueError, match="20 of them are"):
        audit_report(fitted, how="active")
    alone = learner().fit(X, Y)
    alone.audit(20, how="active")
    with pytest.raises(ValueError, match=r"20 were drawn \(active\), and 20 of them are"):
        audit_report(alone)
    fitted.teach(active, TRUTH[active], audit=True)
    assert audit_report(fitted).how == "active"
    assert audit_report(fitted).n_population == 105
    report = audit_report(fitted, how="uniform")
    assert report.score == (fitted.predict(X[uniform]) == TRUTH[uniform]).mean()


@pytest.mark.parametrize("how", ["uniform", "active"])
def test_any_scorer_has_a_bootstrap_interval(how):
    fitted, rows = audited(80, how=how)
    sample = fitted.audit_sample_
    weights = None if how == "uniform" else lure_weights(sample["probability"], sample["n_left"])
    report = audit_report(fitted, scoring="f1_macro", n_resamples=25)
    expected = f1_score(TRUTH[rows], fitted.predict(X[rows]), average="macro", sample_weight=weights)
    assert report.score == pytest.approx(expected)
    assert 0.8 < report.low < report.score < report.high <= 1
    assert report.scoring == "f1_macro"
    assert audit_report(fitted, scoring="f1_macro", n_resamples=25) == report
    assert audit_report(fitted, scoring="f1_macro", n_resamples=25, random_state=1).low != report.low
    narrow = audit_report(fitted, scoring="f1_macro", n_resamples=25, confidence=0.5)
    assert report.low < narrow.low

    def scorer(estimator, X, y, sample_weight=None):
        return balanced_accuracy_score(y, estimator.predict(X), sample_weight=sample_weight)

    assert audit_report(fitted, scoring=scorer, n_resamples=5).scoring == "score"


def rare(seed, n):
    """A learner with an audit, and the true mean of the recalls: four classes of a hundredth each."""
    rng = np.random.default_rng(seed)
    y = np.sort(rng.choice(5, 3000, p=[0.96] + [0.01] * 4))
    pool = rng.normal(size=(3000, 4)) + 3 * np.eye(5)[y][:, 1:]
    known = np.concatenate([np.flatnonzero(y == label)[:8] for label in range(5)])
    labels = np.full(3000, UNLABELED)
    labels[known] = y[known]
    fitted = ActiveLearner(GaussianNB(), RandomSampling(), random_state=seed).fit(pool, labels)
    rows = fitted.audit(n)
    fitted.teach(rows, y[rows], audit=True)
    left = np.setdiff1d(np.arange(3000), known)
    return fitted, y[rows], balanced_accuracy_score(y[left], fitted.predict(pool[left]))


@pytest.mark.parametrize("n", [100, 300])
def test_the_interval_of_balanced_accuracy_covers_with_rare_classes(n):
    covered = []
    for seed in range(60):
        fitted, _, true = rare(seed, n)
        report = audit_report(fitted, scoring="balanced_accuracy", cv=None)
        covered.append(report.low <= true <= report.high)
    assert np.mean(covered) >= 0.95


def test_the_report_tells_of_rare_classes():
    fitted, labels, _ = rare(0, 100)
    counts = np.bincount(labels, minlength=5).tolist()
    assert counts == [98, 0, 1, 1, 0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        macro, balanced, own = (
            audit_report(fitted, scoring=scoring, n_resamples=20)
            for scoring in ("f1_macro", "balanced_accuracy", make_scorer(balanced_accuracy_score))
        )
        plain = audit_report(fitted)
    assert not caught
    assert plain.class_counts == balanced.class_counts == macro.class_counts == dict(enumerate(counts))
    assert "Classes with fewer than 10 audited rows: 1 (0), 4 (0), 2 (1), 3 (1). Of a score" in str(macro)
    assert "does not hold. A class without a row is left out" in str(macro)
    assert "does not hold" in str(own)
    assert own.score == balanced.score
    assert "Classes without an audited row: 1 (0), 4 (0). The score leaves them out" in str(balanced)
    assert "Classes" not in str(plain)
    assert balanced.low < 0.6, "two of five classes may have any recall"
    many = replace(macro, class_counts=dict.fromkeys("abcdefgh", 3) | {"i": 20})
    assert "rows: 'a' (3), 'b' (3), 'c' (3), 'd' (3), 'e' (3) and 3 more. Of" in str(many)
    assert str(many).endswith("does not hold.")
    assert "Classes" not in str(replace(macro, class_counts={"a": 10, "b": 10}))


def test_an_audit_that_knows_a_class_that_the_learner_does_not():
    fitted, _ = audited(60, truth=np.where(np.arange(150) > 120, 7, TRUTH))
    assert 7 not in fitted.classes_
    report = audit_report(fitted, scoring="balanced_accuracy")
    assert report.class_counts[7] > 0
    assert sum(report.class_counts.values()) == 60
    assert report.high < 1


def test_weighted_rows_keep_the_bootstrap():
    fitted, _ = audited(80, how="active")
    report = audit_report(fitted, scoring="balanced_accuracy", n_resamples=25)
    assert report.is_bootstrapped
    assert not audit_report(fitted).is_bootstrapped
    assert not audit_report(audited(80)[0], scoring="balanced_accuracy").is_bootstrapped


def test_resamples_that_miss_a_class_are_left_out():
    fitted, rows = audited(5)
    few = np.unique(X[rows], axis=0)

    def scorer(estimator, X, y):
        if len(np.unique(X, axis=0)) < len(few):
            raise ValueError("a class is missed")
        return 0.5

    report = audit_report(fitted, scoring=scorer, n_resamples=1, cv=None, random_state=0)
    assert report.score == 0.5
    assert np.isnan([report.low, report.high]).all()
    report = audit_report(fitted, scoring=scorer, n_resamples=200, cv=None)
    assert (report.low, report.high) == (0.5, 0.5)


def test_the_naive_score_is_that_of_the_labels_that_are_trained_on():
    fitted, _ = audited()
    wrong = (TRUTH + 1) % 3
    naive = audit_report(fitted).naive
    assert naive > 0.7
    other, _ = audited(truth=wrong)
    assert audit_report(other).naive == naive, "it knows nothing of the audit"
    assert audit_report(other).score < 0.2
    assert np.isnan(audit_report(fitted, cv=None).naive)
    assert np.isnan(audit_report(fitted, cv=16).naive)
    assert np.isfinite(audit_report(fitted, cv=15).naive), "as many folds as labels"
    one = learner().fit(X, np.where(np.isin(np.arange(150), [0, 1, 50, 51, 52]), TRUTH, -1))
    rows = one.audit(5)
    assert np.isfinite(audit_report(one.teach(rows, TRUTH[rows], audit=True), cv=2).naive)
    one.forget([1])
    assert np.isnan(audit_report(one, cv=2).naive), "without the first class one class is left to learn"


def test_folds_without_a_class_warn_of_nothing():
    """A fold of one row, for which the classifier predicts another class, has no recall of that class."""
    assert 0 < audit_report(audited()[0], scoring="recall_macro", cv=15).naive < 1


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "neg_log_loss"])
@pytest.mark.parametrize(
    "names", [[-1, 0, 1], [-1.0, 0.0, 1.0], ["a", "b", "c"]], ids=["integers", "floats", "words"]
)
def test_the_naive_score_where_minus_one_is_a_class(names, scoring):
    def naive(names, unlabeled):
        names = np.array(names)
        fitted = ActiveLearner(
            SelfTrainingClassifier(GaussianNB()), RandomSampling(), unlabeled=unlabeled, random_state=0
        ).fit(X, [unlabeled if code < 0 else names[code] for code in Y])
        rows = fitted.audit(20)
        return audit_report(fitted.teach(rows, names[TRUTH[rows]], audit=True), scoring=scoring).naive

    assert naive(names, None if isinstance(names[0], str) else -99) == naive([0, 1, 2], -1)


def test_words_as_labels_and_a_frame_with_an_index():
    pd = pytest.importorskip("pandas")
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    frame = pd.DataFrame(X, index=[f"flower {row}" for row in range(150)])
    fitted = learner().fit(frame, np.where(Y < 0, None, names[Y]))
    rows = fitted.audit(60)
    fitted.teach(fitted.ids_[rows], names[TRUTH[rows]], audit=True)
    twin, same = audited()
    assert (rows == same).all()
    assert_allclose(float(audit_report(fitted)), float(audit_report(twin)))


NAMES = np.array(["fraud", "ok", "ok"])


@pytest.mark.parametrize(
    ("scoring", "name"),
    [
        ("recall", "recall"),
        ("f1", "f1"),
        ("average_precision", "average_precision"),
        ("neg_brier_score", "neg_brier_score_loss"),
        (make_scorer(fbeta_score, beta=2), "fbeta"),
        (labeled_scorer("recall"), "recall"),
    ],
    ids=str,
)
def test_scorers_that_have_to_be_told_the_positive_class(scoring, name):
    """What the error says to give works, and its report has the name of the metric."""
    names = NAMES[TRUTH]
    fitted = learner().fit(X, np.where(np.arange(150) % 3, None, names))
    rows = fitted.audit(40)
    fitted.teach(rows, names[rows], audit=True)
    with pytest.raises(
        ValueError, match=r"Say which class .* scoring=make_scorer\(.*pos_label='fraud'\)"
    ) as refused:
        audit_report(fitted, scoring=scoring)
    told = eval(re.search(r"make_scorer\(.*\)", str(refused.value))[0], vars(metrics).copy())
    assert audit_report(fitted, scoring=told, n_resamples=2, cv=None).scoring == name


@pytest.mark.parametrize(
    "scoring",
    [lambda model, X, y: f1_score(y, model.predict(X)), make_scorer(lambda y, found: f1_score(y, found))],
)
def test_a_scorer_of_the_user_fails_as_it_does(scoring):
    names = NAMES[TRUTH]
    fitted = learner().fit(X, np.where(np.arange(150) % 3, None, names))
    rows = fitted.audit(40)
    fitted.teach(rows, names[rows], audit=True)
    with pytest.raises(ValueError, match="pos_label") as refused:
        audit_report(fitted, scoring=scoring)
    assert "make_scorer" not in str(refused.value)


def test_bad_input():
    fitted, _ = audited()
    for given, message in (
        ({"how": "hard"}, "'uniform', 'active' or None"),
        ({"confidence": 95}, "confidence=95"),
        ({"n_resamples": 0}, "n_resamples=0"),
        ({"cv": 1}, "cv=1"),
        ({"scoring": "nothing"}, "nothing"),
    ):
        with pytest.raises(ValueError, match=message):
            audit_report(fitted, **given)
    with pytest.raises(ValueError, match=r"learner\.audit"):
        audit_report(learner().fit(X, Y))
    with pytest.raises(
        TypeError, match="audit_report was given an object of class GaussianNB; give an ActiveLearner"
    ):
        audit_report(GaussianNB().fit(X, TRUTH))
    with pytest.raises(NotFittedError):
        audit_report(learner())
    unlabeled = ActiveLearner(GaussianNB(), RandomSampling()).fit(X, np.full(150, UNLABELED))
    rows = unlabeled.audit(5)
    with pytest.raises(NotFittedError):
        audit_report(unlabeled.teach(rows, TRUTH[rows], audit=True))


@pytest.mark.parametrize("how", ["uniform", "active"])
def test_the_interval_covers_in_nine_of_ten_runs(how):
    """Of a classifier that was trained on what it was least sure of."""
    X, truth = DIGITS
    covered, scores, naive = [], [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        pool, others = np.split(rng.permutation(len(X)), [900])
        y = np.full(900, UNLABELED)
        y[:20] = truth[pool[:20]]
        fitted = ActiveLearner(
            GaussianNB(var_smoothing=0.1), UncertaintySampling(), n_queries=30, random_state=seed
        ).fit(X[pool], y)

        def audit(learner, pool=pool):
            rows = learner.audit(150, how=how)
            learner.teach(rows, truth[pool][rows], audit=True)

        if how == "uniform":
            audit(fitted)
        for _ in range(2):
            rows = fitted.query()
            fitted.teach(rows, truth[pool][rows])
        if how == "active":
            audit(fitted)
        report = audit_report(fitted, cv=3)
        left = np.setdiff1d(np.arange(900), np.flatnonzero(fitted.y_ >= 0))
        rows = others if how == "uniform" else pool[left]  # new rows, or those that were not trained on
        true = fitted.score(X[rows], truth[rows])
        covered.append(report.low <= true <= report.high)
        scores.append(report.score - true)
        naive.append(report.naive - true)
    print(how, np.mean(covered), np.mean(scores), np.mean(naive))
    assert np.mean(covered) >= 0.9
    assert abs(np.mean(scores)) < 3 * np.std(scores) / 10
    assert abs(np.mean(naive)) > 5 * abs(np.mean(scores))
