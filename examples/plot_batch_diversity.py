"""
A batch of rows that differ: BADGE beside the smallest margins
==============================================================

Suppose that twenty rows are asked for at a time, and that the pool has many near duplicates, as videos and logs do. The
rows with the smallest margins are then nearly copies of each other. :class:`skal.strategies.BADGE` spreads the batch
over gradients, which are long where the classifier is unsure and point in the direction in which the row would move it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import train_test_split

from skal import UNLABELED, ActiveLearner, SimulatedLearner, simulate
from skal.plotting import LearningCurveDisplay, UtilityDisplay
from skal.strategies import BADGE, RandomSampling, UncertaintySampling

# %%
# One batch in a plane
# --------------------
# Five classes, 20 labels, and a batch of 20 rows in red.

X, truth = make_blobs(500, centers=5, cluster_std=1.3, random_state=2)
y = np.where(np.arange(500) < 20, truth, UNLABELED)
strategies = {"margin": UncertaintySampling("margin"), "BADGE": BADGE()}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, (name, strategy) in zip(axes, strategies.items(), strict=True):
    learner = ActiveLearner(
        LogisticRegression(), UncertaintySampling("margin"), n_queries=20, random_state=0
    ).fit(X, y)
    UtilityDisplay.from_learner(learner, ax=ax)
    rows = learner.use(strategy).query()
    ax.scatter(*X[rows].T, s=60, facecolors="none", edgecolors="red", linewidths=1.5)
    nearest = np.sort(pairwise_distances(X[rows]), axis=1)[:, 1]
    ax.set_title(f"{name}: {np.median(nearest):.2f} from a row to the next (median)")

# %%
# A pool of near duplicates
# -------------------------
# Each digit of the pool is there ten times with a little noise.

X, y = load_digits(return_X_y=True)
X_pool, X_test, y_pool, y_test = train_test_split(X / 16, y, test_size=600, stratify=y, random_state=0)
rng = np.random.default_rng(0)
X_pool = np.repeat(X_pool, 10, axis=0)
X_pool += rng.normal(scale=0.02, size=X_pool.shape)
y_pool = np.repeat(y_pool, 10)
learners = {
    name: SimulatedLearner(
        LogisticRegression(max_iter=1000), strategy, n_initial=20, n_queries=40, budget=220
    )
    for name, strategy in {"random": RandomSampling(), **strategies}.items()
}
histories = simulate(learners, X_pool, y_pool, X_val=X_test, y_val=y_test, n_repeats=5, random_state=0)
display = LearningCurveDisplay.from_history(histories, baseline="random")
display.ax_.set(ylabel="Test accuracy", title="Digits, each ten times")
plt.show()

# %%
# BADGE is ahead of margin sampling until about 140 labels, and after that both are equally far ahead of random rows.
# How many of the digits that a strategy paid for were distinct?

for name, learner in learners.items():
    rows = learner.set_params(random_state=0).fit(X_pool, y_pool).labeled_rows_
    print(f"{name}: {len(np.unique(rows // 10))} different digits among {len(rows)} labels")
