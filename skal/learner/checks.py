"""Whether an object is a learner."""

from __future__ import annotations

from typing import Any

from .active import ActiveLearner


def check_learner(learner: Any, asker: str) -> None:
    """TypeError, in the name of who asks, unless it is an ActiveLearner, fitted or not."""
    if not isinstance(learner, ActiveLearner):
        name = learner.__name__ if isinstance(learner, type) else type(learner).__name__
        what = f"the class {name}" if isinstance(learner, type) else f"an object of class {name}"
        raise TypeError(
            f"{asker} was given {what}; give an ActiveLearner, which knows its pool and its labels: "
            "ActiveLearner(classifier, strategy).fit(X, y)."
        )
