"""
Is it better than random? Learning curves with tests
====================================================

One curve above another may be luck. :func:`skal.simulate` runs each strategy several times, and the runs of one repeat
start from the same labels, so they are pairs. Paired tests then show which differences are more than luck.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import SimulatedLearner, simulate
from skal.evaluation import labels_saved, paired_tests
from skal.plotting import LearningCurveDisplay
from skal.strategies import BADGE, CoreSet, RandomSampling, UncertaintySampling

X, y = load_digits(return_X_y=True)
X_pool, X_test, y_pool, y_test = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)

# %%
# A :class:`skal.SimulatedLearner` is an active learner that is given all labels and reveals them round by round, here
# 20 at a time from 20 to 200.

strategies = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "BADGE": BADGE(),
    "core set": CoreSet("input"),
}
learners = {
    name: SimulatedLearner(
        LogisticRegression(max_iter=1000), strategy, n_initial=20, n_queries=20, budget=200
    )
    for name, strategy in strategies.items()
}
histories = simulate(learners, X_pool, y_pool, X_val=X_test, y_val=y_test, n_repeats=5, random_state=0)

# %%
# The lines are means of five repeats, the bands their standard deviation. A point marks where a strategy differs from
# random sampling: a paired t-test at that number of labels, with Holm's correction for three strategies, below 0.05.

display = LearningCurveDisplay.from_history(histories, baseline="random")
display.ax_.set(ylabel="Test accuracy", title="Digits: points differ from random (paired t, Holm, 0.05)")
plt.show()

# %%
# The same comparison in one number per strategy: the difference in the area under the curve, in accuracy, and its
# p-value.

print(paired_tests(histories, baseline="random").to_frame().round(4).to_string(index=False))

# %%
# And in labels: how many fewer each strategy needed for an accuracy of 90 %.

print(labels_saved(histories, 0.9, baseline="random", random_state=0))

# %%
# All three have a larger area than random sampling, and the intervals of the labels that they saved are wide: five
# repeats show *that* they are better, but not by how much.
