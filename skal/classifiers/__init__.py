"""Torch modules as scikit-learn classifiers, and classifiers whose loss belongs to an active learning method."""

from .acgan import ACGANClassifier
from .batch import Batch
from .boundary_svc import BoundarySVC
from .cnn import CNNClassifier
from .converged import Converged
from .label_encoded import LabelEncodedClassifier
from .learning_loss import LearningLossClassifier
from .linear import LinearClassifier
from .net_classifier import NetClassifier
from .vaal import VAALClassifier
from .wasserstein import WassersteinClassifier

__all__ = [
    "ACGANClassifier",
    "Batch",
    "BoundarySVC",
    "CNNClassifier",
    "Converged",
    "LabelEncodedClassifier",
    "LearningLossClassifier",
    "LinearClassifier",
    "NetClassifier",
    "VAALClassifier",
    "WassersteinClassifier",
]
