"""When to stop labelling: criteria that look at how a learner changes from round to round."""

from .base import StoppingCriterion, StoppingReport
from .expected_gain import ExpectedGain
from .maximum_utility import MaximumUtility
from .predictions import ClassificationChange, StabilizingPredictions

__all__ = [
    "ClassificationChange",
    "ExpectedGain",
    "MaximumUtility",
    "StabilizingPredictions",
    "StoppingCriterion",
    "StoppingReport",
]
