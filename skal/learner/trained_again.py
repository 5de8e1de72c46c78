"""Whether a classifier that a learner's folder does not hold is the one of then, as far as its predictions tell."""

from __future__ import annotations

import warnings

import numpy as np

from ..access.wrappers import rows_for
from ..pool import as_pool
from ..utils.warnings import callers_level
from .delegation import answer
from .state import State

_N_ROWS = 100


def predictions(state: State) -> list[str]:
    """What the classifier predicts for some rows of the pool, in words; nothing where there is none.

    Parameters
    ----------
    state : State

    Returns
    -------
    predicted : list of str
    """
    if (estimator := state.guide) is None or not hasattr(estimator, "predict"):
        return []
    some = np.linspace(0, len(state.pool) - 1, min(len(state.pool), _N_ROWS)).astype(np.intp)
    rows = as_pool(state.pool.take(some))
    try:
        return list(map(str, np.ravel(answer(estimator, "predict", rows_for(estimator, rows))).tolist()))
    except Exception:  # whatever it is, labels are saved
        return []


def warn_of_other_predictions(state: State, before: list[str]) -> None:
    """Warn where the classifier predicts otherwise than the one of then.

    Parameters
    ----------
    state : State
    before : list of str
        Of `predictions`; empty where they are not known.
    """
    now = predictions(state)
    n_others = sum(one != other for one, other in zip(before, now, strict=False))
    if n_others:
        warnings.warn(
            f"The classifier is not the one of then: it predicts another class for {n_others} of {len(now)} rows. All "
            "labels are there, and queries may choose other rows than they would have. A classifier that no file can "
            "hold is trained again: let random_state decide its training. Give load the FrozenEstimator of then.",
            UserWarning,
            stacklevel=callers_level(),
        )
