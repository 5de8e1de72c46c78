"""Histories that these tests share."""

import numpy as np


def history(scores, n_labeled=None, **arrays):
    """A history of some repeats with 10, 20, ... labels."""
    scores = np.asarray(scores, dtype=float)
    numbers = 10 * np.arange(1, scores.shape[-1] + 1) if n_labeled is None else np.asarray(n_labeled)
    return {"n_labeled": np.broadcast_to(numbers, scores.shape), "score": scores, **arrays}


def noisy(seed, shift=0.0, *, n_repeats=5, n_rounds=4):
    """A history whose scores are random, and the same in the first round of every learner."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.5, 0.6, (n_repeats, n_rounds)) + shift
    scores[:, 0] = np.random.default_rng(0).uniform(size=n_repeats)
    return history(scores)
