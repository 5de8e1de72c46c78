"""
Searching the parameters of a strategy
======================================

A :class:`skal.SimulatedLearner` runs the whole loop in ``fit``, so its score depends on the strategy, and
scikit-learn's ``GridSearchCV`` searches strategies and their parameters like any others.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skal import SimulatedLearner
from skal.strategies import DGAL, UncertaintySampling

X, y = load_digits(return_X_y=True)
X = X / 16

# %%
# There are two questions about :class:`skal.strategies.DGAL`: how many neighbours should a row have in the graph, and
# to how many candidates should DGAL restrict margin sampling? ``y`` is the oracle; each cell is a mean over three folds
# and ends with 100 labels.

learner = SimulatedLearner(
    LogisticRegression(max_iter=1000),
    DGAL(PCA(20), criterion=UncertaintySampling("margin")),
    n_initial=20,
    n_queries=20,
    budget=100,
    random_state=0,
)
grid = {"strategy__n_neighbors": [5, 10, 40], "strategy__n_candidates": [20, 100, 500]}
search = GridSearchCV(learner, grid, cv=3).fit(X, y)
print(search.best_params_, f"{search.best_score_:.1%}")

# %%
results = pd.DataFrame(search.cv_results_)
table = results.pivot_table("mean_test_score", "param_strategy__n_neighbors", "param_strategy__n_candidates")
figure, ax = plt.subplots(layout="constrained")
image = ax.imshow(table, cmap="Blues")
for (row, column), score in np.ndenumerate(table.to_numpy()):
    color = "white" if score > table.to_numpy().mean() else "black"
    ax.text(column, row, f"{score:.3f}", ha="center", va="center", color=color)
ax.set(
    xticks=range(3),
    xticklabels=table.columns,
    xlabel="n_candidates",
    yticks=range(3),
    yticklabels=table.index,
    ylabel="n_neighbors",
)
figure.colorbar(image, ax=ax, label="Accuracy with 100 labels, mean of 3 folds")
plt.show()

# %%
# The three folds of a cell differ by nearly as much as the cells do, so the best of them is hardly better than the
# rest. More folds would show more. Such a search is not possible before a pool is labelled: run it on a pool whose
# labels you know.

print("standard deviation over the folds, mean of the cells:", results["std_test_score"].mean().round(3))
print("standard deviation over the cells:", results["mean_test_score"].std().round(3))
