"""How good a newly trained classifier is, and whether labelling may stop."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..evaluation import audit_report
from ..learner import ActiveLearner


def scored(
    learner: ActiveLearner, validation: tuple[Any, Any] | None = None, stopping: Any = None
) -> dict[str, Any]:
    """What is written of a model: how many labels it learned, its scores, and what the stopping criterion says."""
    detail: dict[str, Any] = {"n_labeled": sum(learner.class_counts_.values())}
    if not hasattr(learner, "estimator_"):
        return detail
    if validation is not None:
        detail["validation"] = float(learner.score(*validation))
    if len(learner.audit_):
        report = audit_report(learner, cv=None)
        detail["audit"] = {
            "score": report.score, "low": report.low, "high": report.high, "n_labeled": report.n_labeled
        }  # fmt: skip
    if stopping is not None:
        stopping.update(learner)
        report = stopping.report_
        detail["stopping"] = {
            "text": str(report),
            "should_stop": bool(report.should_stop),
            "value": float(report.value),
            "mean": float(report.mean),
            "threshold": float(report.threshold),
            "labels_left": None if np.isnan(report.labels_left) else float(report.labels_left),
        }
    return detail
