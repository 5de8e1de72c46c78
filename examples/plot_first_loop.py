"""
A first loop: ask, label, learn
===============================

There are 1797 images of handwritten digits, and money for 130 labels: which images should a person label? An
:class:`skal.ActiveLearner` holds the pool, the labels so far and a classifier. It selects the rows to label next, and
learns from the answers.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import UNLABELED, ActiveLearner
from skal.plotting import QueryDisplay
from skal.strategies import RandomSampling, UncertaintySampling

# %%
# The pool and its first labels
# -----------------------------
# ``y`` has one entry per row of the pool, and ``UNLABELED`` (-1, as in scikit-learn) where a row has no label yet. Here
# the labels are known, so they play the part of the annotator: ``truth`` is only looked up for rows that are asked for.

X, digits = load_digits(return_X_y=True)
X_pool, X_test, truth, y_test = train_test_split(
    X / 16, digits, test_size=500, stratify=digits, random_state=0
)
y = np.full(len(X_pool), UNLABELED)
y[:30] = truth[:30]

# %%
# The loop
# --------
# ``query`` returns positions of unlabelled rows, best first. ``teach`` records their labels and trains the classifier
# again on all of them. Margin sampling asks for the rows whose two most probable classes are closest.


def run(strategy):
    learner = ActiveLearner(LogisticRegression(max_iter=1000), strategy, n_queries=20, random_state=0)
    learner.fit(X_pool, y)
    curve, asked = [(30, learner.score(X_test, y_test))], []
    for _ in range(5):
        rows = learner.query()
        asked.append(rows)
        learner.teach(rows, truth[rows])
        curve.append((int((learner.y_ != UNLABELED).sum()), learner.score(X_test, y_test)))
    return np.array(curve), asked, learner


margin, asked, learner = run(UncertaintySampling("margin"))
random, *_ = run(RandomSampling())
for name, curve in {"margin": margin, "random": random}.items():
    print(f"{name}: " + ", ".join(f"{score:.1%} with {n:.0f}" for n, score in curve))

# %%
# What it asked for
# -----------------
# The upper images are the first ten of the first query, the lower images the first ten of the last query, each with its
# row and the label that it was given.

rows = np.concatenate([asked[0][:10], asked[-1][:10]])
QueryDisplay.from_learner(learner, rows, image_shape=(8, 8))

# %%
# What it learned
# ---------------

figure, ax = plt.subplots(layout="constrained")
for name, curve in {"margin": margin, "random": random}.items():
    ax.plot(*curve.T, marker="o", label=name)
ax.set(xlabel="Number of labels", ylabel="Test accuracy", title="Digits, one run")
ax.legend()
plt.show()

# %%
# Both begin with the same 30 labels. After its first query margin sampling is behind, because a classifier that knows
# so little does not know what to ask for. From 70 labels on it is ahead, and with 70 labels it has an accuracy that
# random rows do not reach with 130. This is one run: :ref:`sphx_glr_auto_examples_plot_learning_curves.py` repeats such
# a comparison and tests it.
