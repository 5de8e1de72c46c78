"""Seeds: `random_state` decides everything, and nothing global is drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np


def draw_seed(random_state: Any) -> int:
    """An integer seed from `random_state`; fresh entropy, not numpy's global state, for None."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(np.iinfo(np.int32).max))
    return int(random_state)


def seed_random_states(estimator: Any, seed: int) -> None:
    """Give every nested ``random_state`` that is None a seed of its own, drawn from `seed`."""
    rng = np.random.default_rng(seed)
    params = estimator.get_params(deep=True)
    names = sorted(name for name in params if name == "random_state" or name.endswith("__random_state"))
    seeds = {name: int(rng.integers(np.iinfo(np.int32).max)) for name in names if params[name] is None}
    if seeds:
        estimator.set_params(**seeds)
