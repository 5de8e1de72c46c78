"""Batch selectors: top-k, k-center greedy, k-means++ on gradient embeddings, k-medians, k-means, densities, draws.

They take plain arrays, return integer arrays of row positions, and know nothing about labels or estimators.
Distances are evaluated in float64, block by block and as late as possible: the distance of a row to its nearest
pick can only fall, so an old distance is an upper bound, and most rows never need a new one.
"""

from .badge import badge_kmeans_plusplus
from .balls import BallCover, pure_sq_radius
from .bottom import bottom_k
from .density import mean_closeness, mean_cosine
from .farthest_first import FarthestFirst
from .fisher import FisherRows, bait
from .herding import KernelHerding
from .joint_information import batch_bald
from .means import k_means
from .medians import k_medians
from .successive import successive_sample
from .top import Best, drawn_key, top_k

__all__ = [
    "BallCover",
    "Best",
    "FarthestFirst",
    "FisherRows",
    "KernelHerding",
    "badge_kmeans_plusplus",
    "bait",
    "batch_bald",
    "bottom_k",
    "drawn_key",
    "k_means",
    "k_medians",
    "mean_closeness",
    "mean_cosine",
    "pure_sq_radius",
    "successive_sample",
    "top_k",
]
