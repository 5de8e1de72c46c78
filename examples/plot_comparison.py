"""Was it worth it? Three strategies on scikit-learn's digits: curves, tests, labels saved, and what was asked.

Run ``python examples/plot_comparison.py [--quick] [--output comparison.png]``. It takes about 20 seconds.
"""

import argparse

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import SimulatedLearner, simulate
from skal.evaluation import labels_saved, paired_tests
from skal.plotting import (
    ClassCountsDisplay,
    LearningCurveDisplay,
    PenaltyMatrixDisplay,
    QueryMapDisplay,
    StoppingDisplay,
    UtilityDisplay,
)
from skal.stopping import StabilizingPredictions
from skal.strategies import CoreSet, RandomSampling, UncertaintySampling

STRATEGIES = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "core set": CoreSet("input"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds and repeats, to see that it runs")
    parser.add_argument("--output", default="comparison.png")
    options = parser.parse_args()
    budget, n_repeats, target = (60, 2, 0.8) if options.quick else (200, 5, 0.9)

    X, y = load_digits(return_X_y=True)
    X_pool, X_test, y_pool, y_test = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)
    learners = {
        name: SimulatedLearner(
            LogisticRegression(max_iter=200), strategy, n_initial=20, n_queries=20, budget=budget
        )
        for name, strategy in STRATEGIES.items()
    }
    validation = {"X_val": X_test, "y_val": y_test}
    histories = simulate(
        learners, X_pool, y_pool, **validation, n_repeats=n_repeats, random_state=0, verbose=1
    )

    print("\nArea under the learning curve against that of random rows:")
    print(paired_tests(histories, baseline="random").to_frame().to_string(index=False))
    print(f"\n{labels_saved(histories, target, baseline='random', random_state=0)}")

    figure, axes = plt.subplots(2, 3, figsize=(17, 10), layout="constrained")
    curves, counts, penalties, queries, stops, plane = axes.flat
    LearningCurveDisplay.from_history(histories, baseline="random", ax=curves)
    curves.set(ylabel="Test accuracy", title="Points: differs from random (paired t, Holm, 0.05)")
    ClassCountsDisplay.from_history(histories["margin"], ax=counts)
    counts.set_title("Labels that margin asked for")
    PenaltyMatrixDisplay.from_experiments({"digits": histories}, ax=penalties)
    penalties.set_title("Which strategy beats which")

    until_it_settles = clone(learners["margin"]).set_params(
        budget=2 * budget, stopping=StabilizingPredictions(), random_state=0
    )
    until_it_settles.fit(X_pool, y_pool)
    QueryMapDisplay.from_learner(until_it_settles, ax=queries)
    queries.set_title("What margin asked for, by PCA")
    StoppingDisplay.from_criterion(until_it_settles.stopping_, ax=stops)
    stops.set_title("One minus kappa of successive classifiers")

    in_a_plane = clone(learners["margin"]).set_params(n_initial=10, n_queries=5, budget=40, random_state=0)
    in_a_plane.fit(*make_blobs(300, centers=4, cluster_std=1.5, random_state=3))
    UtilityDisplay.from_learner(in_a_plane, ax=plane)
    plane.set_title("What margin wants in a plane")
    figure.savefig(options.output, dpi=80)
    print(f"drawn: {options.output}")


if __name__ == "__main__":
    main()
