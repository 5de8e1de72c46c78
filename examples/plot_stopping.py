"""
When to stop labelling
======================

Every label costs money, and at some point another label is not worth its price. Nobody has a test set then, and a score
on rows that were chosen to be hard says little. The criteria of :mod:`skal.stopping` look at what each round changes
instead.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import SimulatedLearner
from skal.plotting import StoppingDisplay
from skal.stopping import ClassificationChange, ExpectedGain, StabilizingPredictions
from skal.strategies import UncertaintySampling

X, y = load_digits(return_X_y=True)
X_pool, X_test, y_pool, y_test = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)

# %%
# The same learner runs with each criterion, until the criterion stops it or 600 labels are reached. The true score is
# known here, but no criterion sees it.

criteria = {
    "StabilizingPredictions": StabilizingPredictions(),
    "ClassificationChange": ClassificationChange(),
    "ExpectedGain": ExpectedGain(),
}
learners = {
    name: SimulatedLearner(
        LogisticRegression(max_iter=1000),
        UncertaintySampling("margin"),
        n_initial=20,
        n_queries=20,
        budget=600,
        stopping=criterion,
        random_state=0,
    ).fit(X_pool, y_pool, X_val=X_test, y_val=y_test)
    for name, criterion in (criteria | {"none": None}).items()
}

# %%
# Each criterion has its own measure: one minus Cohen's kappa between successive classifiers, the share of rows whose
# predicted class changed, and the accuracy gained per label. The criterion stops where its line falls below the
# threshold.

figure, axes = plt.subplots(1, 3, figsize=(14, 4), layout="constrained")
for ax, name in zip(axes, criteria, strict=True):
    StoppingDisplay.from_criterion(learners[name].stopping_, ax=ax)
    ax.set_title(name)

# %%
# This is where the criteria stop on the learning curve:

history = learners["none"].history_
figure, ax = plt.subplots(layout="constrained")
ax.plot(history["n_labeled"], history["score"], color="grey", label="without a criterion")
for name, marker in zip(criteria, "ov^", strict=True):
    stopped = learners[name].history_
    ax.plot(
        stopped["n_labeled"][-1],
        stopped["score"][-1],
        marker,
        ls="none",
        markersize=10,
        alpha=0.7,
        label=name,
    )
ax.set(xlabel="Number of labels", ylabel="Test accuracy", ylim=(0.8, 1))
ax.legend()
plt.show()

# %%
for name, learner in learners.items():
    print(
        f"{name:22} ends at {learner.history_['n_labeled'][-1]} labels: {learner.history_['score'][-1]:.1%}"
    )

# %%
# A report describes what the last round changed:

print(learners["StabilizingPredictions"].stopping_.report_)

# %%
# All three stop at the end of the climb, and 340 further labels add nothing. Digits are an easy case for the criteria:
# on pools of tens of thousands of rows, where predictions keep changing, only ``ExpectedGain`` stopped everywhere
# (*Which strategy should I use?* has the figures).
