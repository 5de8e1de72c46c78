"""Query strategies: estimators that choose the rows of a pool that are worth labelling."""

from .adba import ADBA
from .asal import ASAL
from .badge import BADGE
from .base import CandidateStrategy, QueryStrategy, ScoreStrategy, SynthesisStrategy
from .core_set import CoreSet
from .dgal import DGAL
from .gaal import GAAL
from .k_median import KMedian
from .random_sampling import RandomSampling
from .random_subset import RandomSubset
from .seals import SEALS
from .uncertainty import UncertaintySampling
from .vaal import VAAL

__all__ = [
    "ADBA",
    "ASAL",
    "BADGE",
    "DGAL",
    "GAAL",
    "SEALS",
    "VAAL",
    "CandidateStrategy",
    "CoreSet",
    "KMedian",
    "QueryStrategy",
    "RandomSampling",
    "RandomSubset",
    "ScoreStrategy",
    "SynthesisStrategy",
    "UncertaintySampling",
]
