"""How good is the classifier? The estimate of an audit, beside a naive one from the labels at hand.

Rows that were chosen to be hard, and then trained on, do not estimate the accuracy. Here margin sampling labels 100
rows of a random part of each pool of ``compare_strategies.py``, a hundred times over. Before it begins, 100 other rows
are drawn uniformly, for an estimate of the accuracy on new rows; the rest of the data gives the true value. Afterwards,
100 more rows are drawn by their expected loss, for the accuracy on the remaining rows of the pool. The columns are the
true accuracy, the mean error of the estimate and its standard deviation, the width of its 95 % interval, and the share
of runs in which the interval contains the truth. The same columns follow for the naive estimate: cross-validation over
the labels at hand, with the binomial interval that it seems to have.

Run ``SKAL_DATA=folder python examples/honest_estimate.py [--quick] [--pools digits mnist]``. A pool takes a minute or
two on two cores.
"""

from __future__ import annotations

import argparse
import os
import warnings
from typing import Any

import numpy as np
from compare_strategies import POOLS
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner
from skal.evaluation import audit_report, binomial_interval
from skal.strategies import UncertaintySampling

N_AUDITED, N_ROUNDS, N_POOL = 100, 4, 3000


def run(X: Any, y: Any, seed: int) -> dict[str, list[float]]:
    """For each way to draw: the truth, and estimate, low and high, of the audit and of the labels at hand."""
    order = np.random.default_rng(seed).permutation(len(y))
    pool, others = np.split(order, [min(N_POOL, len(y) // 2)])
    X_pool, truth = X[pool], y[pool]
    known = np.full(len(pool), UNLABELED)
    known[:20] = truth[:20]
    learner = ActiveLearner(
        LogisticRegression(max_iter=1000), UncertaintySampling("margin"), n_queries=20, random_state=seed
    ).fit(X_pool, known)

    def audited(how: str) -> list[float]:
        report = audit_report(learner, how=how)
        n_labeled = int((learner.y_ >= 0).sum())
        seems = binomial_interval(round(report.naive * n_labeled), n_labeled)
        return [report.score, report.low, report.high, report.naive, *seems]

    rows = learner.audit(N_AUDITED)
    learner.teach(rows, truth[rows], audit=True)
    for _ in range(N_ROUNDS):
        rows = learner.query()
        learner.teach(rows, truth[rows])
    left = np.flatnonzero(learner.labels_ == UNLABELED)
    rows = learner.audit(N_AUDITED, how="active")
    learner.teach(rows, truth[rows], audit=True)
    return {
        "uniform": [learner.score(X[others], y[others]), *audited("uniform")],
        "active": [learner.score(X_pool[left], truth[left]), *audited("active")],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two runs, to check that it works")
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=["digits", "mnist", "texts"])
    options = parser.parse_args()
    n_runs = 2 if options.quick else 100
    print("pool      drawn     truth | audit: error    sd  width  covers | naive: error    sd  width  covers")
    for name in options.pools:
        if "SKAL_DATA" not in os.environ and name in ("mnist", "fashion", "rare"):
            print(f"{name}: set SKAL_DATA")
            continue
        X, y, X_test, y_test = POOLS[name]()
        X, y = np.concatenate([X, X_test]), np.unique(np.concatenate([y, y_test]), return_inverse=True)[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes with one label
            runs = [run(X, y, seed) for seed in range(n_runs)]
        for how in ("uniform", "active"):
            table = np.array([each[how] for each in runs])
            true, line = table[:, 0], f"{name:<9} {how:<8} {table[:, 0].mean():6.3f} "
            for i in (1, 4):
                score, low, high = table[:, i : i + 3].T
                line += (
                    f"|     {np.mean(score - true):+10.3f} {np.std(score - true):.3f}  {np.mean(high - low):.3f}"
                    f"  {100 * np.mean((low <= true) & (true <= high)):4.0f} % "
                )
            print(line)


if __name__ == "__main__":
    main()
