"""Query strategies: estimators that choose the rows of a pool that are worth labelling."""

from .badge import BADGE
from .base import CandidateStrategy, QueryStrategy, ScoreStrategy
from .core_set import CoreSet
from .k_median import KMedian
from .random_sampling import RandomSampling
from .random_subset import RandomSubset
from .uncertainty import UncertaintySampling

__all__ = [
    "BADGE",
    "CandidateStrategy",
    "CoreSet",
    "KMedian",
    "QueryStrategy",
    "RandomSampling",
    "RandomSubset",
    "ScoreStrategy",
    "UncertaintySampling",
]
