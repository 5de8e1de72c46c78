"""How many labels does each strategy need? Random, margin, CoreSet and BADGE on scikit-learn's digits.

Run ``python examples/quickstart.py [picture.png]``. It takes about a minute on two cores, shows a progress bar, prints
a table and draws the learning curves.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import SimulatedLearner, simulate
from skal.classifiers import CNNClassifier
from skal.plotting import LearningCurveDisplay
from skal.simulation import labels_needed
from skal.strategies import BADGE, CoreSet, RandomSampling, UncertaintySampling

TARGET = 0.95
STRATEGIES = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "CoreSet": CoreSet(),
    "BADGE": BADGE(),
}
CLASSIFIERS = {
    "linear": LogisticRegression(C=10, max_iter=200),
    "CNN": CNNClassifier(
        "digits",
        module_params={"n_filters": 16},
        lr=5e-3,
        batch_size=32,
        max_epochs=15,
        image_shape=(1, 8, 8),
    ),
}


def main(picture: str = "quickstart.png") -> None:
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=500, stratify=y, random_state=0)

    runs = {
        (classifier, strategy): SimulatedLearner(
            CLASSIFIERS[classifier], STRATEGIES[strategy], n_initial=25, n_queries=25, budget=300
        )
        for classifier in CLASSIFIERS
        for strategy in STRATEGIES
    }
    histories = {}
    for (classifier, strategy), learner in track(runs.items(), description="Simulating"):
        learners = {strategy: learner}
        results = simulate(
            learners, X_pool, y_pool, X_val=X_test, y_val=y_test, n_repeats=3, n_jobs=2, random_state=0
        )
        histories[classifier, strategy] = results[strategy]

    table = Table(title=f"Labels needed for {TARGET:.0%} test accuracy on digits (mean of 3 runs)")
    for heading in ("strategy", *CLASSIFIERS):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    for strategy in STRATEGIES:
        needed = [labels_needed(histories[classifier, strategy], TARGET) for classifier in CLASSIFIERS]
        table.add_row(strategy, *("over 300" if np.isnan(n).any() else f"{n.mean():.0f}" for n in needed))
    Console().print(table)

    figure, axes = plt.subplots(1, len(CLASSIFIERS), figsize=(10, 4), sharey=True, layout="constrained")
    for ax, classifier in zip(axes, CLASSIFIERS, strict=True):
        curves = {strategy: histories[classifier, strategy] for strategy in STRATEGIES}
        LearningCurveDisplay.from_history(curves, ax=ax)
        ax.axhline(TARGET, color="grey", linewidth=0.8, linestyle="--")
        ax.set(title=f"{classifier} classifier", ylabel="Test accuracy", ylim=(0.6, 1.0))
    figure.savefig(picture, dpi=100)
    print(f"The learning curves are in {Path(picture).resolve().name}.")


if __name__ == "__main__":
    main(*sys.argv[1:2])
