"""
What a strategy wants: utilities and decision boundaries
========================================================

Strategies that score rows can be drawn in a plane. :class:`skal.plotting.UtilityDisplay` shows the utility of each
point (dark is wanted most), where the classes meet (black lines) and the labels so far (large points).
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner
from skal.plotting import UtilityDisplay
from skal.strategies import QueryByCommittee, UncertaintySampling

# %%
# The data has three classes, 300 rows and 15 labels.

X, truth = make_blobs(300, centers=[(-3, 0), (3, 0), (0, 4)], cluster_std=1.5, random_state=0)
y = np.where(np.arange(300) < 15, truth, UNLABELED)

# %%
# The upper row has the three measures of uncertainty for logistic regression, the lower row a forest. The red circles
# are the ten rows that a query asks for.

forest = RandomForestClassifier(50, min_samples_leaf=2, random_state=0)
shown = {
    "least confidence": (LogisticRegression(), UncertaintySampling("least_confidence")),
    "margin": (LogisticRegression(), UncertaintySampling("margin")),
    "entropy": (LogisticRegression(), UncertaintySampling("entropy")),
    "forest, margin": (forest, UncertaintySampling("margin")),
    "forest, vote entropy": (forest, QueryByCommittee("vote_entropy")),
    "forest, kl": (forest, QueryByCommittee("kl")),
}
figure, axes = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
for ax, (name, (classifier, strategy)) in zip(axes.flat, shown.items(), strict=True):
    learner = ActiveLearner(classifier, strategy, n_queries=10, random_state=0).fit(X, y)
    UtilityDisplay.from_learner(learner, ax=ax)
    ax.scatter(*X[learner.query()].T, s=60, facecolors="none", edgecolors="red")
    ax.set_title(name)
plt.show()

# %%
# For logistic regression the margin is equally small everywhere on a boundary, while entropy and least confidence want
# the point where all three classes meet. The probabilities of a forest are shares of trees, so its utilities come in
# steps. Its margin is smallest in a corner that has hardly any label, and asks for the outlying rows there. Committees
# ask for rows about which the trees disagree most, which are near the point where the classes meet.
#
# The rows that are asked for lie close to each other: each is a good choice on its own, but a batch of them may give
# the same information ten times. :ref:`sphx_glr_auto_examples_plot_batch_diversity.py` shows what to do about that.
