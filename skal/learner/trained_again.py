"""Whether a classifier that a learner's folder does not hold is the one that was saved, as its predictions tell."""

from __future__ import annotations

import warnings

import numpy as np

from ..access.wrappers import rows_for
from ..pool import as_pool
from ..utils.warnings import callers_level
from .delegation import answer
from .refit import is_prefitted
from .state import State

_N_ROWS = 100


def predictions(state: State) -> list[str]:
    """What the classifier predicts for some rows of the pool, in words; nothing where it does not always say the same.

    Parameters
    ----------
    state : State

    Returns
    -------
    predicted : list of str
        Empty where there is no classifier, or it does not answer.
    """
    if (estimator := state.guide) is None or not hasattr(estimator, "predict"):
        return []
    some = np.linspace(0, len(state.pool) - 1, min(len(state.pool), _N_ROWS)).astype(np.intp)
    try:
        rows = rows_for(estimator, as_pool(state.pool.take(some)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody has asked for these predictions
            once, again = (np.ravel(answer(estimator, "predict", rows)).tolist() for _ in range(2))
    except Exception:  # whatever it is, labels are saved
        return []
    return list(map(str, once)) if once == again else []


def warn_of_other_predictions(state: State, before: list[str]) -> None:
    """Warn where the classifier differs from the one that was saved.

    Parameters
    ----------
    state : State
    before : list of str
        Of `predictions`; empty where they are not known.
    """
    now = predictions(state) if before else []
    n_others = sum(one != other for one, other in zip(before, now, strict=False))
    if not n_others:
        return
    if is_prefitted(state.estimator):
        why = "Give load the FrozenEstimator that the learner had."
    else:
        why = "It was trained again, as no file can hold it: let its random_state decide its training."
    warnings.warn(
        f"The classifier differs from the one that was saved: it predicts another class for {n_others} of {len(now)} "
        f"rows. {why} All labels are there, and queries may choose other rows.",
        UserWarning,
        stacklevel=callers_level(),
    )
