"""The honest estimate: what a learner's audit says of its classifier."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_is_fitted

from ..classifiers import LabelEncodedClassifier
from ..learner import ActiveLearner, RowState, check_learner
from ..pool import as_pool
from ..utils.checks import check_integer, check_share
from ..utils.random import draw_seed, seed_random_states
from ..utils.scorers import naming_positives, scorer_name
from .audited_rows import AuditedRows, audited_rows
from .intervals import binomial_interval, mean_interval, weighted_interval
from .risk import Risk, lure_estimate

_FEWEST = 10  # rows of a stratum, or of a class, that can be resampled
_MOST_NAMED = 5  # rare classes in a text


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """The result of :func:`audit_report`; ``print(report)`` describes it in words, ``float(report)`` is the score.

    Parameters
    ----------
    score : float
        The estimate.
    low, high : float
        The interval of `score`.
    confidence : float
    naive : float
        The cross-validated score on the labels that the classifier was trained on, which nobody drew at random; NaN
        where it cannot be computed.
    scoring : str
    how : {"uniform", "active"}
        How the rows were drawn.
    n_labeled : int
        Number of audit rows that the estimate is based on.
    n_pending, n_skipped, n_withdrawn : int
        Rows that were drawn and are not labelled yet, that cannot be labelled, or that were taken out of the audit
        again.
    n_own : int
        Audit rows that `audit` did not draw. They count only if it drew none.
    n_population : int
        Number of rows that the audit rows were drawn from, including labelled audit rows. If the pool grew between two
        draws, all rows of the parts that were drawn from, except skipped ones.
    n_learned_since : int
        Number of labels added to training since the first of the rows was drawn by expected loss. For a classifier that
        has learned them, the estimate is biased. 0 for rows drawn uniformly.
    share_taken : float
        The share of the pool that had been taken for training, or by expected loss, before the rows were drawn; the
        mean share if they were drawn at several times. The accuracy over the whole pool, had no row been trained on,
        differs by at most this share.
    n_unseen : int
        Rows that the estimate does not cover: they came with `grow`, and none of them has been drawn since.
    is_drawn : bool, default=True
        Whether `audit` drew the rows.
    is_bootstrapped : bool, default=False
        Whether the interval is a bootstrap interval. For a score that averages over classes, such an interval does not
        hold where a class has fewer than ten rows.
    class_counts : dict of label to int
        Number of rows of each class; 0 for a class that the learner knows and the audit has missed.

    Examples
    --------
    >>> from skal.evaluation import AuditReport
    >>> print(AuditReport(score=0.9, low=0.86, high=0.93, confidence=0.95, naive=0.7, scoring="accuracy", how="uniform",
    ...     n_labeled=300, n_pending=0, n_skipped=2, n_withdrawn=0, n_own=0, n_population=5000, share_taken=0.0))
    accuracy 0.900 (95 % interval 0.860 to 0.930), of 300 rows drawn uniformly from 5000.
    Cross-validation over the training labels says 0.700. Skipped, and in no estimate: 2.
    """

    score: float
    low: float
    high: float
    confidence: float
    naive: float
    scoring: str
    how: str
    n_labeled: int
    n_pending: int
    n_skipped: int
    n_withdrawn: int
    n_own: int
    n_population: int
    share_taken: float
    n_learned_since: int = 0
    n_unseen: int = 0
    is_drawn: bool = True
    is_bootstrapped: bool = False
    class_counts: dict[Any, int] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.score

    def __str__(self) -> str:
        manner = "uniformly" if self.how == "uniform" else "by expected loss"
        rows = f"{self.n_labeled} rows drawn {manner} from {self.n_population}."
        if not self.is_drawn:
            rows = (
                f"{self.n_labeled} rows, none of which audit drew: the interval holds only if they were chosen at "
                "random."
            )
        counts = {
            "Not labelled yet": self.n_pending,
            "Skipped, and in no estimate": self.n_skipped,
            "Withdrawn": self.n_withdrawn,
            "Not drawn by audit": self.n_own if self.is_drawn else 0,
        }
        notes = [f"{what}: {count}." for what, count in counts.items() if count]
        if self.share_taken:
            notes.append(
                f"Taken by choice before they were drawn: {100 * self.share_taken:.1f} % of the pool."
            )
        if self.n_learned_since:
            notes.append(
                f"Biased: the classifier was taught {self.n_learned_since} labels since the first draw by expected "
                "loss; draw again for this one."
            )
        if self.n_unseen:
            notes.append(
                f"{self.n_unseen} rows came after the draws and are not in the estimate; audit(n, how={self.how!r}) "
                "draws from them, too."
            )
        notes += self._rare_classes()
        if not np.isnan(self.naive):
            notes.insert(0, f"Cross-validation over the training labels says {self.naive:.3f}.")
        interval = f"{100 * self.confidence:g} % interval {self.low:.3f} to {self.high:.3f}"
        if np.isnan(self.low):
            interval = "no interval from so few audited rows, or from so few of a part that came later"
        return f"{self.scoring} {self.score:.3f} ({interval}), of {rows}\n{' '.join(notes)}".rstrip()

    def _rare_classes(self) -> list[str]:
        """What rare classes mean for a score other than the accuracy."""
        if self.scoring == "accuracy":
            return []
        fewest = _FEWEST if self.is_bootstrapped else 1
        rare = sorted((n, i, label) for i, (label, n) in enumerate(self.class_counts.items()) if n < fewest)
        if not rare:
            return []
        named = ", ".join(f"{label!r} ({n})" for n, _, label in rare[:_MOST_NAMED])
        if len(rare) > _MOST_NAMED:
            named += f" and {len(rare) - _MOST_NAMED} more"
        if self.is_bootstrapped:
            left_out = "" if rare[0][0] else " A class without a row is left out of such a score."
            return [
                f"Classes with fewer than {_FEWEST} audited rows: {named}. Of a score that averages over classes the "
                f"interval does not hold.{left_out}"
            ]
        return [
            f"Classes without an audited row: {named}. The score leaves them out, and the interval does not."
        ]


def audit_report(
    learner: ActiveLearner,
    *,
    scoring: Any = None,
    how: str | None = None,
    confidence: float = 0.95,
    cv: int | None = 5,
    n_resamples: int = 200,
    random_state: Any = 0,
) -> AuditReport:
    """Estimate how good a learner's classifier is, from rows that were drawn at random and never trained on.

    - For rows drawn uniformly, the accuracy has the exact binomial interval. It is the accuracy on rows that are not
      trained on: the rows of the pool at the time of the draw, and new rows from the same source, if the pool itself is
      a random sample. Rows drawn after training has begun represent what was left of the pool at that time, which lacks
      the rows that a strategy preferred; `share_taken` bounds the difference. If the pool has grown between two draws,
      old and new rows did not have the same chance of being drawn. The estimate is then the mean over the parts,
      weighted by their numbers of rows, without skipped ones. Rows that came after the last draw are in no estimate,
      and the report counts them. The rest of the pool becomes easier as a strategy takes its hard rows: the accuracy is
      higher there, but the recall of a rare class is lower.
    - For rows drawn by expected loss, the estimate is weighted as in active testing [1]_. It is unbiased for the mean
      over the rows of the pool that were not trained on, if the classifier is still the same. The draws made since the
      pool last grew, or since a label was last taught for training, are used alone once one of them is labelled. Until
      then the older draws count; a classifier that has since learned from the rows they left has seen fewer hard rows,
      and the report says so. Labels count up to the first row that is still to be labelled.

    Labels are assumed to be true. A few wrong labels bias the recall of a rare class most: have the rows of that class,
    and the rows for which the classifier predicts another class than the label, labelled twice.

    Rows that annotators skip are in no estimate, which therefore describes rows that can be labelled. An interval is
    for one classifier; the best of many rounds looks better than it is. A classifier or a strategy that learns from
    unlabelled rows has seen the rows of the audit, but not their labels.

    Parameters
    ----------
    learner : ActiveLearner
        With rows that were taught with ``audit=True``.
    scoring : str or callable, default=None
        A scorer as in ``GridSearchCV``; the accuracy by default. If the classes have names, "recall", "f1" and similar
        scores must be told the positive class: ``make_scorer(recall_score, pos_label="fraud")``. For rows drawn
        uniformly, "balanced_accuracy" has an interval for the mean over all classes of the learner, melded from the
        exact intervals of the classes [2]_. It is wide where a class has few rows, and a class without rows counts in
        the interval as anything from 0 to 1. Any other score has a percentile bootstrap interval, which is too narrow
        for few rows. Where a class has fewer than ten rows, it does not hold for a score that averages over classes,
        such as "f1_macro", and the report says so. It is also too narrow where a class has hardly any errors. If rows
        were drawn by expected loss, or the pool grew between two draws, the rows have weights, and the scorer must
        accept ``sample_weight``. There is then no interval while a part of the pool has fewer than ten rows.
    how : {"uniform", "active"}, default=None
        Which rows to use. By default those drawn by expected loss, if one of them is labelled. If `audit` drew none at
        all, the rows that were taught with ``audit=True`` are used, as if drawn uniformly.
    confidence : float, default=0.95
    cv : int, default=5
        Number of folds for the naive score. The classifier is fitted once per fold, on labelled rows alone and without
        fit parameters. None leaves out the naive score.
    n_resamples : int, default=200
        Number of bootstrap samples of the rows.
    random_state : int, RandomState instance or None, default=0
        Seeds the folds, their classifiers, and the bootstrap or the draws for an interval.

    Returns
    -------
    report : AuditReport

    Raises
    ------
    ValueError
        If no row of the audit is labelled, a parameter is invalid, or `scoring` must be told the positive class.
    TypeError
        If `learner` is not an ActiveLearner, or rows have weights and `scoring` does not accept them.
    NotFittedError
        If there is no classifier yet.

    References
    ----------
    .. [1] Kossen, Farquhar, Gal, Rainforth. Active testing: sample-efficient model evaluation. ICML 2021.
    .. [2] Fay, Proschan, Brittain. Combining one-sample confidence procedures for inference in the two-sample case.
       Biometrics 71, 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.evaluation import audit_report
    >>> from skal.strategies import UncertaintySampling
    >>> X, truth = load_digits(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=5000)
    >>> learner = ActiveLearner(classifier, UncertaintySampling(), n_queries=80, random_state=0)
    >>> learner = learner.fit(X, [*truth[:40], *[-1] * 1757])
    >>> rows = learner.audit(100)
    >>> learner = learner.teach(rows, truth[rows], audit=True)
    >>> rows = learner.query()
    >>> learner = learner.teach(rows, truth[rows])
    >>> print(audit_report(learner))
    accuracy 0.880 (95 % interval 0.800 to 0.936), of 100 rows drawn uniformly from 1757.
    Cross-validation over the training labels says 0.833. Taken by choice before they were drawn: 2.2 % of the pool.
    """
    check_learner(learner, "audit_report")
    check_is_fitted(learner)
    check_share("confidence", confidence)
    check_integer("n_resamples", n_resamples)
    if how not in (None, "uniform", "active"):
        raise ValueError(f"how={how!r} was given; it must be 'uniform', 'active' or None.")
    scorer = check_scoring(learner, scoring="accuracy" if scoring is None else scoring)
    seed = draw_seed(random_state) % 2**32
    audited = audited_rows(learner, how)
    X, y = as_pool(learner.X_).take(audited.rows), learner.labels_[audited.rows]
    class_counts = dict.fromkeys(learner.classes_.tolist(), 0) | Counter(y.tolist())
    is_bootstrapped = False
    with warnings.catch_warnings(), naming_positives(scoring, [*y, *class_counts]):
        # The report says so itself, and once.
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true", UserWarning)
        # The naive score is made of labels alone, whatever the classifier learns from beside.
        warnings.filterwarnings("ignore", "y contains no unlabeled samples", UserWarning)
        if scoring is None or scoring == "accuracy":
            score, low, high = _accuracy(np.asarray(learner.predict(X)) == y, audited, confidence)
        elif scoring == "balanced_accuracy" and audited.how == "uniform" and not audited.is_stratified:
            score = float(scorer(learner, X, y))
            right = Counter(y[np.asarray(learner.predict(X)) == y].tolist())
            n_right = [right[label] for label in class_counts]
            low, high = mean_interval(n_right, [*class_counts.values()], confidence=confidence, seed=seed)
        else:
            is_bootstrapped = True
            score, low, high = _bootstrapped(learner, scorer, audited, confidence, n_resamples, seed)
        naive = np.nan if cv is None else _naive(learner, scorer, check_integer("cv", cv, least=2), seed)
    return AuditReport(
        score=score,
        low=low,
        high=high,
        confidence=confidence,
        naive=naive,
        scoring="accuracy" if scoring is None else scorer_name(scoring),
        how=audited.how,
        is_bootstrapped=is_bootstrapped,
        class_counts=class_counts,
        **audited.told,
    )


def _accuracy(
    is_right: NDArray[np.bool_], audited: AuditedRows, confidence: float
) -> tuple[float, float, float]:
    """The accuracy and its interval."""
    n, weights = len(is_right), audited.weights
    effective_n = weights.sum() ** 2 / (weights @ weights) if weights.any() else n
    if audited.how == "uniform":
        if not audited.is_stratified:
            return float(is_right.mean()), *binomial_interval(is_right.sum(), n, confidence=confidence)
        share = _stratified(is_right, audited)
        return share.value, *weighted_interval(share, n, effective_n, confidence=confidence)
    labeled = audited.is_labeled.astype(float)
    wrong = np.zeros(len(labeled))
    wrong[audited.is_labeled] = ~is_right
    risk = lure_estimate(wrong, audited.probability, audited.n_left)
    if n < len(labeled):  # the share of wrong rows among those that can be labelled, a ratio of two means
        among = lure_estimate(labeled, audited.probability, audited.n_left).value
        value = risk.value / among
        residual = lure_estimate((wrong - value * labeled) / among, audited.probability, audited.n_left)
        risk = Risk(value, residual.variance)
    if audited.n_left[-1] == 1:  # the last one was drawn: all rows are known
        return 1 - risk.value, 1 - risk.value, 1 - risk.value
    low, high = weighted_interval(risk, n, effective_n, confidence=confidence)
    return 1 - risk.value, 1 - high, 1 - low


def _stratified(is_right: NDArray[np.bool_], audited: AuditedRows) -> Risk:
    """The share of right rows among those of several strata, of each of which some were drawn uniformly."""
    _, stratum, counts = np.unique(audited.stratum, return_inverse=True, return_counts=True)
    share = np.bincount(stratum, audited.weights) / audited.weights.sum()
    n_right = np.bincount(stratum, is_right)
    smoothed = (n_right + 0.5) / (counts + 1)  # few rows may all be right by luck
    return Risk(float(share @ (n_right / counts)), float(share**2 @ (smoothed * (1 - smoothed) / counts)))


def _bootstrapped(
    learner: ActiveLearner, scorer: Any, audited: AuditedRows, confidence: float, n_resamples: int, seed: int
) -> tuple[float, float, float]:
    """A score and its percentile interval."""
    pool, labels = as_pool(learner.X_), learner.labels_
    weights = audited.weights if audited.how == "active" or audited.is_stratified else None
    strata = [np.flatnonzero(audited.stratum == each) for each in np.unique(audited.stratum)]

    def score_of(which: NDArray[np.intp]) -> float:
        rows = audited.rows[which]
        if weights is None:
            return float(scorer(learner, pool.take(rows), labels[rows]))
        return float(scorer(learner, pool.take(rows), labels[rows], sample_weight=weights[which]))

    rng = np.random.default_rng(seed)
    try:
        score = score_of(np.arange(len(audited.rows)))
    except TypeError as error:
        if weights is None or "sample_weight" not in str(error):
            raise
        raise TypeError(
            f"The rows of the audit stand for unequal numbers of rows, and scoring={scorer} takes no sample_weight; "
            "give a scorer that does, such as 'accuracy' or 'f1_macro'."
        ) from error
    if audited.is_stratified and min(map(len, strata)) < _FEWEST:
        return score, np.nan, np.nan  # resamples of a few rows say little of a whole stratum
    scores = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # the audit as a whole has had its say
        for _ in range(n_resamples):
            which = [each[rng.integers(len(each), size=len(each))] for each in strata]
            try:
                scores.append(score_of(np.concatenate(which)))
            except ValueError:  # such as of a class that is missed
                scores.append(np.nan)
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(scores, [tail, 1 - tail]) if not np.isnan(scores).all() else (np.nan, np.nan)
    return score, float(low), float(high)


def _naive(learner: ActiveLearner, scorer: Any, cv: int, seed: int) -> float:
    """The mean score of cross-validation over the labels that are trained on; NaN where there are too few."""
    rows = np.flatnonzero(learner.row_states_ == RowState.LABELED)
    y, pool, rng = learner.y_[rows], as_pool(learner.X_), np.random.default_rng(seed)
    if len(rows) < cv:
        return np.nan
    classes, codes = np.unique(y, return_inverse=True)
    order = np.lexsort((rng.random(len(rows)), codes))
    fold = np.empty(len(rows), dtype=int)  # stratified, and without a warning of rare classes
    fold[order] = np.arange(len(rows)) % cv
    scores = []
    for held_out in range(cv):
        train, test = rows[fold != held_out], rows[fold == held_out]
        fitted = clone(learner.estimator)
        seed_random_states(fitted, seed)
        try:
            if isinstance(learner.estimator_, LabelEncodedClassifier):  # -1 is no class, but the marker
                fitted.fit(pool.take(train), codes[fold != held_out])
                fitted = LabelEncodedClassifier.around(fitted, classes)
            else:
                fitted.fit(pool.take(train), y[fold != held_out])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)  # of a class that a fold is without
                scores.append(scorer(fitted, pool.take(test), y[fold == held_out]))
        except ValueError:  # such as of a class that is missed
            return np.nan
    return float(np.mean(scores))
