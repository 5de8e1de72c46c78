"""Lazy greedy choice: if upper bounds can only fall, few need to be measured again (Minoux, 1978)."""

from collections.abc import Callable, Sequence

import numpy as np

from .points import Floats, Positions

TOGETHER = 128  # what is measured at a time
# The share of the values that a search looks through first, and as many times `TOGETHER` of them at least.
_LEADING, _LEAST = 1 / 64, 32


class LazyMaximum:
    """Values of which upper bounds are known, and the largest of which is asked for again and again.

    Parameters
    ----------
    bounds : ndarray of shape (n,)
        Upper bounds of the values. They are overwritten by what is measured. Entries of minus infinity take no part.
        The owner may lower them between searches.
    together : int, default=128
        The number of values that are measured at a time.

    Notes
    -----
    The largest bounds lead: as long as a value among them is above the bounds of all others, a search looks at them
    alone, instead of at all n.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection.lazy import LazyMaximum
    >>> values, bounds = np.array([1.0, 3.0, 2.0]), np.array([1.5, 3.5, 9.0])
    >>> LazyMaximum(bounds, together=1).argmax([values.take], np.random.default_rng(0)), bounds
    (1, array([1.5, 3. , 2. ]))
    """

    def __init__(self, bounds: Floats, together: int = TOGETHER) -> None:
        self.bounds, self.together = bounds, together
        # `_others` is the largest bound of those that do not lead.
        self._leading, self._others = np.empty(0, np.intp), np.inf

    def argmax(self, measures: Sequence[Callable[[Positions], Floats]], rng: np.random.Generator) -> int:
        """Return the position of the largest value, measuring only the values whose upper bound reaches it.

        Parameters
        ----------
        measures : sequence of callable
            They map positions, an array of int, to upper bounds; the cheapest comes first, and the last one gives the
            values.
        rng : numpy.random.Generator
            Decides between equal values.
        """
        best, measured = self._search(self._leading, measures, -np.inf)
        if best <= self._others:
            others = self.bounds > -np.inf
            others[self._leading] = False
            best, more = self._search(np.flatnonzero(others), measures, best)
            measured += more
            self._find_leading()
        values = np.sort(np.concatenate(measured))
        return int(rng.choice(values[self.bounds[values] == best]))

    def _find_leading(self) -> None:
        """Let those lead that have the largest bounds now."""
        rest = np.flatnonzero(self.bounds > -np.inf)
        n_leading = int(max(_LEADING * len(rest), _LEAST * self.together))
        self._leading, self._others = rest, -np.inf
        if n_leading < len(rest):
            order = np.argpartition(-self.bounds[rest], n_leading)
            self._leading, self._others = rest[order[:n_leading]], float(self.bounds[rest[order[n_leading]]])

    def _search(
        self, rest: Positions, measures: Sequence[Callable[[Positions], Floats]], best: float
    ) -> tuple[float, list[Positions]]:
        """Return the largest value among some positions, or `best`, and which positions were measured."""
        bounds, measured, n_next = self.bounds, [], self.together
        rest = rest[bounds[rest] >= max(best, np.finfo(float).min)]
        while len(rest):
            # What is looked through for the largest bounds shrinks as fast as what was measured grows.
            order = np.argpartition(-bounds[rest], min(n_next, len(rest)) - 1)
            largest, rest = rest[order[:n_next]], rest[order[n_next:]]
            largest = largest[np.argsort(-bounds[largest])]
            for start in range(0, len(largest), self.together):
                stale = largest[start : start + self.together]
                stale = stale[bounds[stale] >= best]
                if not len(stale):
                    break
                for measure in measures:
                    # No more than the bound, whose rounding may differ.
                    bounds[stale] = np.minimum(measure(stale), bounds[stale])
                    stale = stale[bounds[stale] >= best]
                measured.append(stale)
                best = float(bounds[stale].max(initial=best))
            rest = rest[bounds[rest] >= best]
            n_next *= 8
        return best, measured
