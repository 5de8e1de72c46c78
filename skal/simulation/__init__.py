"""The active-learning loop with the labels known from the start: for experiments and grid search."""

from .histories import Histories, History
from .learner import SimulatedLearner
from .repeats import labels_needed, simulate

__all__ = ["Histories", "History", "SimulatedLearner", "labels_needed", "simulate"]
