"""
The first labels of a pool
==========================

Before there is a classifier, nothing is uncertain. :class:`skal.strategies.TypiClust`,
:class:`skal.strategies.ProbCover` and :class:`skal.strategies.MaxHerding` need no classifier: they ask for rows that
represent many others and have no label nearby.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import UNLABELED, ActiveLearner, SimulatedLearner, simulate
from skal.plotting import LearningCurveDisplay
from skal.strategies import MaxHerding, ProbCover, RandomSampling, Switch, TypiClust, UncertaintySampling

X, y = load_digits(return_X_y=True)
X_pool, X_test, y_pool, y_test = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)
covering = {
    "TypiClust": TypiClust("input"),
    "ProbCover": ProbCover("input"),
    "MaxHerding": MaxHerding("input"),
}

# %%
# The first ten
# -------------
# There is no label yet. Here are the ten images that each strategy asks for, and how many of the ten digits are among
# them.

nobody_has_labelled = np.full(len(X_pool), UNLABELED)
figure = plt.figure(figsize=(9, 5), layout="constrained")
parts = figure.subfigures(4, squeeze=False).flat
for part, (name, strategy) in zip(parts, {"random": RandomSampling(), **covering}.items(), strict=True):
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=10, random_state=0)
    rows = learner.fit(X_pool, nobody_has_labelled).query()
    for ax, row in zip(part.subplots(1, 10), rows, strict=True):
        ax.imshow(X_pool[row].reshape(8, 8), cmap="gray_r")
        ax.axis("off")
    part.suptitle(f"{name}: {len(np.unique(y_pool[rows]))} different digits", x=0.02, ha="left")

# %%
# The first hundred
# -----------------
# All strategies begin without a label. Margin sampling draws rows at random until it has a classifier. The last
# strategy switches from typical rows to margins once it has 40 labels.

strategies = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    **covering,
    "TypiClust, then margin": Switch(TypiClust("input"), UncertaintySampling("margin"), when=40),
}
learners = {
    name: SimulatedLearner(
        LogisticRegression(max_iter=1000),
        strategy,
        n_initial=0,
        n_queries=10,
        budget=100,
        cold_start=RandomSampling() if name == "margin" else None,
    )
    for name, strategy in strategies.items()
}
histories = simulate(learners, X_pool, y_pool, X_val=X_test, y_val=y_test, n_repeats=5, random_state=0)
display = LearningCurveDisplay.from_history(histories, band=None, baseline="random")
display.ax_.set(ylabel="Test accuracy", title="Digits from no label on: points differ from random")
plt.show()

# %%
for n_labels in (20, 50, 100):
    print(f"With {n_labels} labels:")
    for name, history in histories.items():
        score = history["score"][history["n_labeled"] == n_labels].mean()
        print(f"  {name:22} {score:.1%}")

# %%
# With 20 labels TypiClust and MaxHerding are 20 points and more ahead of random rows, and margin sampling is 6 points
# ahead. With 100 labels margin sampling has caught up with TypiClust. ProbCover is ahead of random rows up to 40
# labels, and no better afterwards; its result depends on its radius, which it chooses by itself here.
