"""Deep active learning with scikit-learn's interface."""

from .labels import UNLABELED
from .learner import ActiveLearner, RowState
from .simulation import SimulatedLearner, simulate
from .utils.progress import show_progress

__version__ = "0.1.dev0"
__all__ = ["UNLABELED", "ActiveLearner", "RowState", "SimulatedLearner", "show_progress", "simulate"]
