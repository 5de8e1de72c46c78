"""Was it worth it? What the histories of a simulation say of strategies: areas, labels saved, tests, win rates."""

from .comparison import PairedTests, paired_tests, paired_tests_by_labels
from .labels_saved import LabelsSaved, labels_saved
from .measures import area_under_curve, final_score
from .penalties import PenaltyMatrix, penalty_matrix
from .significance import holm, paired_test
from .win_rates import WinRates, win_rates

__all__ = [
    "LabelsSaved",
    "PairedTests",
    "PenaltyMatrix",
    "WinRates",
    "area_under_curve",
    "final_score",
    "holm",
    "labels_saved",
    "paired_test",
    "paired_tests",
    "paired_tests_by_labels",
    "penalty_matrix",
    "win_rates",
]
