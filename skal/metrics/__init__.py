"""How good generated rows are: Frechet distance, inception score, GAN-test, and all of them in a learner's history.

Everything streams: rows, their features and their probabilities are held one block at a time.
"""

from .frechet import FeatureStatistics, FrechetDistance, frechet_distance
from .gan_test import GANTestScore, gan_test_score
from .inception import InceptionFeatures
from .inception_scores import InceptionScore, inception_score
from .scorer import GenerationScorer

__all__ = [
    "FeatureStatistics",
    "FrechetDistance",
    "GANTestScore",
    "GenerationScorer",
    "InceptionFeatures",
    "InceptionScore",
    "frechet_distance",
    "gan_test_score",
    "inception_score",
]
