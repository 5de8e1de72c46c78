"""
Labels that diffuse on a graph
==============================

Given two labels and 400 unlabelled rows, which rows do the labels say something about?
:class:`skal.graph.LabelDiffusion` lets random walks run on the graph of nearest neighbours until they meet a label. The
strategy :class:`skal.strategies.DGAL` sees the pool in this way.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skal import UNLABELED
from skal.graph import LabelDiffusion, nearest_neighbors, transition_matrix

X, truth = make_moons(400, noise=0.06, random_state=0)
labeled = np.array([np.argmin(X[:, 0]), np.argmax(X[:, 0])])
y = np.full(len(X), UNLABELED)
y[labeled] = truth[labeled]

# %%
# Each row is joined to its six nearest neighbours, and a walk goes to close ones more often than to far ones.

distances, indices = nearest_neighbors(X, n_neighbors=6)
transitions = transition_matrix(distances, indices)

# %%
# For each class, ``hits`` has the probability that the walk of a row meets a label of that class first, within a given
# number of steps, and ``one_vs_all`` has the signal: that probability minus those of the other classes. The colour is
# the signal as a share of all hits: red where only the left label is met, blue where only the right one is. Grey rows
# meet no label.

n_steps = (3, 15, 30, 60)
figure, axes = plt.subplots(2, 2, figsize=(11, 6.5), layout="constrained", sharex=True, sharey=True)
for ax, steps in zip(axes.flat, n_steps, strict=True):
    diffusion = LabelDiffusion(transitions, steps).diffuse(y)
    is_reached, hits = diffusion.reached(), diffusion.hits()
    signal = diffusion.one_vs_all()[:, truth[labeled[0]]]
    ax.scatter(*X[~is_reached].T, c="lightgrey", s=18)
    points = ax.scatter(
        *X[is_reached].T,
        c=signal[is_reached] / hits[is_reached].sum(axis=1),
        cmap="coolwarm",
        vmin=-1,
        vmax=1,
        s=18,
    )
    ax.scatter(*X[labeled].T, marker="*", s=250, c="gold", edgecolors="black")
    ax.set_title(f"{steps} steps: {is_reached.sum()} of {len(X)} rows reached")
figure.colorbar(points, ax=axes, label="Signal / hits")
plt.show()

# %%
# The labels follow the moons. The truth shows how well:

for steps in n_steps:
    diffusion = LabelDiffusion(transitions, steps).diffuse(y)
    is_reached = diffusion.reached()
    right = (diffusion.hits().argmax(axis=1) == truth)[is_reached].mean()
    print(f"{steps:3} steps: {is_reached.sum()} rows reached, {right:.1%} of them by the right label")

# %%
# DGAL asks first for rows that no label has reached, which is exploration, and then for rows whose signal is near
# zero. :ref:`sphx_glr_auto_examples_plot_exploration.py` shows both.
