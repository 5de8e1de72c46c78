"""
From exploration to refinement
==============================

While labels are few, a classifier does not know what it does not know: it is sure of regions that nobody has looked at.
Later, rows between the classes teach it most. Two strategies move from exploration to refinement by themselves:
:class:`skal.strategies.DGAL` once its diffused labels reach every row, and :class:`skal.strategies.Switch` once there
is a given number of labels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.preprocessing import FunctionTransformer

from skal import SimulatedLearner
from skal.plotting import QueryMapDisplay
from skal.strategies import DGAL, Switch, TypiClust, UncertaintySampling

# %%
# The pool has six moons of two classes. The first eight labels are all in the two moons on the left.

moons, halves = make_moons(200, noise=0.1, random_state=0)
to_the_right = np.array([3.5, 0])
X = np.concatenate([moons, moons + to_the_right, moons + 2 * to_the_right])
truth = np.concatenate([halves, 1 - halves, halves])
first = np.arange(8)

# %%
# The strategies ask for four rows in each of thirteen rounds. The rows are points in a plane already, so DGAL needs no
# encoder.

as_they_are = FunctionTransformer()
margin = UncertaintySampling("margin")
strategies = {
    "margin": margin,
    "DGAL": DGAL(as_they_are, n_neighbors=6, n_candidates=40, criterion=margin),
    "TypiClust until 24 labels, then margin": Switch(TypiClust("input"), margin, when=24),
}
learners = {
    name: SimulatedLearner(
        GaussianProcessClassifier(RBF(0.5), optimizer=None),
        strategy,
        initial=first,
        n_queries=4,
        budget=60,
        random_state=0,
    ).fit(X, truth, X_val=X, y_val=truth)
    for name, strategy in strategies.items()
}

# %%
# The maps show the plane itself, with each row in the colour of the round that asked for it.

figure, axes = plt.subplots(3, 1, figsize=(10, 9), layout="constrained")
for ax, (name, learner) in zip(axes, learners.items(), strict=True):
    QueryMapDisplay.from_learner(learner, transformer=as_they_are, ax=ax)
    ax.set_title(f"{name}: {learner.score(X, truth):.1%} of the rows right")
plt.show()

# %%
# Margin sampling spends its first rounds (dark) on two spots in the middle, where its classes meet, and reaches the
# right side later. DGAL and typical rows ask there in the first rounds. The accuracy by number of labels:

figure, ax = plt.subplots(layout="constrained")
for name, learner in learners.items():
    ax.plot(learner.history_["n_labeled"], learner.history_["score"], marker="o", label=name)
ax.set(xlabel="Number of labels", ylabel="Accuracy on the pool")
ax.legend()
plt.show()

# %%
# With 28 labels the two strategies that explore have an accuracy of 94 % and 98 %, margin sampling 84 %. At the end
# margin sampling has caught up, and DGAL is the last of the three: DGAL shows its margin sampling only the 40 rows
# about which the labels say least.
