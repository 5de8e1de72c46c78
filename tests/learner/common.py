"""The pool, the labels, the learner and the synthesis that the tests of learners share."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner
from skal.strategies import SynthesisStrategy, UncertaintySampling

X, TRUTH = load_iris(return_X_y=True)
Y = np.where(np.arange(150) % 10 == 0, TRUTH, UNLABELED)


def logistic():
    """One of seven iterations instead of 65: most tests compare what it says, and few whether it is right."""
    return LogisticRegression(tol=0.1)


def learner(**params):
    return ActiveLearner(logistic(), UncertaintySampling(), n_queries=5, random_state=0).set_params(**params)


class Noise(SynthesisStrategy):
    """Random samples, for the learner's part of a synthesis."""

    def _synthesize(self, query):
        return query.pool.like(query.rng.normal(size=(query.n_queries, 4)))
