"""
Rows with different costs
=========================

A short text takes seconds to label and a long one minutes. :class:`skal.strategies.CostAware` asks for the most utility
per cost, so that an hour of an annotator goes further.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import SimulatedLearner
from skal.strategies import CostAware, RandomSampling, UncertaintySampling

# %%
# Suppose that the time for an image grows with the ink on it, from a few seconds to two minutes. The function is given
# to the strategy, which calls it once for each row.


def seconds(X):
    return 3 + 4 * np.maximum(X.sum(axis=1) - 14, 0) ** 1.2


X, y = load_digits(return_X_y=True)
X_pool, X_test, y_pool, y_test = train_test_split(X / 16, y, test_size=600, stratify=y, random_state=0)
cost = seconds(X_pool)
print("seconds for an image: median {:.0f}, from {:.0f} to {:.0f}".format(*np.quantile(cost, [0.5, 0, 1])))

# %%
# Each learner may ask for as many labels as it likes; what counts is the time.

strategies = {
    "random": RandomSampling(),
    "entropy": UncertaintySampling("entropy"),
    "entropy per second": CostAware(UncertaintySampling("entropy"), cost=seconds),
}
figure, ax = plt.subplots(layout="constrained")
for name, strategy in strategies.items():
    learner = SimulatedLearner(
        LogisticRegression(max_iter=1000), strategy, n_initial=20, n_queries=20, budget=300, random_state=0
    ).fit(X_pool, y_pool, X_val=X_test, y_val=y_test)
    spent = np.cumsum(cost[learner.labeled_rows_])[learner.history_["n_labeled"] - 1] / 60
    ax.plot(spent, learner.history_["score"], marker="o", label=name)
    n_labels = learner.history_["n_labeled"][np.searchsorted(spent, 60, side="right") - 1]
    print(
        f"{name}: {n_labels} labels in the first hour, {np.interp(60, spent, learner.history_['score']):.1%}"
    )
ax.set(xlabel="Minutes of labelling", ylabel="Test accuracy")
ax.legend()
plt.show()

# %%
# In the first hour costs make more of a difference than entropy. Entropy alone is no better than random rows: rows of
# which the classifier is unsure are no cheaper than others. Images with little ink teach nearly as much, and there is
# time for 180 of them instead of 100. After two hours plain entropy has caught up.
