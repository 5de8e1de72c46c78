"""
A map of what was asked
=======================

Where in the pool does a strategy ask? :class:`skal.plotting.QueryMapDisplay` draws the pool in two dimensions and gives
each labelled row the colour of the round that asked for it.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.preprocessing import FunctionTransformer

from skal import SimulatedLearner
from skal.plotting import QueryMapDisplay
from skal.strategies import CoreSet, RandomSampling, TypiClust, UncertaintySampling

X, y = load_digits(return_X_y=True)
X = X[:1000] / 16
y = y[:1000]

# %%
# t-SNE sees no label. It puts images that look alike next to each other, so that most digits become islands. A map can
# be drawn with any transformer that maps a row to two numbers, ``PCA(2)`` by default, or ``transformer=TSNE()``. Four
# maps of the same rows share one embedding here, as t-SNE takes seconds.

islands = TSNE(init="pca", random_state=0).fit_transform(X)
embedded = FunctionTransformer(lambda rows: islands)

# %%
# Each strategy starts with the same 20 labels, and asks for 20 more in each of four rounds.

strategies = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "core set": CoreSet("input"),
    "TypiClust": TypiClust("input"),
}
figure, axes = plt.subplots(2, 2, figsize=(11, 9), layout="constrained")
for ax, (name, strategy) in zip(axes.flat, strategies.items(), strict=True):
    learner = SimulatedLearner(
        LogisticRegression(max_iter=1000), strategy, n_initial=20, n_queries=20, budget=100, random_state=0
    ).fit(X, y)
    QueryMapDisplay.from_learner(learner, transformer=embedded, ax=ax)
    ax.set_title(f"{name}: {learner.score(X, y):.1%} of the pool right with 100 labels")
plt.show()

# %%
# Random rows fall where the pool is dense. Margin sampling hardly asks on the islands far out, whose digits the
# classifier knows after one round, and asks again and again in the middle, where islands touch. The core set and
# TypiClust spread over all of the pool in every round.
