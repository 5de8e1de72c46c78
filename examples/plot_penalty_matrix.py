"""
Which strategy beats which, over several data sets
==================================================

A strategy that is best on one data set may be the worst on another. The penalty matrix of the BADGE paper counts how
often each strategy is significantly better than each of the others, over data sets and numbers of labels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import SimulatedLearner, simulate
from skal.evaluation import win_rates
from skal.plotting import PenaltyMatrixDisplay
from skal.strategies import BADGE, CoreSet, RandomSampling, TypiClust, UncertaintySampling

loaders = {"iris": load_iris, "wine": load_wine, "breast cancer": load_breast_cancer, "digits": load_digits}
strategies = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "entropy": UncertaintySampling("entropy"),
    "BADGE": BADGE(),
    "core set": CoreSet("input"),
    "TypiClust": TypiClust("input"),
}

# %%
# The same learners on each of scikit-learn's four classification sets: 5 labels at first, 5 more per round, 40 at the
# end, and five repeats.

experiments = {}
for name, load in loaders.items():
    X, y = load(return_X_y=True)
    X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=0.4, stratify=y, random_state=0)
    learners = {
        strategy: SimulatedLearner(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            asked,
            n_initial=5,
            n_queries=5,
            budget=40,
        )
        for strategy, asked in strategies.items()
    }
    experiments[name] = simulate(
        learners, X_pool, y_pool, X_val=X_test, y_val=y_test, n_repeats=5, random_state=0
    )

# %%
# Each cell shows how often the strategy of its row beats that of its column; each data set gives up to one point. The
# last row has the mean of each column: a strategy is good if its column is pale.

PenaltyMatrixDisplay.from_experiments(experiments)
plt.show()

# %%
# Margin sampling and BADGE have the palest columns: hardly anything beats them except TypiClust, which scores a point
# or more against each of the others, and is itself beaten most of all. Entropy is beaten as often as random rows.
#
# How often each strategy has a larger mean score than another one, averaged over the others:

found = win_rates(experiments)
for name, rate in zip(found.names, np.nanmean(found.rates, axis=1), strict=True):
    print(f"{name:9} {rate:.0%}")
