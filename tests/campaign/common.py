"""A small campaign, whose time stands still until a test moves it."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.campaign import Campaign
from skal.strategies import CoreSet, RandomSampling, UncertaintySampling

X = np.random.default_rng(0).normal(size=(60, 3))
TRUTH = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)


class Clock:
    """A time that a test sets."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def learner(strategy=None, **params):
    return ActiveLearner(
        LogisticRegression(),
        UncertaintySampling() if strategy is None else strategy,
        **{"cold_start": CoreSet(), "random_state": 0, **params},
    )


def begun(folder, *, strategy=None, **params):
    """A campaign over `X` that trains in this process."""
    chosen = {"classes": [0, 1], "training": "foreground", "clock": Clock(), **params}
    return Campaign(folder, learner(RandomSampling() if strategy is None else strategy), X, **chosen)


def label(campaign, n, name="anna"):
    """The next rows, labelled with the truth one after the other."""
    for _ in range(n):
        rows = campaign.next(name)
        campaign.answer(name, rows, TRUTH[rows])


def said(campaign):
    """What holds, by annotator and row."""
    found = campaign.answers()
    held = zip(found["annotator"], found["row"], found["label"], found["holds"], strict=True)
    return {(name, row): label for name, row, label, holds in held if holds}
