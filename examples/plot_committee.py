"""
Query by committee
==================

Where several classifiers that fit the labels disagree, at least one of them is wrong.
:class:`skal.strategies.QueryByCommittee` asks for those rows. A forest is a committee already; any other classifier is
trained on bootstrap samples of the labels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skal import UNLABELED, ActiveLearner, SimulatedLearner, simulate
from skal.plotting import LearningCurveDisplay, UtilityDisplay
from skal.strategies import BatchBALD, QueryByCommittee, RandomSampling, UncertaintySampling

# %%
# Where the members disagree
# --------------------------
# Five small networks are each trained on their own sample of 24 labels. The left plot shows their boundaries, the right
# plot the vote entropy, which is highest where the votes are three to two. No member doubts the far ends of the moons.

X, truth = make_moons(400, noise=0.2, random_state=0)
y = np.where(np.arange(400) < 24, truth, UNLABELED)
network = MLPClassifier((20,), solver="lbfgs", max_iter=2000, random_state=0)
learner = ActiveLearner(
    BaggingClassifier(network, n_estimators=5, random_state=0),
    QueryByCommittee(),
    n_queries=10,
    random_state=0,
).fit(X, y)

figure, (members, votes) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
members.scatter(*X.T, s=6, color="lightgrey")
members.scatter(*X[:24].T, c=truth[:24], cmap="tab10", vmax=9, s=30, edgecolors="black")
for member in learner.estimator_.estimators_:
    DecisionBoundaryDisplay.from_estimator(
        member, X, response_method="predict", plot_method="contour", levels=[0.5], colors="black", ax=members
    )
members.set_title("Boundaries of the members")
UtilityDisplay.from_learner(learner, ax=votes, levels=5)
votes.scatter(*X[learner.query()].T, s=60, facecolors="none", edgecolors="red", linewidths=1.5)
votes.set_title("Vote entropy, and a query in red")

# %%
# Is it worth it?
# ---------------
# The committee is now a forest of 30 trees on the digits. :class:`skal.strategies.BatchBALD` asks the same members, but
# measures how much the labels of a whole batch would reveal together.

X, y = load_digits(return_X_y=True)
X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=500, stratify=y, random_state=0)
strategies = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "vote entropy": QueryByCommittee("vote_entropy"),
    "BatchBALD": BatchBALD(),
}
forest = RandomForestClassifier(30, random_state=0)
learners = {
    name: SimulatedLearner(forest, strategy, n_initial=20, n_queries=20, budget=160)
    for name, strategy in strategies.items()
}
histories = simulate(learners, X_pool, y_pool, X_val=X_test, y_val=y_test, n_repeats=3, random_state=0)
display = LearningCurveDisplay.from_history(histories, band="min_max")
display.ax_.set(ylabel="Test accuracy", title="A forest on the digits: means and extremes of 3 repeats")
plt.show()

# %%
for name, history in histories.items():
    print(f"{name:12} {history['score'][:, -1].mean():.1%} with 160 labels")

# %%
# A committee is no free lunch: by votes it is not ahead of random rows here, and in the first rounds it is behind them.
# With few labels nearly all trees disagree nearly everywhere, and the rows they disagree about most lie between all
# digits. The margin of the same forest, which counts the votes for two classes only, does best of the four, and
# BatchBALD, which looks at the batch as a whole, lies between.
