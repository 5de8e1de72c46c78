"""The pool, its labels and the simulated learner that these tests share."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skal import SimulatedLearner
from skal.strategies import UncertaintySampling

X, Y = load_iris(return_X_y=True)


def learner(strategy=None, **params):
    defaults = {"n_initial": 6, "n_queries": 4, "budget": 19, "random_state": 0}
    simulated = SimulatedLearner(LogisticRegression(max_iter=1000), strategy or UncertaintySampling())
    return simulated.set_params(**defaults | params)
