"""Seeds: `random_state` decides everything, and no global generator is used."""

from __future__ import annotations

from typing import Any

import numpy as np

_MAX_SEED = np.iinfo(np.int32).max


def draw_seed(random_state: Any) -> int:
    """Return an integer seed from a `random_state`.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        An integer is the seed itself. A `numpy.random.RandomState` advances by one draw. None uses fresh entropy and
        does not touch NumPy's global state.

    Returns
    -------
    seed : int

    Examples
    --------
    >>> import numpy as np
    >>> from skal.utils.random import draw_seed
    >>> draw_seed(7), draw_seed(np.random.RandomState(0)) == draw_seed(np.random.RandomState(0))
    (7, True)
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(_MAX_SEED))
    return int(random_state)


def seed_random_states(estimator: Any, seed: int) -> None:
    """Give each ``random_state`` of an estimator and its parts that is None its own seed.

    Parameters
    ----------
    estimator : estimator
        Changed in place; a ``random_state`` other than None is kept.
    seed : int
        Decides the seeds, which are drawn in the order of the parameters' names.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> from skal.utils.random import seed_random_states
    >>> pipeline = make_pipeline(PCA(2), PCA(1, random_state=3))
    >>> seed_random_states(pipeline, 0)
    >>> pipeline[0].random_state is None, pipeline[1].random_state
    (False, 3)
    """
    rng = np.random.default_rng(seed)
    params = estimator.get_params(deep=True)
    names = sorted(name for name in params if name == "random_state" or name.endswith("__random_state"))
    seeds = {name: int(rng.integers(_MAX_SEED)) for name in names if params[name] is None}
    if seeds:
        estimator.set_params(**seeds)
