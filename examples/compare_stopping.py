"""When would each criterion have stopped, and what would it have cost?

Margin sampling labels the pools of ``compare_strategies.py`` from 20 labels to 1000 (500 of the digits), 20 at a time,
five times. All criteria of ``skal.stopping`` watch, each with its default parameters. The oracle's point is the first
number of labels with 99 % of the last score, which nobody knows while labelling. A positive number counts the labels
that a criterion spends after that point; a negative number counts the labels by which it stops too early. The last
columns are the score at the criterion's stop as a share of the last score, and the error of its estimate of the labels
left, half-way to its own stop.

Run ``SKAL_DATA=folder python examples/compare_stopping.py [--quick] [--pools digits texts]``. It takes a few minutes on
two cores.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from compare_strategies import POOLS, UNEVEN
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression

from skal import SimulatedLearner
from skal.stopping import ClassificationChange, ExpectedGain, MaximumUtility, StabilizingPredictions
from skal.strategies import UncertaintySampling

CRITERIA = {
    "stabilizing predictions": StabilizingPredictions(),
    "classification change": ClassificationChange(),
    "expected gain": ExpectedGain(),
    "maximum utility": MaximumUtility(),
    "mean utility": MaximumUtility(statistic="mean"),
}
STEP = 20


@dataclass(eq=False, repr=False)
class Panel(BaseEstimator):
    """All criteria at once, none of which ends the simulation."""

    random_state: Any = None
    should_stop_ = False

    def check(self, learner: Any) -> None:
        self.criteria_ = {
            name: clone(each).set_params(random_state=self.random_state) for name, each in CRITERIA.items()
        }
        self.stops_: dict[str, int] = {}
        self.left_: dict[str, list[tuple[int, float]]] = {name: [] for name in CRITERIA}

    def update(self, learner: Any) -> Panel:
        n_labeled = sum(learner.class_counts_.values())
        for name, criterion in self.criteria_.items():
            criterion.update(learner)
            self.left_[name].append((n_labeled, criterion.labels_left_))
            if criterion.should_stop_:
                self.stops_.setdefault(name, n_labeled)
        return self


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one repeat to 200 labels, to check that it runs"
    )
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=list(POOLS))
    options = parser.parse_args()
    for pool in options.pools:
        if "SKAL_DATA" not in os.environ and pool in ("mnist", "fashion", "rare"):
            print(f"{pool}: set SKAL_DATA")
            continue
        X, y, X_test, y_test = POOLS[pool]()
        budget = 200 if options.quick else 500 if pool == "digits" else 1000
        runs = [
            SimulatedLearner(
                LogisticRegression(max_iter=1000),
                UncertaintySampling("margin"),
                n_initial=STEP,
                n_queries=STEP,
                budget=budget,
                scoring="balanced_accuracy" if pool in UNEVEN else "accuracy",
                stopping=Panel(),
                random_state=seed,
            ).fit(X, y, X_val=X_test, y_val=y_test)
            for seed in range(1 if options.quick else 5)
        ]
        show(pool, runs)


def show(pool: str, runs: list[SimulatedLearner]) -> None:
    """Print what each criterion would have cost, as means over the runs."""
    n_labeled, scores = runs[0].history_["n_labeled"], np.array([run.history_["score"] for run in runs])
    oracle = n_labeled[(scores >= 0.99 * scores[:, -1:]).argmax(axis=1)]
    print(f"\n{pool}: the oracle stops at {', '.join(map(str, oracle))} of {n_labeled[-1]} labels")
    print(
        f"{'criterion':<26}{'stopped':>8}{'labels':>8}{'too many':>10}{'spread':>8}{'of score':>10}{'estimate off':>14}"
    )
    for name in CRITERIA:
        stops = [run.stopping_.stops_.get(name) for run in runs]
        stopped = np.flatnonzero([stop is not None for stop in stops])
        ends = np.array([n_labeled[-1] if stop is None else stop for stop in stops])
        excess = ends - oracle
        share = scores[np.arange(len(runs)), np.searchsorted(n_labeled, ends)] / scores[:, -1]
        off = [halfway(runs[i].stopping_.left_[name], stops[i]) for i in stopped]
        known = [value for value in off if np.isfinite(value)]
        print(
            f"{name:<26}{len(stopped):>4} of {len(runs)}{ends.mean():>8.0f}{excess.mean():>+10.0f}{excess.std():>8.0f}"
            f"{share.mean():>10.3f}{np.median(np.abs(known)) if known else np.nan:>8.0f}"
        )


def halfway(left: list[tuple[int, float]], stop: int) -> float:
    """How many labels the estimate was off, half-way to the stop."""
    n_labeled, estimate = next(pair for pair in left if pair[0] >= stop / 2)
    return estimate - (stop - n_labeled)


if __name__ == "__main__":
    main()
