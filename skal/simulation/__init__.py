"""The active-learning loop with the labels known from the start: for experiments and grid search."""

from .learner import History, SimulatedLearner
from .repeats import labels_needed, simulate

__all__ = ["History", "SimulatedLearner", "labels_needed", "simulate"]
