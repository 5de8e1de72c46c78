"""Lazy greedy choice: if upper bounds can only fall, few need to be measured again (Minoux, 1978)."""

from collections.abc import Callable, Sequence

import numpy as np

from .points import Floats, Positions

TOGETHER = 128  # what is measured at a time


def lazy_argmax(
    bounds: Floats,
    measures: Sequence[Callable[[Positions], Floats]],
    rng: np.random.Generator,
    together: int = TOGETHER,
) -> int:
    """Return the position of the largest value, measuring only the values whose upper bound reaches it.

    Parameters
    ----------
    bounds : ndarray of shape (n,)
        Upper bounds of the values. They are overwritten by what is measured. Entries of minus infinity take no part.
    measures : sequence of callable
        They map positions, an array of int, to upper bounds; the cheapest comes first, and the last one gives the
        values.
    rng : numpy.random.Generator
        Decides between equal values.
    together : int, default=128
        How many values are measured at a time.

    Returns
    -------
    position : int

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection.lazy import lazy_argmax
    >>> values, bounds = np.array([1.0, 3.0, 2.0]), np.array([1.5, 3.5, 9.0])
    >>> lazy_argmax(bounds, [values.take], np.random.default_rng(0), together=1), bounds
    (1, array([1.5, 3. , 2. ]))
    """
    rest = np.flatnonzero(bounds > -np.inf)
    measured, best, n_next = [], -np.inf, together
    while len(rest):
        # What is looked through for the largest bounds shrinks as fast as what was measured grows.
        order = np.argpartition(-bounds[rest], min(n_next, len(rest)) - 1)
        largest, rest = rest[order[:n_next]], rest[order[n_next:]]
        largest = largest[np.argsort(-bounds[largest])]
        for start in range(0, len(largest), together):
            stale = largest[start : start + together]
            stale = stale[bounds[stale] >= best]
            if not len(stale):
                break
            for measure in measures:
                # No more than the bound, whose rounding may differ.
                bounds[stale] = np.minimum(measure(stale), bounds[stale])
                stale = stale[bounds[stale] >= best]
            measured.append(stale)
            best = bounds[stale].max(initial=best)
        rest = rest[bounds[rest] >= best]
        n_next *= 8
    values = np.sort(np.concatenate(measured))
    return int(rng.choice(values[bounds[values] == best]))
