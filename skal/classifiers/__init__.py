"""Torch modules as scikit-learn classifiers."""

from .cnn import CNNClassifier
from .linear import LinearClassifier
from .net_classifier import NetClassifier
from .vaal_classifier import VAALClassifier

__all__ = ["CNNClassifier", "LinearClassifier", "NetClassifier", "VAALClassifier"]
