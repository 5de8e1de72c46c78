"""Was it worth it? Strategies compared by the histories of simulations, and a learner's audit of its classifier."""

from .audit import AuditReport, audit_report
from .comparison import PairedTests, PairedTestsByLabels, paired_tests, paired_tests_by_labels
from .intervals import binomial_interval
from .labels_saved import LabelsSaved, labels_saved
from .measures import area_under_curve, final_score
from .penalties import PenaltyMatrix, penalty_matrix
from .risk import Risk, lure_estimate, lure_weights
from .significance import holm, paired_test
from .win_rates import WinRates, win_rates

__all__ = [
    "AuditReport",
    "LabelsSaved",
    "PairedTests",
    "PairedTestsByLabels",
    "PenaltyMatrix",
    "Risk",
    "WinRates",
    "area_under_curve",
    "audit_report",
    "binomial_interval",
    "final_score",
    "holm",
    "labels_saved",
    "lure_estimate",
    "lure_weights",
    "paired_test",
    "paired_tests",
    "paired_tests_by_labels",
    "penalty_matrix",
    "win_rates",
]
