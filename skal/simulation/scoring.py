"""The scorers of a simulated learner, checked before anything is trained."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import check_scoring

from ..access import check_requirements, unwrap
from ..utils.scorers import naming_positives, scorer_name, sklearn_scorer


class Scoring:
    """What is scored each round: on the validation rows, or by scorers that do without rows.

    Parameters
    ----------
    learner : SimulatedLearner
        Not fitted.
    scoring : str, callable, list, dict or None
        As in ``GridSearchCV``.
    X, y : container and ndarray, or None
        The validation rows, where there are some.

    Raises
    ------
    ValueError
        If `scoring` names no scorer, or one that has to be told the positive class.
    TypeError
        If a scorer needs what the classifier lacks.
    """

    def __init__(self, learner: Any, scoring: Any, X: Any, y: Any) -> None:
        self.X, self.y = X, y
        self.scorer = self._checked(learner, scoring)
        several = isinstance(scoring, list | tuple | Mapping)
        self.names = [f"score_{name}" for name in scoring] if several else ["score"]

    def _checked(self, learner: Any, scoring: Any) -> Any:
        """The scorer of those that can be asked, or None."""
        if scoring is None:
            return None if self.X is None else check_scoring(learner)
        scorer = check_scoring(learner, scoring=scoring)
        given = scoring if isinstance(scoring, Mapping) else {"": scoring}
        classifier = unwrap(learner.estimator)
        for name, single in given.items():
            if isinstance(scoring, Mapping) and not isinstance(single, str) and not callable(single):
                raise ValueError(
                    f"scoring[{name!r}]={single!r} was given; it must be the name of a scorer or a callable "
                    "scorer(estimator, X, y)."
                )
            for need in getattr(single, "requires", ()):
                if not hasattr(classifier, need):
                    raise TypeError(
                        f"{single} needs a classifier with {need} and {type(classifier).__name__} has none. Use one "
                        "that has it, and no pipeline around it, or another scorer."
                    )
        if self.X is not None:
            for single in scoring if isinstance(scoring, list | tuple) else given.values():
                if getattr(sklearn_scorer(single), "_response_method", None) == "predict_proba":
                    check_requirements(
                        f"scoring={scorer_name(single)!r}", ("predict_proba",), learner.estimator
                    )
                self._check_positives(single)
            return scorer
        given = {name: single for name, single in given.items() if _does_without_rows(single)}
        if not given:
            return None
        return check_scoring(learner, scoring=given) if isinstance(scoring, Mapping) else scorer

    def _check_positives(self, single: Any) -> None:
        """Refuse a scorer of scikit-learn's that has to be told the positive class, which any classifier shows."""
        if sklearn_scorer(single) is None:
            return
        rows = np.zeros((len(self.y), 1))
        constant = DummyClassifier().fit(rows, self.y)
        with warnings.catch_warnings(), naming_positives(single, self.y):
            warnings.simplefilter("ignore")
            try:
                check_scoring(constant, scoring=single)(constant, rows, self.y)
            except Exception as error:
                if "pos_label" in str(error):
                    raise

    def scores(self, learner: Any) -> dict[str, float]:
        """The scores of a learner, NaN where it has no classifier yet."""
        if self.scorer is None:
            return {}
        if not hasattr(learner, "estimator_"):
            return dict.fromkeys(self.names, np.nan)
        scores = self.scorer(learner, self.X, self.y)
        if isinstance(scores, Mapping):
            return {f"score_{name}": _number(score, name) for name, score in scores.items()}
        return {"score": _number(scores, "score")}


def _does_without_rows(scorer: Any) -> bool:
    """Whether a scorer is a function of the estimator alone."""
    try:
        inspect.signature(scorer).bind(None)
    except (TypeError, ValueError):  # no function, or one that needs more
        return False
    return True


def _number(score: Any, name: str) -> float:
    if np.ndim(score) or not isinstance(np.asarray(score).item(), Real):
        raise TypeError(f"The scorer {name!r} returned {score!r}; it must return a number.")
    return float(score)
