"""Query strategies: estimators that choose the rows of a pool that are worth labelling."""

from .adba import ADBA
from .alcg import ALCG
from .asal import ASAL
from .badge import BADGE
from .bait import BAIT
from .bald import BALD
from .base import QueryStrategy
from .batch_bald import BatchBALD
from .candidates import CandidateStrategy
from .class_balanced import ClassBalanced
from .contrastive import ContrastiveAL
from .core_set import CoreSet
from .cost_aware import CostAware
from .deep_fool import DeepFool
from .density_weighted import DensityWeighted
from .dgal import DGAL
from .diffusion import DiffusionSampling
from .discriminative import DiscriminativeAL
from .drop_query import DropQuery
from .embedding import EmbeddingStrategy
from .expected_error import ExpectedErrorReduction
from .gaal import GAAL
from .k_median import KMedian
from .learning_loss import LearningLoss
from .max_herding import MaxHerding
from .prob_cover import ProbCover
from .query import Query
from .query_by_committee import QueryByCommittee
from .random_sampling import RandomSampling
from .random_subset import RandomSubset
from .score import ScoreStrategy
from .seals import SEALS
from .switch import Switch
from .synthesis import SynthesisStrategy
from .typi_clust import TypiClust
from .uncertainty import UncertaintySampling
from .vaal import VAAL
from .waal import WAAL

__all__ = [
    "ADBA",
    "ALCG",
    "ASAL",
    "BADGE",
    "BAIT",
    "BALD",
    "DGAL",
    "GAAL",
    "SEALS",
    "VAAL",
    "WAAL",
    "BatchBALD",
    "CandidateStrategy",
    "ClassBalanced",
    "ContrastiveAL",
    "CoreSet",
    "CostAware",
    "DeepFool",
    "DensityWeighted",
    "DiffusionSampling",
    "DiscriminativeAL",
    "DropQuery",
    "EmbeddingStrategy",
    "ExpectedErrorReduction",
    "KMedian",
    "LearningLoss",
    "MaxHerding",
    "ProbCover",
    "Query",
    "QueryByCommittee",
    "QueryStrategy",
    "RandomSampling",
    "RandomSubset",
    "ScoreStrategy",
    "Switch",
    "SynthesisStrategy",
    "TypiClust",
    "UncertaintySampling",
]
