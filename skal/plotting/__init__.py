"""Displays in the style of scikit-learn's: computed once, drawn and restyled at will."""

from .class_counts import ClassCountsDisplay
from .learning_curves import LearningCurveDisplay
from .matches import MatchesDisplay
from .penalties import PenaltyMatrixDisplay
from .query import QueryDisplay
from .query_map import QueryMapDisplay
from .stopping import StoppingDisplay
from .utilities import UtilityDisplay

__all__ = [
    "ClassCountsDisplay",
    "LearningCurveDisplay",
    "MatchesDisplay",
    "PenaltyMatrixDisplay",
    "QueryDisplay",
    "QueryMapDisplay",
    "StoppingDisplay",
    "UtilityDisplay",
]
