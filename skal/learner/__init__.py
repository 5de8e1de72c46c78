"""The learner: a classifier, a pool, partial labels and a strategy in one estimator."""

from .active import ActiveLearner
from .state import RowState

__all__ = ["ActiveLearner", "RowState"]
