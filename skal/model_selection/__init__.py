"""Scores on the labelled rows alone for scikit-learn's own tools."""

from .scorer import labeled_part, labeled_scorer
from .split import LabeledSplit

__all__ = ["LabeledSplit", "labeled_part", "labeled_scorer"]
