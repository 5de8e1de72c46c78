"""The learner: a classifier, a pool, partial labels and a strategy in one estimator."""

from .active import ActiveLearner
from .checks import check_learner
from .state import RowState

__all__ = ["ActiveLearner", "RowState", "check_learner"]
